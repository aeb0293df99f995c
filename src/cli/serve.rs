//! `lamppost serve`.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::serve::{ListenerExt, TapIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use super::database::DatabaseArgs;
use crate::api::limit::Limiter;
use crate::api::reader::Closed;
use crate::api::style::Basemap;
use crate::api::{App, Shared, WRITES, app, warm};
use crate::archive::Archive;
use crate::audit::Audit;
use crate::coverage::rules;
use crate::delivery::desk::{Desk, Limits};
use crate::domain::text::{Fault, Text};
use crate::error::{Error, Result};
use crate::indicator::tables;
use crate::text;

/// What `serve` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Address and port to listen on; beyond loopback it takes signing in to see more than public layers
    #[arg(
        long,
        env = "LAMPPOST_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "IP:PORT"
    )]
    listen: SocketAddr,
    /// Address under which the world sees this service, such as https://map.example.cn/lamppost;
    /// without it, the forwarded headers of a proxy on this machine are followed
    #[arg(long, env = "LAMPPOST_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Base maps that the page offers: a TOML file of [[basemap]] entries (README, Base maps)
    #[arg(long, env = "LAMPPOST_BASEMAPS", value_name = "FILE")]
    basemaps: Option<PathBuf>,
    /// A city's own rules of coverage: a directory of TOML files beside the built-in ones (docs/coverage.md)
    #[arg(long, env = "LAMPPOST_RULES", value_name = "DIR")]
    rules: Option<PathBuf>,
    /// A city's own tables of indicators: a directory of TOML files beside the built-in ones (docs/indicators.md)
    #[arg(long, env = "LAMPPOST_INDICATORS", value_name = "DIR")]
    indicators: Option<PathBuf>,
    /// Where files that come over HTTP are kept until they are forgotten [default: imports in the data directory]
    #[arg(long, env = "LAMPPOST_IMPORTS", value_name = "DIR")]
    imports: Option<PathBuf>,
    /// Who must sign in to read more than public layers: nobody (never), everybody (always), or everybody where the service listens
    /// beyond loopback, has a public URL or is asked through a proxy (auto)
    #[arg(
        long,
        env = "LAMPPOST_SIGN_IN",
        default_value = "auto",
        value_name = "auto|always|never"
    )]
    sign_in: SignIn,
    /// Minutes after which an idle session ends
    #[arg(long, env = "LAMPPOST_IDLE_MINUTES", default_value_t = 30, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..=10_080))]
    idle_minutes: u32,
    /// Changes that one account or token may make in a minute
    #[arg(long, env = "LAMPPOST_WRITES_PER_MINUTE", default_value_t = WRITES, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    writes_per_minute: u32,
    /// Days for which the access log is kept, half a year at least
    #[arg(long, env = "LAMPPOST_ACCESS_LOG_DAYS", default_value_t = 400, value_name = "DAYS", value_parser = clap::value_parser!(i32).range(184..))]
    access_log_days: i32,
    /// Socket of a local syslog that hears of the access log too, such as /dev/log
    #[arg(long, env = "LAMPPOST_SYSLOG", value_name = "SOCKET")]
    syslog: Option<PathBuf>,
    /// Where documents that back claims are kept [default: evidence in the data directory]
    #[arg(long, env = "LAMPPOST_EVIDENCE", value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// The largest document, in megabytes
    #[arg(long, env = "LAMPPOST_EVIDENCE_MB", default_value_t = 100, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=4096))]
    evidence_mb: u64,
    /// Megabytes of finished tiles kept in memory
    #[arg(long, env = "LAMPPOST_TILE_CACHE_MB", default_value_t = 256, value_name = "MB")]
    tile_cache_mb: u64,
}

/// See `--sign-in`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum SignIn {
    Auto,
    Always,
    Never,
}

impl Args {
    fn closed(&self) -> Closed {
        match self.sign_in {
            SignIn::Never => Closed::Never,
            SignIn::Always => Closed::Always,
            SignIn::Auto if self.listen.ip().is_loopback() && self.public_url.is_none() => Closed::Forwarded,
            SignIn::Auto => Closed::Always,
        }
    }
}

/// How long requests under way may take once the service has been told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// How long a client may leave bytes untaken before its connection is cut.
const UNTAKEN: Duration = Duration::from_secs(30);

