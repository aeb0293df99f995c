//! CQL2 filters on tiles and lists, and what of the cache they keep.

use std::sync::atomic::Ordering::Relaxed;

use lamppost::domain::component::Draft;
use lamppost::domain::word::{OwnershipStatus, State};
use lamppost::spatial::tile_id::{TileId, World};
use lamppost::store::edit::Patch;
use sqlx::PgPool;

use crate::support::{Dice, Town, rectangle, town};
use crate::tiles::decode;

fn percent(filter: &str) -> String {
    filter.bytes().map(|b| format!("%{b:02X}")).collect()
}

async fn matched(town: &Town, layer: &str, filter: &str) -> u64 {
    let path = format!("/collections/{layer}/items?limit=0&filter={}", percent(filter));
    town.json(&path).await["numberMatched"].as_u64().unwrap()
}

/// What the tiles of a zoom that hold some spots show of a layer under a filter.
async fn shown(town: &Town, layer: &str, filter: &str, z: u8, spots: &[(f64, f64)]) -> u64 {
    let mut tiles: Vec<TileId> = spots.iter().map(|(x, y)| World::at(*x, *y).tile(z)).collect();
    tiles.sort_unstable();
    tiles.dedup();
    let mut sum = 0;
    for t in tiles {
        let path = format!("/tiles/{layer}/{z}/{}/{}?filter={}", t.x(), t.y(), percent(filter));
        for (_, properties, geometry) in decode(&town.get(&path).await.bytes, layer) {
            let geo::Geometry::Point(p) = geometry else {
                panic!("{geometry:?}")
            };
            if (0.0..4096.0).contains(&p.x()) && (0.0..4096.0).contains(&p.y()) {
                sum += properties.get("point_count").map_or(1, |n| n.parse::<u64>().unwrap());
            }
        }
    }
    sum
}

/// A filter, and the same question as SQL.
const SAME: &[(&str, &str)] = &[
    ("state = 'damaged'", "state = 'damaged'"),
    (
        "state IN ('damaged','missing') AND ownership_status <> 'disputed'",
        "state in ('damaged','missing') and ownership_status <> 'disputed'",
    ),
    (
        "class='0118' and not (state='intact')",
        "class = (select id from class where code = '0118' and scheme = 'CJT214-2007') and state <> 'intact'",
    ),
    ("owner = 'P-GAS'", "owner = (select id from party where code = 'P-GAS')"),
    ("owner IS NULL", "owner is null"),
    (
        "NOT owner LIKE 'P-G%'",
        "owner in (select id from party where code not like 'P-G%')",
    ),
    (
        "name LIKE '%灯%' OR state = 'abandoned'",
        "coalesce(name like '%灯%', false) or state = 'abandoned'",
    ),
    ("code >= '1201030118000100'", "code collate \"C\" >= '1201030118000100'"),
    ("version BETWEEN 3 AND 9", "version between 3 and 9"),
    ("id > 100", "id > 100"),
    (
        "state='damaged' AND owner IS NOT NULL",
        "state = 'damaged' and owner is not null",
    ),
    ("property_kind IS NULL", "property_kind is null"),
];

async fn varied(town: &Town) -> (Vec<i64>, Vec<(f64, f64)>) {
    let mut dice = Dice::new(21);
    town.sql("insert into party (code, name) values ('P-GAS', '燃气公司'), ('P-LIGHT', '路灯所')")
        .await;
    let party = |code: &'static str| {
        let pool = town.pool.clone();
        async move {
            sqlx::query_scalar::<_, i32>("select id from party where code = $1")
                .bind(code)
                .fetch_one(&pool)
                .await
                .unwrap()
        }
    };
    let owners = [None, Some(party("P-GAS").await), Some(party("P-LIGHT").await)];
    let class = town.class("CJT214-2007", "0118").await;
    let spots: Vec<(f64, f64)> = (0..240).map(|_| dice.spot()).collect();
    let drafts: Vec<Draft> = spots
        .iter()
        .enumerate()
        .map(|(i, (lon, lat))| Draft {
            state: State::ALL[dice.below(4)],
            name: (i % 3 == 0).then(|| format!("{}灯{i}", if i % 2 == 0 { "路" } else { "桥" })),
            ..Draft::new(class, geo::Point::new(*lon, *lat).into())
        })
        .collect();
    let ids = town.add(&drafts).await;
    for (i, id) in ids.iter().enumerate() {
        let owner = owners[i % 3];
        let status = OwnershipStatus::ALL[dice.below(6)];
        sqlx::query(
            "update component set owner = $1, ownership_status = $2, scheme = 'CJT214-2007', code = $3 where id = $4",
        )
        .bind(owner)
        .bind(status.key())
        .bind(format!("12010301180{:05}", i))
        .bind(id)
        .execute(&town.pool)
        .await
        .unwrap();
    }
    town.sql("update component set property_kind = 'social' where id % 2 = 0")
        .await;
    for id in &ids[..40] {
        town.move_to(*id, dice.spot().0, dice.spot().1).await;
    }
    town.settle().await;
    let spots = sqlx::query_as("select st_x(geom), st_y(geom) from component order by id")
        .fetch_all(&town.pool)
        .await
        .unwrap();
    (ids, spots)
}

