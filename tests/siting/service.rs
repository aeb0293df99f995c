//! The service: what it promises is what PostGIS finds once it is built.

use serde_json::Value;
use sqlx::PgPool;

use crate::support::{Town, point, town};

/// A street of homes in seven blocks, and shops between them; one toilet at the west end.
const LAND: &str = "
insert into land (kind, population, geom)
select 'residential', 100 * (1 + x % 3), st_multi(st_makeenvelope(117.20 + x * 0.004, 39.08, 117.203 + x * 0.004, 39.083, 4326))
from generate_series(0, 6) x;
insert into land (kind, geom)
select 'commercial', st_multi(st_makeenvelope(117.2031 + x * 0.004, 39.081, 117.2039 + x * 0.004, 39.082, 4326))
from generate_series(0, 5) x;
";

pub(super) async fn city(pool: PgPool) -> Town {
    let town = town(pool).await;
    town.sql(LAND).await;
    let class = town.class("CJT214-2007", "0301").await;
    let toilet = lamppost::domain::component::Draft::new(class, point(117.2015, 39.0815));
    town.add(&[toilet]).await;
    town
}

pub(super) fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("{v} is no number"))
}

/// The share of homes within 250 m of the toilets and of some more places, by PostGIS.
pub(super) async fn share(town: &Town, more: &[(f64, f64)]) -> f64 {
    let (lon, lat): (Vec<f64>, Vec<f64>) = more.iter().copied().unzip();
    sqlx::query_scalar(
        "with homes as (select st_union(geom) as g from land where kind = 'residential'),
           places as (select c.geom from component c union all select st_point(x, y, 4326) from unnest($1::float8[], $2::float8[]) as u(x, y)),
           reach as (select st_union(st_buffer(geom::geography, 250, 'quad_segs=64')::geometry) as g from places)
         select st_area(st_intersection(homes.g, reach.g)::geography) / st_area(homes.g::geography) from homes, reach",
    )
    .bind(lon)
    .bind(lat)
    .fetch_one(&town.pool)
    .await
    .unwrap()
}

pub(super) fn places(answer: &Value) -> Vec<(f64, f64)> {
    let at = |f: &Value| {
        (
            number(&f["geometry"]["coordinates"][0]),
            number(&f["geometry"]["coordinates"][1]),
        )
    };
    answer["features"].as_array().unwrap().iter().map(at).collect()
}

#[sqlx::test]
async fn the_sites_do_what_is_promised_and_none_would_do_better(pool: PgPool) {
    let town = city(pool).await;
    let about = "/siting/toilets?denominator=residential&radius=250";
    let best = town.json(&format!("{about}&on=commercial&sites=2")).await;
    assert_eq!(
        (best["candidates"].as_i64(), &best["best"]["proven"]),
        (Some(6), &Value::Bool(true)),
        "{best}"
    );
    let chosen = places(&best);
    assert_eq!(chosen.len(), 2);
    let after = share(&town, &chosen).await;
    assert!((number(&best["after"]["rate"]) - after).abs() < 1e-3, "{after} {best}");
    assert!((number(&best["before"]["rate"]) - share(&town, &[]).await).abs() < 1e-3);
    // Every pair of the middles of the shops.
    let middle = |x: i32| (117.2035 + f64::from(x) * 0.004, 39.0815);
    for a in 0..6 {
        for b in a + 1..6 {
            let other = share(&town, &[middle(a), middle(b)]).await;
            assert!(
                other < after + 0.01,
                "{a} and {b} come to {other}, the answer to {after}"
            );
        }
    }
    // The same asked as a rate takes as many, and one per cent more takes one more.
    let rate = number(&best["after"]["rate"]) - 0.01;
    let fewest = town.json(&format!("{about}&on=commercial&rate={rate}")).await;
    assert_eq!(fewest["best"]["sites"], 2, "{fewest}");
    let more = town.json(&format!("{about}&on=commercial&rate={}", rate + 0.03)).await;
    assert_eq!(more["best"]["sites"], 3, "{more}");
    // By people, by a lattice, by places of one's own.
    let people = town
        .json(&format!("{about}&on=commercial&sites=1&weight=people&seconds=0"))
        .await;
    assert!(
        number(&people["features"][0]["properties"]["adds_people"]) > 0.0,
        "{people}"
    );
    let lattice = town.json(&format!("{about}&on=residential&step=60&sites=2")).await;
    assert!(
        number(&lattice["after"]["rate"]) >= number(&best["after"]["rate"]) - 0.01,
        "{lattice}"
    );
    let own = town
        .json(&format!("{about}&points=117.2195,39.0815;117.2,39.0815&sites=1"))
        .await;
    assert_eq!(places(&own).len(), 1);
    assert!((places(&own)[0].0 - 117.2195).abs() < 1e-6, "{own}");
}

