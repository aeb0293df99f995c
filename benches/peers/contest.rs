//! The table: Martin, Lamppost and a bare handler over the same tiles.

use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::time::Instant;

use crate::http::{Connection, get};
use crate::load::{Until, ask};
use crate::node::{self, City, Node};
use crate::report::{doing, figure, median, short, spread, table, target};
use crate::tiles::{self, TileId};
use crate::{Result, Settings, bare, process};

const ZOOMS: [u8; 5] = [6, 10, 12, 14, 16];
const CONNECTIONS: usize = 8;
/// What both caches may hold; the city's tiles of a run fit.
const CACHE_MB: u64 = 1024;
const FILTER: &str = "?filter=state%3D%27damaged%27";

/// A way of asking: which server, with which path, with or without gzip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Way {
    who: Who,
    gzip: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    MartinLive,
    MartinOff,
    MartinOn,
    Off,
    On,
    Filtered,
    Bare,
}

impl Who {
    const ALL: [Who; 7] = [
        Who::MartinLive,
        Who::MartinOff,
        Who::MartinOn,
        Who::Off,
        Who::On,
        Who::Filtered,
        Who::Bare,
    ];

    fn name(self) -> &'static str {
        match self {
            Who::MartinLive => "Martin, no cache, live tables",
            Who::MartinOff => "Martin, no cache, copy",
            Who::MartinOn => "Martin, cache, copy",
            Who::Off => "Lamppost, no cache",
            Who::On => "Lamppost, cache",
            Who::Filtered => "Lamppost, no cache, filter",
            Who::Bare => "bare axum",
        }
    }

    fn caches(self) -> bool {
        matches!(self, Who::MartinOn | Who::On)
    }

    fn path(self, layer: &str, tile: TileId) -> String {
        match self {
            Who::MartinLive => tiles::theirs(layer, tile, true),
            Who::MartinOff | Who::MartinOn => tiles::theirs(layer, tile, false),
            Who::Filtered => tiles::ours(layer, tile, FILTER),
            Who::Off | Who::On | Who::Bare => tiles::ours(layer, tile, ""),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    cpu_ms: f64,
    per_second: f64,
    bytes: f64,
}

struct Contest<'a> {
    settings: &'a Settings,
    city: &'a City,
    nodes: HashMap<Who, &'a Node>,
    lists: HashMap<u8, Vec<TileId>>,
    samples: HashMap<(Way, u8), Vec<Sample>>,
}

/// Runs the contest on an owner without a cache, and prints it.
pub(crate) async fn run(settings: &Settings, city: &City, off: &Node) -> Result<()> {
    doing("making Martin's table and functions");
    tiles::prepare(settings, city).await?;
    let on = node::guest(settings, city, "lamppost-cache", CACHE_MB).await?;
    let martin_off = node::martin(settings, city, "martin", 0).await?;
    let martin_on = node::martin(settings, city, "martin-cache", CACHE_MB).await?;
    let mut lists = HashMap::new();
    for z in ZOOMS {
        let filled = tiles::filled(city, z).await?;
        let (n, members) = (filled.len(), median(filled.iter().map(|(_, n)| *n as f64)));
        let same = tiles::compare(settings, (off, &martin_off), &filled, settings.tiles).await?;
        figure(
            format!("z{z}"),
            format!("{n} tiles with {} points in the median", short(members)),
        );
        for (what, said) in [
            ("Martin on its copy", &same.copy),
            ("Martin on the live tables", &same.live),
        ] {
            target(
                format!(
                    "z{z}, {what}: differences in {} tiles of {} components",
                    same.tiles, same.components
                ),
                said.len(),
                0,
                said.is_empty(),
            );
            said.iter().take(4).for_each(|s| figure("difference", s));
        }
        lists.insert(z, filled.into_iter().map(|(t, _)| t).take(settings.tiles).collect());
    }
    let bodies = settings.work.join("bodies");
    let probe = write_bodies(settings, &on, &lists, &bodies).await?;
    let bare = node::bare(settings, &bodies, &probe).await?;
    let mut contest = Contest {
        settings,
        city,
        nodes: HashMap::from([
            (Who::MartinLive, &martin_off),
            (Who::MartinOff, &martin_off),
            (Who::MartinOn, &martin_on),
            (Who::Off, off),
            (Who::On, &on),
            (Who::Filtered, off),
            (Who::Bare, &bare),
        ]),
        lists,
        samples: HashMap::new(),
    };
    let held = contest.rounds().await;
    // Whatever happened: a held owner cannot stop its PostgreSQL.
    off.process.go();
    tiles::tidy(city).await?;
    held?;
    contest.print();
    Ok(())
}

