//! Tiles as the specification has them: valid by its rules, and showing what PostGIS shows.

mod check;
mod postgis;
mod wire;

use std::fs;
use std::path::PathBuf;

use axum::http::Method;
use lamppost::domain::component::Draft;
use lamppost::domain::word::State;
use lamppost::spatial::tile_id::{MAX_ZOOM, World};
use sqlx::PgPool;

use crate::support::{Dice, Town, point, rectangle, town};
use check::{Fault, faults};

fn fixtures() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/data/fixtures/mvt-fixtures"
    ))
}

/// Valid as their `info.json` says, though others say the contrary: 016 is byte for byte 003, which has no type, and 057 announces
/// more points than it has, as 051 does.
const CONTRADICTED: [&str; 2] = ["016", "057"];

#[test]
fn the_validator_agrees_with_the_fixtures_of_the_specification() {
    let Ok(dirs) = fs::read_dir(fixtures().join("fixtures")) else {
        println!("SKIPPED the_validator_agrees_with_the_fixtures_of_the_specification: ../shared/data is absent");
        return;
    };
    let (mut valid, mut invalid) = (0, 0);
    for dir in dirs.flatten() {
        let name = dir.file_name().into_string().unwrap();
        let info: serde_json::Value = serde_json::from_slice(&fs::read(dir.path().join("info.json")).unwrap()).unwrap();
        let found = faults(&fs::read(dir.path().join("tile.mvt")).unwrap());
        let sound = !found.iter().any(|f| matches!(f, Fault::Breach(_)));
        let expected = info["validity"]["v2"].as_bool().unwrap() && !CONTRADICTED.contains(&name.as_str());
        assert_eq!(sound, expected, "{name}: {} {found:?}", info["description"]);
        *if expected { &mut valid } else { &mut invalid } += 1;
    }
    assert!(valid > 30 && invalid > 20, "{valid} valid, {invalid} invalid");
}

#[test]
fn the_validator_takes_tiles_that_other_programs_wrote() {
    // Of the real tiles, those of version 2 by an encoder that keeps the rules of polygons.
    let Ok(tiles) = fs::read_dir(fixtures().join("real-world/bangkok")) else {
        println!("SKIPPED the_validator_takes_tiles_that_other_programs_wrote: ../shared/data is absent");
        return;
    };
    let mut count = 0;
    for tile in tiles.flatten() {
        let found = faults(&fs::read(tile.path()).unwrap());
        let breaches: Vec<_> = found.iter().filter(|f| matches!(f, Fault::Breach(_))).collect();
        assert!(breaches.is_empty(), "{:?}: {breaches:?}", tile.path());
        count += 1;
    }
    assert!(count > 10, "{count}");
}

#[test]
fn the_validator_sees_each_fault_of_a_geometry() {
    let square = [9, 0, 0, 26, 20, 0, 0, 20, 19, 0, 15];
    for (kind, geometry, expected) in [
        (1, vec![9, 50, 34], ""),
        (1, vec![9, 50, 34, 9, 2, 2], "follows the points"),
        (2, vec![9, 0, 0, 18, 2, 2, 2, 2], ""),
        (2, vec![9, 0, 0, 18, 2, 2, 0, 0], "stays where it is"),
        (2, vec![17, 0, 0, 2, 2, 10, 2, 2], "MoveTo of 2"),
        (2, vec![9, 0, 0, 10, 2, 2, 15], "command 7"),
        (2, vec![9, 0, 0, 10, 20_000, 2], "outside"),
        (3, square.to_vec(), ""),
        (3, vec![9, 0, 0, 26, 0, 20, 20, 0, 0, 19, 15], "begins with a hole"),
        (3, vec![9, 0, 0, 26, 20, 0, 20, 0, 20, 0, 15], "without area"),
        (
            3,
            vec![9, 0, 0, 34, 20, 0, 0, 20, 19, 0, 0, 19, 15],
            "repeats its first",
        ),
        (3, vec![9, 0, 0, 18, 20, 0, 0, 20], "no command 7"),
        (3, [&square[..], &square[..]].concat(), ""),
        (3, [&square[..], &[9, 0, 0, 26, 0, 20, 20, 0, 0, 19, 15]].concat(), ""),
    ] {
        let found = faults(&tile_of(kind, &geometry));
        match expected {
            "" => assert_eq!(found, [], "{geometry:?}"),
            _ => assert!(
                found.iter().any(|f| format!("{f:?}").contains(expected)),
                "{geometry:?}: {found:?}"
            ),
        }
    }
}

/// A tile of one layer with one feature without properties.
fn tile_of(kind: u8, geometry: &[u32]) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let mut numbers = Vec::new();
    for mut n in geometry.iter().copied() {
        while n > 127 {
            numbers.push(n as u8 | 128);
            n >>= 7;
        }
        numbers.push(n as u8);
    }
    let feature = [&[3 << 3, kind][..], &field(4, &numbers)].concat();
    let layer = [&field(1, b"l")[..], &field(2, &feature), &[5 << 3, 128, 32, 15 << 3, 2]].concat();
    field(3, &layer)
}

/// Everything that the map has, in one tile.
const LAYERS: &str = "land,water,areas,cells,parks,carparks,roads,lamps,wells,trees,components";

