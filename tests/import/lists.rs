//! Lists out, and in again: what a register writes, another one reads, in every format.

use std::path::PathBuf;
use std::process::Command;

use lamppost::cli::export::{self, Args};
use lamppost::delivery::deliver;
use lamppost::delivery::out::Names;
use lamppost::domain::text::Lang;
use lamppost::spatial::crs::Crs;
use sqlx::PgPool;

use super::real::shipped;
use super::{Scratch, counts, one, options, store};

/// Everything out, and into an empty register, by the commands that stand beside it.
#[sqlx::test]
async fn a_handover_makes_the_same_register_again(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("handover"));
    lamppost::cli::demo::run(&store, &lamppost::cli::demo::Args { seed: 1, scale: 1 })
        .await
        .unwrap();
    // A code that two schemes have.
    sqlx::raw_sql(
        "insert into scheme (name, title) values ('TEST-CELLS', 'a second division') on conflict do nothing;
         insert into cell (scheme, code, name, geom, area) select 'TEST-CELLS', code, 'of another scheme', geom, area from cell order by code limit 3",
    )
    .execute(&pool)
    .await
    .unwrap();
    let dir = scratch.0.join("all");
    let args = Args {
        layer: "components".into(),
        output: dir.clone(),
        all: true,
        ..Args::default()
    };
    let count = export::run(&store, &args).await.unwrap();
    assert_eq!(count as i64, one::<i64>(&pool, "select count(*) from component").await);
    assert!(matches!(
        export::run(&store, &args).await,
        Err(lamppost::error::Error::Setup(_))
    ));
    let history = std::fs::read_to_string(dir.join("history.csv")).unwrap();
    assert_eq!(
        csv::Reader::from_reader(history.as_bytes()).records().count() as i64,
        one::<i64>(&pool, "select count(*) from component_version").await
    );

    // As it was, and then as no register of this program ever is: empty.
    let facts = [
        "select scheme || code || name_zh || geometry::text || attributes::text || restricted as t from class",
        "select concat(code, name, aliases) as t from party",
        "select concat(code, level, name, st_astext(geom, 8)) as t from area where valid",
        "select concat(c.scheme, c.code, c.name, a.code, st_astext(c.geom, 8)) as t from cell c left join area a on a.id = c.area where c.valid",
        "select concat(name, class, st_astext(geom, 8)) as t from road",
        "select concat(kind, code, name, population, st_astext(geom, 8)) as t from land",
        "select concat(c.scheme, c.code, k.scheme, k.code, c.name, c.state, l.code, a.name, o.name, m.name,
           c.address, r.name, c.surveyed_on, c.accuracy, c.note, c.property_kind, c.management_kind, st_astext(c.geom, 7)) as t, c.attributes
         from component c join class k on k.id = c.class left join cell l on l.id = c.cell left join party a on a.id = c.authority
         left join party o on o.id = c.owner left join party m on m.id = c.maintainer left join road r on r.id = c.road",
    ];
    for (i, sql) in facts.iter().enumerate() {
        let keep = sqlx::AssertSqlSafe(format!("create table fact_{i} as {sql}"));
        sqlx::query(keep).execute(&pool).await.unwrap();
    }
    sqlx::raw_sql(
        "do $$ declare t text; begin
           foreach t in array (select array_agg(distinct tgrelid::regclass::text) from pg_trigger where not tgisinternal) loop
             execute format('alter table %s disable trigger user', t); end loop;
           truncate component, component_version, area, cell, party, class, road, land, former_code, delivery, delivery_txn, change cascade;
           foreach t in array (select array_agg(distinct tgrelid::regclass::text) from pg_trigger where not tgisinternal) loop
             execute format('alter table %s enable trigger user', t); end loop;
         end $$",
    )
    .execute(&pool)
    .await
    .unwrap();
    let readme = std::fs::read_to_string(dir.join("README.txt")).unwrap();
    let commands: Vec<&str> = readme
        .lines()
        .filter_map(|l| l.trim().strip_prefix("lamppost import "))
        .collect();
    assert_eq!(commands.len(), 7);
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        let own = lamppost::cli::import::Args {
            mapping: (words[1] == "--mapping").then(|| dir.join(words[2])),
            into: (words[1] == "--into").then(|| lamppost::exchange::mapping::Target::parse(words[2]).unwrap()),
            ..lamppost::cli::import::Args::default()
        };
        let report = lamppost::cli::import::take(&store, &dir.join(words[0]), &own)
            .await
            .unwrap();
        assert_eq!(report.rejected, 0, "{command}: {:?}", report.reasons);
    }
    for (i, sql) in facts.iter().enumerate() {
        let differ = sqlx::AssertSqlSafe(format!(
            "(select 'lost' as what, a::text from (select * from fact_{i} except all {sql}) a order by 2 limit 3)
             union all (select 'new', b::text from ({sql} except all select * from fact_{i}) b order by 2 limit 3)"
        ));
        let differ: Vec<(String, String)> = sqlx::query_as(differ).fetch_all(&pool).await.unwrap();
        assert_eq!(differ, [], "{sql}");
    }
}

