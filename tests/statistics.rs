//! Statistics against a naive scan by PostgreSQL: today's after random edits, past ones at random moments.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use lamppost::domain::component::Draft;
use lamppost::domain::grant::{Grant, Rights};
use lamppost::domain::word::Access;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Dice, Town, point, rectangle, town};

const AREAS: &str = "
insert into scheme (name, title) values ('LOCAL-T', 'test') on conflict do nothing;
insert into area (code, level, name, geom) values
  ('D1', 'district', '河西区', st_multi(st_makeenvelope(117.20, 39.08, 117.24, 39.12, 4326))),
  ('S1', 'street', '东街道', st_multi(st_makeenvelope(117.20, 39.08, 117.22, 39.12, 4326))),
  ('S2', 'street', '西街道', st_multi(st_makeenvelope(117.22, 39.08, 117.24, 39.12, 4326))),
  ('C1', 'community', '甲社区', st_multi(st_makeenvelope(117.20, 39.08, 117.21, 39.12, 4326))),
  ('C2', 'community', '乙社区', st_multi(st_makeenvelope(117.21, 39.08, 117.22, 39.12, 4326))),
  ('C3', 'community', '丙社区', st_multi(st_makeenvelope(117.22, 39.08, 117.24, 39.12, 4326)));
insert into cell (scheme, code, geom, area)
select 'LOCAL-T', 'G' || x || y, st_multi(st_makeenvelope(117.20 + x * 0.005, 39.08 + y * 0.02, 117.205 + x * 0.005, 39.10 + y * 0.02, 4326)),
  (select a.id from area a where a.level = 'community' and st_covers(a.geom, st_point(117.2025 + x * 0.005, 39.09 + y * 0.02, 4326)))
from generate_series(0, 7) x, generate_series(0, 1) y;
insert into party (code, name) values ('A', '照明所'), ('B', '水务公司'), ('C', '园林局');
insert into road (name, class, geom) values ('南京路', 'arterial', st_geomfromtext('MULTILINESTRING((117.2 39.1, 117.24 39.1))', 4326)),
  ('小巷', 'lane', st_geomfromtext('MULTILINESTRING((117.2 39.09, 117.24 39.09))', 4326));
";

async fn city(pool: PgPool) -> Town {
    let town = town(pool).await;
    town.sql(AREAS).await;
    let mut drafts = Vec::new();
    let mut dice = Dice::new(7);
    for code in ["0118", "0101", "0136", "0401"] {
        let class = town.class("CJT214-2007", code).await;
        for _ in 0..60 {
            let (x, y) = dice.spot();
            let shaped = code == "0401" && dice.roll() < 0.5;
            let geometry = if shaped {
                rectangle(x, y, x + 1e-4, y + 1e-4)
            } else {
                point(x, y)
            };
            drafts.push(Draft::new(class, geometry));
        }
    }
    // Not every class may be a polygon.
    let polygons = sqlx::query_scalar::<_, bool>(
        "select 'polygon' = any (geometry) from class where code = '0401' and scheme = 'CJT214-2007'",
    )
    .fetch_one(&town.pool)
    .await
    .unwrap();
    if !polygons {
        drafts.retain(|d| matches!(d.geometry, geo::Geometry::Point(_)));
    }
    town.add(&drafts).await;
    town
}

