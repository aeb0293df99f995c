//! Real files of ../shared/data/open.

use std::path::{Path, PathBuf};

use lamppost::domain::delivery::Reason;
use lamppost::domain::text::Lang;
use lamppost::spatial::datum::Datum;
use sqlx::PgPool;

use super::{Scratch, counts, one, reason, store, take};

pub(super) fn shared(test: &str, file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/open")
        .join(file);
    if path.exists() {
        return Some(path);
    }
    println!("SKIPPED {test}: ../shared/data is absent");
    None
}

pub(super) fn shipped(name: &str) -> String {
    std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures/mappings")
            .join(name),
    )
    .unwrap()
}

#[sqlx::test]
async fn hangzhou(pool: PgPool) {
    let Some(streets) = shared("hangzhou", "hangzhou_xiacheng_streets.geojson.gz") else {
        return;
    };
    let (store, scratch) = (store(&pool).await, Scratch::new("hangzhou"));
    let dir = streets.parent().unwrap();
    let file = |name: &str| dir.join(format!("hangzhou_xiacheng_{name}.geojson.gz"));
    let facilities = take(
        &store,
        &scratch,
        &file("public_facilities"),
        &shipped("hangzhou-facilities.toml"),
    )
    .await
    .unwrap();
    assert_eq!(counts(&facilities), (753, 753, 0, 0, 0));
    for again in [false, true] {
        let expected = |n, added, rejected| {
            if again {
                (n, 0, 0, added, rejected)
            } else {
                (n, added, 0, 0, rejected)
            }
        };
        let report = take(&store, &scratch, &streets, &shipped("hangzhou-streets.toml"))
            .await
            .unwrap();
        assert_eq!(counts(&report), expected(8, 8, 0));
        let report = take(
            &store,
            &scratch,
            &file("communities"),
            &shipped("hangzhou-communities.toml"),
        )
        .await
        .unwrap();
        assert_eq!((counts(&report), report.tally.merged), (expected(90, 75, 0), 15));
        let report = take(&store, &scratch, &file("grids"), &shipped("hangzhou-grids.toml"))
            .await
            .unwrap();
        println!("{}", report.summary(Lang::En));
        assert_eq!(
            (reason(&report, Reason::KeyRepeated), reason(&report, Reason::Geometry)),
            (34, 1),
            "{:?}",
            report.reasons
        );
        // The invalid polygon repeats a code too: 35 repeated codes in all, and every code is in.
        assert_eq!(counts(&report), expected(332, 297, 35));
        assert_eq!(report.cells_assigned > 0, !again);
    }
    let consistent: bool = one(
        &pool,
        "select bool_and(cell is not distinct from cell_covering(geom)) from component",
    )
    .await;
    assert!(consistent);
}

#[sqlx::test]
async fn kunming_bus_stops_stand_within_a_metre_of_the_exact_inverse(pool: PgPool) {
    let Some(file) = shared("kunming", "kunming_bus_stops_gbk.csv.gz") else {
        return;
    };
    let (store, scratch) = (store(&pool).await, Scratch::new("kunming"));
    let report = take(&store, &scratch, &file, &shipped("kunming-bus-stops.toml"))
        .await
        .unwrap();
    println!("{}", report.summary(Lang::En));
    assert_eq!(
        (report.tally.added + report.rejected, report.encoding.as_str()),
        (2184, "GB18030 (detected: not UTF-8)")
    );
    let (lon, lat): (f64, f64) =
        sqlx::query_as("select st_x(geom), st_y(geom) from component where source_key = '市博物馆'")
            .fetch_one(&pool)
            .await
            .unwrap();
    let (x, y) = Datum::Gcj02.from_wgs84(lon, lat);
    assert!((x - 102.728754).abs() < 1e-8 && (y - 25.03326).abs() < 1e-8);
}

#[sqlx::test]
async fn san_francisco_trees_in_the_pacific_are_refused(pool: PgPool) {
    let Some(file) = shared("sf", "sf_trees_9832.csv.gz") else {
        return;
    };
    let (store, scratch) = (store(&pool).await, Scratch::new("sf"));
    let report = take(&store, &scratch, &file, &shipped("sf-trees.toml")).await.unwrap();
    println!("{}", report.summary(Lang::En));
    assert_eq!(
        (
            reason(&report, Reason::PositionMissing),
            reason(&report, Reason::OutOfBounds)
        ),
        (70, 11),
        "{:?}",
        report.reasons
    );
    assert_eq!(counts(&report), (9831, 9750, 0, 0, 81));
}

