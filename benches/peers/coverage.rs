//! Coverage: the solver beside PostGIS on the same circles, what the service takes for a rate, a radius and a tile after an edit, and where to build next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lamppost::spatial::cover::{Ground, Plot, Solver};
use lamppost::spatial::local::Local;
use lamppost::spatial::overlay::{Dot, Overlay, PER_METRE, corners, twice_all};
use lamppost::spatial::position::LonLat;
use lamppost::spatial::site::{Site, Sites};

use crate::http::{Connection, get};
use crate::node::{self, City, Node};
use crate::report::{doing, figure, median, quantile, short, target};
use crate::{Result, Settings};

/// The corner of the square of 10 × 10 km, in metres of EPSG:4548.
const CORNER: (f64, f64) = (510_000.0, 4_325_000.0);
const SIDE: f64 = 10_000.0;
/// Edits a second while tiles are looked at, and for how long.
const EDITS: u64 = 50;
const SECONDS: u64 = 20;

pub(crate) async fn run(settings: &Settings) -> Result<()> {
    println!("\n### {}, coverage\n", settings.label);
    let node = node::owner(settings, &settings.dir, "lamppost-coverage", 64).await?;
    let city = City::open(&settings.dir).await?;
    for (sites, metres, times) in [(500, 500.0, 10.0), (20_000, 300.0, 20.0)] {
        circles(&city, sites, metres, times).await?;
    }
    rates(&node).await?;
    beside(&node, &city).await?;
    edits(&node, &city).await
}

/// Blind spots of a square under circles, by both.
async fn circles(city: &City, n: usize, metres: f64, wanted: f64) -> Result<()> {
    doing(format!("{n} circles of {metres} m"));
    let mut seed = 88_172_645_463_325_252_u64;
    let mut roll = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as f64 / (1u64 << 53) as f64
    };
    let places: Vec<(f64, f64)> = (0..n).map(|_| (roll() * SIDE, roll() * SIDE)).collect();
    let middle = LonLat::new(117.2, 39.1).map_err(|t| t.en)?;
    let local = Local::about(middle).map_err(|t| t.en)?;
    // Both in the same plane: the ground's metres are made its own.
    let step = |metres: f64| (metres * PER_METRE).round() as i32;
    let half = step(SIDE / 2.0);
    let dot = |(x, y): (f64, f64)| Dot::new(step(x) - half, step(y) - half);
    let (mut ours, mut area, mut spots) = (Vec::new(), 0.0, 0);
    for _ in 0..9 {
        let plot = Plot {
            rings: vec![corners([-half, -half, half, half])],
            people: None,
        };
        let start = Instant::now();
        let ground = Ground::new(local, &[plot]);
        let site = |(i, p): (usize, &(f64, f64))| {
            Site::new(i as u64, vec![vec![dot(*p)]], 0.0, metres * PER_METRE).map(Arc::new)
        };
        let sites: Sites = places.iter().enumerate().filter_map(site).collect();
        let blind = Solver::default()
            .each(&ground, ground.pieces.iter(), &sites, &|_| false)
            .ok_or("stopped")?;
        let rings = ground
            .pieces
            .iter()
            .zip(&blind)
            .flat_map(|(piece, blind)| blind.rings(piece));
        let polygons = Overlay::default().polygons(rings);
        ours.push(start.elapsed().as_secs_f64() * 1e3);
        let twice: i64 = polygons.iter().map(|p| twice_all(p)).sum();
        (area, spots) = (twice as f64 / (2.0 * PER_METRE * PER_METRE), polygons.len());
    }
    let (x, y): (Vec<f64>, Vec<f64>) = places.iter().map(|(x, y)| (x + CORNER.0, y + CORNER.1)).unzip();
    let (mut theirs, mut their_area) = (Vec::new(), 0.0);
    for _ in 0..3 {
        let start = Instant::now();
        their_area = sqlx::query_scalar::<_, f64>(
            "with reach as (select st_union(st_buffer(st_setsrid(st_point(x, y), 4548), $3, 'quad_segs=64')) as g from unnest($1::float8[], $2::float8[]) as u(x, y)),
               blind as (select (st_dump(st_difference(st_makeenvelope($4, $5, $4 + $6, $5 + $6, 4548), g))).geom as g from reach)
             select coalesce(sum(st_area(g)), 0) from blind",
        )
        .bind(&x)
        .bind(&y)
        .bind(metres)
        .bind(CORNER.0)
        .bind(CORNER.1)
        .bind(SIDE)
        .fetch_one(&city.pool)
        .await?;
        theirs.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let whole = SIDE * SIDE;
    if (area - their_area).abs() > 1e-3 * whole {
        return Err(format!("blind: {area} m² by us, {their_area} by PostGIS").into());
    }
    let (own, peer) = (median(ours), median(theirs));
    target(
        format!(
            "blind spots of {n} circles of {metres} m over 10 × 10 km, as {spots} polygons: ms, PostGIS's ms, times less"
        ),
        format!("{}, {}, {}", short(own), short(peer), short(peer / own)),
        format!("{wanted}"),
        peer / own >= wanted,
    );
    Ok(())
}

