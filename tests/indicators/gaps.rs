//! Gaps along streets, against PostGIS.

use lamppost::domain::word::State;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Dice, Town, town};

/// A bent arterial, a lane in two parts, and a local road where nothing stands.
const ROADS: &str = "
insert into road (name, class, geom) values
  ('南京路', 'arterial', st_geomfromtext('MULTILINESTRING((117.20 39.10, 117.215 39.10, 117.22 39.108, 117.24 39.108))', 4326)),
  ('小巷', 'lane', st_geomfromtext('MULTILINESTRING((117.20 39.12, 117.204 39.12), (117.206 39.12, 117.209 39.12))', 4326)),
  ('暗路', 'local', st_geomfromtext('MULTILINESTRING((117.25 39.10, 117.25 39.104))', 4326));
";

pub(super) async fn streets(pool: PgPool) -> (Town, Vec<i64>) {
    let town = town(pool).await;
    town.sql(ROADS).await;
    let mut dice = Dice::new(7);
    let mut at = Vec::new();
    for _ in 0..60 {
        let x = 117.20 + dice.roll() * 0.04;
        let y = if x < 117.215 {
            39.1
        } else if x < 117.22 {
            39.1 + (x - 117.215) * 1.6
        } else {
            39.108
        };
        at.push((x, y + 0.00005));
    }
    at.extend((0..8).map(|n| (117.2005 + f64::from(n) * 0.0011, 39.12)));
    let ids = town.lamps(&at).await;
    town.sql(
        "update component c set road = (select r.id from road r where st_distance(r.geom::geography, c.geom::geography) < 100
           order by st_distance(r.geom::geography, c.geom::geography) limit 1);
         update component set road = null where id = (select max(id) from component)",
    )
    .await;
    (town, ids)
}

/// Lengths of the gaps longer than some metres, by PostGIS: the longest first; and all metres of street.
async fn by_postgis(town: &Town, longer: f64) -> (Vec<f64>, f64) {
    let gaps: Vec<(f64,)> = sqlx::query_as(
        "with part as (select r.id, d.path[1] as n, d.geom as g from road r, st_dump(r.geom) d),
           at as (select p.id, p.n, st_linelocatepoint(p.g, c.geom) as f from component c join part p on p.id = c.road
             where c.state = 'intact' and p.n = (select q.n from part q where q.id = c.road order by st_distance(q.g, c.geom) limit 1)),
           stop as (select id, n, f from at union all select id, n, 0 from part union all select id, n, 1 from part),
           pair as (select id, n, f, lead(f) over (partition by id, n order by f) as t from stop)
         select m from (select st_length(st_linesubstring(g, f, t)::geography) as m from pair join part using (id, n) where t > f) s
         where m > $1 order by m desc",
    )
    .bind(longer)
    .fetch_all(&town.pool)
    .await
    .unwrap();
    let (all,): (f64,) = sqlx::query_as("select sum(st_length(geom::geography)) from road")
        .fetch_one(&town.pool)
        .await
        .unwrap();
    (gaps.into_iter().map(|g| g.0).collect(), all)
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("{v} is no number"))
}

#[sqlx::test]
async fn stretches_without_a_lamp_are_those_of_postgis(pool: PgPool) {
    let (town, ids) = streets(pool).await;
    let mut dice = Dice::new(3);
    for longer in [20.0, 40.0, 75.0, 150.0, 500.0] {
        let (theirs, all) = by_postgis(&town, longer).await;
        let own = town.json(&format!("/gaps/lamps?longer={longer}&state=intact")).await;
        assert_eq!(own["gaps"], json!(theirs.len()), "{longer}: {own}");
        assert!((number(&own["streets_m"]) / all - 1.0).abs() < 1e-5, "{all} {own}");
        for (feature, length) in own["features"].as_array().unwrap().iter().zip(&theirs) {
            let said = number(&feature["properties"]["length_m"]);
            // Places along a line are found in the plane here and among degrees there, which differ on a slant.
            assert!((said - length).abs() < 0.8, "{said} {length}");
            let drawn: (f64,) = sqlx::query_as("select st_length(st_geomfromgeojson($1)::geography)")
                .bind(feature["geometry"].to_string())
                .fetch_one(&town.pool)
                .await
                .unwrap();
            assert!((drawn.0 - said).abs() < 0.2, "{} {said}", drawn.0);
        }
        let id = ids[dice.below(60)];
        town.set_state(id, State::Missing).await;
    }
    // Where nothing stands all is a gap; what is assigned to no road is counted and not looked at.
    let dark = town.json("/gaps/lamps?longer=50&road-class=local").await;
    assert_eq!(
        (&dark["gaps"], &dark["served_share"], &dark["astray"]),
        (&json!(1), &json!(0.0), &json!(1))
    );
    let first = &dark["features"][0]["properties"];
    assert_eq!(
        (&first["road"]["name"], &first["before"]),
        (&json!("暗路"), &Value::Null),
        "{first}"
    );
    let both = town.json("/gaps/lamps?longer=50&road-class=local,lane").await;
    let groups = both["groups"].as_array().unwrap();
    assert_eq!(
        groups.iter().map(|g| g["key"].as_str().unwrap()).collect::<Vec<_>>(),
        ["local", "lane"]
    );
    let csv = town.get("/gaps/lamps?longer=50&f=csv").await;
    assert!(String::from_utf8(csv.bytes).unwrap().contains("南京路"));

    for (path, part) in [
        ("/gaps/lamps?lang=en", "longer"),
        ("/gaps/lamps?longer=0&road-class=sea&state=fine&lang=en", "road-class"),
        ("/gaps/lamps?longer=NaN&lang=en", "1 to 10000"),
    ] {
        let answer = town.get(path).await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(answer.status == 400 && text.contains(part), "{path}: {text}");
    }
    assert_eq!(town.get("/gaps/roads?longer=50").await.status, 404);
}

#[sqlx::test]
async fn without_roads_there_is_nothing_to_say(pool: PgPool) {
    let town = town(pool).await;
    town.lamps(&[(117.2, 39.1)]).await;
    let answer = town.get("/gaps/lamps?longer=50&lang=en").await;
    assert_eq!(answer.status, 404);
    assert!(String::from_utf8_lossy(&answer.bytes).contains("import them first"));
}
