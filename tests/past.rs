//! The past is what was answered then: every answer is asked for again later, and has to be the same to the byte.

use chrono::{DateTime, SecondsFormat, Utc};
use lamppost::domain::component::Draft;
use serde_json::Value;
use sqlx::PgPool;

use crate::support::{Dice, Town, point, rectangle, town};

/// Lamps, wells and parks, the last ones as shapes.
async fn city(pool: PgPool) -> Town {
    let town = town(pool).await;
    town.sql("insert into party (code, name) values ('A', '照明所'), ('B', '水务公司'), ('C', '园林局')")
        .await;
    let mut dice = Dice::new(11);
    let mut drafts = Vec::new();
    for code in ["0118", "0101"] {
        let class = town.class("CJT214-2007", code).await;
        for _ in 0..60 {
            let (x, y) = dice.spot();
            drafts.push(Draft::new(class, point(x, y)));
        }
    }
    let sql = "select id from class where 'polygon' = any (geometry) and not restricted order by id limit 1";
    let shaped: i32 = sqlx::query_scalar(sql).fetch_one(&town.pool).await.unwrap();
    for _ in 0..20 {
        let (x, y) = dice.spot();
        drafts.push(Draft::new(shaped, rectangle(x, y, x + 4e-4, y + 4e-4)));
    }
    town.add(&drafts).await;
    town
}

