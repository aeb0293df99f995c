//! What a component costs in memory, after a load and after many edits, and how long edits lock readers out.

use std::time::{Duration, Instant};

use crate::node::{self, City, Node};
use crate::report::{doing, figure, short, target};
use crate::{Result, Settings, metrics, process};

/// As many changes in one revision as the demo district has lamps.
const LARGE: i64 = 41_200;
/// Time for allocators and pools to come to rest.
const REST: Duration = Duration::from_secs(5);

/// Starts its own nodes, one on an empty register and one on the city, and prints.
pub(crate) async fn run(settings: &Settings) -> Result<()> {
    println!("\n### {}, memory and locks\n", settings.label);
    doing("memory of an empty register");
    let dir = settings.work.join("empty");
    let empty = node::owner(settings, &dir, "lamppost-empty", 0).await?;
    tokio::time::sleep(REST).await;
    let nothing = rss(&empty)?;
    drop(empty);
    std::fs::remove_dir_all(&dir)?;
    figure("resident memory over an empty register, MB", megabytes(nothing));

    doing("memory of the city");
    let node = node::owner(settings, &settings.dir, "lamppost-memory", 0).await?;
    let city = City::open(&settings.dir).await?;
    tokio::time::sleep(REST).await;
    let components = metrics::gauge(&metrics::read(&node).await?, "lamppost_index_components");
    let components = components.ok_or("the node does not say how many components it holds")?;
    let each = |bytes: u64| bytes.saturating_sub(nothing) as f64 / components;
    let tell = |what: &str, bytes: u64| {
        figure(format!("resident memory {what}, MB"), megabytes(bytes));
        let (each, what) = (each(bytes), format!("bytes a component {what}, of {components}"));
        target(what, short(each), "at most 120", each <= 120.0);
    };
    tell("after the load", rss(&node)?);
    figure(
        "peak while loading, MB",
        megabytes(process::memory(node.process.pid(), "VmHWM")?),
    );

    doing(format!("{} random edits", settings.edits));
    sqlx::raw_sql(include_str!("edits.sql")).execute(&city.pool).await?;
    let start = Instant::now();
    sqlx::query("call bench.edit_at_random($1, 1000)")
        .bind(settings.edits)
        .execute(&city.pool)
        .await?;
    let took = start.elapsed().as_secs_f64();
    let behind = node.caught_up(&city).await?;
    figure(
        format!(
            "{} random edits by SQL, 1,000 a transaction: edits a second",
            settings.edits
        ),
        short(f64::from(settings.edits) / took),
    );
    figure(
        "seconds until the node had caught up after them",
        short(behind.as_secs_f64()),
    );
    tokio::time::sleep(REST).await;
    tell("after the edits", rss(&node)?);
    locks(&node, "after the edits").await?;

    doing("one large revision");
    sqlx::query(
        "update component set state = case state when 'intact' then 'damaged' else 'intact' end
         where id in (select id from component where state <> 'retired' order by id limit $1)",
    )
    .bind(LARGE)
    .execute(&city.pool)
    .await?;
    let behind = node.caught_up(&city).await?;
    figure(
        format!("seconds until a revision of {LARGE} changes was applied"),
        short(behind.as_secs_f64()),
    );
    locks(&node, &format!("after a revision of {LARGE} changes")).await
}

fn rss(node: &Node) -> Result<u64> {
    process::memory(node.process.pid(), "VmRSS")
}

fn megabytes(bytes: u64) -> String {
    short(bytes as f64 / 1e6)
}

/// Prints how long writers have kept readers out so far: a histogram's highest filled bucket, or the plain maximum.
async fn locks(node: &Node, when: &str) -> Result<()> {
    let text = metrics::read(node).await?;
    let words = ["lock", "publish"];
    for line in text.lines().filter(|l| words.iter().any(|w| l.contains(w))) {
        let Some((name, us)) = line.split_once("_microseconds ") else {
            continue;
        };
        let ms = us.parse::<f64>()? / 1000.0;
        target(format!("{name} {when}, ms"), short(ms), "at most 2", ms <= 2.0);
    }
    for h in metrics::histograms(&text, &words) {
        let ms = h.within_ms(1.0);
        let what = format!("{} {when}: all {} within, ms", h.name, h.count());
        target(what, short(ms), "at most 2", ms <= 2.0);
    }
    Ok(())
}