/// Points, lines and polygons of the demo city.
const CLASSES: [&str; 5] = ["0301", "0407", "0405", "0211", "0201"];

#[sqlx::test]
async fn every_format_brings_back_what_it_was_given(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("lists"));
    lamppost::cli::demo::run(&store, &lamppost::cli::demo::Args { seed: 1, scale: 1 })
        .await
        .unwrap();
    sqlx::query("update component set note = '=1+1' where id = (select min(id) from component where state <> 'retired' and class in (select id from class where code = '0301'))")
        .execute(&pool).await.unwrap();
    sqlx::query(
        "create table expected as select c.* from component c join class k on k.id = c.class
         where k.code = any (string_to_array('0301,0407,0405,0211,0201', ',')) and k.scheme = 'CJT214-2007' and c.state <> 'retired'",
    )
    .execute(&pool)
    .await
    .unwrap();
    let files = [
        ("a.xlsx", None),
        ("a.csv", None),
        ("gb.csv", None),
        ("a.geojson", Some("EPSG:4527")),
        ("a.gpkg", Some("EPSG:4548")),
        ("a.fgb", None),
        ("a.zip", Some("EPSG:4527")),
    ];
    let total: i64 = one(&pool, "select count(*) from expected").await;
    for (name, crs) in files {
        let args = Args {
            layer: "components".into(),
            output: scratch.0.join(name),
            names: Some(Names::Lamppost),
            crs: crs.map(|c| Crs::parse(c).unwrap()),
            encoding: (name == "gb.csv").then_some(encoding_rs::GB18030),
            class: CLASSES.iter().map(|c| format!("CJT214-2007/{c}")).collect(),
            ..Args::default()
        };
        assert_eq!(export::run(&store, &args).await.unwrap(), total as u64, "{name}");
    }
    for name in ["a.geojson", "a.gpkg", "a.fgb"] {
        let done = Command::new("ogrinfo")
            .args(["-so", "-al"])
            .arg(scratch.0.join(name))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(
            done.status.success() && told.contains(&format!("Feature Count: {total}")),
            "{name}: {told}"
        );
    }
    for (name, _) in files {
        for sql in [
            "alter table component disable trigger user",
            "delete from component",
            "alter table component enable trigger user",
        ] {
            sqlx::query(sql).execute(&pool).await.unwrap();
        }
        let file = scratch.0.join(name);
        let own = options(&scratch, &shipped("lamppost.toml"), name);
        let report = deliver(&store, &file, &own, &|_, _| {}).await.unwrap();
        assert_eq!(
            counts(&report),
            (total as u64, total as u64, 0, 0, 0),
            "{name}: {}",
            report.summary(Lang::En)
        );
        // A .dbf cuts names at ten bytes and texts at 254; a CSV has no types, which only declared attributes get back.
        let attributes = if name == "a.zip" {
            "false"
        } else {
            "e.attributes <> c.attributes"
        };
        let sql = format!(
            "select e::text, c::text from expected e join component c on c.source_key = e.id::text
             where (c.scheme, c.code, c.class, c.name, c.state, c.authority, c.owner, c.maintainer, c.cell, c.road, c.address,
                    c.surveyed_on, c.accuracy, c.property_kind, c.management_kind, c.note)
               is distinct from
                   (e.scheme, e.code, e.class, e.name, e.state, e.authority, e.owner, e.maintainer, e.cell, e.road, e.address,
                    e.surveyed_on, e.accuracy, e.property_kind, e.management_kind, e.note)
                or {attributes} or st_hausdorffdistance(e.geom, c.geom) > 1e-8
             limit 2"
        );
        let differ: Vec<(String, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&pool).await.unwrap();
        assert_eq!(differ, [], "{name}");
    }
}

