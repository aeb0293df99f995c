//! Clients that others wrote, over a real socket.

use std::process::Command;

use lamppost::api::app;
use lamppost::spatial::tile_id::World;
use sqlx::PgPool;

use crate::support::{Town, town};

/// The town on a port of this machine.
async fn served(town: &Town) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = app(town.state.clone()).into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    format!("http://{address}")
}

#[sqlx::test]
async fn gdal_reads_a_tile_over_http_where_the_lamp_stands(pool: PgPool) {
    let town = town(pool).await;
    let (lon, lat) = (117.2172, 39.1096);
    let id = town.lamps(&[(lon, lat)]).await[0];
    let at = served(&town).await;
    let t = World::at(lon, lat).tile(16);
    let url = format!("MVT:{at}/tiles/lamps/16/{}/{}.pbf", t.x(), t.y());
    let run = move || Command::new("ogrinfo").args(["-al", "-ro", &url]).output();
    let output = tokio::task::spawn_blocking(run)
        .await
        .unwrap()
        .expect("ogrinfo: apt install gdal-bin, or run make setup");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("3857"),
        "{text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        text.contains(&format!("mvt_id (Integer64) = {id}")) && text.contains("state (String) = intact"),
        "{text}"
    );
    let point = text.split("POINT (").nth(1).unwrap().split(')').next().unwrap();
    let xy: Vec<f64> = point.split(' ').map(|n| n.parse().unwrap()).collect();
    let sql = "select st_x(g), st_y(g) from st_transform(st_setsrid(st_makepoint($1, $2), 4326), 3857) g";
    let (x, y): (f64, f64) = sqlx::query_as(sql)
        .bind(lon)
        .bind(lat)
        .fetch_one(&town.pool)
        .await
        .unwrap();
    // A tile unit at zoom 16 is 0.15 m.
    assert!((xy[0] - x).abs() < 0.16 && (xy[1] - y).abs() < 0.16, "{xy:?} {x} {y}");
}

#[sqlx::test]
async fn tilejson_is_valid_by_its_schema(pool: PgPool) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/data/fixtures/tilejson/tilejson-3.0.0-schema.json"
    );
    let Ok(schema) = std::fs::read_to_string(path) else {
        println!("SKIPPED tilejson_is_valid_by_its_schema: ../shared/data is absent");
        return;
    };
    let town = town(pool).await;
    town.lamps(&[(117.2172, 39.1096)]).await;
    let schema = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for layers in ["lamps", "cells", "roads,land,water", "components"] {
        let tilejson = town.json(&format!("/tiles/{layers}")).await;
        let faults: Vec<String> = validator.iter_errors(&tilejson).map(|e| e.to_string()).collect();
        assert_eq!(faults, Vec::<String>::new(), "{layers}");
    }
}