/// Edits that change everything that statistics tell apart, some in one revision.
async fn shuffle(town: &Town, dice: &mut Dice) {
    let seed = dice.roll();
    let sql = format!(
        "select setseed({seed});
         update component set
           state = (array['intact', 'damaged', 'missing', 'retired'])[1 + floor(random() * 4)::int],
           ownership_status = (array['unsurveyed', 'proposed', 'confirmed', 'disputed', 'unclaimed'])[1 + floor(random() * 5)::int],
           owner = case when random() < 0.3 then null else (select id from party offset floor(random() * 3)::int limit 1) end,
           maintainer = case when random() < 0.5 then null else (select min(id) from party) end,
           road = case when random() < 0.3 then null when random() < 0.5 then (select min(id) from road) else (select max(id) from road) end,
           property_kind = case when random() < 0.5 then null else 'state' end,
           management_kind = case when random() < 0.5 then 'professional' else 'social' end,
           geom = case when random() < 0.5 or geometrytype(geom) <> 'POINT' then geom else st_point(117.19 + random() * 0.06, 39.07 + random() * 0.06, 4326) end
         where random() < 0.2"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&town.pool)
        .await
        .unwrap();
    town.settle().await;
}

/// Key to count, confirmed, disputed, unclaimed, without maintainer, damaged.
type Naive = BTreeMap<Option<String>, [i64; 6]>;

/// The same from rows: `of` gives the group's key of a row `c`.
async fn naive(town: &Town, rows: &str, of: &str, wanted: &str) -> Naive {
    let sql = format!(
        "select {of} as key, array[count(*), count(*) filter (where c.ownership_status = 'confirmed'), count(*) filter (where c.ownership_status = 'disputed'),
           count(*) filter (where c.ownership_status = 'unclaimed'), count(*) filter (where c.maintainer is null), count(*) filter (where c.state = 'damaged')]
         from {rows} c join class k on k.id = c.class left join cell g on g.id = c.cell left join road r on r.id = c.road left join party p on p.id = c.owner
         where c.state <> 'retired' and ({wanted}) group by 1"
    );
    let rows: Vec<(Option<String>, Vec<i64>)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .fetch_all(&town.pool)
        .await
        .unwrap();
    rows.into_iter().map(|(key, n)| (key, n.try_into().unwrap())).collect()
}

fn said(answer: &Value) -> Naive {
    let groups = answer["groups"].as_array().unwrap().iter();
    let figures = |g: &Value| {
        let n = |v: &Value| v.as_i64().unwrap();
        [
            n(&g["count"]),
            n(&g["ownership"]["confirmed"]),
            n(&g["disputed"]),
            n(&g["unclaimed"]),
            n(&g["unmaintained"]),
            n(&g["states"]["damaged"]),
        ]
    };
    groups
        .map(|g| (g["key"].as_str().map(str::to_owned), figures(g)))
        .collect()
}

const OF_AREA: &str = "(select a.code from area a join area o on o.id = g.area where a.level = 'LEVEL' and st_covers(a.geom, st_pointonsurface(o.geom)))";
const WAYS: [(&str, &str); 9] = [
    ("cell", "g.code"),
    ("community", "LEVEL-community"),
    ("street", "LEVEL-street"),
    ("district", "LEVEL-district"),
    ("road-class", "r.class"),
    ("class", "k.scheme || '/' || k.code"),
    ("party", "p.code"),
    ("property-kind", "c.property_kind"),
    ("management-kind", "c.management_kind"),
];

fn of(way: &str) -> String {
    match way.strip_prefix("LEVEL-") {
        Some(level) => OF_AREA.replace("LEVEL", level),
        None => way.to_owned(),
    }
}

/// What everybody sees.
const OPEN: &str = "not k.restricted";

#[sqlx::test]
async fn statistics_are_those_of_a_naive_scan_after_any_edit(pool: PgPool) {
    let town = city(pool).await;
    let mut dice = Dice::new(3);
    for round in 0..6 {
        shuffle(&town, &mut dice).await;
        for (way, key) in WAYS {
            let answer = town.json(&format!("/statistics?by={way}")).await;
            let right = naive(&town, "component", &of(key), OPEN).await;
            assert_eq!(said(&answer), right, "round {round}, by {way}");
            let total: i64 = right.values().map(|n| n[0]).sum();
            assert_eq!(answer["total"]["count"], total, "{way}");
            let filtered = [
                ("filter=state='damaged'", "c.state = 'damaged'"),
                ("layer=lamps", "k.code = '0118'"),
                ("class=0101,0118", "k.code in ('0101', '0118')"),
                ("owner=A", "p.code = 'A'"),
                ("state=intact,missing", "c.state in ('intact', 'missing')"),
                (
                    "within-area=S1",
                    "st_intersects(c.geom, (select geom from area where code = 'S1')) and geometrytype(c.geom) = 'POINT'",
                ),
            ];
            for (query, sql) in filtered {
                if query.starts_with("within") && round > 0 {
                    continue;
                }
                let answer = town
                    .json(&format!("/statistics?by={way}&{}", query.replace('\'', "%27")))
                    .await;
                let right = naive(&town, "component", &of(key), &format!("{OPEN} and {sql}")).await;
                if query.starts_with("within") {
                    let points: i64 = right.values().map(|n| n[0]).sum();
                    assert!(answer["total"]["count"].as_i64().unwrap() >= points, "{way}");
                } else {
                    assert_eq!(said(&answer), right, "by {way}, {query}");
                }
            }
        }
    }
    let classes = &town.json("/statistics?by=district").await["total"]["classes"];
    assert!(
        classes.get("CJT214-2007/0136").is_none(),
        "cameras are restricted: {classes}"
    );
    assert!(town.differences().await.is_empty());
}