async fn valid(town: &Town, layers: &str, z: u8, x: u32, y: u32) -> usize {
    let answer = town.get(&format!("/tiles/{layers}/{z}/{x}/{y}")).await;
    assert!(answer.status == 200 || answer.status == 204, "{}", answer.status);
    assert_eq!(faults(&answer.bytes), [], "{layers}/{z}/{x}/{y}");
    answer.bytes.len()
}

#[sqlx::test]
async fn every_tile_is_valid_of_a_town_that_reaches_around_the_world(pool: PgPool) {
    let town = town(pool).await;
    // Points in clusters, on corners of tiles, on the antimeridian, and beyond the edges of the map.
    let mut dice = Dice::new(23);
    let mut spots: Vec<_> = (0..400).map(|_| dice.spot()).collect();
    spots.extend((0..100).map(|_| (dice.roll() * 360.0 - 180.0, dice.roll() * 180.0 - 90.0)));
    let edges = [
        (180.0, 0.0),
        (-180.0, 0.0),
        (0.0, 0.0),
        (179.999_999, 85.051_1),
        (-179.999_999, -85.051_1),
        (12.0, 85.06),
        (12.0, 90.0),
        (-180.0, -90.0),
    ];
    spots.extend(edges);
    let ids = town.lamps(&spots).await;
    for id in &ids[..30] {
        town.set_state(*id, State::ALL[dice.below(5)]).await;
    }
    // Areas from a sliver to the whole world.
    let park = town.class("CJT214-2007", "0405").await;
    let mut shapes: Vec<_> = (0..60)
        .map(|_| {
            let ((x, y), (w, h)) = (dice.spot(), (dice.roll() * 0.01, dice.roll() * 0.01));
            rectangle(x, y, x + w + 1e-7, y + h + 1e-7)
        })
        .collect();
    shapes.push(rectangle(-180.0, -90.0, 180.0, 90.0));
    shapes.push(rectangle(179.9, 10.0, 180.0, 10.1));
    shapes.push(rectangle(10.0, 85.0, 20.0, 89.0));
    shapes.push(rectangle(117.2, 39.0, 117.2 + 1e-7, 39.2));
    let drafts: Vec<Draft> = shapes.into_iter().map(|g| Draft::new(park, g)).collect();
    town.add(&drafts).await;
    town.sql(
        "insert into road (name, class, geom) values
           ('环球路', 'arterial', st_geomfromtext('MULTILINESTRING((-180 39.1, 180 39.1), (117.2 -90, 117.2 90))', 4326)),
           ('回头路', 'lane', st_geomfromtext('MULTILINESTRING((117.2 39.1, 117.21 39.1, 117.2 39.1, 117.2 39.11))', 4326)),
           (null, 'lane', st_geomfromtext('MULTILINESTRING((117.2 39.1, 117.2000001 39.1))', 4326))",
    )
    .await;

    let mut bytes = 0;
    for z in 0..=MAX_ZOOM {
        let last = (1u32 << z) - 1;
        let around = [(117.2172, 39.1096), (117.21, 39.1), spots[3], spots[4]];
        let mut tiles: Vec<_> = around
            .iter()
            .chain(&edges)
            .map(|(x, y)| World::at(*x, *y).tile(z))
            .collect();
        tiles.sort_unstable();
        tiles.dedup();
        for t in &tiles {
            bytes += valid(&town, LAYERS, z, t.x(), t.y()).await;
        }
        for (x, y) in [(0, last), (last, 0), (last, last), (last / 2, last / 3)] {
            bytes += valid(&town, "lamps,parks,roads", z, x, y).await;
        }
    }
    assert!(bytes > 100_000, "{bytes}");
}

#[sqlx::test]
async fn an_empty_tile_has_no_bytes_and_no_layer(pool: PgPool) {
    let town = town(pool).await;
    town.lamps(&[(117.2172, 39.1096)]).await;
    let headers = [("accept-encoding", "gzip, zstd")];
    let answer = town.send(Method::GET, "/tiles/lamps,wells/14/0/0", &headers, "").await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0));
    assert_eq!(
        (answer.header("vary"), answer.header("content-encoding")),
        ("accept-encoding", "")
    );
    assert_eq!(faults(&[]), []);
    let t = World::at(117.2172, 39.1096).tile(14);
    let one = town.get(&format!("/tiles/wells,lamps/14/{}/{}", t.x(), t.y())).await;
    let names = mvt_reader::Reader::new(one.bytes).unwrap().get_layer_names().unwrap();
    assert_eq!(names, ["lamps"], "a layer without features is left out");
}

#[sqlx::test]
async fn a_crowded_tile_falls_back_to_bins_and_is_valid(pool: PgPool) {
    let town = town(pool).await;
    let class = town.lamp_class().await;
    // Enough for more than 500 KB drawn one by one: about 20 bytes each.
    let mut dice = Dice::new(4);
    let (x, y) = (117.2172, 39.1096);
    for _ in 0..4 {
        let drafts: Vec<_> = (0..8000)
            .map(|_| Draft::new(class, point(x + dice.roll() * 0.005, y - dice.roll() * 0.004)))
            .collect();
        town.add(&drafts).await;
    }
    let t = World::at(x + 0.002, y - 0.002).tile(14);
    let bytes = valid(&town, "lamps", 14, t.x(), t.y()).await;
    assert!((1000..500_000).contains(&bytes), "{bytes}");
}
