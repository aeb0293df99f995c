//! Two nodes under load: edits on one, readers on the other, and not one stale tile.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinHandle, JoinSet, LocalSet};
use tokio::time::{Instant, sleep, sleep_until};

use crate::http::{Connection, get};
use crate::node::{self, City, Node};
use crate::report::{doing, figure, quantile, short, target};
use crate::tiles::{self, TileId, ours, read};
use crate::writer::{self, Done, Target};
use crate::{Result, Settings, metrics, mvt};

const EDITS: f64 = 200.0;
const READS: f64 = 5_000.0;
const WRITERS: usize = 8;
const READERS: usize = 64;
const CHECKERS: usize = 16;
const ZOOMS: std::ops::RangeInclusive<u8> = 10..=16;
/// Tiles of a zoom that are compared with PostgreSQL's at the end.
const COMPARED: usize = 400;

/// What the checkers saw on the reading node.
#[derive(Default)]
struct Checked {
    visible: Vec<f64>,
    stale: Vec<String>,
    never: usize,
}

/// Edits on `here`, reads on another node; prints.
pub(crate) async fn run(settings: &Settings, city: &City, here: &Node) -> Result<()> {
    doing("soak: preparing");
    let there = node::guest(settings, city, "lamppost-reader", 256).await?;
    tiles::prepare(settings, city).await?;
    tiles::tidy(city).await?;
    let layer: Rc<str> = settings.layer.id.as_str().into();
    let mut requests = Vec::new();
    for z in ZOOMS {
        for (n, (tile, _)) in tiles::filled(city, z).await?.into_iter().enumerate() {
            requests.push(get(there.at, &ours(&layer, tile, ""), n % 2 == 0));
        }
    }
    shuffle(&mut requests);
    let seconds = settings.soak;
    let targets = writer::targets(settings, city, (EDITS * seconds) as i64 + 100).await?;
    let token = writer::token(settings, &settings.dir)?;
    doing(format!("soak: {seconds} s"));
    let local = LocalSet::new();
    let begin = Instant::now();
    let end = begin + Duration::from_secs_f64(seconds);
    let (tell, told) = mpsc::unbounded_channel();
    let readers = local.spawn_local(read_all(there.at, Rc::new(requests), begin, end));
    let checkers = local.spawn_local(check_all(there.at, layer.clone(), told));
    let writers = local.spawn_local(write_all(
        here.at,
        token.into(),
        layer.clone(),
        targets,
        (begin, end),
        tell,
    ));
    let ended = async |task: JoinHandle<_>| -> Result<_> { task.await? };
    let (written, lagging) = local.run_until(ended(writers)).await?;
    let wrote = begin.elapsed().as_secs_f64();
    let statuses = local.run_until(async { readers.await? }).await?;
    let checked = local.run_until(async { checkers.await? }).await?;
    here.caught_up(city).await?;
    there.caught_up(city).await?;
    doing("soak: comparing with PostgreSQL");
    tiles::prepare(settings, city).await?;
    tiles::tidy(city).await?;
    let (compared, differences) = compare(&city.pool, &there, &layer).await?;

    println!("\n### {}, two nodes for {seconds} s\n", settings.label);
    let (edits, reads) = (written as f64 / wrote, statuses.values().sum::<u64>() as f64 / seconds);
    target("edits a second on one node", short(edits), EDITS, edits > EDITS * 0.98);
    target(
        "requests a second on the other",
        short(reads),
        READS,
        reads > READS * 0.98,
    );
    let bad: u64 = statuses
        .iter()
        .filter(|(s, _)| ![200, 204].contains(*s))
        .map(|(_, n)| n)
        .sum();
    target(format!("answers that are errors, of {statuses:?}"), bad, 0, bad == 0);
    figure("edits acknowledged as lagging", lagging);
    let ms = |q| quantile(checked.visible.iter().copied(), q) * 1000.0;
    let what = "sent to seen on the other node, ms p50";
    figure(what, short(ms(0.5)));
    let p99 = ms(0.99);
    target(
        "sent to seen on the other node, ms p99",
        short(p99),
        "under 250",
        p99 < 250.0,
    );
    for h in metrics::histograms(&metrics::read(&there).await?, &["visible"]) {
        let (p50, p99) = (h.within_ms(0.5), h.within_ms(0.99));
        figure(
            format!("{} of the other node, p50 / p99 within, ms", h.name),
            format!("{} / {}", short(p50), short(p99)),
        );
    }
    target("edits never seen", checked.never, 0, checked.never == 0);
    target(
        format!(
            "stale tiles among the {} asked for after an acknowledged edit",
            checked.visible.len()
        ),
        checked.stale.len(),
        0,
        checked.stale.is_empty(),
    );
    checked.stale.iter().take(5).for_each(|s| figure("stale", s));
    target(
        format!("tiles that differ from PostgreSQL's at the end, of {compared}"),
        differences.len(),
        0,
        differences.is_empty(),
    );
    differences.iter().take(5).for_each(|d| figure("difference", d));
    Ok(())
}

