//! Single edits through HTTP: how many a second, and how soon they are seen on the same node and on another.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinSet, LocalSet};

use crate::http::{Connection, get};
use crate::node::{self, City, Node};
use crate::report::{doing, figure, quantile, short, target};
use crate::tiles::{ours, read};
use crate::writer::{self, Done};
use crate::{Result, Settings};

const WRITERS: usize = 8;
const SECONDS: u64 = 15;
const MOST: i64 = 100_000;

/// What was seen of the edits that were watched.
#[derive(Default)]
struct Seen {
    from_sent: Vec<f64>,
    from_acknowledged: Vec<f64>,
    stale_here: usize,
}

/// Edits on one node and watches on two; prints.
pub(crate) async fn run(settings: &Settings, city: &City, here: &Node) -> Result<()> {
    doing("single edits");
    let there = node::guest(settings, city, "lamppost-other", 256).await?;
    let token = Rc::new(writer::token(settings, &settings.dir)?);
    let targets = Rc::new(Mutex::new(writer::targets(settings, city, MOST).await?));
    // One place: only the newest edit is worth watching.
    let (tell, mut told) = mpsc::channel::<Done>(1);
    let layer = settings.layer.id.clone();
    let local = LocalSet::new();
    let (at, other) = (here.at, there.at);
    let watched = local.spawn_local(async move {
        let (mut near, mut far) = (Connection::open(at).await?, Connection::open(other).await?);
        let mut seen = Seen::default();
        while let Some(done) = told.recv().await {
            let Some(&tile) = done.tiles(16).first() else { continue };
            let path = ours(&layer, tile, "");
            // The node that has acknowledged shows it at once.
            let features = read(&mut near, &get(at, &path, true), &layer).await?;
            seen.stale_here += usize::from(!done.lagging && !done.shown(tile, &features));
            let request = get(other, &path, true);
            while !done.shown(tile, &read(&mut far, &request, &layer).await?) {
                if done.sent.elapsed() > Duration::from_secs(30) {
                    return Err("an edit is not seen on the other node after 30 s".into());
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            seen.from_sent.push(done.sent.elapsed().as_secs_f64());
            seen.from_acknowledged.push(done.acknowledged.elapsed().as_secs_f64());
        }
        Ok::<Seen, crate::Error>(seen)
    });
    let start = Instant::now();
    let (mut took, mut lagging) = (Vec::new(), 0);
    let layer = &settings.layer.id;
    let written = local.run_until(async {
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            let (token, targets, tell, layer) = (token.clone(), targets.clone(), tell.clone(), layer.clone());
            writers.spawn_local(async move {
                let mut connection = Connection::open(at).await?;
                let mut all = Vec::new();
                while start.elapsed() < Duration::from_secs(SECONDS) {
                    let Some(one) = targets.lock().await.pop() else { break };
                    let done = writer::edit(&mut connection, (at, &token, &layer), &one, None).await?;
                    all.push((done.acknowledged - done.sent, done.lagging));
                    // The watcher may be busy with another.
                    let _ = tell.try_send(done);
                }
                Ok::<_, crate::Error>(all)
            });
        }
        while let Some(one) = writers.join_next().await {
            for (time, late) in one?? {
                took.push(time.as_secs_f64());
                lagging += usize::from(late);
            }
        }
        Ok::<(), crate::Error>(())
    });
    written.await?;
    let seconds = start.elapsed().as_secs_f64();
    drop(tell);
    let seen = local.run_until(watched).await??;
    println!(
        "\n### {}, single edits by PATCH, {WRITERS} writers for {SECONDS} s\n",
        settings.label
    );
    let ms = |values: &[f64], q: f64| short(quantile(values.iter().copied(), q) * 1000.0);
    let both = |values: &[f64]| format!("{} / {}", ms(values, 0.5), ms(values, 0.99));
    figure("edits a second", short(took.len() as f64 / seconds));
    figure(
        "sent to acknowledged, which is seen on the same node, ms p50 / p99",
        both(&took),
    );
    figure("acknowledged as lagging", lagging);
    target(
        format!(
            "tiles of the same node without an acknowledged edit, of {}",
            seen.from_sent.len()
        ),
        seen.stale_here,
        0,
        seen.stale_here == 0,
    );
    figure("sent to seen on another node, ms p50 / p99", both(&seen.from_sent));
    figure(
        "acknowledged to seen on another node, ms p50 / p99",
        both(&seen.from_acknowledged),
    );
    Ok(())
}