/// Edits of everything that a tile or a list shows, some of them back to where it was.
async fn shuffle(town: &Town, dice: &mut Dice) {
    let seed = dice.roll();
    let sql = format!(
        "select setseed({seed});
         update component set
           state = (array['intact', 'damaged', 'missing', 'retired'])[1 + floor(random() * 4)::int],
           ownership_status = (array['unsurveyed', 'proposed', 'confirmed', 'disputed'])[1 + floor(random() * 4)::int],
           owner = case when random() < 0.3 then null else (select id from party offset floor(random() * 3)::int limit 1) end,
           name = case when random() < 0.5 then null else '第' || floor(random() * 100)::int || '号' end,
           geom = case when random() < 0.5 then geom
             when geometrytype(geom) = 'POINT' then st_point(117.20 + random() * 0.05, 39.08 + random() * 0.04, 4326)
             else st_translate(geom, random() * 0.01 - 0.005, random() * 0.01 - 0.005) end
         where random() < 0.15;"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&town.pool)
        .await
        .unwrap();
    if dice.roll() < 0.5 {
        let at: Vec<(f64, f64)> = (0..5).map(|_| dice.spot()).collect();
        town.lamps(&at).await;
    }
    town.settle().await;
}

/// When the newest revision was recorded.
async fn newest(town: &Town) -> DateTime<Utc> {
    let sql = "select recorded from revision order by number desc limit 1";
    sqlx::query_scalar(sql).fetch_one(&town.pool).await.unwrap()
}

fn said(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A list without what differs by address.
async fn listed(town: &Town, query: &str) -> Value {
    let mut list = town.json(query).await;
    list.as_object_mut().unwrap().remove("links");
    list
}

const TILES: [&str; 7] = [
    "/tiles/components/0/0/0",
    "/tiles/components/11/1690/781",
    "/tiles/lamps,wells/13/6763/3127",
    "/tiles/components/14/13526/6255",
    "/tiles/components/14/13527/6255",
    "/tiles/components/16/54106/25022",
    "/tiles/lamps/15/27053/12511",
];
const LISTS: [&str; 6] = [
    "/collections/components/items?bbox=117.21,39.09,117.23,39.11&limit=500",
    "/collections/lamps/items?near=117.22,39.10&within=900&limit=500",
    "/collections/components/nearest?point=117.22,39.1&k=20&within=2000",
    "/collections/components/items?bbox=117.21,39.09,117.23,39.11&state=retired&limit=500",
    "/collections/components/items?filter=state%3D'damaged'&limit=500&sortby=name",
    "/collections/wells/nearest?point=117.22,39.1&k=20",
];

/// What was answered at a moment.
struct Then {
    at: DateTime<Utc>,
    tiles: Vec<(u16, Vec<u8>)>,
    lists: Vec<Value>,
}

async fn tile(town: &Town, path: &str) -> (u16, Vec<u8>) {
    let answer = town.get(path).await;
    (answer.status.as_u16(), answer.bytes)
}

#[sqlx::test]
async fn tiles_and_lists_are_those_that_were_answered_then(pool: PgPool) {
    let town = city(pool).await;
    let mut dice = Dice::new(5);
    let mut past = Vec::new();
    for _ in 0..21 {
        let (mut tiles, mut lists) = (Vec::new(), Vec::new());
        for path in TILES {
            tiles.push(tile(&town, path).await);
        }
        for query in LISTS {
            lists.push(listed(&town, query).await);
        }
        let at = newest(&town).await;
        past.push(Then { at, tiles, lists });
        shuffle(&town, &mut dice).await;
    }
    let drawn: usize = past[0].tiles.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(drawn > 1000, "nothing was drawn: {drawn}");
    // Not in their order, so that what is kept of one is in the way of another.
    for i in (0..past.len()).map(|i| i * 8 % past.len()) {
        let then = &past[i];
        let at = said(then.at);
        // Tiles before lists: some from what stands in a window, the last one from the whole register, which the lists have left behind.
        for n in [0, 1, 2, 3, 4, 5] {
            let now = tile(&town, &format!("{}?datetime={at}", TILES[n])).await;
            assert!(
                now == then.tiles[n],
                "{i}: {}: {} bytes for {}",
                TILES[n],
                now.1.len(),
                then.tiles[n].1.len()
            );
        }
        for (query, right) in LISTS.iter().zip(&then.lists) {
            assert_eq!(
                &listed(&town, &format!("{query}&datetime={at}")).await,
                right,
                "{i}: {query}"
            );
        }
        assert!(
            tile(&town, &format!("{}?datetime={at}", TILES[6])).await == then.tiles[6],
            "{i}: {}",
            TILES[6]
        );
    }
    let differ = past.windows(2).filter(|w| w[0].tiles != w[1].tiles).count();
    assert_eq!(differ, past.len() - 1, "each moment has its own map");
    assert_eq!(town.differences().await, Vec::<String>::new());
}

#[sqlx::test]
async fn a_past_answer_may_be_kept_and_todays_is_asked_for_again(pool: PgPool) {
    let town = town(pool).await;
    let before = newest(&town).await;
    let lamp = town.lamps(&[(117.2172, 39.1096)]).await[0];
    let first = said(newest(&town).await);
    town.patch(lamp, 1, r#"{"properties": {"name": "改名"}}"#).await;
    let path = format!("/collections/lamps/items/{lamp}");
    assert_eq!(town.json(&path).await["properties"]["name"], "改名");
    assert_eq!(
        town.json(&format!("{path}?datetime={first}")).await["properties"]["name"],
        Value::Null
    );
    assert_eq!(town.get(&format!("{path}?datetime={}", said(before))).await.status, 404);
    let tile = "/tiles/lamps/14/13526/6255";
    let past = town.get(&format!("{tile}?datetime={first}")).await;
    assert_eq!(
        (past.status.as_u16(), past.header("cache-control")),
        (200, "public, max-age=31536000, immutable")
    );
    let none = town.get(&format!("{tile}?datetime={}", said(before))).await;
    assert_eq!(none.status, 204);
    let now = town
        .get(&format!("{tile}?datetime={}", said(newest(&town).await)))
        .await;
    assert_eq!((now.status.as_u16(), now.header("cache-control")), (200, "no-cache"));
    // Cells, areas and roads have no past: what shows them is asked for again.
    let mixed = town
        .get(&format!("/tiles/lamps,cells/14/13526/6255?datetime={first}"))
        .await;
    assert_eq!(mixed.header("cache-control"), "no-cache");
    let cells = town.get(&format!("/collections/cells/items?datetime={first}")).await;
    assert_eq!(cells.status, 400);
    let future = town.get(&format!("{tile}?datetime=2999-01-01")).await;
    assert_eq!(future.status, 400);
    assert!(future.json().to_string().contains("datetime"), "{}", future.json());
    let json = town.json(&format!("/tiles/lamps?datetime={first}")).await;
    let template = json["tiles"][0].as_str().unwrap();
    assert!(template.contains("?datetime=20"), "{template}");
    let sheet = town
        .get(&format!("/collections/lamps/items?f=csv&datetime={first}"))
        .await;
    let sheet = String::from_utf8(sheet.bytes).unwrap();
    assert!(sheet.lines().count() >= 2 && !sheet.contains("改名"), "{sheet}");
}

#[sqlx::test]
async fn what_is_of_a_restricted_class_today_was_so_then(pool: PgPool) {
    let town = town(pool).await;
    let lamp = town.lamps(&[(117.2172, 39.1096), (117.2173, 39.1096)]).await[0];
    let then = said(newest(&town).await);
    let gas = town.class("CJT214-2007", "0111").await;
    // Kept from when it could be seen, as a memory and as a tile.
    assert_eq!(town.json("/collections/lamps/items").await["numberMatched"], 2);
    town.move_to(lamp + 1, 117.2172, 39.1097).await;
    let kept = format!("/collections/lamps/items?datetime={then}");
    let drawn = format!("/tiles/lamps/14/13526/6255?datetime={then}");
    assert_eq!(town.json(&kept).await["numberMatched"], 2);
    let both = town.get(&drawn).await.bytes;
    let sql = format!("update component set class = {gas} where id = {lamp}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&town.pool)
        .await
        .unwrap();
    town.settle().await;
    assert_eq!(
        town.get(&format!("/collections/components/items/{lamp}?datetime={then}"))
            .await
            .status,
        404
    );
    for place in ["", "&bbox=117.2,39.1,117.3,39.2"] {
        let list = town
            .json(&format!("/collections/lamps/items?datetime={then}{place}"))
            .await;
        assert_eq!(list["numberMatched"], 1, "{place}");
    }
    let tile = town
        .get(&format!("/tiles/components/14/13526/6255?datetime={then}"))
        .await;
    let one = town.get(&drawn).await;
    assert_ne!(one.bytes, both);
    assert!(
        one.bytes.len() < both.len() && one.status == 200,
        "the other lamp alone"
    );
    assert!(!tile.bytes.is_empty());

    // One that was of such a class from the beginning is not there either, whatever has become of the lamps since.
    town.add(&[Draft::new(gas, point(117.2174, 39.1096))]).await;
    let then = said(newest(&town).await);
    town.move_to(lamp + 1, 117.2175, 39.1096).await;
    for place in ["", "&bbox=117.2,39.1,117.3,39.2"] {
        let list = town
            .json(&format!("/collections/components/items?datetime={then}{place}"))
            .await;
        assert_eq!(list["numberMatched"], 1, "{place}");
    }
    let groups = town.json(&format!("/statistics?by=class&datetime={then}")).await;
    assert_eq!(groups["total"]["count"], 1);
}
