//! The heaviest tile of every zoom: what it costs to make, with and without filters, and how large it is.

use std::sync::Arc;

use sqlx::Row;

use crate::http::{Connection, get};
use crate::load::{Until, ask};
use crate::node::{City, Node};
use crate::report::{doing, figure, short, table, target};
use crate::tiles::{TileId, ours};
use crate::{Result, Settings, process};

const LAYERS: [&str; 3] = [
    "components",
    "lamps",
    "land,roads,parks,lamps,wells,signs,berths,trees,seats,stations",
];
/// By name, and whether the pyramid answers it.
const FILTERS: [(&str, &str, bool); 5] = [
    ("none", "", true),
    ("state", "?filter=state%3D%27damaged%27", true),
    ("class", "?filter=class%3D%270118%27", true),
    ("ownership_status", "?filter=ownership_status%3D%27disputed%27", true),
    ("owner", "?filter=owner%3D%27120103-003%27", false),
];
/// Tiles of a zoom that are looked at for their size, those with most components first.
const LOOKED_AT: i64 = 30;
const LARGEST: usize = 500_000;

/// Measures on a node without a cache, and prints.
pub(crate) async fn run(settings: &Settings, city: &City, off: &Node) -> Result<()> {
    doing("looking for the heaviest tiles");
    sqlx::raw_sql(include_str!("heavy.sql")).execute(&city.pool).await?;
    let mut connection = Connection::open(off.at).await?;
    sizes(settings, city, off).await?;
    for layers in LAYERS {
        let mut rows = Vec::new();
        // The worst of the filters that the pyramid answers, and of the others at zoom 0.
        let (mut worst, mut worst_other) = ((0.0, String::new()), None);
        for z in 0..=22 {
            doing(format!("{layers} z{z}"));
            let Some(tile) = heaviest(city, z, 1).await?.pop() else {
                continue;
            };
            let mut row = vec![format!("z{z}")];
            for (name, query, counted) in FILTERS {
                let path = ours(layers, tile, query);
                match connection.ask(&get(off.at, &path, false)).await? {
                    400 => row.push("no such property".to_owned()),
                    200 | 204 => {
                        let bytes = connection.body().len() as f64;
                        let cpu = cpu(settings, city, off, &path).await?;
                        row.push(format!("{} · {} KB", short(cpu), short(bytes / 1000.0)));
                        match counted {
                            true if cpu > worst.0 => worst = (cpu, format!("z{z}, filter {name}")),
                            false if z == 0 => worst_other = Some(cpu),
                            _ => {}
                        }
                    }
                    status => return Err(format!("{path} answered {status}").into()),
                }
            }
            rows.push(row);
        }
        let head = std::iter::once("zoom").chain(FILTERS.iter().map(|f| f.0));
        let head: Vec<String> = head.map(str::to_owned).collect();
        table(
            &format!(
                "{}, {layers}: CPU-ms for the heaviest tile without a cache, by filter",
                settings.label
            ),
            &head,
            &rows,
        );
        println!();
        let (cpu, at) = worst;
        target(
            format!("CPU-ms for a tile, at most ({at})"),
            short(cpu),
            "under 20",
            cpu < 20.0,
        );
        match worst_other {
            Some(cpu) => target("CPU-ms at z0 with another filter", short(cpu), "under 150", cpu < 150.0),
            None => figure("CPU-ms at z0 with another filter", "no such property"),
        }
    }
    Ok(())
}

/// The largest tile of every layer and of ten together, over all zooms.
async fn sizes(settings: &Settings, city: &City, off: &Node) -> Result<()> {
    let mut layers = vec![LAYERS[2].to_owned()];
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tiles"))? {
        let name = file?.file_name().into_string().map_err(|_| "an odd file in tiles/")?;
        layers.extend(name.strip_suffix(".toml").map(str::to_owned));
    }
    layers.sort();
    let mut heavy = Vec::new();
    for z in 0..=22 {
        heavy.extend(heaviest(city, z, LOOKED_AT).await?);
    }
    println!("\n### {}, the largest tile of each layer, identity\n", settings.label);
    let mut connection = Connection::open(off.at).await?;
    for layer in layers {
        doing(format!("largest tile of {layer}"));
        let (mut most, mut most_at) = (0, String::new());
        for tile in &heavy {
            let path = ours(&layer, *tile, "");
            let status = connection.ask(&get(off.at, &path, false)).await?;
            if ![200, 204].contains(&status) {
                return Err(format!("{path} answered {status}").into());
            }
            if connection.body().len() > most {
                (most, most_at) = (connection.body().len(), path);
            }
        }
        let wanted = format!("at most {LARGEST}");
        target(most_at, format!("{most} bytes"), wanted, most <= LARGEST);
    }
    Ok(())
}

async fn heaviest(city: &City, z: i32, most: i64) -> Result<Vec<TileId>> {
    let sql = "select (x >> (22 - $1))::int as x, (y >> (22 - $1))::int as y
      from bench.heavy group by 1, 2 order by sum(n) desc, 1, 2 limit $2";
    let rows = sqlx::query(sql).bind(z).bind(most).fetch_all(&city.pool).await?;
    let zoom = u8::try_from(z)?;
    rows.iter()
        .map(|row| Ok((zoom, row.try_get("x")?, row.try_get("y")?)))
        .collect()
}

/// CPU-ms that one request for a path costs, over as many as fit into half a second.
async fn cpu(settings: &Settings, city: &City, node: &Node, path: &str) -> Result<f64> {
    let requests = Arc::new(vec![get(node.at, path, false)]);
    let pid = node.process.pid();
    let before = process::cpu(pid) + city.cpu()?;
    let out = ask(node.at, &requests, 1, Until::Seconds(0.5)).await?;
    let after = process::cpu(pid) + city.cpu()?;
    Ok(settings.ms(after - before) / out.requests as f64)
}