fn shuffle(requests: &mut [Vec<u8>]) {
    use rand::seq::SliceRandom;
    use rand_chacha::rand_core::SeedableRng;
    requests.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(1));
}

type Statuses = BTreeMap<u16, u64>;

async fn read_all(
    to: std::net::SocketAddr,
    requests: Rc<Vec<Vec<u8>>>,
    begin: Instant,
    end: Instant,
) -> Result<Statuses> {
    let mut tasks = JoinSet::new();
    let next = Rc::new(std::cell::Cell::new(0usize));
    for _ in 0..READERS {
        let (requests, next) = (requests.clone(), next.clone());
        tasks.spawn_local(async move {
            let mut connection = Connection::open(to).await?;
            let mut statuses = Statuses::new();
            loop {
                let n = next.replace(next.get() + 1);
                let due = begin + Duration::from_secs_f64(n as f64 / READS);
                if due >= end || Instant::now() >= end {
                    return Ok::<_, crate::Error>(statuses);
                }
                sleep_until(due).await;
                let request = requests.get(n % requests.len()).ok_or("nothing to ask")?;
                *statuses.entry(connection.ask(request).await?).or_default() += 1;
            }
        });
    }
    let mut all = Statuses::new();
    while let Some(one) = tasks.join_next().await {
        for (status, n) in one?? {
            *all.entry(status).or_default() += n;
        }
    }
    Ok(all)
}

/// Edits at a steady pace; how many were acknowledged, and how many as lagging.
async fn write_all(
    to: std::net::SocketAddr,
    token: Rc<str>,
    layer: Rc<str>,
    targets: Vec<Target>,
    (begin, end): (Instant, Instant),
    tell: mpsc::UnboundedSender<Done>,
) -> Result<(usize, usize)> {
    let mut tasks = JoinSet::new();
    let targets = Rc::new(Mutex::new(targets.into_iter().enumerate()));
    for _ in 0..WRITERS {
        let (token, layer, targets, tell) = (token.clone(), layer.clone(), targets.clone(), tell.clone());
        tasks.spawn_local(async move {
            let mut connection = Connection::open(to).await?;
            let (mut written, mut lagging) = (0, 0);
            loop {
                let Some((n, one)) = targets.lock().await.next() else {
                    break;
                };
                let due = begin + Duration::from_secs_f64(n as f64 / EDITS);
                if due >= end || Instant::now() >= end {
                    break;
                }
                sleep_until(due).await;
                // One in four moves, by up to two tiles of zoom 16.
                let far = (n % 4 == 0).then_some(((n % 9) as f64 * 1.3e-3 - 5e-3, (n % 7) as f64 * 1e-3 - 3e-3));
                let done = writer::edit(&mut connection, (to, &token, &layer), &one, far).await?;
                written += 1;
                lagging += usize::from(done.lagging);
                tell.send(done)?;
            }
            Ok::<_, crate::Error>((written, lagging))
        });
    }
    drop(tell);
    let mut all = (0, 0);
    while let Some(one) = tasks.join_next().await {
        let (written, lagging) = one??;
        all = (all.0 + written, all.1 + lagging);
    }
    Ok(all)
}

