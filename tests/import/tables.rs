//! Cells, areas, parties, roads, land and classes.

use lamppost::delivery::{Options, deliver};
use lamppost::domain::delivery::Reason;
use lamppost::exchange::mapping::Target;
use lamppost::store::{Store, dictionary};
use sqlx::PgPool;

use super::{LAMPS, Scratch, counts, one, options, reason, store, take};

const SQUARES: &str = r#"{"type":"FeatureCollection","features":[
{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[[117.0,39.0],[117.01,39.0],[117.01,39.01],[117.0,39.01],[117.0,39.0]]]},"properties":{"code":"120103001001","name":"一社区"}}]}"#;

fn cells(second: &str) -> String {
    let cell = |code: &str, w: f64, e: f64| {
        format!(
            r#"{{"type":"Feature","geometry":{{"type":"Polygon","coordinates":[[[{w},39.0],[{e},39.0],[{e},39.01],[{w},39.01],[{w},39.0]]]}},"properties":{{"code":"{code}"}}}}"#
        )
    };
    [
        cell("120103001001001", 117.0, 117.005),
        cell(second, 117.004, 117.009),
        cell(second, 117.0, 117.001),
    ]
    .join("\n")
}

#[sqlx::test]
async fn cells_are_checked_and_every_component_gets_its_cell(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("cells"));
    let lamps = "no,kind,lon,lat,state,owner,name,code,watt\n1,路灯,117.002,39.005,好,,,,\n2,路灯,117.008,39.005,好,,,,\n3,路灯,117.05,39.005,好,,,,\n";
    take(&store, &scratch, &scratch.file("lamps.csv", lamps.as_bytes()), LAMPS)
        .await
        .unwrap();
    let areas = "into = 'areas'\n[fields]\ncode = 'code'\nname = 'name'\n";
    let file = scratch.file("areas.geojson", SQUARES.as_bytes());
    assert_eq!(
        counts(&take(&store, &scratch, &file, areas).await.unwrap()),
        (1, 1, 0, 0, 0)
    );
    let mapping = "into = 'cells'\nscheme = 'GBT30428.1-2013'\n[fields]\ncode = 'code'\n";
    let file = scratch.file("cells.geojson", cells("120103001002001").as_bytes());
    let report = take(&store, &scratch, &file, mapping).await.unwrap();
    assert_eq!(
        (
            counts(&report),
            reason(&report, Reason::KeyRepeated),
            report.cells_assigned
        ),
        ((3, 2, 0, 0, 1), 1, 2)
    );
    let found = |kind: &str| report.findings.get(kind).map_or(0, |(n, _)| *n);
    assert_eq!(
        (found("overlap"), found("gap"), found("prefix")),
        (1, 1, 1),
        "{:?}",
        report.findings
    );
    let (_, overlaps) = &report.findings["overlap"];
    assert!((overlaps[0].area_m2.unwrap() - 95_900.0).abs() < 500.0, "{overlaps:?}");
    // Neither areas, cells nor components change when the same files come again.
    let changes: i64 = one(&pool, "select count(*) from change").await;
    let report = take(&store, &scratch, &file, mapping).await.unwrap();
    assert_eq!((counts(&report), report.cells_assigned), ((3, 0, 0, 2, 1), 0));
    assert_eq!(one::<i64>(&pool, "select count(*) from change").await, changes);
    let consistent: bool = one(
        &pool,
        "select bool_and(cell is not distinct from cell_covering(geom)) from component",
    )
    .await;
    assert!(consistent);
}

#[sqlx::test]
async fn parties_roads_land_and_classes_come_in_too(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("others"));
    let parties = scratch.file(
        "parties.csv",
        "code,name,aliases\nA1,区市政局,市政局;市政\nA2,电力公司,\nA3,区市政局,\n".as_bytes(),
    );
    let mapping = "into = 'parties'\n[fields]\ncode = 'code'\nname = 'name'\naliases = 'aliases'\n";
    for expected in [(3, 2, 0, 0, 1), (3, 0, 0, 2, 1)] {
        assert_eq!(
            counts(&take(&store, &scratch, &parties, mapping).await.unwrap()),
            expected
        );
    }
    let roads = scratch.file("roads.csv", "id;名称;等级;wkt\n1;友谊路;主干路;LINESTRING (117.2 39.1, 117.3 39.1)\n2;x;小路;LINESTRING (117.2 39.1, 117.3 39.1)\n".as_bytes());
    let mapping =
        "into = 'roads'\nsource = 'roads'\nkey = 'id'\nwkt = 'wkt'\n[fields]\nname = '名称'\nclass = '等级'\n";
    for expected in [(2, 1, 0, 0, 1), (2, 0, 0, 1, 1)] {
        assert_eq!(
            counts(&take(&store, &scratch, &roads, mapping).await.unwrap()),
            expected
        );
    }
    let land = scratch.file(
        "land.csv",
        "id,kind,pop,wkt\n1,R2,1200,\"POLYGON ((39 117, 39.1 117, 39.1 117.1, 39 117))\"\n".as_bytes(),
    );
    let mapping = "into = 'land'\nsource = 'land'\nkey = 'id'\nwkt = 'wkt'\naxis = 'yx'\n[fields]\npopulation = 'pop'\n[fields.kind]\ncolumn = 'kind'\n[fields.kind.values]\nR2 = 'residential'\n";
    for expected in [(1, 1, 0, 0, 0), (1, 0, 0, 1, 0)] {
        assert_eq!(counts(&take(&store, &scratch, &land, mapping).await.unwrap()), expected);
    }
    let classes = "scheme,code,name_zh,name_en,geometry,attributes,base_scheme,base_code\nLOCAL-HEXI-2026,L1,高杆灯,high-mast light,point,,CJT214-2007,0118\nLOCAL-HEXI-2026,L2,x,y,cube,,,\nLOCAL-HEXI-2026,L3,x,y,point,,CJT214-2007,9999\n";
    let file = scratch.file("classes.csv", classes.as_bytes());
    let plain = Options {
        mapping: None,
        into: Some(Target::Classes),
        ..options(&scratch, "", "classes.csv")
    };
    for expected in [(3, 1, 0, 0, 2), (3, 0, 0, 1, 2)] {
        assert_eq!(
            counts(&deliver(&store, &file, &plain, &|_, _| {}).await.unwrap()),
            expected
        );
    }
    let all = dictionary::classes(&store).await.unwrap();
    let high = all.iter().find(|c| c.code == "L1").unwrap();
    assert_eq!(all.iter().find(|c| Some(c.id) == high.base).unwrap().code, "0118");
}

#[sqlx::test]
async fn the_dictionary_installs_once_even_when_many_do_it(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let (a, b, c) = tokio::join!(
        dictionary::install(&store),
        dictionary::install(&store),
        dictionary::install(&store)
    );
    a.and(b).and(c).unwrap();
    let changes: i64 = one(&pool, "select count(*) from change").await;
    dictionary::install(&store).await.unwrap();
    assert_eq!(one::<i64>(&pool, "select count(*) from change").await, changes);
    assert_eq!(one::<i64>(&pool, "select count(*) from class").await, 94);
}
