//! The service: rates of a town against PostGIS, edits, and what cannot be answered.

use lamppost::domain::component::Draft;
use lamppost::domain::word::State;
use serde_json::Value;
use sqlx::PgPool;

use crate::support::{Dice, Town, point, rectangle, town};

const LAND: &str = "
insert into area (code, level, name, geom) values
  ('D1', 'district', '河西区', st_multi(st_makeenvelope(117.20, 39.08, 117.26, 39.13, 4326))),
  ('S1', 'street', '东街道', st_multi(st_makeenvelope(117.20, 39.08, 117.2231, 39.13, 4326))),
  ('S2', 'street', '西街道', st_multi(st_makeenvelope(117.2231, 39.08, 117.26, 39.13, 4326))),
  ('C1', 'community', '甲社区', st_multi(st_makeenvelope(117.20, 39.08, 117.2231, 39.13, 4326))),
  ('C3', 'community', '丙社区', st_multi(st_makeenvelope(117.2231, 39.08, 117.26, 39.13, 4326)));
insert into scheme (name, title) values ('LOCAL-T', 'test') on conflict do nothing;
insert into cell (scheme, code, geom, area) values
  ('LOCAL-T', 'G1', st_multi(st_makeenvelope(117.20, 39.08, 117.2231, 39.13, 4326)), (select id from area where code = 'C1')),
  ('LOCAL-T', 'G2', st_multi(st_makeenvelope(117.2231, 39.08, 117.26, 39.13, 4326)), (select id from area where code = 'C3'));
insert into land (kind, code, population, geom)
select (array['residential', 'commercial', 'public'])[1 + (x + y) % 3], 'R2', 100 + x,
  st_multi(st_rotate(st_makeenvelope(117.201 + x * 0.003, 39.081 + y * 0.003, 117.2035 + x * 0.003, 39.0835 + y * 0.003, 4326), 0.3,
    st_setsrid(st_point(117.2 + x * 0.003, 39.08 + y * 0.003), 4326)))
from generate_series(0, 18) x, generate_series(0, 14) y;
-- One that lies across others counts once; one that crosses itself counts as what it encloses.
insert into land (kind, code, population, geom) values
  ('residential', 'R1', 500, st_multi(st_makeenvelope(117.21, 39.09, 117.2145, 39.0933, 4326)));
";

/// Green land of some sizes, and toilets.
pub(super) async fn city(pool: PgPool) -> (Town, Vec<i64>) {
    let town = town(pool).await;
    town.sql(LAND).await;
    let mut dice = Dice::new(11);
    let (green, toilet) = (
        town.class("CJT214-2007", "0405").await,
        town.class("CJT214-2007", "0301").await,
    );
    let mut drafts = Vec::new();
    for _ in 0..40 {
        let (x, y) = (117.195 + dice.roll() * 0.07, 39.075 + dice.roll() * 0.06);
        let (w, h) = (0.0002 + dice.roll() * 0.001, 0.0002 + dice.roll() * 0.0008);
        drafts.push(Draft::new(green, rectangle(x, y, x + w, y + h)));
    }
    for _ in 0..25 {
        drafts.push(Draft::new(
            toilet,
            point(117.195 + dice.roll() * 0.07, 39.075 + dice.roll() * 0.06),
        ));
    }
    let ids = town.add(&drafts).await;
    (town, ids)
}

/// Covered square metres and the whole, by PostGIS from the register's tables. A facility that is missing does not serve.
async fn by_postgis(town: &Town, class: &str, kinds: &[&str], metres: Option<f64>) -> (f64, f64, f64) {
    sqlx::query_as(
        "with target as (select st_union(geom) as g from land where kind = any($2)),
           sized as (select c.geom, st_area(c.geom::geography) as size from component c join class k on k.id = c.class
             where k.code = $1 and c.state in ('intact', 'damaged')),
           reach as (select st_union(st_buffer(geom::geography,
               coalesce($3, case when size >= 5000 then 500 else 300 end), 'quad_segs=64')::geometry) as g
             from sized where $3 is not null or size >= 2000),
           blind as (select (st_dump(st_difference(target.g, coalesce(reach.g, 'polygon empty'::geometry)))).geom as g from target, reach)
         select st_area(target.g::geography) - (select coalesce(sum(st_area(g::geography)), 0) from blind), st_area(target.g::geography),
           (select count(*) from blind where st_area(g::geography) >= 100)::float8
         from target",
    )
    .bind(class)
    .bind(kinds.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>())
    .bind(metres)
    .fetch_one(&town.pool)
    .await
    .unwrap()
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("{v} is no number"))
}

