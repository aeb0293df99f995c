//! The demo city, whole: loaded as `lamppost demo` does it, then counted through the door.

use lamppost::cli::demo;
use lamppost::spatial::tile_id::TileId;
use sqlx::PgPool;

use crate::support::town;
use crate::tiles::decode;

/// The sum of `point_count` over the tiles of a zoom that touch a box; a feature without it counts one.
async fn count(town: &crate::support::Town, layer: &str, z: u8, b: [f64; 4]) -> u64 {
    use lamppost::spatial::tile_id::World;
    let (nw, se) = (World::at(b[0], b[3]).tile(z), World::at(b[2], b[1]).tile(z));
    let mut sum = 0;
    for x in nw.x()..=se.x() {
        for y in nw.y()..=se.y() {
            let t = TileId::new(z, x, y).unwrap();
            let bytes = town.get(&format!("/tiles/{layer}/{z}/{}/{}", t.x(), t.y())).await.bytes;
            assert!(bytes.len() <= 500_000, "{layer} {z}/{x}/{y} has {} bytes", bytes.len());
            for (_, properties, geometry) in decode(&bytes, layer) {
                let geo::Geometry::Point(p) = geometry else { continue };
                if (0.0..4096.0).contains(&p.x()) && (0.0..4096.0).contains(&p.y()) {
                    sum += properties.get("point_count").map_or(1, |n| n.parse().unwrap());
                }
            }
        }
    }
    sum
}

#[sqlx::test]
async fn the_demo_city_has_hexi_s_stock_and_no_lamp_is_lost_at_any_zoom(pool: PgPool) {
    let town = town(pool).await;
    let args = demo::Args { seed: 1, scale: 1 };
    let first = demo::run(&town.state.store, &args).await.unwrap();
    assert!(first.components > 130_000 && first.deeds > 365);
    // The load dates its revisions back, which is a restore to whoever follows: memory is built anew.
    town.state.feed.load().await.unwrap();
    let again = demo::run(&town.state.store, &args).await.unwrap();
    assert_eq!((again.components, again.deeds), (0, 0), "a second load changes nothing");

    for (query, n) in [
        ("lamps/items", 41_200),
        ("wells/items", 22_833),
        ("toilets/items", 106),
        ("seats/items", 780),
        ("berths/items", 15_000),
        ("signs/items?class=shop-sign", 3_268),
        ("stations/items?class=transfer-station", 16),
        ("stations/items?class=sorting-pavilion", 161),
    ] {
        assert_eq!(
            town.json(&format!("/collections/{query}")).await["numberMatched"],
            n,
            "{query}"
        );
    }
    let extent = town.json("/collections/lamps").await["extent"]["spatial"]["bbox"][0].clone();
    let extent: Vec<f64> = serde_json::from_value(extent).unwrap();
    let extent = [extent[0], extent[1], extent[2], extent[3]];
    for z in [6, 10, 12, 14, 15] {
        assert_eq!(count(&town, "lamps", z, extent).await, 41_200, "zoom {z}");
    }
    let km2: f64 = sqlx::query_scalar(
        "select sum(st_area(geom::geography)) / 1e6 from component
         where attributes ->> 'green_kind' = 'park' and state <> 'retired'",
    )
    .fetch_one(&town.pool)
    .await
    .unwrap();
    assert!((km2 - 8.66).abs() < 0.01, "the parks have {km2} km²");
    let apart: f64 = sqlx::query_scalar(
        "select abs(sum(st_area(c.geom::geography)) - (select sum(st_area(geom::geography)) from area where level = 'district'))
         from cell c",
    )
    .fetch_one(&town.pool)
    .await
    .unwrap();
    assert!(apart < 50.0, "the cells and the district differ by {apart} m²");
    assert_eq!(town.differences().await, Vec::<String>::new());
    assert_eq!(town.state.store.check().await.unwrap(), Vec::<String>::new());
}