#[sqlx::test]
async fn what_cannot_be_sited_is_said_in_words(pool: PgPool) {
    let town = city(pool).await;
    let about = "/siting/toilets?denominator=residential&radius=250&lang=en";
    for (more, status, part) in [
        ("&on=commercial", 400, "either sites"),
        ("&sites=3", 400, "either on"),
        ("&on=commercial&sites=0", 400, "1 to 500"),
        ("&on=commercial&sites=1&rate=0.5", 400, "either sites"),
        ("&on=sea&sites=1", 400, "no candidate"),
        ("&on=commercial&rate=1", 400, "all candidates together come to"),
        ("&points=1,2,3&sites=1", 400, "points"),
        (
            "&on=commercial&sites=1&step=1&weight=gold&seconds=100",
            400,
            "20 to 5000",
        ),
        ("&points=121.4,31.2&sites=1", 400, "one city"),
    ] {
        let answer = town.get(&format!("{about}{more}")).await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert_eq!(answer.status.as_u16(), status, "{more}: {text}");
        assert!(text.contains(part), "{more}: {text}");
    }
}

#[sqlx::test]
async fn green_strips_along_roads_and_water_are_candidates_if_they_are_wide_enough(pool: PgPool) {
    let town = city(pool).await;
    // 0.0001 degrees are 11 m from south to north. Strips: 33 m by a road, 11 m by it, 33 m by a river, 33 m by nothing; and one bare plot.
    town.sql(
        "insert into road (name, class, geom) values ('路', 'local', st_geomfromtext('MULTILINESTRING((117.20 39.0790, 117.23 39.0790))', 4326));
         insert into land (kind, code, geom) values
           ('green', 'G1', st_multi(st_makeenvelope(117.205, 39.0791, 117.21, 39.0794, 4326))),
           ('green', 'G1', st_multi(st_makeenvelope(117.211, 39.0791, 117.215, 39.0792, 4326))),
           ('green', 'G2', st_multi(st_makeenvelope(117.205, 39.0850, 117.21, 39.0853, 4326))),
           ('water', 'E1', st_multi(st_makeenvelope(117.20, 39.0854, 117.23, 39.0860, 4326))),
           ('green', 'G1', st_multi(st_makeenvelope(117.205, 39.0843, 117.21, 39.0846, 4326))),
           ('other', '1208', st_multi(st_makeenvelope(117.216, 39.0840, 117.217, 39.0845, 4326)))",
    )
    .await;
    let about = "/siting/toilets?denominator=residential&radius=250&sites=1&seconds=0";
    for (asked, count) in [
        ("on=green", 4),
        ("on=green&wider=20", 3),
        ("on=green&wider=20&along=roads", 1),
        ("on=green&wider=20&along=water", 1),
        ("on=green&wider=20&along=roads,water", 2),
        ("on=green&along=roads", 2),
        ("on=green&wider=20&along=roads&along-within=5", 0),
        ("on=green&on-code=G2", 1),
        ("on-code=12", 1),
    ] {
        let answer = town.get(&format!("{about}&{asked}")).await;
        match count {
            0 => assert_eq!(answer.status, 400, "{asked}"),
            _ => assert_eq!(answer.json()["candidates"], count, "{asked}"),
        }
    }
    for bad in ["on=green&wider=0", "on=green&along=rails"] {
        assert_eq!(town.get(&format!("{about}&{bad}")).await.status, 400, "{bad}");
    }
}
