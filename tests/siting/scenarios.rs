//! Scenarios: what they promise is what PostGIS finds, they are compared with what stands, and files of them are read by GDAL.

use std::process::Command;

use axum::http::Method;
use lamppost::domain::word::State;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::service::{city, number, places, share};
use crate::support::{Answer, Town};

const ABOUT: &str = "denominator=residential&radius=250";

async fn post(town: &Town, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", town.token);
    town.send(Method::POST, path, &[("authorization", &bearer)], &body.to_string())
        .await
}

fn rate(answer: &Value) -> f64 {
    number(&answer["denominators"][0]["rate"])
}

#[sqlx::test]
async fn a_plan_is_kept_under_a_name_and_asked_about_as_if_it_were_built(pool: PgPool) {
    let town = city(pool).await;
    let mut plan = town
        .json(&format!("/siting/toilets?{ABOUT}&on=commercial&sites=2"))
        .await;
    plan["name"] = json!("五年计划");
    let kept = post(&town, "/scenarios", &plan).await;
    assert_eq!(kept.status, 201, "{}", String::from_utf8_lossy(&kept.bytes));
    let id = kept.json()["id"].as_i64().unwrap();
    assert!(kept.header("location").ends_with(&format!("/scenarios/{id}")));
    // As if it were built: the rate, the tiles, who is nearest; and nothing of it without being asked.
    let asked = format!("/coverage/toilets?{ABOUT}&scenario={id}");
    let own = town.json(&asked).await;
    let chosen = places(&plan);
    assert!((rate(&own) - share(&town, &chosen).await).abs() < 1e-3, "{own}");
    assert!((rate(&own) - number(&plan["after"]["rate"])).abs() < 1e-5, "{own}");
    assert_eq!(
        (&own["scenario"]["name"], &own["facilities"]["counted"]),
        (&json!("五年计划"), &json!(3))
    );
    let bare = town.json(&format!("/coverage/toilets?{ABOUT}")).await;
    assert!((rate(&bare) - share(&town, &[]).await).abs() < 1e-3);
    let tile = format!("/tiles/coverage-toilets/14/13526/6256?{ABOUT}");
    assert_ne!(
        town.get(&tile).await.bytes,
        town.get(&format!("{tile}&scenario={id}")).await.bytes
    );
    let blind = town
        .json(&format!("/coverage/toilets/blind?{ABOUT}&scenario={id}"))
        .await;
    let planned = |f: &Value| f["properties"]["nearest"]["scenario"] == json!(id);
    assert!(blind["features"].as_array().unwrap().iter().any(planned), "{blind}");
    let report = town
        .get(&format!("/coverage/toilets/report?{ABOUT}&scenario={id}"))
        .await;
    let report = String::from_utf8(report.bytes).unwrap();
    let share = format!("{:.2} %", rate(&own) * 100.0);
    for part in ["五年计划", "GB 55013-2021", &share, "<svg", "#ff8f00", "居住用地"] {
        assert!(report.contains(part), "{part}: {report}");
    }
    // An edit is followed beside it.
    let toilet = town.json("/collections/toilets/items").await["features"][0]["id"]
        .as_i64()
        .unwrap();
    town.set_state(toilet, State::Missing).await;
    let without = rate(&town.json(&asked).await);
    town.set_state(toilet, State::Intact).await;
    assert!(without < rate(&own) && (rate(&town.json(&asked).await) - rate(&own)).abs() < 1e-9);

    // What it changes is what was blind and is served now; the other way round it is lost.
    let change = town
        .json(&format!("/coverage/toilets/change?{ABOUT}&scenario={id}&by=cell"))
        .await;
    let gained = number(&change["after"]["covered_m2"]) - number(&change["before"]["covered_m2"]);
    assert!(
        (number(&change["gained_m2"]) - gained).abs() < 1.0 && change["lost_m2"] == 0.0,
        "{change}"
    );
    assert!(gained > 10_000.0);
    let sum: f64 = sqlx::query_scalar(
        "select sum(st_area(st_geomfromgeojson(f -> 'geometry')::geography)) from jsonb_array_elements($1::jsonb -> 'features') f
         where st_isvalid(st_geomfromgeojson(f -> 'geometry'))",
    )
    .bind(change.to_string())
    .fetch_one(&town.pool)
    .await
    .unwrap();
    assert!((sum / gained - 1.0).abs() < 1e-5, "{sum} {gained}");
    let back = town
        .json(&format!("/coverage/toilets/change?{ABOUT}&from-scenario={id}"))
        .await;
    assert_eq!(
        (&back["lost_m2"], &back["gained_m2"]),
        (&change["gained_m2"], &json!(0.0))
    );
    let groups = change["groups"].as_array().unwrap();
    let of = |side: &str| groups.iter().map(|g| number(&g[side]["covered_m2"])).sum::<f64>();
    assert!((of("after") - of("before") - gained).abs() < 1.0, "{change}");
    // Two radii, and two days.
    let wider = town
        .json("/coverage/toilets/change?denominator=residential&radius=300&from-radius=250")
        .await;
    assert!(
        number(&wider["gained_m2"]) > 1000.0 && wider["lost_m2"] == 0.0,
        "{wider}"
    );
    let now: chrono::DateTime<chrono::Utc> = sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(&town.pool)
        .await
        .unwrap();
    town.move_to(toilet, 117.2075, 39.0815).await;
    let then = now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let moved = town
        .json(&format!("/coverage/toilets/change?{ABOUT}&from-datetime={then}"))
        .await;
    assert!(
        number(&moved["gained_m2"]) > 1000.0 && number(&moved["lost_m2"]) > 1000.0,
        "{moved}"
    );
    assert_eq!(moved["before"]["rate"], bare["denominators"][0]["rate"], "{moved}");
}

