//! Box, radius, nearest and area, asked three ways: of memory, of a naive loop, and of PostGIS.

use geo::{Distance, Geodesic, Point};
use sqlx::PgPool;

use crate::support::{Dice, Town, town};
use lamppost::domain::component::Draft;

async fn scattered(pool: PgPool) -> (Town, Vec<(i64, f64, f64)>, Dice) {
    let town = town(pool).await;
    let mut dice = Dice::new(42);
    let mut spots: Vec<(f64, f64)> = (0..600).map(|_| dice.spot()).collect();
    // Far away, at the poles, on the antimeridian, two at one place.
    spots.extend([
        (-179.9995, 10.0),
        (179.9995, 10.0),
        (0.0, 89.99),
        (10.0, -89.9),
        (117.21, 39.09),
        (117.21, 39.09),
        (5.0, 60.0),
    ]);
    let ids = town.lamps(&spots).await;
    let all = ids.iter().zip(&spots).map(|(id, (x, y))| (*id, *x, *y)).collect();
    (town, all, dice)
}

/// All ids of a list, page by page through the `next` links.
async fn listed(town: &Town, query: &str) -> Vec<i64> {
    let mut path = format!("/collections/lamps/items?limit=97&{query}");
    let mut ids = Vec::new();
    let mut matched = None;
    loop {
        let page = town.json(&path).await;
        let features = page["features"].as_array().unwrap();
        ids.extend(features.iter().map(|f| f["id"].as_i64().unwrap()));
        assert_eq!(page["numberReturned"], features.len());
        assert_eq!(
            *matched.get_or_insert(page["numberMatched"].as_u64().unwrap()),
            page["numberMatched"].as_u64().unwrap()
        );
        let links = page["links"].as_array().unwrap();
        match links.iter().find(|l| l["rel"] == "next") {
            Some(next) => path = next["href"].as_str().unwrap().replace("http://localhost", ""),
            None => break,
        }
    }
    assert_eq!(matched, Some(ids.len() as u64));
    ids.sort_unstable();
    ids
}

#[sqlx::test]
async fn a_box_holds_what_a_loop_and_postgis_find(pool: PgPool) {
    let (town, all, mut dice) = scattered(pool).await;
    for turn in 0..30 {
        let (a, b) = (dice.spot(), dice.spot());
        let (w, s, e, n) = (a.0.min(b.0), a.1.min(b.1), a.0.max(b.0), a.1.max(b.1));
        let naive: Vec<i64> = all
            .iter()
            .filter(|(_, x, y)| w <= *x && *x <= e && s <= *y && *y <= n)
            .map(|p| p.0)
            .collect();
        let sql =
            "select id from component where st_intersects(geom, st_makeenvelope($1, $2, $3, $4, 4326)) order by id";
        let postgis: Vec<i64> = sqlx::query_scalar(sql)
            .bind(w)
            .bind(s)
            .bind(e)
            .bind(n)
            .fetch_all(&town.pool)
            .await
            .unwrap();
        assert_eq!(
            listed(&town, &format!("bbox={w},{s},{e},{n}")).await,
            naive,
            "turn {turn}"
        );
        assert_eq!(postgis, naive);
    }
    // Edges count, and so does the far side of the antimeridian.
    assert_eq!(listed(&town, "bbox=117.21,39.09,117.21,39.09").await.len(), 2);
    assert_eq!(listed(&town, "bbox=179.9,9,-179.9,11").await.len(), 2);
    assert_eq!(listed(&town, "bbox=-180,-90,180,90").await.len(), all.len());
}

#[sqlx::test]
async fn a_radius_holds_what_a_loop_and_postgis_find(pool: PgPool) {
    let (town, all, mut dice) = scattered(pool).await;
    let mut asks: Vec<(f64, f64, f64)> = (0..25)
        .map(|_| {
            let (x, y) = dice.spot();
            (x, y, 20.0 + dice.roll() * 1500.0)
        })
        .collect();
    asks.extend([
        (180.0, 10.0, 200.0),
        (-180.0, 10.0, 100.0),
        (90.0, 90.0, 2000.0),
        (5.0, 60.0, 0.0),
    ]);
    for (x, y, r) in asks {
        let away = |p: &(i64, f64, f64)| Geodesic.distance(Point::new(x, y), Point::new(p.1, p.2));
        let naive: Vec<i64> = all.iter().filter(|p| away(p) <= r).map(|p| p.0).collect();
        let sql = "select id from component where st_dwithin(geom::geography, st_makepoint($1, $2)::geography, $3) order by id";
        let postgis: Vec<i64> = sqlx::query_scalar(sql)
            .bind(x)
            .bind(y)
            .bind(r)
            .fetch_all(&town.pool)
            .await
            .unwrap();
        assert_eq!(
            listed(&town, &format!("near={x},{y}&within={r}")).await,
            naive,
            "{x},{y} within {r}"
        );
        assert_eq!(postgis, naive, "{x},{y} within {r}");
    }
}