/// The answers of the caching node, both ways of packing, for the bare handler. A path to try.
async fn write_bodies(
    settings: &Settings,
    on: &Node,
    lists: &HashMap<u8, Vec<TileId>>,
    to: &std::path::Path,
) -> Result<String> {
    let mut file = BufWriter::new(std::fs::File::create(to)?);
    let mut connection = Connection::open(on.at).await?;
    let mut probe = None;
    for tile in lists.values().flatten() {
        let path = tiles::ours(&settings.layer.id, *tile, "");
        for gzip in [false, true] {
            let status = connection.ask(&get(on.at, &path, gzip)).await?;
            // A body so small that packing gains nothing comes as it is, also where gzip is taken.
            if status != 200 || (!gzip && connection.header("content-encoding").is_some()) {
                return Err(format!("{path} answered {status}, gzip {gzip}").into());
            }
            bare::write(&mut file, &path, gzip, connection.body())?;
        }
        probe.get_or_insert(path);
    }
    file.flush()?;
    probe.ok_or_else(|| "the city has no tile".into())
}

impl Contest<'_> {
    async fn rounds(&mut self) -> Result<()> {
        let mut ways = Vec::new();
        for who in Who::ALL {
            let (Some(node), Some(tile)) = (self.nodes.get(&who), self.lists[&ZOOMS[0]].first()) else {
                continue;
            };
            let probe = get(node.at, &who.path(&self.settings.layer.id, *tile), false);
            match Connection::open(node.at).await?.ask(&probe).await? {
                // Nothing in that tile may pass the filter.
                200 | 204 => ways.extend([false, true].map(|gzip| Way { who, gzip })),
                status => return Err(format!("{} answered {status}", who.name()).into()),
            }
        }
        let mut connections = HashMap::new();
        for (z, way) in ZOOMS.iter().flat_map(|z| ways.iter().map(move |w| (*z, *w))) {
            doing(format!("warming z{z} of {}, gzip {}", way.who.name(), way.gzip));
            connections.insert((z, way), self.warm(z, way).await?);
        }
        for round in 1..=self.settings.rounds {
            for z in ZOOMS {
                doing(format!("round {round} of {}, z{z}", self.settings.rounds));
                for way in &ways {
                    let sample = self.measure(z, *way, connections[&(z, *way)]).await?;
                    self.samples.entry((*way, z)).or_default().push(sample);
                }
            }
        }
        Ok(())
    }

    /// Only the node that is asked runs: the others would go on looking for revisions.
    fn select(&self, who: Who) -> Result<&Node> {
        let node = self.nodes.get(&who).ok_or("no such server")?;
        for other in [Who::Off, Who::On].iter().filter_map(|w| self.nodes.get(w)) {
            match other.at == node.at {
                true => other.process.go(),
                false => other.process.hold(),
            }
        }
        Ok(node)
    }

    fn requests(&self, z: u8, way: Way) -> Result<(&Node, Arc<Vec<Vec<u8>>>)> {
        let node = self.select(way.who)?;
        let layer = &self.settings.layer.id;
        let paths = self.lists[&z].iter().map(|t| way.who.path(layer, *t));
        Ok((node, tiles::requests(node, paths, way.gzip)))
    }

    /// Fills caches and pools; how many connections to measure with. Few where one answer takes long, or the round never ends.
    async fn warm(&self, z: u8, way: Way) -> Result<usize> {
        let (node, requests) = self.requests(z, way)?;
        let first = Arc::new(requests.iter().take(1).cloned().collect());
        let start = Instant::now();
        ask(node.at, &first, 1, Until::Through).await?;
        let connections = if start.elapsed().as_secs_f64() > 0.25 {
            2
        } else {
            CONNECTIONS
        };
        let until = match way.who.caches() {
            true => Until::Through,
            false => Until::Seconds(self.settings.seconds.min(1.0)),
        };
        ask(node.at, &requests, connections, until).await?;
        Ok(connections)
    }

    async fn measure(&self, z: u8, way: Way, connections: usize) -> Result<Sample> {
        let (node, requests) = self.requests(z, way)?;
        let pid = node.process.pid();
        let before = process::cpu(pid) + self.city.cpu()?;
        let out = ask(node.at, &requests, connections, Until::Seconds(self.settings.seconds)).await?;
        let after = process::cpu(pid) + self.city.cpu()?;
        if way.who != Who::Filtered {
            out.all_well(way.who.name())?;
        }
        let n = out.requests as f64;
        Ok(Sample {
            cpu_ms: self.settings.ms(after - before) / n,
            per_second: n / out.seconds,
            bytes: out.bytes as f64 / n,
        })
    }

    fn of(&self, who: Who, gzip: bool, z: u8, figure: fn(&Sample) -> f64) -> Option<Vec<f64>> {
        let samples = self.samples.get(&(Way { who, gzip }, z))?;
        Some(samples.iter().map(figure).collect())
    }

    fn median(&self, who: Who, gzip: bool, z: u8, figure: fn(&Sample) -> f64) -> f64 {
        median(self.of(who, gzip, z, figure).unwrap_or_default())
    }

    fn print(&self) {
        let zooms = ZOOMS.map(|z| format!("z{z}"));
        let head: Vec<String> = ["server", "gzip"].map(str::to_owned).into_iter().chain(zooms).collect();
        let mut rows = Vec::new();
        for (who, gzip) in Who::ALL.iter().flat_map(|w| [(*w, false), (*w, true)]) {
            let cells = ZOOMS.map(|z| match self.of(who, gzip, z, |s| s.cpu_ms) {
                None => "not timed".to_owned(),
                Some(cpu) => format!(
                    "{} ±{:.0} % · {}/s · {} KB",
                    short(median(cpu.iter().copied())),
                    spread(&cpu) * 100.0,
                    short(self.median(who, gzip, z, |s| s.per_second)),
                    short(self.median(who, gzip, z, |s| s.bytes) / 1000.0),
                ),
            });
            let name = [who.name(), if gzip { "yes" } else { "no" }].map(str::to_owned);
            rows.push(name.into_iter().chain(cells).collect());
        }
        let title = format!(
            "{}, layer {}: CPU-ms a request (server and PostgreSQL), requests a second, body; medians of {} rounds",
            self.settings.label, self.settings.layer.id, self.settings.rounds
        );
        table(&title, &head, &rows);
        println!();
        for martin in [Who::MartinLive, Who::MartinOff] {
            for (z, times) in [(16, 20.0), (14, 50.0), (12, 300.0), (10, 300.0), (6, 300.0)] {
                let cpu = |who| self.median(who, false, z, |s| s.cpu_ms);
                let ratio = cpu(martin) / cpu(Who::Off);
                let what = format!("z{z}, CPU a request: {} over {}", martin.name(), Who::Off.name());
                target(what, format!("{}×", short(ratio)), format!("{times}×"), ratio >= times);
            }
        }
        let rate = |who| self.median(who, true, 14, |s| s.per_second);
        let ratio = rate(Who::On) / rate(Who::MartinOn);
        let what = "z14, cache, gzip: Lamppost's requests a second over Martin's";
        target(what, format!("{}×", short(ratio)), "30×", ratio >= 30.0);
        let cpu = |who| self.median(who, true, 14, |s| s.cpu_ms);
        let ratio = cpu(Who::On) / cpu(Who::Bare);
        let what = "z14, cache, gzip: Lamppost's CPU a request over the bare handler's";
        target(what, format!("{}×", short(ratio)), "at most 1.25×", ratio <= 1.25);
    }
}