/// Milliseconds of one answer.
async fn took(connection: &mut Connection, node: &Node, path: &str) -> Result<f64> {
    let start = Instant::now();
    let status = connection.ask(&get(node.at, path, false)).await?;
    match status {
        200 | 204 => Ok(start.elapsed().as_secs_f64() * 1e3),
        _ => Err(format!("{path} answered {status}").into()),
    }
}

async fn rates(node: &Node) -> Result<()> {
    doing("rates and radii");
    let mut connection = Connection::open(node.at).await?;
    // Every area by its code: the demo city has one district for each 134,000 components.
    let district = "within-area=120103&denominator=residential";
    figure(
        "ms of the first rate of a district, land cut and facilities gathered",
        short(took(&mut connection, node, &format!("/coverage/parks?{district}")).await?),
    );
    let mut each = Vec::new();
    for radius in (100..=500).step_by(20) {
        each.push(
            took(
                &mut connection,
                node,
                &format!("/coverage/parks?{district}&radius={radius}"),
            )
            .await?,
        );
    }
    let longest = quantile(each.iter().copied(), 1.0);
    target(
        "ms of a new radius, parks of a district, median and longest of 21",
        format!("{}, {}", short(median(each)), short(longest)),
        "50",
        longest <= 50.0,
    );
    let mut each = Vec::new();
    for radius in (100..=500).step_by(40) {
        each.push(
            took(
                &mut connection,
                node,
                &format!("/coverage/parks?denominator=residential&radius={radius}"),
            )
            .await?,
        );
    }
    figure(
        "ms of a new radius, all of the city, median and longest of 11",
        format!(
            "{}, {}",
            short(median(each.iter().copied())),
            short(quantile(each, 1.0))
        ),
    );
    let siting = format!("/siting/toilets?{district}&on=commercial&sites=20&weight=people");
    figure(
        "ms of 20 toilets, greedy",
        short(took(&mut connection, node, &format!("{siting}&seconds=0")).await?),
    );
    figure(
        "ms of 20 toilets, optimum sought for 20 s at most",
        short(took(&mut connection, node, &format!("{siting}&seconds=20")).await?),
    );
    Ok(())
}