#[sqlx::test]
async fn the_nearest_are_those_of_a_loop_and_of_postgis(pool: PgPool) {
    let (town, all, mut dice) = scattered(pool).await;
    let mut asks: Vec<(f64, f64)> = (0..15).map(|_| dice.spot()).collect();
    asks.extend([(180.0, 10.0), (0.0, 90.0), (-60.0, -30.0), (117.21, 39.09)]);
    for (x, y) in asks {
        let mut naive: Vec<(f64, i64)> = all
            .iter()
            .map(|p| (Geodesic.distance(Point::new(x, y), Point::new(p.1, p.2)), p.0))
            .collect();
        naive.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let answer = town
            .json(&format!("/collections/lamps/nearest?point={x},{y}&k=7"))
            .await;
        let found: Vec<i64> = answer["features"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["id"].as_i64().unwrap())
            .collect();
        assert_eq!(found, naive[..7].iter().map(|n| n.1).collect::<Vec<_>>(), "{x},{y}");
        let metres = answer["features"][3]["properties"]["distance_m"].as_f64().unwrap();
        assert!((metres - naive[3].0).abs() < 0.001, "{metres} {}", naive[3].0);
        let sql = "select st_distance(geom::geography, st_makepoint($1, $2)::geography) as d from component order by d limit 7";
        let postgis: Vec<f64> = sqlx::query_scalar(sql)
            .bind(x)
            .bind(y)
            .fetch_all(&town.pool)
            .await
            .unwrap();
        for (ours, theirs) in naive.iter().zip(&postgis) {
            assert!((ours.0 - theirs).abs() < 0.001, "{x},{y}: {} {theirs}", ours.0);
        }
    }
    let capped = town
        .json("/collections/lamps/nearest?point=-60,-30&k=5&within=1000")
        .await;
    assert_eq!(capped["numberReturned"], 0);
}

#[sqlx::test]
async fn an_area_holds_what_postgis_finds_with_its_border(pool: PgPool) {
    let (town, all, _) = scattered(pool).await;
    // Concave, with a hole whose corner is a lamp's own place, and a second part.
    town.sql(
        "insert into area (code, level, name, geom) values ('120103001', 'street', '甲街道', st_geomfromtext('MULTIPOLYGON(
           ((117.20 39.08, 117.25 39.08, 117.25 39.12, 117.225 39.09, 117.20 39.12, 117.20 39.08),
            (117.21 39.09, 117.215 39.09, 117.215 39.085, 117.21 39.085, 117.21 39.09)),
           ((4.9 59.9, 5.0 59.9, 5.0 60.0, 4.9 60.0, 4.9 59.9)))', 4326))",
    )
    .await;
    let sql = "select c.id from component c join area a on st_covers(a.geom, c.geom) order by c.id";
    let postgis: Vec<i64> = sqlx::query_scalar(sql).fetch_all(&town.pool).await.unwrap();
    assert!(postgis.len() > 50 && postgis.len() < all.len());
    assert_eq!(listed(&town, "within-area=120103001").await, postgis);
}

#[sqlx::test]
async fn lines_and_polygons_are_found_by_what_they_touch(pool: PgPool) {
    let town = town(pool).await;
    let park = town.class("CJT214-2007", "0405").await;
    let mut dice = Dice::new(8);
    let mut drafts = Vec::new();
    for _ in 0..60 {
        let (x, y) = dice.spot();
        let triangle = geo::Polygon::new(
            vec![
                (x, y),
                (x + dice.roll() * 0.006, y),
                (x, y + dice.roll() * 0.006),
                (x, y),
            ]
            .into(),
            vec![],
        );
        drafts.push(Draft::new(park, triangle.into()));
    }
    town.add(&drafts).await;
    let ids = |json: serde_json::Value| -> Vec<i64> {
        let mut ids: Vec<i64> = json["features"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["id"].as_i64().unwrap())
            .collect();
        ids.sort_unstable();
        ids
    };
    for _ in 0..25 {
        let (x, y) = dice.spot();
        let (e, n) = (x + 0.004, y + 0.004);
        let sql =
            "select id from component where st_intersects(geom, st_makeenvelope($1, $2, $3, $4, 4326)) order by id";
        let postgis: Vec<i64> = sqlx::query_scalar(sql)
            .bind(x)
            .bind(y)
            .bind(e)
            .bind(n)
            .fetch_all(&town.pool)
            .await
            .unwrap();
        assert_eq!(
            ids(town
                .json(&format!("/collections/parks/items?limit=100&bbox={x},{y},{e},{n}"))
                .await),
            postgis
        );
        let sql = "select id, st_distance(geom::geography, st_makepoint($1, $2)::geography) as d from component order by d, id limit 5";
        let postgis: Vec<(i64, f64)> = sqlx::query_as(sql).bind(x).bind(y).fetch_all(&town.pool).await.unwrap();
        let nearest = town
            .json(&format!("/collections/parks/nearest?point={x},{y}&k=5"))
            .await;
        for (f, (_, metres)) in nearest["features"].as_array().unwrap().iter().zip(&postgis) {
            let ours = f["properties"]["distance_m"].as_f64().unwrap();
            assert!((ours - metres).abs() <= 0.01 + metres * 1e-3, "{ours} {metres}");
        }
    }
}