#[sqlx::test]
async fn statistics_of_a_past_moment_are_those_of_the_versions_then(pool: PgPool) {
    let town = city(pool).await;
    let mut dice = Dice::new(11);
    for _ in 0..5 {
        shuffle(&town, &mut dice).await;
    }
    let moments: Vec<DateTime<Utc>> = sqlx::query_scalar("select recorded from revision order by number desc limit 6")
        .fetch_all(&town.pool)
        .await
        .unwrap();
    for moment in moments {
        let text = moment.to_rfc3339();
        let then = format!(
            "(select distinct on (v.id) v.* from component_version v join revision q on q.txn = v.txn where q.recorded <= '{text}' order by v.id, v.version desc)"
        );
        for (way, key) in WAYS {
            let answer = town
                .json(&format!("/statistics?by={way}&datetime={}", text.replace('+', "%2B")))
                .await;
            assert_eq!(
                said(&answer),
                naive(&town, &then, &of(key), OPEN).await,
                "{text}, by {way}"
            );
        }
        let damaged = town
            .json(&format!(
                "/statistics?by=party&layer=lamps&filter=state=%27damaged%27&datetime={}",
                text.replace('+', "%2B")
            ))
            .await;
        assert_eq!(
            said(&damaged),
            naive(&town, &then, "p.code", "k.code = '0118' and c.state = 'damaged'").await
        );
        // What counters do not tell apart is counted one by one.
        let owned = town
            .json(&format!(
                "/statistics?by=class&owner=A&datetime={}",
                text.replace('+', "%2B")
            ))
            .await;
        let right = naive(
            &town,
            &then,
            "k.scheme || '/' || k.code",
            &format!("p.code = 'A' and {OPEN}"),
        )
        .await;
        assert_eq!(said(&owned), right, "{text}");
    }
    let before = town.json("/statistics?by=class&datetime=2001-01-01").await;
    assert_eq!(
        (before["total"]["count"].clone(), before["groups"].clone()),
        (json!(0), json!([]))
    );
}

#[sqlx::test]
async fn statistics_come_as_a_file_too_and_show_what_one_may_see(pool: PgPool) {
    let town = city(pool).await;
    let csv = town.get("/statistics?by=street&f=csv").await;
    let text = String::from_utf8(csv.bytes).unwrap();
    let rows: Vec<&str> = text.lines().collect();
    assert!(rows[0].starts_with("代码,名称,数量,确权率,无养护单位,完好,"), "{text}");
    assert!(
        rows[1].starts_with("S1,东街道,") && rows.last().unwrap().starts_with("合计,,"),
        "{text}"
    );
    assert_eq!(town.get("/statistics?by=street&f=xlsx").await.bytes[..2], *b"PK");
    for wrong in [
        "/statistics",
        "/statistics?by=king",
        "/statistics?by=class&f=shp",
        "/statistics?by=class&datetime=yesterday",
    ] {
        assert_eq!(town.get(wrong).await.status, 400, "{wrong}");
    }
    let camera = town.class("CJT214-2007", "0136").await;
    let grant = Grant {
        rights: Rights::to([camera]),
        ..Grant::of("看得见", Access::Reader)
    };
    let token = format!("Bearer {}", town.state.store.issue(&grant).await.unwrap());
    let seen = town
        .send(
            axum::http::Method::GET,
            "/statistics?by=class",
            &[("authorization", &token)],
            "",
        )
        .await
        .json();
    assert_eq!(
        said(&seen),
        naive(&town, "component", "k.scheme || '/' || k.code", "true").await
    );
    assert_eq!(said(&seen)[&Some("CJT214-2007/0136".to_owned())][0], 60);
}