async fn agrees(town: &Town, path: &str, class: &str, kinds: &[&str], metres: Option<f64>) {
    let (covered, area, spots) = by_postgis(town, class, kinds, metres).await;
    let own = town.json(path).await;
    let first = &own["denominators"][0];
    assert!(
        (number(&first["area_m2"]) / area - 1.0).abs() < 1e-4,
        "{path}: {first}, {area}"
    );
    assert!(
        (number(&first["rate"]) - covered / area).abs() < 1e-3,
        "{path}: {first}, {}",
        covered / area
    );
    // One that is about as large as the smallest may be counted by one of the two alone.
    assert!(
        (number(&own["blind_spots"]["count"]) - spots).abs() <= 1.0,
        "{path}: {}, {spots}",
        own["blind_spots"]
    );
}

#[sqlx::test]
async fn rates_are_those_of_postgis_before_and_after_edits(pool: PgPool) {
    let (town, ids) = city(pool).await;
    let mut dice = Dice::new(5);
    for round in 0..12 {
        agrees(&town, "/coverage/parks", "0405", &["residential"], None).await;
        agrees(
            &town,
            "/coverage/parks?radius=180",
            "0405",
            &["residential"],
            Some(180.0),
        )
        .await;
        agrees(&town, "/coverage/parks-300", "0405", &["residential"], Some(300.0)).await;
        agrees(
            &town,
            "/coverage/toilets",
            "0301",
            &["commercial", "public"],
            Some(300.0),
        )
        .await;
        agrees(
            &town,
            "/coverage/toilets?denominator=residential",
            "0301",
            &["residential"],
            Some(300.0),
        )
        .await;
        // Moved, gone, back, and some at once.
        for _ in 0..=round % 3 {
            let id = ids[dice.below(ids.len())];
            match dice.below(3) {
                0 => _ = town.set_state(id, State::Missing).await,
                1 => _ = town.set_state(id, State::Intact).await,
                _ if id >= ids[40] => {
                    let (x, y) = (117.195 + dice.roll() * 0.07, 39.075 + dice.roll() * 0.06);
                    _ = town.move_to(id, x, y).await;
                }
                _ => {}
            }
        }
    }
    // Land changes: what was cut is cut again.
    town.sql("update land set kind = 'green' where id % 5 = 0").await;
    agrees(&town, "/coverage/parks", "0405", &["residential"], None).await;
}

/// The area of each source layer of a tile, in squared tile units.
fn areas(bytes: &[u8]) -> std::collections::BTreeMap<String, f64> {
    let mut out = std::collections::BTreeMap::new();
    if bytes.is_empty() {
        return out;
    }
    let tile = mvt_reader::Reader::new(bytes.to_vec()).unwrap();
    for (n, name) in tile.get_layer_names().unwrap().into_iter().enumerate() {
        for feature in tile.get_features(n).unwrap() {
            use geo::Area;
            let own = match feature.geometry {
                geo::Geometry::MultiPolygon(m) => f64::from(m.unsigned_area()),
                geo::Geometry::Polygon(p) => f64::from(p.unsigned_area()),
                _ => 1.0,
            };
            *out.entry(name.clone()).or_insert(0.0) += own;
        }
    }
    out
}