#[sqlx::test]
async fn lists_and_tiles_let_through_what_sql_lets_through(pool: PgPool) {
    let town = town(pool).await;
    let (_, spots) = varied(&town).await;
    for (filter, sql) in SAME {
        let sql = format!("select count(*) from component where state <> 'retired' and ({sql})");
        let expected: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&town.pool)
            .await
            .unwrap();
        assert!(
            expected > 0 && expected < 240,
            "{filter} tells nothing apart: {expected}"
        );
        assert_eq!(matched(&town, "lamps", filter).await, expected as u64, "{filter}");
        for z in [0, 8, 12, 14, 16] {
            assert_eq!(
                shown(&town, "lamps", filter, z, &spots).await,
                expected as u64,
                "{filter} at zoom {z}"
            );
        }
    }
    // What a bin of several says of its members' states is filtered, too.
    let path = format!("/tiles/lamps/6/{}?filter={}", "52/24", percent("state='damaged'"));
    for (_, properties, _) in decode(&town.get(&path).await.bytes, "lamps") {
        assert!(!properties.contains_key("intact"), "{properties:?}");
    }
}

#[sqlx::test]
async fn other_things_than_components_are_filtered_by_their_own_properties(pool: PgPool) {
    let town = town(pool).await;
    town.sql(
        "insert into road (name, class, geom) values
           ('甲路', 'arterial', st_geomfromtext('MULTILINESTRING((117.2 39.1, 117.25 39.1))', 4326)),
           ('乙路', 'lane', st_geomfromtext('MULTILINESTRING((117.2 39.11, 117.25 39.11))', 4326)),
           (null, 'lane', st_geomfromtext('MULTILINESTRING((117.2 39.12, 117.25 39.12))', 4326))",
    )
    .await;
    town.settle().await;
    assert_eq!(matched(&town, "roads", "class = 'lane'").await, 2);
    assert_eq!(matched(&town, "roads", "name IS NULL").await, 1);
    assert_eq!(matched(&town, "roads", "name <> '甲路'").await, 1);
    let t = World::at(117.21, 39.11).tile(13);
    for z in [13u8, 3] {
        let t = World::at(117.21, 39.11).tile(z);
        let path = format!(
            "/tiles/roads/{z}/{}/{}?filter={}",
            t.x(),
            t.y(),
            percent("class = 'lane'")
        );
        let tile = decode(&town.get(&path).await.bytes, "roads");
        let count = |f: &crate::tiles::Feature| f.1.get("point_count").map_or(1, |n| n.parse().unwrap());
        assert_eq!(tile.iter().map(count).sum::<u64>(), 2, "{tile:?}");
    }
    // A road that gets another class leaves the filtered tile.
    let path = format!(
        "/tiles/roads/13/{}/{}?filter={}",
        t.x(),
        t.y(),
        percent("class = 'lane'")
    );
    town.sql("update road set class = 'local' where name = '乙路'").await;
    town.settle().await;
    assert_eq!(decode(&town.get(&path).await.bytes, "roads").len(), 1);
}

#[sqlx::test]
async fn a_wrong_filter_is_told_where_it_is_wrong(pool: PgPool) {
    let town = town(pool).await;
    for path in [
        "/tiles/lamps/14/13526/6255",
        "/tiles/lamps",
        "/collections/lamps/items",
        "/collections/lamps/nearest",
    ] {
        let more = if path.ends_with("nearest") { "&point=117,39" } else { "" };
        for (filter, at) in [
            ("ownr = 'x'", "1"),
            ("state = 'damagd'", "9"),
            ("state = 'intact' and", ""),
        ] {
            let answer = town
                .get(&format!("{path}?lang=en&filter={}{more}", percent(filter)))
                .await;
            assert_eq!(answer.status, 400, "{path} {filter}");
            let fault = answer.json()["errors"][0].clone();
            assert_eq!(fault["parameter"], "filter");
            let detail = fault["detail"].as_str().unwrap();
            assert!(detail.contains(&format!("at character {at}")), "{filter}: {detail}");
        }
    }
    // A property that one of two layers lacks.
    let answer = town
        .get(&format!(
            "/tiles/lamps,roads/14/13526/6255?filter={}",
            percent("state = 'intact'")
        ))
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        town.get("/collections/lamps/items?filter-lang=cql2-json&filter=x")
            .await
            .status,
        400
    );
    // TileJSON leads to the filtered tiles, in the filter's one form.
    let json = town
        .json(&format!(
            "/tiles/lamps?coords=bd09&filter={}",
            percent("'damaged'=state")
        ))
        .await;
    let url = json["tiles"][0].as_str().unwrap();
    assert!(
        url.ends_with("?coords=bd09&filter=state%20%3D%20%27damaged%27") || url.contains("filter=state%20IN"),
        "{url}"
    );
}