#[sqlx::test]
async fn washington_and_hwaseong_lamps(pool: PgPool) {
    let Some(file) = shared("lamps", "dc_downtown_streetlights.csv.gz") else {
        return;
    };
    let (store, scratch) = (store(&pool).await, Scratch::new("dc"));
    let hwaseong = file.with_file_name("korea_hwaseong_streetlights_latlon.csv.gz");
    for again in [false, true] {
        let report = take(&store, &scratch, &file, &shipped("dc-streetlights.toml"))
            .await
            .unwrap();
        println!("{}", report.summary(Lang::En));
        let expected = if again {
            (3963, 0, 0, 3963, 0)
        } else {
            (3963, 3963, 0, 0, 0)
        };
        assert_eq!(counts(&report), expected, "{:?}", report.reasons);
        let report = take(&store, &scratch, &hwaseong, &shipped("hwaseong-lamps.toml"))
            .await
            .unwrap();
        println!("{}", report.summary(Lang::En));
        assert_eq!(report.tally.added + report.tally.unchanged + report.rejected, 43_553);
        assert_eq!(report.tally.added == 0, again);
    }
    assert_eq!(one::<i64>(&pool, "select count(*) from party").await, 4);
    assert_eq!(
        one::<f64>(
            &pool,
            "select (attributes ->> 'pole_height')::float8 from component where source_key = '60206'"
        )
        .await,
        4.8768
    );
}

#[sqlx::test]
async fn taipei_trees_twice(pool: PgPool) {
    let Some(file) = shared("taipei", "taipei_street_trees_2026-08-02.csv.gz") else {
        return;
    };
    let (store, scratch) = (store(&pool).await, Scratch::new("taipei"));
    for (name, again) in [("02", false), ("02", true), ("04", true), ("18", true)] {
        let file = file.with_file_name(format!("taipei_street_trees_2026-08-{name}.csv.gz"));
        let report = take(&store, &scratch, &file, &shipped("taipei-trees.toml"))
            .await
            .unwrap();
        println!("{}", report.summary(Lang::En));
        if again && name != "18" {
            assert_eq!((report.tally.added, report.tally.changed), (0, 0));
        }
        if name == "18" {
            assert_eq!(report.tally.added, 1);
        }
    }
}