/// Tiles of a node that has followed the edits, and of one that has just begun, show the same; and what is blind in them is what PostGIS says.
#[sqlx::test]
async fn tiles_follow_every_edit(pool: PgPool) {
    let (town, ids) = city(pool).await;
    let mut dice = Dice::new(21);
    let about = "/tiles/coverage-toilets/14";
    let tiles: Vec<String> = (13525..=13530)
        .flat_map(|x| (6254..=6259).map(move |y| format!("{about}/{x}/{y}?radius=250&denominator=residential")))
        .collect();
    let mut before = Vec::new();
    for round in 0..6 {
        let (fresh, follower) = crate::support::node(&town.pool).await;
        let fresh_door = lamppost::api::app(fresh);
        let (mut differ, mut blind, mut whole) = (0, 0.0, 0.0);
        let mut now = Vec::new();
        for path in &tiles {
            let own = town.get(path).await.bytes;
            let request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
            let answer = tower::ServiceExt::oneshot(fresh_door.clone(), request).await.unwrap();
            let theirs = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
            let (own_areas, their_areas) = (areas(&own), areas(&theirs));
            assert_eq!(
                own_areas.keys().collect::<Vec<_>>(),
                their_areas.keys().collect::<Vec<_>>(),
                "round {round}, {path}"
            );
            for (layer, area) in &own_areas {
                let other = their_areas[layer];
                assert!(
                    (area - other).abs() <= 1e-4 * other + 2.0,
                    "round {round}, {path}, {layer}: {area} {other}"
                );
            }
            let of = |layer: &str| own_areas.get(layer).copied().unwrap_or(0.0);
            blind += of("blind");
            whole += of("blind") + of("covered");
            differ += usize::from(before.get(now.len()).is_some_and(|old| *old != own));
            now.push(own);
        }
        follower.abort();
        assert!(
            round == 0 || (1..tiles.len()).contains(&differ),
            "round {round}: {differ} tiles are new"
        );
        before = now;
        // Buffers count twice, and a unit of the tile is half a metre: a rough check that what is drawn is what is meant.
        let (covered, area, _) = by_postgis(&town, "0301", &["residential"], Some(250.0)).await;
        let (drawn, theirs) = (blind / whole, 1.0 - covered / area);
        assert!((drawn - theirs).abs() < 0.03, "round {round}: drawn {drawn}, {theirs}");
        let id = ids[40 + dice.below(25)];
        match round % 3 {
            0 => _ = town.set_state(id, State::Missing).await,
            _ => {
                let (x, y) = (117.205 + dice.roll() * 0.05, 39.085 + dice.roll() * 0.04);
                _ = town.move_to(id, x, y).await;
            }
        }
    }
    let said = town
        .json("/tiles/coverage-toilets?radius=250&denominator=residential")
        .await;
    let url = said["tiles"][0].as_str().unwrap();
    assert!(
        url.ends_with("/{z}/{x}/{y}?denominator=residential&radius=250"),
        "{said}"
    );
    assert_eq!(town.get("/tiles/coverage-sea/14/1/1").await.status.as_u16(), 404);
    assert_eq!(
        town.get(&format!("{about}/13526/6255?radius=0")).await.status.as_u16(),
        400
    );
}

#[sqlx::test]
async fn groups_make_the_whole_and_spots_say_where_and_whom(pool: PgPool) {
    let (town, _) = city(pool).await;
    for by in ["cell", "community", "street", "district"] {
        let own = town.json(&format!("/coverage/parks?radius=150&by={by}")).await;
        for figure in ["area_m2", "blind_m2", "people", "blind_people"] {
            let sum: f64 = own["groups"]
                .as_array()
                .unwrap()
                .iter()
                .map(|g| number(&g[figure]))
                .sum();
            let whole = number(&own["denominators"][0][figure]);
            assert!((sum - whole).abs() < 3.0, "{by} {figure}: {sum} of {whole}");
        }
    }
    let own = town.json("/coverage/parks?radius=150&by=street").await;
    let east: f64 = sqlx::query_scalar(
        "select st_area(st_intersection((select st_union(geom) from land where kind = 'residential'), geom)::geography) from area where code = 'S1'",
    )
    .fetch_one(&town.pool)
    .await
    .unwrap();
    let group = own["groups"]
        .as_array()
        .unwrap()
        .iter()
        .find(|g| g["key"] == "S1")
        .unwrap();
    assert!((number(&group["area_m2"]) / east - 1.0).abs() < 1e-4, "{group} {east}");
    // The same by asking of that area alone.
    let alone = town
        .json("/coverage/parks?radius=150&within-area=S1&denominator=residential")
        .await;
    let alone = &alone["denominators"][0];
    for figure in ["area_m2", "blind_m2", "people"] {
        assert!(
            (number(&alone[figure]) - number(&group[figure])).abs() < 3.0,
            "{figure}: {alone} {group}"
        );
    }

    let spots = town.get("/coverage/parks/blind?radius=150").await;
    assert_eq!(
        (spots.status.as_u16(), spots.header("content-type")),
        (200, "application/geo+json")
    );
    let spots = spots.json();
    let features = spots["features"].as_array().unwrap();
    assert_eq!(spots["numberMatched"], own["blind_spots"]["count"]);
    assert!(features.len() > 20);
    let sum = |figure: &str| features.iter().map(|f| number(&f["properties"][figure])).sum::<f64>();
    let slivers = &own["blind_spots"]["slivers"];
    let whole = &own["denominators"][0];
    assert!((sum("area_m2") + number(&slivers["area_m2"]) - number(&whole["blind_m2"])).abs() < 10.0);
    assert!(
        (sum("people") + number(&slivers["people"]) - number(&whole["blind_people"])).abs()
            < 1.0 + features.len() as f64
    );
    // The nearest facility to a place in the largest spot, by PostGIS: as far away as it says, and farther than the radius.
    let first = &features[0];
    let nearest: f64 = sqlx::query_scalar(
        "select min(st_distance(c.geom::geography, st_pointonsurface(st_geomfromgeojson($1))::geography)) from component c join class k on k.id = c.class
         where k.code = '0405' and c.state in ('intact', 'damaged')",
    )
    .bind(first["geometry"].to_string())
    .fetch_one(&town.pool)
    .await
    .unwrap();
    let said = number(&first["properties"]["nearest"]["distance_m"]);
    assert!(said > 149.9 && (said - nearest).abs() < 400.0, "{said} {nearest}");
}