/// Asks the other node for the tiles of each edit as soon as it is acknowledged, for at least its revision.
async fn check_all(to: std::net::SocketAddr, layer: Rc<str>, told: mpsc::UnboundedReceiver<Done>) -> Result<Checked> {
    let told = Rc::new(Mutex::new(told));
    let mut tasks = JoinSet::new();
    for checker in 0..CHECKERS {
        let (told, layer) = (told.clone(), layer.clone());
        tasks.spawn_local(async move {
            let mut connection = Connection::open(to).await?;
            let mut out = Checked::default();
            let mut n = checker;
            loop {
                let Some(done) = told.lock().await.recv().await else {
                    return Ok::<_, crate::Error>(out);
                };
                n += 1;
                // Such an answer does not say which revision the edit became.
                if done.lagging {
                    continue;
                }
                // Large tiles cost the asker; one in eight is enough.
                let zoom = if n % 8 == 0 { 14 } else { 16 };
                for tile in done.tiles(zoom) {
                    check(&mut connection, to, (&layer, tile), n % 2 == 0, &done, &mut out).await?;
                }
            }
        });
    }
    let mut all = Checked::default();
    while let Some(one) = tasks.join_next().await {
        let one = one??;
        all.visible.extend(one.visible);
        all.stale.extend(one.stale);
        all.never += one.never;
    }
    Ok(all)
}

async fn check(
    connection: &mut Connection,
    to: std::net::SocketAddr,
    (layer, tile): (&str, TileId),
    gzip: bool,
    done: &Done,
    out: &mut Checked,
) -> Result<()> {
    let path = ours(layer, tile, "");
    let accept = if gzip { "gzip" } else { "identity" };
    // It waits for the revision, which costs both less than asking again and again.
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {to}\r\nAccept-Encoding: {accept}\r\nLamppost-Min-Revision: {}\r\n\r\n",
        done.revision
    );
    for _ in 0..20 {
        let status = connection.ask(request.as_bytes()).await?;
        if status == 503 {
            sleep(Duration::from_millis(20)).await;
            continue;
        }
        let seen = done.sent.elapsed().as_secs_f64();
        let revision = connection.revision().unwrap_or(0);
        let features = match status {
            204 => Vec::new(),
            200 => mvt::points(connection.plain()?, layer)?,
            _ => return Err(format!("{path} answered {status}").into()),
        };
        if !done.shown(tile, &features) {
            out.stale
                .push(format!("{path} at revision {revision} without {done:?}"));
        }
        out.visible.push(seen);
        return Ok(());
    }
    out.never += 1;
    Ok(())
}

/// Compares a node's tiles with those that PostgreSQL makes; how many, and which differ.
async fn compare(pool: &PgPool, node: &Node, layer: &str) -> Result<(usize, Vec<String>)> {
    let city: Vec<(i32, i32, i32)> = sqlx::query_as(
        "select z, x, y from (
           select z, (wx >> (32 - z))::int as x, (wy >> (32 - z))::int as y,
             row_number() over (partition by z order by random()) as n
           from bench.point, generate_series($1, $2) z group by 1, 2, 3
         ) tile where n <= $3",
    )
    .bind(i32::from(*ZOOMS.start()))
    .bind(i32::from(*ZOOMS.end()))
    .bind(i64::try_from(COMPARED)?)
    .fetch_all(pool)
    .await?;
    let mut connection = Connection::open(node.at).await?;
    let mut said = Vec::new();
    for (n, (z, x, y)) in city.iter().enumerate() {
        let theirs: Vec<u8> = sqlx::query_scalar("select bench.tile($1, $2, $3)")
            .bind(z)
            .bind(x)
            .bind(y)
            .fetch_one(pool)
            .await?;
        let tile = (u8::try_from(*z)?, *x, *y);
        let request = get(node.at, &ours(layer, tile, ""), n % 2 == 0);
        let ours = read(&mut connection, &request, layer).await?;
        let differences = mvt::differences(&ours, &mvt::points(theirs, layer)?);
        said.extend(differences.first().map(|d| format!("{tile:?} {d}")));
    }
    Ok((city.len(), said))
}
