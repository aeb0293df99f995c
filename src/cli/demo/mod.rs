//! `lamppost demo`: a synthetic city to try everything on. No external data; the same seed gives the same city.
//!
//! Reading order: [`plane`] and [`mesh`] (geometry), [`skeleton`], [`layout`] and [`group`] (how a district is cut), [`street`] and
//! [`land`] (what the pieces are), [`stock`] with [`places`], [`roadside`] and [`furniture`] (what stands there), [`ownership`] and
//! [`district`] (rows), [`year`] (edits), [`load`].
mod district;
mod furniture;
mod group;
mod kind;
mod land;
mod layout;
mod load;
mod mesh;
mod name;
mod ownership;
mod places;
mod plane;
mod roadside;
mod skeleton;
mod stock;
mod street;
#[cfg(test)]
mod tests;
mod year;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::bulk::{Bases, Deed, District, Stamp};
use crate::text;

use self::load::{LOADERS, Loads};

/// The demo city: a synthetic district with the stock of Tianjin's Hexi, and a year of edits.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which city: the same seed gives the same city.
    #[arg(long, env = "LAMPPOST_DEMO_SEED", default_value_t = 1)]
    pub seed: u64,
    /// How many districts side by side, each with the whole stock (about 134,000 components; 75 make ten million).
    #[arg(long, env = "LAMPPOST_DEMO_SCALE", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=120))]
    pub scale: u16,
}

/// What the register holds of the demo city afterwards, and what this run did for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Districts in the register.
    pub districts: usize,
    /// Components loaded by this run; 0 where the city was there already.
    pub components: usize,
    /// Transactions of the year of edits that this run recorded.
    pub deeds: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// One sentence for people.
    pub message: Text,
}

/// Who loads the city.
const LOADER: &str = "示范数据";
/// Districts made ahead of the one being loaded; each takes some 100 MB.
const AHEAD: usize = 1;

/// A district, with the work of its year, which only the first one has.
struct Ready {
    rows: District,
    deeds: Vec<Deed>,
}

/// Loads the demo city into an empty register, finishes a load that was interrupted, and does nothing where the city is complete.
/// A register with other data is left alone.
pub async fn run(store: &Store, args: &Args) -> Result<Summary> {
    let began = Instant::now();
    let count = usize::from(args.scale);
    let reason = format!("载入示范城市（种子 {}，规模 {}）", args.seed, args.scale);
    let guard = store.demo_guard().await?;
    let standing = store.demo_standing(&year::ACTORS, LOADER, year::end()).await?;
    let loaded = standing.districts;
    let mut summary = Summary {
        districts: loaded,
        components: 0,
        deeds: 0,
        elapsed: Duration::ZERO,
        message: text!(
            "示范城市已在库中，无需载入",
            "the demo city is already there; nothing to do"
        ),
    };
    if standing.foreign {
        return Err(Error::Conflict(text!(
            "数据库中已有其他数据；示范城市只能载入空库",
            "the register holds other data; the demo city needs an empty one"
        )));
    }
    if standing.complete || (standing.edited_since && loaded > 0) {
        return Ok(summary);
    }
    if standing.reason.as_ref().is_some_and(|r| *r != reason) {
        let there = standing.reason.unwrap_or_default();
        return Err(Error::Conflict(text!(
            "库中有未载完的示范城市：{there}；请用相同的种子和规模继续",
            "an interrupted load of another demo city is there ({there}); go on with the same seed and scale"
        )));
    }
    let classes = store.demo_classes(kind::CLASSES).await?;
    if loaded == 0 {
        store.demo_antedate(year::begin() - TimeDelta::hours(1)).await?;
    }
    // After an interruption the first district is made again for its year, wherever the load goes on.
    let mut districts = generate(args.seed, count, loaded);
    let bar = bar(count);
    let mut loads = Loads::new(store, &classes);
    let mut first = None;
    while let Some((index, ready)) = districts.recv().await {
        let rows = Arc::new(ready.rows);
        let bases = if index < loaded {
            store.demo_bases(&rows).await?
        } else {
            bar.set_message(format!("{}/{count}", index + 1));
            let bases = store.demo_reserve(&guard, &rows).await?;
            summary.components += rows.components.iter().filter(|c| !c.later).count();
            summary.districts += 1;
            let stamp = Stamp {
                actor: LOADER,
                reason: reason.clone(),
                recorded: year::begin() + TimeDelta::seconds(10 * index as i64),
                first: index == 0,
            };
            loads.start(rows.clone(), bases, stamp, bar.clone());
            // The first one alone: it gives the planner the figures that the others rely on.
            loads.wait(if index == 0 { 0 } else { LOADERS - 1 }).await?;
            bases
        };
        if index == 0 {
            first = Some((rows, ready.deeds, bases));
        }
    }
    loads.wait(0).await?;
    bar.finish_and_clear();
    let Some((rows, deeds, bases)) = first else {
        return Err(Error::internal("the generator of the demo city stopped"));
    };
    summary.deeds = edit(store, &rows, &deeds, &classes, bases, standing.deeds).await?;
    store.demo_analyze().await?;
    summary.elapsed = began.elapsed();
    let (n, d, e) = (summary.components, summary.districts, summary.deeds);
    summary.message = text!(
        "已载入示范城市：{d}个区，{n}个部件，{e}次变更",
        "loaded the demo city: {d} districts, {n} components, {e} edits"
    );
    Ok(summary)
}

/// Does the deeds of the year that have not been done yet.
async fn edit(
    store: &Store,
    rows: &District,
    deeds: &[Deed],
    classes: &[i32],
    bases: Bases,
    done: usize,
) -> Result<usize> {
    let bar = shown(deeds.len(), "{bar:40} {pos}/{len} 变更 edits · {eta}");
    bar.set_position(done as u64);
    let rest = deeds.iter().skip(done);
    let n = rest.len();
    for deed in rest {
        store.demo_deed(rows, classes, bases, deed).await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(n)
}

/// Makes the first district and those from `from` on, in a thread of its own, a little ahead of the load.
fn generate(seed: u64, count: usize, from: usize) -> mpsc::Receiver<(usize, Ready)> {
    let (to, districts) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        for index in (0..count).filter(|i| *i == 0 || *i >= from) {
            let mut made = district::make(seed, index, count);
            let deeds = if index == 0 {
                year::plan(seed, &mut made)
            } else {
                Vec::new()
            };
            let ready = Ready { rows: made.rows, deeds };
            if to.blocking_send((index, ready)).is_err() {
                // The load failed and says why.
                return;
            }
        }
    });
    districts
}

/// A progress bar over `total`; silent when nobody watches.
fn shown(total: usize, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total as u64);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn bar(districts: usize) -> ProgressBar {
    const COMPONENTS: usize = 134_000;
    shown(
        districts * COMPONENTS,
        "{bar:40} 区 district {msg} · {human_pos} 部件 components · {per_sec} · {eta}",
    )
}