#[sqlx::test]
async fn a_scenario_is_listed_read_and_withdrawn_and_faults_are_said_all_at_once(pool: PgPool) {
    let town = city(pool).await;
    let site = |g: Value| json!({"type": "Feature", "geometry": g, "properties": {}});
    let point = json!({"type": "Point", "coordinates": [117.21, 39.08]});
    let good = json!({"name": "甲案", "rule": "toilets", "note": "只作比较", "features": [site(point.clone())]});
    let id = post(&town, "/scenarios", &good).await.json()["id"].as_i64().unwrap();
    assert_eq!(post(&town, "/scenarios", &good).await.status, 409);
    assert_eq!(
        town.send(Method::POST, "/scenarios", &[], &good.to_string())
            .await
            .status,
        401
    );
    let listed = town.json("/scenarios?rule=toilets").await;
    assert_eq!(listed["scenarios"][0]["name"], "甲案", "{listed}");
    assert_eq!(town.json("/scenarios?rule=parks").await["scenarios"], json!([]));
    let one = town.json(&format!("/scenarios/{id}")).await;
    assert_eq!(one["features"][0]["geometry"], point, "{one}");
    // A scenario of toilets says nothing about parks.
    assert_eq!(town.get(&format!("/coverage/parks?scenario={id}")).await.status, 400);
    for (path, status) in [
        ("/scenarios/999", 404),
        ("/scenarios/x", 404),
        ("/coverage/toilets?scenario=999", 404),
        ("/coverage/toilets?scenario=0", 400),
        ("/coverage/toilets/change?by=planet&from-radius=0&radius=x", 400),
    ] {
        assert_eq!(town.get(path).await.status.as_u16(), status, "{path}");
    }
    let bad = json!({"name": " ", "rule": "bars", "features": [site(json!({"type": "Point", "coordinates": [500, 0]})), site(json!(null)),
        site(json!({"type": "MultiPoint", "coordinates": [[117.2, 39.1]]}))]});
    let refused = post(&town, "/scenarios", &bad).await;
    let said = refused.json().to_string();
    assert_eq!(refused.status, 422, "{said}");
    for part in [
        "/name",
        "/rule",
        "/features/0/geometry",
        "/features/1/geometry",
        "/features/2/geometry",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let many: Vec<Value> = (0..501).map(|_| site(point.clone())).collect();
    let many = json!({"name": "多", "rule": "toilets", "features": many});
    assert_eq!(post(&town, "/scenarios", &many).await.status, 422);
    // Far away from the city it is refused when asked about.
    let far = json!({"name": "远", "rule": "toilets", "features": [site(json!({"type": "Point", "coordinates": [121.4, 31.2]}))]});
    let far = post(&town, "/scenarios", &far).await.json()["id"].as_i64().unwrap();
    assert_eq!(town.get(&format!("/coverage/toilets?scenario={far}")).await.status, 422);

    let bearer = format!("Bearer {}", town.token);
    let gone = async || {
        let path = format!("/scenarios/{id}");
        town.send(Method::DELETE, &path, &[("authorization", &bearer)], "")
            .await
            .status
            .as_u16()
    };
    assert_eq!((gone().await, gone().await), (204, 409));
    assert_eq!(
        town.json("/scenarios?rule=toilets").await["scenarios"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert!(!town.json(&format!("/scenarios/{id}")).await["withdrawn"].is_null());
    assert_eq!(post(&town, "/scenarios", &good).await.status, 201);
}

#[sqlx::test]
async fn blind_spots_and_sites_are_files_that_gdal_reads_in_the_citys_zone(pool: PgPool) {
    let town = city(pool).await;
    let scratch = tempfile::tempdir().unwrap();
    let (blind, siting) = (
        format!("/coverage/toilets/blind?{ABOUT}"),
        format!("/siting/toilets?{ABOUT}&on=commercial&sites=2"),
    );
    let spots = town.json(&blind).await["numberMatched"].as_i64().unwrap();
    for (path, count) in [(&blind, spots), (&siting, 2)] {
        for (format, name) in [("gpkg", "a.gpkg"), ("shp", "a.zip"), ("fgb", "a.fgb")] {
            let answer = town.get(&format!("{path}&f={format}")).await;
            assert_eq!(answer.status, 200, "{path}&f={format}");
            assert!(answer.header("content-disposition").contains("toilets-"));
            let file = scratch.path().join(name);
            std::fs::write(&file, &answer.bytes).unwrap();
            let file = match format {
                "shp" => format!("/vsizip/{}", file.display()),
                _ => file.display().to_string(),
            };
            let done = Command::new("ogrinfo").args(["-so", "-al", &file]).output().unwrap();
            let told = String::from_utf8_lossy(&done.stdout).into_owned();
            assert!(told.contains(&format!("Feature Count: {count}")), "{format}: {told}");
            assert!(told.contains("CGCS2000") && told.contains("Gauss"), "{format}: {told}");
        }
        let sheet = town.get(&format!("{path}&f=xlsx")).await;
        assert!(sheet.bytes.starts_with(b"PK"), "a workbook");
        let csv = String::from_utf8(town.get(&format!("{path}&f=csv&lang=en")).await.bytes).unwrap();
        assert_eq!(csv.lines().count() as i64, count + 1, "{csv}");
        assert!(csv.contains("Longitude"), "{csv}");
    }
    // In the zone the polygons are valid, and as large as they are said to be but for the zone's own scale.
    let zone = town.json(&format!("{blind}&crs=EPSG:4548")).await;
    let (valid, off): (bool, f64) = sqlx::query_as(
        "select bool_and(st_isvalid(st_geomfromgeojson(f -> 'geometry'))),
           max(abs(st_area(st_geomfromgeojson(f -> 'geometry')) / (f -> 'properties' ->> 'area_m2')::float8 - 1))
         from jsonb_array_elements($1::jsonb -> 'features') f",
    )
    .bind(zone.to_string())
    .fetch_one(&town.pool)
    .await
    .unwrap();
    assert!(valid && off < 1e-3, "{off} {zone}");
    assert_eq!(town.get(&format!("{blind}&f=dxf")).await.status, 400);
}

/// Tiles of public layers are open where all else is closed; what is planned is not.
#[sqlx::test]
async fn nobody_sees_a_plan_through_tiles_that_are_open(pool: PgPool) {
    let town = crate::support::town_with(pool, |app| app.closed = lamppost::api::reader::Closed::Always).await;
    let tile = "/tiles/coverage-parks/14/13526/6256?denominator=district";
    assert_ne!(town.get(tile).await.status, 401);
    assert_eq!(town.get(&format!("{tile}&scenario=1")).await.status, 401);
    let bearer = format!("Bearer {}", town.token);
    let known = town
        .send(
            Method::GET,
            &format!("{tile}&scenario=1"),
            &[("authorization", &bearer)],
            "",
        )
        .await;
    assert_eq!(known.status, 404);
}