#[sqlx::test]
async fn a_list_is_asked_for_over_http_as_a_page_is(pool: PgPool) {
    let town = crate::support::town(pool).await;
    for sql in [
        "insert into party (name) values ('河西区城市管理委员会')",
        "insert into component (class, geom, scheme, code, state, owner, surveyed_on, attributes)
         select k.id, st_setsrid(st_makepoint(117.2 + i * 0.001, 39.1), 4326), 'CJT214-2007', '1201030118' || lpad(i::text, 6, '0'),
           case when i % 2 = 0 then 'damaged' else 'intact' end, (select max(id) from party), '2026-03-05', '{\"wattage\": 150, \"light_source\": \"led\"}'
         from class k, generate_series(1, 10) i where k.code = '0118' and k.scheme = 'CJT214-2007'",
    ] {
        town.sql(sql).await;
    }
    town.state.feed.load().await.unwrap();
    let path = "/collections/lamps/items?state=damaged&sortby=-code&lang=zh";
    let csv = town.get(&format!("{path}&f=csv&names=national")).await;
    let text = String::from_utf8(csv.bytes.to_vec()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "\u{feff}ObjID,ObjName,ObjState,DeptCode1,DeptName1,DeptCode2,DeptName2,DeptCode3,DeptName3,BGID,LocateDSC,ORDate,DataSource,Note,经度,纬度,光源,功率"
    );
    assert_eq!(lines.len(), 6);
    assert!(
        lines[1].starts_with("\t1201030118000010,路灯,破损,,,") && lines[1].ends_with(",117.21,39.1,LED,150"),
        "{}",
        lines[1]
    );
    let xlsx = town.get(&format!("{path}&f=xlsx")).await;
    let dir = Scratch::new("http-list");
    let file: PathBuf = dir.file("a.xlsx", &xlsx.bytes);
    let mut book = calamine::open_workbook_auto(&file).unwrap();
    let range = calamine::Reader::worksheet_range_at(&mut book, 0).unwrap().unwrap();
    let cell = |r: u32, c: u32| range.get_value((r, c)).map(ToString::to_string).unwrap_or_default();
    assert_eq!((cell(0, 2), cell(1, 2)), ("标识码".into(), "1201030118000010".into()));
    assert_eq!(
        (cell(6, 0), cell(6, 1), cell(7, 0), cell(8, 0)),
        ("合计".into(), "5".into(), "统计时间".into(), "统计口径".into())
    );
    assert!(cell(8, 1).contains("state=damaged"), "{}", cell(8, 1));
    for f in ["geojson", "gpkg", "fgb", "shp"] {
        let got = town.get(&format!("{path}&f={f}&crs=EPSG:4548")).await;
        assert!(got.bytes.len() > 500, "{f}");
    }
    for (bad, word) in [
        ("f=doc", "xlsx"),
        ("f=csv&crs=EPSG:1", "crs"),
        ("f=gpkg&names=x", "headings"),
    ] {
        let told = town.get(&format!("/collections/lamps/items?{bad}")).await;
        let text = String::from_utf8_lossy(&told.bytes).into_owned();
        assert!(text.contains(word) && text.contains("400"), "{bad}: {text}");
    }
    let told = town.get("/collections/cells/items?f=csv").await;
    assert!(String::from_utf8_lossy(&told.bytes).contains("400"));
}
