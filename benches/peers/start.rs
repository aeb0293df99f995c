//! How long a node takes to load the register into memory, beside PostgreSQL's own way of handing it out.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::node::{self, City};
use crate::report::{doing, figure, median, short, target};
use crate::{Result, Settings};

/// The columns that memory holds.
const COPY: &str = "copy (select id, version, scheme, code, class, name, geom, state, ownership_status, property_kind,
  management_kind, cell, authority, owner, maintainer, road from component) to stdout (format binary)";

/// Starts nodes on a running database and copies, in turn; prints the medians.
pub(crate) async fn run(settings: &Settings, city: &City) -> Result<()> {
    copy(settings, city)?;
    let (mut loads, mut ready, mut copies) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=settings.rounds {
        doing(format!("load, round {round} of {}", settings.rounds));
        let node = node::guest(settings, city, "lamppost-load", 0).await?;
        loads.push(node.served_after()?);
        ready.push(node.ready_after.as_secs_f64());
        drop(node);
        copies.push(copy(settings, city)?);
    }
    let (load, copy) = (median(loads), median(copies));
    println!(
        "\n### {}, load: medians of {} rounds\n",
        settings.label, settings.rounds
    );
    figure("`lamppost serve` on a running database until it serves, s", short(load));
    figure("the same until /readyz answers, s", short(median(ready)));
    figure("COPY … (format binary) to /dev/null, s", short(copy));
    let ratio = load / copy;
    target(
        "load over COPY",
        format!("{}×", short(ratio)),
        "at most 2×",
        ratio <= 2.0,
    );
    Ok(())
}

/// Seconds that `psql` takes.
fn copy(settings: &Settings, city: &City) -> Result<f64> {
    let start = Instant::now();
    let done = Command::new(&settings.psql)
        .args(["--no-psqlrc", "--quiet", "--dbname", &city.url(), "--command", COPY])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    match done.success() {
        true => Ok(start.elapsed().as_secs_f64()),
        false => Err("psql could not copy".into()),
    }
}
