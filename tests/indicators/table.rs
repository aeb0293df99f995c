//! Tables to sign, against PostGIS, today and then.

use lamppost::domain::component::Draft;
use lamppost::domain::word::State;
use serde_json::{Map, Value, json};
use sqlx::PgPool;

use crate::support::{Dice, Town, point, rectangle, town};

const CITY: &str = "
insert into area (code, level, name, geom) values
  ('D1', 'district', '河西区', st_multi(st_makeenvelope(117.20, 39.08, 117.26, 39.13, 4326))),
  ('S1', 'street', '东街道', st_multi(st_makeenvelope(117.20, 39.08, 117.23, 39.13, 4326))),
  ('S2', 'street', '西街道', st_multi(st_makeenvelope(117.23, 39.08, 117.26, 39.13, 4326))),
  ('C1', 'community', '甲社区', st_multi(st_makeenvelope(117.20, 39.08, 117.23, 39.13, 4326))),
  ('C2', 'community', '乙社区', st_multi(st_makeenvelope(117.23, 39.08, 117.26, 39.13, 4326)));
insert into scheme (name, title) values ('LOCAL-T', 'test') on conflict do nothing;
insert into cell (scheme, code, geom, area) values
  ('LOCAL-T', 'G1', st_multi(st_makeenvelope(117.20, 39.08, 117.23, 39.13, 4326)), (select id from area where code = 'C1')),
  ('LOCAL-T', 'G2', st_multi(st_makeenvelope(117.23, 39.08, 117.26, 39.13, 4326)), (select id from area where code = 'C2'));
insert into land (kind, population, geom)
select (array['residential', 'commercial', 'green', 'public'])[1 + (x + y) % 4], case (x + y) % 4 when 0 then 400 + x end,
  st_multi(st_makeenvelope(117.201 + x * 0.003, 39.081 + y * 0.003, 117.2035 + x * 0.003, 39.0835 + y * 0.003, 4326))
from generate_series(0, 18) x, generate_series(0, 14) y;
insert into road (name, class, geom) values
  ('南京路', 'arterial', st_geomfromtext('MULTILINESTRING((117.20 39.10, 117.26 39.10))', 4326)),
  ('小巷', 'lane', st_geomfromtext('MULTILINESTRING((117.20 39.12, 117.26 39.12))', 4326));
";

async fn city(pool: PgPool) -> (Town, Vec<i64>) {
    let town = town(pool).await;
    town.sql(CITY).await;
    let mut dice = Dice::new(17);
    let mut spot = |y: Option<f64>| {
        point(
            117.2005 + dice.roll() * 0.059,
            y.unwrap_or(39.0805 + dice.roll() * 0.049),
        )
    };
    let (lamp, toilet, green, sign, shop) = (
        town.lamp_class().await,
        town.class("CJT214-2007", "0301").await,
        town.class("CJT214-2007", "0405").await,
        town.class("CJT214-2007", "0307").await,
        town.class("LOCAL-LAMPPOST", "shop-sign").await,
    );
    let with = |class, at, own: Value| {
        let mut draft = Draft::new(class, at);
        draft.attributes = own.as_object().cloned().unwrap_or_else(Map::new);
        draft
    };
    let mut drafts = Vec::new();
    for n in 0..120 {
        let y = if n % 3 == 0 { 39.12 } else { 39.1 };
        drafts.push(with(lamp, spot(Some(y)), json!({"lit": n % 10 != 0})));
    }
    drafts.extend((0..30).map(|_| Draft::new(toilet, spot(None))));
    drafts.extend((0..20).map(|n| {
        with(
            sign,
            spot(None),
            json!({"approval": if n % 5 == 0 { "unapproved" } else { "approved" }}),
        )
    }));
    drafts.extend((0..10).map(|_| with(shop, spot(None), json!({}))));
    for n in 0..12 {
        // Some lie across each other: that counts once.
        let x = 117.205 + f64::from(n) * 0.004;
        drafts.push(Draft::new(green, rectangle(x, 39.09, x + 0.005, 39.094)));
    }
    let ids = town.add(&drafts).await;
    town.sql(
        "update component c set cell = (select id from cell g where st_covers(g.geom, c.geom) limit 1),
           road = (select id from road r where c.class = (select id from class where scheme = 'CJT214-2007' and code = '0118')
             order by st_distance(r.geom, c.geom) limit 1)",
    )
    .await;
    (town, ids)
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("{v} is no number"))
}