/// What tiles take while four clients ask for one analysis after another, and alone, by turns.
async fn beside(node: &Node, city: &City) -> Result<()> {
    doing("tiles beside four analyses");
    let places: Vec<(f64, f64)> = sqlx::query_as(
        "select st_x(p), st_y(p) from (select st_pointonsurface(geom) as p from component order by md5(id::text) limit 2000) c",
    )
    .fetch_all(&city.pool)
    .await?;
    let analysis = |radius: f64| format!("/coverage/toilets?denominator=residential&radius={radius}");
    let mut connection = Connection::open(node.at).await?;
    took(&mut connection, node, &analysis(99.0)).await?;
    let (mut alone, mut busy, mut analyses, mut asked) = (Vec::new(), Vec::new(), 0, 0);
    for turn in 0..8 {
        let beside = turn % 2 == 1;
        let mut clients = Vec::new();
        for client in 0..if beside { 4 } else { 0 } {
            let at = node.at;
            clients.push(tokio::spawn(async move {
                let mut connection = Connection::open(at).await.ok()?;
                for i in 0..100_000 {
                    let radius = 100.0 + f64::from(client) * 101.0 + f64::from(turn) * 7.0 + f64::from(i) * 0.013;
                    connection.ask(&get(at, &analysis(radius), false)).await.ok()?;
                    ANALYSES.fetch_add(1, Ordering::Relaxed);
                }
                Some(())
            }));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (before, start) = (ANALYSES.load(Ordering::Relaxed), Instant::now());
        while start.elapsed() < Duration::from_secs(2) {
            let (lon, lat) = places[asked % places.len()];
            let at = lamppost::spatial::tile_id::World::at(lon, lat).tile(14);
            asked += 1;
            // Each with a filter of its own, so that none is kept.
            let path = format!(
                "/tiles/components/14/{}/{}?filter=version%3C{}",
                at.x(),
                at.y(),
                1_000_000 + asked
            );
            let took = took(&mut connection, node, &path).await?;
            if beside { busy.push(took) } else { alone.push(took) }
        }
        analyses += ANALYSES.load(Ordering::Relaxed) - before;
        clients.iter().for_each(|c| c.abort());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let (own, theirs) = (median(alone.iter().copied()), median(busy.iter().copied()));
    let slow = |all: &[f64]| short(quantile(all.iter().copied(), 0.95));
    target(
        format!(
            "ms of a tile at z14, made anew, alone and beside four clients with analyses ({analyses} of them), medians (95 of 100: {}, {}); times as long",
            slow(&alone),
            slow(&busy)
        ),
        format!("{}, {}, {}", short(own), short(theirs), short(theirs / own)),
        "1.2",
        theirs / own <= 1.2,
    );
    Ok(())
}

/// Analyses answered to those four.
static ANALYSES: AtomicU64 = AtomicU64::new(0);

/// How soon a tile of coverage shows an edit, while others are made.
async fn edits(node: &Node, city: &City) -> Result<()> {
    doing(format!("tiles under {EDITS} edits a second"));
    let toilets: Vec<(i64, f64, f64)> = sqlx::query_as(
        "select c.id, st_x(c.geom), st_y(c.geom) from component c join class k on k.id = c.class
         where k.code = '0301' and c.state in ('intact', 'damaged') order by c.id",
    )
    .fetch_all(&city.pool)
    .await?;
    let (sample, others) = toilets.split_first().ok_or("the city has no toilet")?;
    let far: Vec<i64> = others
        .iter()
        .filter(|t| (t.1 - sample.1).hypot(t.2 - sample.2) > 0.02)
        .map(|t| t.0)
        .collect();
    if far.is_empty() {
        return Err("every toilet is near the first".into());
    }
    let pool = city.pool.clone();
    let writer = tokio::spawn(async move {
        let start = Instant::now();
        for n in 0..EDITS * SECONDS {
            let toggle =
                "update component set state = case state when 'intact' then 'missing' else 'intact' end where id = $1";
            let _ = sqlx::query(toggle)
                .bind(far[n as usize % far.len()])
                .execute(&pool)
                .await;
            tokio::time::sleep_until((start + Duration::from_micros(1_000_000 / EDITS * (n + 1))).into()).await;
        }
    });
    let at = lamppost::spatial::tile_id::World::at(sample.1, sample.2).tile(15);
    let path = format!(
        "/tiles/coverage-toilets/15/{}/{}?denominator=residential",
        at.x(),
        at.y()
    );
    let mut connection = Connection::open(node.at).await?;
    let (mut seen, mut gone) = (Vec::new(), false);
    while !writer.is_finished() {
        connection.ask(&get(node.at, &path, false)).await?;
        let before = connection.body().to_vec();
        gone = !gone;
        let state = if gone { "missing" } else { "intact" };
        let start = Instant::now();
        sqlx::query("update component set state = $2 where id = $1")
            .bind(sample.0)
            .bind(state)
            .execute(&city.pool)
            .await?;
        loop {
            connection.ask(&get(node.at, &path, false)).await?;
            if connection.body() != before {
                break;
            }
            if start.elapsed() > Duration::from_secs(5) {
                return Err("an edit did not show for 5 s".into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        seen.push(start.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let (half, longest) = (median(seen.iter().copied()), quantile(seen.iter().copied(), 1.0));
    target(
        format!(
            "ms from before an edit until its tile of coverage shows it, median and longest of {}",
            seen.len()
        ),
        format!("{}, {}", short(half), short(longest)),
        "1000",
        longest <= 1000.0,
    );
    Ok(())
}