#[sqlx::test]
async fn what_cannot_be_answered_is_said_in_words(pool: PgPool) {
    let town = town(pool).await;
    let rules = town.json("/coverage").await;
    assert!(rules["rules"].as_array().unwrap().len() >= 5);
    for (path, status, part) in [
        ("/coverage/parks?lang=en", 404, "import land first"),
        ("/coverage/nothing?lang=en", 404, "there is no rule"),
        ("/coverage/parks?radius=0&lang=en", 400, "1 to 20000"),
        ("/coverage/parks?radius=1000000&lang=en", 400, "1 to 20000"),
        ("/coverage/parks?radius=NaN&by=planet&lang=en", 400, "one of cell"),
        (
            "/coverage/parks?state=fine&within-area=XX&denominator=sea&lang=en",
            400,
            "there is no area",
        ),
        ("/coverage/parks/blind?limit=0&lang=en", 400, "limit"),
    ] {
        let answer = town.get(path).await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert_eq!(answer.status.as_u16(), status, "{path}: {text}");
        assert!(text.contains(part), "{path}: {text}");
    }
    // Land, but no facility: all of it is blind, and nothing is nearest.
    town.sql(LAND).await;
    let own = town.json("/coverage/parks").await;
    assert_eq!(own["denominators"][0]["rate"], 0.0, "{own}");
    assert_eq!(own["wanted"][0]["met"], false);
    assert!(number(&own["wanted"][0]["short"]) > 0.79);
    let spots = town.json("/coverage/parks/blind?limit=1").await;
    assert_eq!(
        (
            spots["numberReturned"].as_i64(),
            &spots["features"][0]["properties"]["nearest"]
        ),
        (Some(1), &Value::Null)
    );
    // A plot of a million corners is refused in words, and one that crosses itself is not.
    town.sql(
        "insert into land (kind, geom) select 'green', st_multi(st_makepolygon(st_addpoint(l, st_startpoint(l)))) from (
           select st_makeline(array_agg(st_point(117.23 + 0.01 * cos(2 * pi() * i / 1e6), 39.1 + 0.01 * sin(2 * pi() * i / 1e6), 4326) order by i)) as l
           from generate_series(0, 999999) i) s;
         insert into land (kind, geom) values ('residential', st_geomfromtext('MULTIPOLYGON(((117.30 39.1, 117.31 39.11, 117.31 39.1, 117.30 39.11, 117.30 39.1)))', 4326))",
    )
    .await;
    assert_eq!(town.get("/coverage/parks").await.status.as_u16(), 200);
    town.sql("update land set kind = 'residential' where kind = 'green'")
        .await;
    let answer = town.get("/coverage/parks?lang=en").await;
    assert_eq!(answer.status.as_u16(), 413);
    assert!(String::from_utf8_lossy(&answer.bytes).contains("200000"));
    town.sql("update land set kind = 'green' where st_npoints(geom) > 200000")
        .await;
    // Land of two cities is one too many.
    town.sql("insert into land (kind, geom) values ('residential', st_multi(st_makeenvelope(121.4, 31.2, 121.41, 31.21, 4326)))")
        .await;
    let answer = town.get("/coverage/parks?lang=en").await;
    assert_eq!(answer.status.as_u16(), 400);
    assert!(String::from_utf8_lossy(&answer.bytes).contains("one city"));
}