fn row<'t>(table: &'t Value, id: &str) -> &'t Value {
    let rows = table["indicators"].as_array().unwrap();
    rows.iter().find(|r| r["id"] == id).unwrap_or_else(|| panic!("no {id}"))
}

async fn theirs(town: &Town, sql: &'static str) -> f64 {
    sqlx::query_scalar(sql).fetch_one(&town.pool).await.unwrap()
}

const LIT: &str = "select (100.0 * count(*) filter (where c.attributes ->> 'lit' = 'true') / count(*))::float8
  from component c join road r on r.id = c.road where r.class = 'arterial' and c.state <> 'retired'";

#[sqlx::test]
async fn figures_are_those_of_postgis_in_all_and_by_street(pool: PgPool) {
    let (town, ids) = city(pool).await;
    let zibo = town.json("/indicators/zibo?by=street").await;
    let close = |id: &str, table: &Value, value: f64| {
        let own = number(&row(table, id)["value"]);
        assert!(
            (own - value).abs() <= 2e-4 * value.abs().max(1.0),
            "{id}: {own}, {value}"
        );
    };
    close("lamps-lit-arterial", &zibo, theirs(&town, LIT).await);
    let lit = row(&zibo, "lamps-lit-arterial");
    let needed = (0.98 * number(&lit["denominator"])).ceil() - number(&lit["numerator"]);
    assert_eq!((number(&lit["needed"]), &lit["met"]), (needed, &json!(false)), "{lit}");
    assert!((number(&lit["off"]) - (number(&lit["value"]) - 98.0)).abs() < 1e-3);
    let per_person = theirs(
        &town,
        "select st_area((select st_union(c.geom) from component c join class k on k.id = c.class where k.code = '0405')::geography)
           / (select sum(population) from land)",
    );
    close("park-area-per-person", &zibo, per_person.await);
    let green = theirs(
        &town,
        "select 100 * (select sum(st_area(geom::geography)) from land where kind = 'green')
           / (select st_area(geom::geography) from area where level = 'district')",
    );
    close("green-ratio", &zibo, green.await);
    close("billboards-approved", &zibo, 80.0);
    // The same as coverage says.
    let coverage = town.json("/coverage/parks-300").await;
    close("parks-300", &zibo, number(&coverage["denominators"][0]["rate"]) * 100.0);
    // What nobody has said is missing, and said to be.
    for (id, why) in [
        ("shop-signs-filed", "filing"),
        ("bridges-inspected", "没有"),
        ("carriageways-sound", "主管部门"),
    ] {
        let row = row(&zibo, id);
        let missing = row["missing"].as_str().unwrap_or_else(|| panic!("{row}"));
        assert!(row["value"].is_null() && missing.contains(why), "{row}");
    }
    assert_eq!(
        (
            &row(&zibo, "rooftop-signs")["value"],
            &row(&zibo, "rooftop-signs")["met"]
        ),
        (&json!(0.0), &json!(true))
    );
    // Groups make the whole.
    for id in [
        "lamps-lit-arterial",
        "park-area-per-person",
        "green-ratio",
        "parks-300",
        "billboards-approved",
    ] {
        let row = row(&zibo, id);
        for part in ["numerator", "denominator"] {
            let sum: f64 = row["groups"].as_array().unwrap().iter().map(|g| number(&g[part])).sum();
            assert!(
                (sum / number(&row[part]) - 1.0).abs() < 1e-3,
                "{id} {part}: {sum} {row}"
            );
        }
    }
    let east = theirs(
        &town,
        "select (100.0 * count(*) filter (where c.attributes ->> 'approval' = 'approved') / count(*))::float8
         from component c join class k on k.id = c.class join cell g on g.id = c.cell where k.code = '0307' and g.code = 'G1'",
    );
    let groups = row(&zibo, "billboards-approved")["groups"].as_array().unwrap();
    let own = groups.iter().find(|g| g["key"] == "S1").unwrap();
    assert!((number(&own["value"]) - east.await).abs() < 1e-3, "{own}");
    let standards = town.json("/indicators/standards").await;
    let toilets = theirs(
        &town,
        "select 1e6 * (select count(*) from component c join class k on k.id = c.class where k.code = '0301'
             and exists (select from land l where l.kind = 'residential' and st_covers(l.geom, c.geom)))
           / (select sum(st_area(geom::geography)) from land where kind = 'residential')",
    );
    close("toilets-residential", &standards, toilets.await);
    let roads = town.json("/indicators/zibo?by=road-class").await;
    let groups = row(&roads, "lamps-lit-arterial")["groups"].as_array().unwrap();
    assert_eq!((groups.len(), &groups[0]["key"]), (1, &json!("arterial")), "{groups:?}");

    // After edits, and as it was before them.
    let before: chrono::DateTime<chrono::Utc> = sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(&town.pool)
        .await
        .unwrap();
    for id in &ids[..20] {
        town.set_state(*id, State::Retired).await;
    }
    let now = town.json("/indicators/zibo").await;
    close("lamps-lit-arterial", &now, theirs(&town, LIT).await);
    assert_ne!(row(&now, "lamps-lit-arterial")["denominator"], lit["denominator"]);
    let then = before.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let then = town.json(&format!("/indicators/zibo?datetime={then}")).await;
    assert_eq!(row(&then, "lamps-lit-arterial")["denominator"], lit["denominator"]);
    assert_eq!(row(&then, "lamps-lit-arterial")["value"], lit["value"]);
}