/// Connections that send at once, and that the kernel cuts when the other side takes nothing for so long.
pub fn patient(
    listener: TcpListener,
    untaken: Duration,
) -> TapIo<TcpListener, impl FnMut(&mut TcpStream) + Send + 'static> {
    let millis = u32::try_from(untaken.as_millis()).unwrap_or(u32::MAX);
    listener.tap_io(move |io: &mut TcpStream| {
        // Where it cannot be set, a connection serves all the same.
        let _ = io.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = rustix::net::sockopt::set_tcp_user_timeout(io, millis);
    })
}

/// Serves until SIGTERM or ctrl-c, then answers what is under way, and only then stops a private PostgreSQL.
pub async fn run(database: &DatabaseArgs, args: Args) -> Result<()> {
    let start = Instant::now();
    // Bound before anything slow, so that a taken port is told at once.
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|e| taken(args.listen, &e))?;
    args.rules.as_deref().map(rules::with_directory).transpose()?;
    args.indicators.as_deref().map(tables::with_directory).transpose()?;
    let basemaps = args
        .basemaps
        .as_deref()
        .map(read_basemaps)
        .transpose()?
        .unwrap_or_default();
    let broken = crate::tile::layer::faults().join("; ");
    if !broken.is_empty() {
        return Err(Error::Setup(text!(
            "图层文件有误：{broken}",
            "a layer file is broken: {broken}"
        )));
    }
    let audit = Audit::with_syslog(args.syslog.clone()).map_err(|e| {
        let socket = args.syslog.clone().unwrap_or_default();
        let socket = socket.display();
        Error::Setup(text!(
            "无法连接 syslog {socket}：{e}",
            "cannot reach syslog at {socket}: {e}"
        ))
    })?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::internal)?;

    let database_args = database;
    let database = tokio::select! {
        opened = database.open(true) => opened?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let served = async {
        let mut state = App::new(database.store.clone(), args.tile_cache_mb << 20);
        state.public_url = args.public_url.clone();
        state.closed = args.closed();
        state
            .door
            .set_idle(Duration::from_secs(60 * u64::from(args.idle_minutes)));
        state.writes = Limiter::new(args.writes_per_minute, args.writes_per_minute);
        state.audit = Arc::new(audit);
        state.basemaps = basemaps;
        let most = args.evidence_mb << 20;
        state.archive = archive(database_args, args.evidence.as_deref(), most).await?;
        state.desk = desk(database_args, args.imports.as_deref()).await?;
        let state = Arc::new(state);
        state.store.number_revisions().await?;
        state.feed.load().await?;
        state.desk.resume(&state.store);
        announce(&state, &args, start);
        let feed = state.feed.clone();
        let follow = tokio::spawn(async move { feed.follow().await });
        let city = state.clone();
        let warmed = tokio::spawn(async move { warm(&city).await });
        let calendar = tokio::spawn(crate::calendar::follow(state.store.clone()));
        let (watched, days) = (state.clone(), args.access_log_days);
        let written = tokio::spawn(async move { watched.audit.follow(&watched.store, days).await });
        let mut stopped = state.stopping.subscribe();
        let router = app(state.clone()).into_make_service_with_connect_info::<SocketAddr>();
        let serving = axum::serve(patient(listener, UNTAKEN), router).with_graceful_shutdown(async move {
            // An error means that the sender is gone, which is an end too.
            let _ = stopped.wait_for(|s| *s).await;
        });
        let mut serving = tokio::spawn(serving.into_future());
        tokio::select! {
            ended = &mut serving => { ended.map_err(Error::internal)?.map_err(Error::internal)?; }
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: answering what is under way");
        state.stopping.send_replace(true);
        let drained = tokio::time::timeout(DRAIN, async {
            while !serving.is_finished() {
                tokio::time::sleep(Duration::from_millis(10)).await
            }
        });
        if drained.await.is_err() {
            tracing::warn!("some requests did not end in {} s and are cut off", DRAIN.as_secs());
            serving.abort();
        }
        follow.abort();
        warmed.abort();
        calendar.abort();
        written.abort();
        // What cannot be written any more has been logged.
        let _ = state.audit.write(&state.store, true).await;
        state.desk.stop().await;
        Ok(())
    }
    .await;
    database.close().await.and(served)
}

/// Where deliveries over HTTP are kept. A place that was not asked for may be missing: then none are taken.
async fn desk(database: &DatabaseArgs, asked: Option<&std::path::Path>) -> Result<Desk> {
    let dir = match asked {
        Some(dir) => return Desk::open(dir, Limits::default()).await,
        None => database.data_dir()?.join("imports"),
    };
    Ok(Desk::open(&dir, Limits::default()).await.unwrap_or_else(|e| {
        tracing::warn!("files are not taken over HTTP: {e}");
        Desk::default()
    }))
}

/// Where documents are kept. A place that was not asked for may be missing: then none are taken.
async fn archive(database: &DatabaseArgs, asked: Option<&std::path::Path>, most: u64) -> Result<Archive> {
    if let Some(dir) = asked {
        return Archive::open(dir, most).await;
    }
    let dir = database.data_dir()?.join("evidence");
    Ok(Archive::open(&dir, most).await.unwrap_or_else(|e| {
        tracing::warn!("documents are not taken: {e}");
        Archive::default()
    }))
}

fn taken(listen: SocketAddr, e: &std::io::Error) -> Error {
    if e.kind() == std::io::ErrorKind::AddrInUse {
        return Error::Setup(text!(
            "{listen} 已被占用；请停止占用它的程序，或用 --listen 另选端口",
            "{listen} is taken; stop what uses it, or choose another port with --listen"
        ));
    }
    Error::Setup(text!("无法监听 {listen}:{e}", "cannot listen on {listen}: {e}"))
}

fn announce(state: &Shared, args: &Args, start: Instant) {
    let listen = args.listen;
    let (components, revision) = {
        let memory = state.index.read();
        (memory.components.rows().len(), state.feed.position().revision)
    };
    let took = start.elapsed().as_secs_f64();
    tracing::info!(components, revision, duration_s = took, "serving on http://{listen}");
    if state.closed == Closed::Never && !listen.ip().is_loopback() {
        tracing::warn!("--sign-in never: the register is open to everyone who reaches {listen}");
    }
    if std::io::stdout().is_terminal() || std::env::var_os("LAMPPOST_GREET").is_some() {
        greet(listen);
    }
}

/// The address and three requests to try, for a person at a terminal.
#[allow(clippy::print_stdout)]
fn greet(listen: SocketAddr) {
    let host = if listen.ip().is_unspecified() {
        format!("127.0.0.1:{}", listen.port())
    } else {
        listen.to_string()
    };
    println!("\n  Lamppost  http://{host}/\n");
    println!("  curl 'http://{host}/collections/lamps/items?limit=1'");
    println!("  curl 'http://{host}/collections/toilets/nearest?point=117.22,39.10&k=3'");
    println!("  curl 'http://{host}/tiles/lamps,wells'\n");
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Basemaps {
    #[serde(default)]
    basemap: Vec<Basemap>,
}

fn read_basemaps(path: &std::path::Path) -> Result<Vec<Basemap>> {
    let name = path.display();
    let setup = |detail: String| Error::Setup(text!("底图设置 {name}:{detail}", "base map settings {name}: {detail}"));
    let text = std::fs::read_to_string(path).map_err(|e| setup(e.to_string()))?;
    let read: Basemaps = toml::from_str(&text).map_err(|e| setup(e.to_string()))?;
    let mut faults = Vec::new();
    for map in &read.basemap {
        let id = &map.id;
        if map.datum == "gcj02" {
            let detail = Text::new(
                "GCJ-02 底图与本服务的瓦片相差数百米，瓦片能随之偏移之前不予使用",
                "a base map in GCJ-02 lies hundreds of metres off the tiles; it is refused until tiles can follow it",
            );
            faults.push(Fault::new(id.as_str(), detail));
        } else if !["wgs84", "cgcs2000"].contains(&map.datum.as_str()) {
            let detail = Text::new("datum 应为 wgs84 或 cgcs2000", "datum should be wgs84 or cgcs2000");
            faults.push(Fault::new(id.as_str(), detail));
        }
        if map.tiles.is_empty()
            || !map
                .tiles
                .iter()
                .all(|t| t.starts_with("https://") || t.starts_with("http://"))
        {
            let detail = Text::new(
                "tiles 应为 http(s) 模板的列表",
                "tiles should be a list of http(s) templates",
            );
            faults.push(Fault::new(id.as_str(), detail));
        }
    }
    if faults.is_empty() {
        Ok(read.basemap)
    } else {
        Err(Error::Invalid(faults))
    }
}