#[sqlx::test]
async fn spelling_does_not_split_the_cache_and_only_touched_tiles_are_dropped(pool: PgPool) {
    let town = town(pool).await;
    // Two lamps in one tile of zoom 16, and one in its western neighbour, 10 units from the common edge.
    let home = World::at(117.2172, 39.1096).tile(16);
    let b = home.bounds(0);
    let (west, inside) = (b[0] - (b[2] - b[0]) * 10.0 / 4096.0, (b[0] + b[2]) / 2.0);
    let lat = (b[1] + b[3]) / 2.0;
    let ids = town.lamps(&[(inside, lat), (inside + 1e-4, lat), (west, lat)]).await;
    let cache = &town.state.cache;
    let tile = |filter: &str| format!("/tiles/lamps/16/{}/{}?filter={}", home.x(), home.y(), percent(filter));
    let hit = async |path: String| {
        let before = cache.hits.load(Relaxed);
        let answer = town.get(&path).await;
        (cache.hits.load(Relaxed) > before, answer.bytes)
    };
    assert!(!hit(tile("state = 'damaged' AND owner IS NULL")).await.0);
    assert!(
        hit(tile("owner is null   and ('damaged') = state")).await.0,
        "one form, one tile"
    );
    assert!(!hit(tile("state = 'missing'")).await.0);

    // An edit from intact to abandoned: neither filter lets it through, before or after.
    let dropped = cache.dropped.load(Relaxed);
    town.set_state(ids[0], State::Abandoned).await;
    assert!(hit(tile("state = 'damaged' AND owner IS NULL")).await.0);
    assert!(hit(tile("state = 'missing'")).await.0);
    assert_eq!(
        cache.dropped.load(Relaxed),
        dropped,
        "nothing that is kept shows the edit"
    );

    // To damaged: one filter lets it through after.
    town.set_state(ids[0], State::Damaged).await;
    let (was_hit, bytes) = hit(tile("state = 'damaged' AND owner IS NULL")).await;
    assert!(!was_hit && decode(&bytes, "lamps").len() == 1);
    assert!(hit(tile("state = 'missing'")).await.0);
    assert_eq!(cache.dropped.load(Relaxed), dropped + 1);
    // And away again.
    town.set_state(ids[0], State::Intact).await;
    let (was_hit, bytes) = hit(tile("state = 'damaged' AND owner IS NULL")).await;
    assert!(!was_hit && decode(&bytes, "lamps").is_empty());

    // An edit in the neighbour's strip that the buffer shows drops this tile, too.
    let plain = format!("/tiles/lamps/16/{}/{}", home.x(), home.y());
    let far = format!("/tiles/lamps/16/{}/{}", home.x() + 1, home.y());
    let (_, bytes) = hit(plain.clone()).await;
    assert_eq!(decode(&bytes, "lamps").len(), 3);
    hit(far.clone()).await;
    town.set_state(ids[2], State::Missing).await;
    let (was_hit, bytes) = hit(plain.clone()).await;
    assert!(!was_hit);
    assert!(decode(&bytes, "lamps").iter().any(|f| f.1["state"] == "missing"));
    assert!(hit(far).await.0, "the tile beyond does not show it");

    // What no tile draws drops nothing.
    let dropped = cache.dropped.load(Relaxed);
    let note = Patch {
        attributes: serde_json::json!({"turn": 1}).as_object().cloned(),
        ..Patch::default()
    };
    town.set(ids[1], note).await;
    assert!(hit(plain).await.0);
    assert_eq!(cache.dropped.load(Relaxed), dropped);
    // A polygon elsewhere in the town is none of the lamps' business.
    let park = town.class("CJT214-2007", "0405").await;
    town.add(&[Draft::new(park, rectangle(b[0], b[1], b[2], b[3]))]).await;
    assert_eq!(cache.dropped.load(Relaxed), dropped);
}