/// The figures of a tile's features, by code.
fn drawn(bytes: &[u8], layer: &str) -> BTreeMap<Option<String>, [i64; 6]> {
    let names = ["count", "confirmed", "disputed", "unclaimed", "unmaintained", "damaged"];
    crate::tiles::decode(bytes, layer)
        .iter()
        .map(|(_, p, _)| (Some(p["code"].clone()), names.map(|name| p[name].parse().unwrap())))
        .collect()
}

#[sqlx::test]
async fn tiles_of_cells_and_areas_have_the_figures_of_their_components(pool: PgPool) {
    let town = city(pool).await;
    let mut dice = Dice::new(9);
    let tiles = ["13/6762/3127", "13/6763/3127", "11/1690/781"];
    let mut moments: Vec<(DateTime<Utc>, Vec<Vec<u8>>)> = Vec::new();
    for round in 0..5 {
        shuffle(&town, &mut dice).await;
        let mut bytes = Vec::new();
        for tile in tiles {
            let answer = town.get(&format!("/tiles/cells,areas/{tile}?figures=true")).await;
            let cells = naive(&town, "component", "g.code", OPEN).await;
            let drawn_cells = drawn(&answer.bytes, "cells");
            assert!(drawn_cells.len() > 3 || tile != tiles[2]);
            for (code, figures) in &drawn_cells {
                let right = cells.get(code).copied().unwrap_or_default();
                assert_eq!(*figures, right, "round {round}, {tile}, {code:?}");
            }
            let mut areas = BTreeMap::new();
            for level in ["community", "street", "district"] {
                areas.extend(naive(&town, "component", &OF_AREA.replace("LEVEL", level), OPEN).await);
            }
            let drawn_areas = drawn(&answer.bytes, "areas");
            assert!(drawn_areas.len() > 1);
            for (code, figures) in &drawn_areas {
                let right = areas.get(code).copied().unwrap_or_default();
                assert_eq!(*figures, right, "round {round}, {tile}, {code:?}");
            }
            bytes.push(answer.bytes);
        }
        let sql = "select recorded from revision order by number desc limit 1";
        moments.push((sqlx::query_scalar(sql).fetch_one(&town.pool).await.unwrap(), bytes));
    }
    for (moment, bytes) in &moments {
        let moment = moment.to_rfc3339().replace('+', "%2B");
        for (tile, right) in tiles.iter().zip(bytes) {
            let then = town
                .get(&format!("/tiles/cells,areas/{tile}?figures=true&datetime={moment}"))
                .await;
            assert!(then.bytes == *right, "{tile} at {moment}");
        }
    }
    // Who may see more counts more; who does not ask gets the outlines alone, which no edit of a component touches.
    let camera = town.class("CJT214-2007", "0136").await;
    let grant = Grant {
        rights: Rights::to([camera]),
        ..Grant::of("看得见", Access::Reader)
    };
    let token = format!("Bearer {}", town.state.store.issue(&grant).await.unwrap());
    let path = format!("/tiles/cells,areas/{}?figures=true", tiles[2]);
    let seeing = town
        .send(axum::http::Method::GET, &path, &[("authorization", &token)], "")
        .await;
    assert_eq!(seeing.header("cache-control"), "private, no-store");
    let counted = drawn(&seeing.bytes, "areas")[&Some("D1".to_owned())][0];
    let all = naive(&town, "component", &OF_AREA.replace("LEVEL", "district"), "true").await;
    assert_eq!(counted, all[&Some("D1".to_owned())][0]);
    assert!(counted > drawn(&town.get(&path).await.bytes, "areas")[&Some("D1".to_owned())][0]);
    let plain = town.get(&format!("/tiles/cells,areas/{}", tiles[2])).await;
    assert!(!crate::tiles::decode(&plain.bytes, "cells")[0].1.contains_key("count"));
    assert_eq!(town.get("/tiles/lamps/11/1690/781?figures=true").await.status, 400);
    let fields = town.json("/tiles/cells?figures=true").await;
    assert_eq!(fields["vector_layers"][0]["fields"]["confirmed"], "Number");
}