#[sqlx::test]
async fn a_table_is_printed_and_handed_out_and_says_what_is_missing(pool: PgPool) {
    let (town, _) = city(pool).await;
    let listed = town.json("/indicators").await;
    assert!(listed["tables"].as_array().unwrap().len() >= 5, "{listed}");
    let page = town.get("/indicators/zibo?f=html&by=street").await;
    let text = String::from_utf8(page.bytes.clone()).unwrap();
    assert!(page.header("content-type").starts_with("text/html"));
    for part in [
        "淄博市城市管理规划指标",
        "≥ 85",
        "口径",
        "缺数据",
        "东街道",
        "盖章",
        "还需",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let english = String::from_utf8(town.get("/indicators/standards?f=html&lang=en").await.bytes).unwrap();
    assert!(
        english.contains("unverified") && english.contains("Not met"),
        "{english}"
    );
    let book = town.get("/indicators/hexi?f=xlsx&by=district").await;
    assert!(book.bytes.starts_with(b"PK") && book.header("content-disposition").contains("indicators-hexi.xlsx"));
    let csv = String::from_utf8(town.get("/indicators/kaifeng?f=csv").await.bytes).unwrap();
    assert!(csv.contains("窨井确权率") && csv.contains("开封市"), "{csv}");
    for (path, status) in [
        ("/indicators/mars", 404),
        ("/indicators/zibo?by=planet", 400),
        ("/indicators/zibo?f=shp", 400),
        ("/indicators/zibo?limit=3", 400),
    ] {
        assert_eq!(town.get(path).await.status.as_u16(), status, "{path}");
    }
}

#[sqlx::test]
async fn of_a_town_of_which_nothing_is_known_every_table_says_what_is_missing(pool: PgPool) {
    let town = town(pool).await;
    for name in ["standards", "hexi", "zibo", "changning", "kaifeng"] {
        let table = town.json(&format!("/indicators/{name}?by=community&lang=en")).await;
        for row in table["indicators"].as_array().unwrap() {
            assert_eq!(row["value"].is_null(), !row["missing"].is_null(), "{row}");
        }
    }
}
