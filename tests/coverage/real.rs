//! Rates of real land and facilities of ../shared/data/open, by PostGIS and by us.

use std::io::Read;
use std::path::Path;

use geo::{Geometry, MapCoords, Point, Polygon};
use geojson::FeatureCollection;
use lamppost::spatial::crs::Crs;
use serde_json::{Map, Value};
use sqlx::PgPool;

use super::{solve, wkt};
use crate::support::Dice;

type Shape = (Vec<Polygon<f64>>, Map<String, Value>);

/// The polygons of a file, in degrees.
fn read(name: &str, crs: &str) -> Option<Vec<Shape>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/open")
        .join(name);
    let Ok(file) = std::fs::File::open(path) else {
        println!("SKIPPED {name}: ../shared/data is absent");
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let all: FeatureCollection = text.parse::<geojson::GeoJson>().unwrap().try_into().unwrap();
    let crs = Crs::parse(crs).unwrap();
    let shape = |f: geojson::Feature| {
        let geometry: Geometry<f64> = f.geometry?.try_into().ok()?;
        let degrees = geometry.map_coords(|c| {
            let p = crs.to_lonlat(c.x, c.y).unwrap();
            geo::Coord { x: p.lon(), y: p.lat() }
        });
        let polygons = match degrees {
            Geometry::Polygon(p) => vec![p],
            Geometry::MultiPolygon(m) => m.0,
            _ => return None,
        };
        Some((polygons, f.properties.unwrap_or_default()))
    };
    Some(all.features.into_iter().filter_map(shape).collect())
}

/// Compares shares of land and of people, where land does not lie across land or no people are known.
async fn agree(pool: &PgPool, name: &str, land: &[(Polygon<f64>, Option<f64>)], sites: &[Geometry<f64>], metres: f64) {
    sqlx::raw_sql("create extension if not exists postgis")
        .execute(pool)
        .await
        .unwrap();
    let middle = land[0].0.exterior().0[0];
    let started = std::time::Instant::now();
    let own = solve((middle.x, middle.y), land, sites, metres);
    let took = started.elapsed();
    let pieces = || own.ground.pieces.iter().zip(&own.blind);
    let people: f64 = pieces().map(|(p, _)| p.area * own.ground.density(p)).sum();
    let blind: f64 = pieces().map(|(p, b)| b.area(p) * own.ground.density(p)).sum();
    let texts: Vec<String> = land.iter().map(|(p, _)| wkt(&p.clone().into())).collect();
    let (covered, area, covered_people, all_people): (f64, f64, f64, f64) = sqlx::query_as(
        "with plot as (select st_makevalid(st_geomfromtext(t, 4326)) as g, p from unnest($1::text[], $4::float8[]) as u(t, p)),
           target as (select st_union(g) as g from plot),
           reach as (select st_union(st_buffer(st_makevalid(st_geomfromtext(s, 4326))::geography, $3, 'quad_segs=64')::geometry) as g from unnest($2::text[]) s)
         select st_area(st_intersection(target.g, reach.g)::geography), st_area(target.g::geography),
           (select coalesce(sum(p * st_area(st_intersection(plot.g, reach.g)::geography) / nullif(st_area(plot.g::geography), 0)), 0) from plot),
           (select coalesce(sum(p), 0) from plot)
         from target, reach",
    )
    .bind(texts)
    .bind(sites.iter().map(wkt).collect::<Vec<_>>())
    .bind(metres)
    .bind(land.iter().map(|(_, people)| people.unwrap_or(0.0)).collect::<Vec<_>>())
    .fetch_one(pool)
    .await
    .unwrap();
    let (rate, theirs) = (1.0 - own.blind() / own.ground.area, covered / area);
    println!(
        "{name}: {} plots, {} facilities, {metres} m: {:.3} % by us in {took:?}, {:.3} % by PostGIS",
        land.len(),
        sites.len(),
        rate * 100.0,
        theirs * 100.0
    );
    assert!(
        (own.ground.area / area - 1.0).abs() < 1e-3,
        "{name}: land {} {area}",
        own.ground.area
    );
    assert!((rate - theirs).abs() < 1e-3, "{name}: {rate} {theirs}");
    if all_people > 0.0 {
        let (rate, theirs) = (1.0 - blind / people, covered_people / all_people);
        assert!((rate - theirs).abs() < 1e-3, "{name}, people: {rate} {theirs}");
    }
}

fn with_people(shapes: &[Shape], field: &str) -> Vec<(Polygon<f64>, Option<f64>)> {
    // Of several polygons, people live in the largest.
    let one = |(polygons, properties): &Shape| {
        let people = properties.get(field).and_then(Value::as_f64);
        polygons
            .iter()
            .max_by_key(|p| p.exterior().0.len())
            .cloned()
            .map(|p| (p, people))
    };
    shapes.iter().filter_map(one).collect()
}

#[sqlx::test(migrations = false)]
async fn washingtons_blocks_and_parks(pool: PgPool) {
    let (Some(blocks), Some(parks)) = (
        read("dc_census-block-groups-2010.geojson.gz", "EPSG:4326"),
        read("dc_parks-and-recreation-areas.geojson.gz", "EPSG:4326"),
    ) else {
        return;
    };
    let parks: Vec<Geometry<f64>> = parks.into_iter().map(|(p, _)| geo::MultiPolygon(p).into()).collect();
    for metres in [300.0, 500.0] {
        agree(&pool, "Washington", &with_people(&blocks, "P0010001"), &parks, metres).await;
    }
}

#[sqlx::test(migrations = false)]
async fn rennes_cells_of_200_metres(pool: PgPool) {
    let Some(cells) = read("rennes_insee_grid200m_pop.geojson.gz", "EPSG:4326") else {
        return;
    };
    let mut dice = Dice::new(3);
    let spots = |n: usize, dice: &mut Dice| -> Vec<Geometry<f64>> {
        let spot = |_| Point::new(-1.75 + dice.roll() * 0.2, 48.05 + dice.roll() * 0.12).into();
        (0..n).map(spot).collect()
    };
    for (n, metres) in [(60, 800.0), (300, 300.0)] {
        agree(
            &pool,
            "Rennes",
            &with_people(&cells, "ind_c"),
            &spots(n, &mut dice),
            metres,
        )
        .await;
    }
}

#[sqlx::test(migrations = false)]
async fn the_land_use_plans_of_taiwan(pool: PgPool) {
    for plan in ["F0102", "H0212", "N0103", "S0216", "R0311", "M0101"] {
        let Some(all) = read(&format!("taiwan_landuse_{plan}_epsg3826.geojson.gz"), "EPSG:3826") else {
            return;
        };
        let of = |properties: &Map<String, Value>, word: &str| {
            let said = |field: &str| {
                properties
                    .get(field)
                    .and_then(Value::as_str)
                    .is_some_and(|s| s.contains(word))
            };
            said("分區類") || said("使用分")
        };
        let homes: Vec<(Polygon<f64>, Option<f64>)> = all
            .iter()
            .filter(|(_, p)| of(p, "住宅"))
            .flat_map(|(shapes, _)| shapes.iter().map(|p| (p.clone(), None)))
            .collect();
        let parks: Vec<Geometry<f64>> = all
            .iter()
            .filter(|(_, p)| of(p, "公園"))
            .map(|(shapes, _)| geo::MultiPolygon(shapes.clone()).into())
            .collect();
        if homes.is_empty() || parks.is_empty() {
            println!("{plan}: {} homes, {} parks", homes.len(), parks.len());
            continue;
        }
        for metres in [100.0, 300.0] {
            agree(&pool, plan, &homes, &parks, metres).await;
        }
    }
}
