//! Distance measured from entrances, against PostGIS.

use std::sync::Arc;

use lamppost::coverage::figures::total;
use lamppost::coverage::{Question, never};
use lamppost::domain::component::Draft;
use lamppost::domain::grant::Rights;
use lamppost::domain::rule::Rule;
use lamppost::domain::word::State;
use sqlx::PgPool;

use crate::support::{Dice, Town, point, rectangle, town};

const RULE: &str = r#"
title_zh = "公园入口"
title_en = "From the gates of parks"
layer = "parks"
states = ["intact"]
measured_from = "entrance"
entrances = { layer = "components", filter = "class = '0213'", within = 15 }
[[radius]]
metres = 300
source = { text = "test", verified = false }
[[denominator]]
key = "residential"
title_zh = "居住用地"
title_en = "Residential land"
kinds = ["residential"]
"#;

/// The rate, by PostGIS: parks reach from the gates within 15 m of them, those without any from their boundary.
async fn theirs(town: &Town) -> f64 {
    sqlx::query_scalar(
        "with gate as (select c.geom from component c join class k on k.id = c.class where k.code = '0213' and c.state = 'intact'),
           park as (select c.id, c.geom from component c join class k on k.id = c.class where k.code = '0405' and c.state = 'intact'),
           own as (select p.id, g.geom from park p join gate g on st_distance(p.geom::geography, g.geom::geography) <= 15),
           place as (select geom from own union all select geom from park where id not in (select id from own)),
           reach as (select st_union(st_buffer(geom::geography, 300, 'quad_segs=64')::geometry) as g from place),
           land as (select st_union(geom) as g from land where kind = 'residential')
         select st_area(st_intersection(land.g, reach.g)::geography) / st_area(land.g::geography) from land, reach",
    )
    .fetch_one(&town.pool)
    .await
    .unwrap()
}

#[sqlx::test]
async fn parks_reach_from_their_gates_and_follow_them(pool: PgPool) {
    let town = town(pool).await;
    town.sql(
        "insert into land (kind, geom) select 'residential', st_multi(st_makeenvelope(117.20 + x * 0.004, 39.08 + y * 0.004, 117.2035 + x * 0.004, 39.0835 + y * 0.004, 4326))
         from generate_series(0, 9) x, generate_series(0, 9) y",
    )
    .await;
    let (park, gate) = (
        town.class("CJT214-2007", "0405").await,
        town.class("CJT214-2007", "0213").await,
    );
    let mut drafts = Vec::new();
    for n in 0..6 {
        let (x, y) = (117.202 + f64::from(n % 3) * 0.012, 39.084 + f64::from(n / 3) * 0.018);
        drafts.push(Draft::new(park, rectangle(x, y, x + 0.003, y + 0.003)));
        // One park has no gate, one has two, and one gate is too far off.
        for gates in 0..[1, 0, 2, 1, 1, 1][n as usize] {
            let off = if n == 4 { 0.0005 } else { 0.00005 };
            drafts.push(Draft::new(gate, point(x - off + f64::from(gates) * 0.0031, y + 0.001)));
        }
    }
    let ids = town.add(&drafts).await;
    let rule = Arc::new(Rule::parse("gates", RULE).unwrap());
    let question = Question::of_rule(&rule, None, Rights::default()).unwrap();
    let own = || {
        let (memory, state) = (town.state.index.read(), &town.state);
        let outcome = state.coverages.of(&memory, &state.matchers, &question, &never).unwrap();
        total(&outcome).rate().unwrap()
    };
    let check = async |why: &str| {
        let (own, theirs) = (own(), theirs(&town).await);
        assert!((own - theirs).abs() < 1e-3, "{why}: {own} {theirs}");
        own
    };
    let first = check("at first").await;
    let mut dice = Dice::new(9);
    let mut rates = vec![first];
    for round in 0..6 {
        // A gate is walled up, opened, moved to another side; a park goes.
        let id = ids[dice.below(ids.len())];
        match round % 3 {
            0 => _ = town.set_state(id, State::Missing).await,
            1 => _ = town.set_state(id, State::Intact).await,
            _ => _ = town.move_to(ids[1], 117.2035 + dice.roll() * 0.0005, 39.08705).await,
        }
        rates.push(check(&format!("round {round}")).await);
    }
    assert!(rates.iter().any(|r| (r - first).abs() > 0.001), "{rates:?}");
    let both = RULE.replace("measured_from = \"entrance\"", "measured_from = \"point\"");
    assert!(Rule::parse("gates", &both).unwrap_err()[0].en.contains("go together"));
}
