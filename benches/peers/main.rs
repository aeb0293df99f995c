//! `make bench`: Lamppost beside Martin and beside what the machine allows. `scripts/bench` builds, installs and generates what this
//! needs and says where it is; `benches/README.md` says how to read what comes out.
mod bare;
mod contest;
mod coverage;
mod deliver;
mod edits;
mod http;
mod load;
mod memory;
mod metrics;
mod mvt;
mod node;
mod process;
mod report;
mod soak;
mod start;
mod tiles;
mod writer;
mod zooms;

use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// A point layer, from its file in `tiles/`.
#[derive(Debug, serde::Deserialize)]
struct Layer {
    #[serde(skip)]
    id: String,
    classes: Vec<String>,
    geometry: String,
    detail_zoom: u8,
}

impl Layer {
    fn read(id: &str) -> Result<Layer> {
        let file = format!("{}/tiles/{id}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&file).map_err(|e| format!("{file}: {e}"))?;
        let mut layer: Layer = toml::from_str(&text)?;
        layer.id = id.to_owned();
        // Shapes are clipped and simplified by each in its own way, which leaves nothing to compare.
        if layer.geometry != "point" || layer.classes.iter().any(|c| !c.contains('/')) {
            return Err(format!("{id} is not a layer of points with its classes named").into());
        }
        Ok(layer)
    }
}

/// What `scripts/bench` says in the environment.
#[derive(Debug)]
struct Settings {
    lamppost: PathBuf,
    martin: PathBuf,
    psql: PathBuf,
    /// The city's data directory.
    dir: PathBuf,
    label: String,
    /// Logs and other files of this run.
    work: PathBuf,
    sections: Vec<String>,
    layer: Layer,
    rounds: usize,
    seconds: f64,
    /// The most tiles of a zoom that are asked for.
    tiles: usize,
    /// Random edits between two looks at memory.
    edits: i32,
    /// Seconds of the soak.
    soak: f64,
    /// Rows of a delivery.
    rows: u64,
    ticks: f64,
}

impl Settings {
    fn read() -> Result<Settings> {
        let ticks = std::process::Command::new("getconf").arg("CLK_TCK").output()?.stdout;
        Ok(Settings {
            lamppost: var("LAMPPOST")?.into(),
            martin: var("MARTIN")?.into(),
            psql: var("PSQL")?.into(),
            dir: var("CITY")?.into(),
            label: var("LABEL")?,
            work: var("WORK")?.into(),
            sections: var("SECTIONS")?.split_whitespace().map(str::to_owned).collect(),
            layer: Layer::read(&var("LAYER")?)?,
            rounds: var("ROUNDS")?.parse()?,
            seconds: var("SECONDS_EACH")?.parse()?,
            tiles: var("TILES")?.parse()?,
            edits: var("EDITS")?.parse()?,
            soak: var("SOAK_SECONDS")?.parse()?,
            rows: var("ROWS")?.parse()?,
            ticks: String::from_utf8(ticks)?.trim().parse()?,
        })
    }

    /// Ticks of the process clock as milliseconds.
    fn ms(&self, ticks: u64) -> f64 {
        ticks as f64 * 1000.0 / self.ticks
    }
}

/// A setting.
fn var(name: &str) -> Result<String> {
    let name = format!("LAMPPOST_BENCH_{name}");
    std::env::var(&name).map_err(|_| format!("{name} is not set; run `make bench`").into())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, bare, file, port] = arguments.as_slice()
        && bare == "--bare"
    {
        return bare::serve(file, port.parse()?);
    }
    let settings = Settings::read()?;
    // One thread: the servers need the cores.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            // Whichever way this ends, every process that was started is stopped by its drop.
            tokio::select! {
                done = run(&settings) => done,
                _ = interrupt.recv() => Err("interrupted".into()),
                _ = terminate.recv() => Err("terminated".into()),
            }
        })
}

async fn run(settings: &Settings) -> Result<()> {
    println!("\n## {}", settings.label);
    let wanted = |section: &str| settings.sections.iter().any(|s| s == section);
    if wanted("tiles") || wanted("zooms") || wanted("load") {
        report::doing("starting Lamppost without a cache");
        let off = node::owner(settings, &settings.dir, "lamppost", 0).await?;
        let city = node::City::open(&settings.dir).await?;
        if wanted("tiles") {
            contest::run(settings, &city, &off).await?;
        }
        if wanted("zooms") {
            zooms::run(settings, &city, &off).await?;
        }
        if wanted("load") {
            start::run(settings, &city).await?;
        }
    }
    if wanted("memory") {
        memory::run(settings).await?;
    }
    if wanted("deliver") {
        deliver::run(settings).await?;
    }
    if wanted("coverage") {
        coverage::run(settings).await?;
    }
    if wanted("edits") || wanted("soak") || wanted("page") {
        report::doing("starting Lamppost with a cache");
        let on = node::owner(settings, &settings.dir, "lamppost", 256).await?;
        let city = node::City::open(&settings.dir).await?;
        if wanted("edits") {
            edits::run(settings, &city, &on).await?;
        }
        if wanted("soak") {
            soak::run(settings, &city, &on).await?;
        }
        if wanted("page") {
            page(settings, &on)?;
        }
    }
    Ok(())
}

/// How soon a browser shows the map page.
fn page(settings: &Settings, node: &node::Node) -> Result<()> {
    report::doing("the page");
    println!("\n### {}, the map page in Chromium\n", settings.label);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/page.mjs");
    let mut command = std::process::Command::new("node");
    command.arg(script).env("LAMPPOST_URL", format!("http://{}", node.at));
    match command.status()?.success() {
        true => Ok(()),
        false => Err("the page could not be measured".into()),
    }
}