/// Rows a second into a register that already holds `LAMPPOST_MEASURE_ROWS` components and never was analysed: a measurement, made
/// where that is set.
#[sqlx::test]
async fn measure(pool: PgPool) {
    let Some(rows) = std::env::var("LAMPPOST_MEASURE_ROWS")
        .ok()
        .and_then(|n| n.parse::<i64>().ok())
    else {
        return;
    };
    let Some(file) = shared("measure", "taipei_street_trees_2026-08-02.csv.gz") else {
        return;
    };
    let (store, scratch) = (store(&pool).await, Scratch::new("measure"));
    sqlx::query(
        "insert into component (class, geom, source, source_key, attributes)
         select (select min(id) from class), st_setsrid(st_makepoint(121.4 + random() * 0.3, 24.9 + random() * 0.3), 4326), 'other', n, '{\"a\": 1}'
         from generate_series(1, $1) n",
    )
    .bind(rows)
    .execute(&pool)
    .await
    .unwrap();
    let mapping = shipped("taipei-trees.toml");
    let doubled = mapping.replace(
        "diameter = \"Diameter\"",
        "diameter = { column = \"Diameter\", scale = 2.0 }",
    );
    let grid = (0..40 * 40)
        .map(|i| {
            let (w, s) = (121.4 + f64::from(i % 40) * 0.01, 24.9 + f64::from(i / 40) * 0.01);
            let (e, n) = (w + 0.01, s + 0.01);
            format!(r#"{{"type":"Feature","geometry":{{"type":"Polygon","coordinates":[[[{w},{s}],[{e},{s}],[{e},{n}],[{w},{n}],[{w},{s}]]]}},"properties":{{"code":"C{i}"}}}}"#)
        })
        .collect::<Vec<_>>()
        .join("\n");
    let grid = scratch.file("grid.geojson", grid.as_bytes());
    for (what, mapping) in [("added", &mapping), ("unchanged", &mapping), ("changed", &doubled)] {
        let report = take(&store, &scratch, &file, mapping).await.unwrap();
        println!(
            "MEASURE {what}: {:?} {:.2} s, {:.0} rows/s",
            counts(&report),
            report.seconds,
            report.rate()
        );
    }
    let cells = "into = 'cells'\nscheme = 'LOCAL-GRID'\n[fields]\ncode = 'code'\n";
    let report = take(&store, &scratch, &grid, cells).await.unwrap();
    println!(
        "MEASURE cells: {:?}, {} components in {:.2} s",
        counts(&report),
        report.cells_assigned,
        report.seconds
    );
    let moved = mapping.replace("taipei-trees", "taipei-trees-2");
    let report = take(&store, &scratch, &file, &moved).await.unwrap();
    println!(
        "MEASURE added into 1,600 cells: {:?} {:.2} s, {:.0} rows/s",
        counts(&report),
        report.seconds,
        report.rate()
    );
}

#[sqlx::test]
async fn land_use_by_the_file_s_own_coordinate_system(pool: PgPool) {
    let Some(file) = shared("land use", "taiwan_landuse_F0102_epsg3826.geojson.gz") else {
        return;
    };
    let (store, scratch) = (store(&pool).await, Scratch::new("landuse"));
    for again in [false, true] {
        let report = take(&store, &scratch, &file, &shipped("taiwan-landuse.toml"))
            .await
            .unwrap();
        println!("{}", report.summary(Lang::En));
        assert!(report.crs.starts_with("EPSG:3826 (file"), "{}", report.crs);
        assert_eq!((report.read, report.tally.added == 0), (151, again));
    }
    let in_taiwan: bool = one(
        &pool,
        "select bool_and(st_x(st_centroid(geom)) between 121 and 122) from land",
    )
    .await;
    assert!(in_taiwan);
}

/// File, mapping, rows read, added, refused: each figure counted by another program on the same bytes, or said in the data's own notes.
const OPEN: &[(&str, &str, u64, u64, u64)] = &[
    ("dc_bollards.geojson.gz", "dc-bollards", 11_608, 11_608, 0),
    ("dc_sidewalk-grates.geojson.gz", "dc-sidewalk-grates", 10_147, 10_147, 0),
    ("dc_litter-cans.geojson.gz", "dc-litter-cans", 5_265, 5_265, 0),
    ("dc_other-traffic-signs.geojson.gz", "dc-traffic-signs", 8_913, 8_913, 0),
    ("dc_dc-well-permits.geojson.gz", "dc-well-permits", 2_228, 2_228, 0),
    (
        "dc_traffic-signal-cabinets.geojson.gz",
        "dc-signal-cabinets",
        1_412,
        1_412,
        0,
    ),
    ("dc_downtown_bike_racks_epsg26985.shp.zip", "dc-bike-racks", 740, 740, 0),
    ("dc_census-block-groups-2010.geojson.gz", "dc-block-groups", 450, 450, 0),
    ("dc_parks-and-recreation-areas.geojson.gz", "dc-parks", 242, 242, 0),
    ("vermont_manholes_by_town.zip", "vermont-manholes", 16_664, 16_518, 146),
    ("nyc_street_trees_2015_5k.csv.gz", "nyc-trees", 5_000, 5_000, 0),
    (
        "nyc_commonplace_facilities_5k.csv.gz",
        "nyc-facilities",
        5_000,
        5_000,
        0,
    ),
    ("korea_public_toilets.zip", "korea-toilets", 43_351, 43_350, 1),
    ("edinburgh_litter_bins.csv.gz", "edinburgh-bins", 3_218, 3_217, 1),
    (
        "edinburgh_recycling_points.csv.gz",
        "edinburgh-recycling",
        4_757,
        4_735,
        22,
    ),
    ("geonames_cities1000_144k.csv.gz", "geonames", 144_563, 144_563, 0),
    ("hangzhou_xiacheng_manholes_3.geojson.gz", "hangzhou-manholes", 3, 3, 0),
    ("shanghai_parks_poi.geojson.gz", "shanghai-parks", 1_964, 1_964, 0),
    (
        "shanghai_districts_epsg4490.geojson.gz",
        "shanghai-districts",
        16,
        16,
        0,
    ),
    ("beijing_amap_placenames.csv.gz", "beijing-places", 5_055, 5_055, 0),
    ("rennes_insee_grid200m_pop.geojson.gz", "rennes-grid", 6_772, 6_772, 0),
    ("taiwan_landuse_landcode.csv.gz", "taiwan-landcodes", 985, 981, 4),
];

#[sqlx::test]
async fn every_open_file_goes_in_by_one_command(pool: PgPool) {
    if shared("every_open_file", OPEN[0].0).is_none() {
        return;
    }
    let (store, scratch) = (store(&pool).await, Scratch::new("open"));
    let mut wrong = Vec::new();
    for (file, mapping, read, added, refused) in OPEN {
        let path = shared("every_open_file", file).unwrap();
        match take(&store, &scratch, &path, &shipped(&format!("{mapping}.toml"))).await {
            Ok(report) if counts(&report) == (*read, *added, 0, 0, *refused) => {}
            Ok(report) => wrong.push(report.summary(Lang::En)),
            Err(e) => wrong.push(format!("{file}: {e}")),
        }
    }
    let noprj = shared(
        "every_open_file",
        "china_districts_tianjin_shanghai_hangzhou_gcj02_noprj.shp.zip",
    )
    .unwrap();
    let own = lamppost::delivery::Options {
        crs: Some(lamppost::spatial::crs::Crs::parse("gcj02").unwrap()),
        ..super::options(&scratch, &shipped("china-districts.toml"), "districts")
    };
    let report = lamppost::delivery::deliver(&store, &noprj, &own, &|_, _| {})
        .await
        .unwrap();
    // Sixteen of them are Shanghai's, which are there.
    assert_eq!(counts(&report), (45, 29, 16, 0, 0));
    let bare = shared("every_open_file", "cnmaps_boundaries_tianjin_shanghai_hangzhou.zip").unwrap();
    let report = take(&store, &scratch, &bare, &shipped("cnmaps-districts.toml"))
        .await
        .unwrap();
    assert_eq!((report.read, report.rejected), (50, 0));
    assert_eq!(wrong, Vec::<String>::new());
}
