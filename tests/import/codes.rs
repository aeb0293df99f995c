//! Codes: the next free one, never one that somebody had, and the way from an old one to the new.

use axum::http::Method;
use lamppost::domain::delivery::Reason;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{Scratch, counts, one, reason, take};
use crate::support::town;

const ASSIGN: &str = "
source = 'lamps'
key = 'k'
x = 'lon'
y = 'lat'
class = { value = 'CJT214-2007/0118' }
[fields]
code = { column = 'code', scheme = 'CJT214-2007', assign = true }
note = 'note'
";

const AREAS: &str = "insert into area (code, level, name, geom) values
  ('120103', 'district', '河西区', st_multi(st_makeenvelope(117.0, 39.0, 117.5, 39.5, 4326))),
  ('120104', 'district', '南开区', st_multi(st_makeenvelope(117.5, 39.0, 118.0, 39.5, 4326)))";

fn lamps(rows: impl IntoIterator<Item = (u32, &'static str, f64)>) -> String {
    let mut out = "k,lon,lat,code,note\n".to_owned();
    for (k, code, lon) in rows {
        out += &format!("L{k},{:.6},39.2,{code},\n", lon + f64::from(k) * 1e-5);
    }
    out
}

#[sqlx::test]
async fn a_component_without_a_code_gets_the_next_of_its_district_and_class(pool: PgPool) {
    let town = town(pool).await;
    let (store, pool, scratch) = (&town.state.store, &town.pool, Scratch::new("serials"));
    sqlx::query(AREAS).execute(pool).await.unwrap();
    let first = [
        (1, "1201030118000007", 117.1),
        (2, "", 117.1),
        (3, "", 117.6),
        (4, "", 117.1),
        (5, "", 119.0),
    ];
    let file = scratch.file("a.csv", lamps(first).as_bytes());
    let report = take(store, &scratch, &file, ASSIGN).await.unwrap();
    assert_eq!(
        (counts(&report), reason(&report, Reason::CodeWrong)),
        ((5, 4, 0, 0, 1), 1)
    );
    let codes = "select string_agg(source_key || ' ' || code, ', ' order by id) from component";
    assert_eq!(
        one::<String>(pool, codes).await,
        "L1 1201030118000007, L2 1201030118000008, L3 1201040118000001, L4 1201030118000009"
    );
    // The same file again changes nothing; who has a code keeps it.
    let again = take(store, &scratch, &file, ASSIGN).await.unwrap();
    assert_eq!(counts(&again), (5, 0, 0, 4, 1));

    // Highest of all that ever were: 9 was given up for 20, and both are taken.
    let other = ASSIGN.replace("'lamps'", "'others'");
    sqlx::query("update component set code = '1201030118000020' where source_key = 'L4'")
        .execute(pool)
        .await
        .unwrap();
    sqlx::query("update component set code = '1201030118000010' where source_key = 'L4'")
        .execute(pool)
        .await
        .unwrap();
    let file = scratch.file(
        "b.csv",
        lamps([(1, "", 117.2), (2, "1201030118000009", 117.2)]).as_bytes(),
    );
    let report = take(store, &scratch, &file, &other).await.unwrap();
    assert_eq!(
        (counts(&report), reason(&report, Reason::CodeTaken)),
        ((2, 1, 0, 0, 1), 1)
    );
    let told = &report.reasons[&Reason::CodeTaken].1[0].1.detail;
    assert!(
        told.zh.contains("曾属于部件") && told.zh.contains("1201030118000010"),
        "{}",
        told.zh
    );
    assert_eq!(
        one::<String>(pool, "select code from component where source = 'others'").await,
        "1201030118000021"
    );

    // Several batches at a time give each serial once.
    let many = scratch.file("c.csv", lamps((0..12_000).map(|k| (k, "", 117.3))).as_bytes());
    let report = take(store, &scratch, &many, &ASSIGN.replace("'lamps'", "'many'"))
        .await
        .unwrap();
    assert_eq!(counts(&report), (12_000, 12_000, 0, 0, 0));
    let (n, low, high): (i64, String, String) =
        sqlx::query_as("select count(distinct code), min(code), max(code) from component where source = 'many'")
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!(
        (n, low.as_str(), high.as_str()),
        (12_000, "1201030118000022", "1201030118012021")
    );
}

#[sqlx::test]
async fn an_old_code_leads_to_what_has_another_now_and_to_nothing_else(pool: PgPool) {
    let town = town(pool).await;
    let (store, scratch) = (&town.state.store, Scratch::new("former"));
    let own = ASSIGN.replace(", assign = true", "");
    let file = |code| {
        scratch.file(
            "a.csv",
            lamps([(1, code, 117.1), (2, "1201030118000002", 117.2)]).as_bytes(),
        )
    };
    take(store, &scratch, &file("1201030118000001"), &own).await.unwrap();
    let report = take(store, &scratch, &file("1201030118000003"), &own).await.unwrap();
    assert_eq!(counts(&report), (2, 0, 1, 1, 0));
    town.state.feed.reached(report.revision.unwrap()).await;

    for query in ["code=1201030118000001", "q=1201030118000001"] {
        let found = town.json(&format!("/collections/components/items?{query}")).await;
        assert_eq!(
            found["features"][0]["properties"]["code"], "1201030118000003",
            "{query}: {found}"
        );
    }
    let holders = town.json("/codes/1201030118000001").await;
    let one = &holders["holders"][0];
    assert_eq!(
        (&one["entity"], &one["code"]),
        (&json!("component"), &json!("1201030118000003"))
    );
    assert!(one["until"].is_string());
    let now = town.json("/codes/1201030118000003").await;
    assert_eq!(now["holders"][0]["until"], Value::Null);
    assert_eq!(town.get("/codes/1201030118000099").await.status, 404);

    // Nobody else may have it, by whatever door.
    let body = json!({"type": "Feature", "geometry": {"type": "Point", "coordinates": [117.3, 39.2]},
        "properties": {"class": "0118", "scheme": "CJT214-2007", "code": "1201030118000001"}});
    let bearer = format!("Bearer {}", town.token);
    let headers = [("authorization", bearer.as_str())];
    let added = town
        .send(
            Method::POST,
            "/collections/components/items",
            &headers,
            &body.to_string(),
        )
        .await;
    assert_eq!(added.status, 409, "{}", String::from_utf8_lossy(&added.bytes));
    let psql = sqlx::query("update component set code = '1201030118000001' where code = '1201030118000002'");
    assert!(psql.execute(&town.pool).await.is_err());
    // Its own it may take back.
    let back = take(store, &scratch, &file("1201030118000001"), &own).await.unwrap();
    assert_eq!(counts(&back), (2, 0, 1, 1, 0));
}
