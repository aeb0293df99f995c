//! The servers under test: Lamppost as the owner of the city's PostgreSQL, more Lamppost nodes on it, Martin on it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::http::{Connection, get};
use crate::process::{Process, cpu_with_children};
use crate::{Result, Settings};

/// A running server.
pub(crate) struct Node {
    pub(crate) process: Process,
    pub(crate) at: SocketAddr,
    /// From its start to its first good answer.
    pub(crate) ready_after: Duration,
}

impl Node {
    async fn start(
        settings: &Settings,
        name: &str,
        probe: &str,
        command: impl FnOnce(SocketAddr) -> Result<Command>,
    ) -> Result<Node> {
        let at = free_address()?;
        let start = Instant::now();
        let mut process = Process::start(&mut command(at)?, &settings.work.join(format!("{name}.log")))?;
        loop {
            process.check()?;
            if let Ok(mut c) = Connection::open(at).await
                && c.ask(&get(at, probe, false)).await.ok() == Some(200)
            {
                break;
            }
            if start.elapsed() > Duration::from_secs(900) {
                return Err(format!("{name} does not answer").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let ready_after = start.elapsed();
        Ok(Node {
            process,
            at,
            ready_after,
        })
    }

    /// What the node said about its start: seconds until it served, by its own clock.
    pub(crate) fn served_after(&self) -> Result<f64> {
        let log = std::fs::read_to_string(&self.process.log)?;
        let told = log
            .split("duration_s=")
            .nth(1)
            .and_then(|s| s.split_whitespace().next());
        Ok(told.ok_or("the log does not say when the node served")?.parse()?)
    }

    /// Waits until the node has applied everything that is committed; how long that took.
    pub(crate) async fn caught_up(&self, city: &City) -> Result<Duration> {
        let start = Instant::now();
        // `behind` counts revisions, and what is committed is not one until a node has numbered it.
        let pending = "select exists (select from pending)";
        while sqlx::query_scalar(pending).fetch_one(&city.pool).await? {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let mut connection = Connection::open(self.at).await?;
        loop {
            // 503 while it is far behind.
            if connection.ask(&get(self.at, "/readyz", false)).await? == 200 {
                let answer: serde_json::Value = serde_json::from_slice(connection.body())?;
                if answer["behind"] == 0 {
                    return Ok(start.elapsed());
                }
            }
            if start.elapsed() > Duration::from_secs(3600) {
                return Err("the node never catches up".into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Lamppost that runs the PostgreSQL of a data directory.
pub(crate) async fn owner(settings: &Settings, dir: &Path, name: &str, cache_mb: u64) -> Result<Node> {
    Node::start(settings, name, "/readyz", |at| {
        let mut command = lamppost(settings, at, cache_mb);
        command.arg("--data-dir").arg(dir);
        Ok(command)
    })
    .await
}

/// Another Lamppost on the city's database.
pub(crate) async fn guest(settings: &Settings, city: &City, name: &str, cache_mb: u64) -> Result<Node> {
    Node::start(settings, name, "/readyz", |at| {
        let mut command = lamppost(settings, at, cache_mb);
        command.arg("--database-url").arg(city.url());
        Ok(command)
    })
    .await
}

fn lamppost(settings: &Settings, at: SocketAddr, cache_mb: u64) -> Command {
    let mut command = Command::new(&settings.lamppost);
    command.env_remove("DATABASE_URL").env_remove("LAMPPOST_DATA_DIR");
    command.args([
        "serve",
        "--listen",
        &at.to_string(),
        "--tile-cache-mb",
        &cache_mb.to_string(),
    ]);
    command
}

/// Martin on the city's database, serving `bench.tile` and `bench.live` and nothing else.
pub(crate) async fn martin(settings: &Settings, city: &City, name: &str, cache_mb: u64) -> Result<Node> {
    let layer = &settings.layer.id;
    Node::start(settings, name, "/health", |at| {
        let config = settings.work.join(format!("{name}.yaml"));
        let url = city.url();
        // Its pool is as large as there are connections: the cluster allows 50 in all.
        let mut text =
            format!("postgres:\n  connection_string: '{url}'\n  pool_size: 8\n  auto_publish: false\n  functions:\n");
        for (source, function) in [("", "tile"), ("-live", "live")] {
            text += &format!("    {layer}{source}:\n      schema: bench\n      function: {function}\n");
        }
        std::fs::write(&config, text)?;
        let mut command = Command::new(&settings.martin);
        command.env_remove("DATABASE_URL").env("RUST_LOG", "warn");
        command.args([
            "--listen-addresses",
            &at.to_string(),
            "--cache-size",
            &cache_mb.to_string(),
        ]);
        command.arg("--config").arg(config);
        Ok(command)
    })
    .await
}

/// The bare axum handler over a file of bodies.
pub(crate) async fn bare(settings: &Settings, bodies: &Path, probe: &str) -> Result<Node> {
    Node::start(settings, "bare", probe, |at| {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--bare").arg(bodies).arg(at.port().to_string());
        Ok(command)
    })
    .await
}

fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// The city's database, while a Lamppost runs it.
#[derive(Clone)]
pub(crate) struct City {
    run: PathBuf,
    pub(crate) postmaster: u32,
    pub(crate) pool: PgPool,
}

impl City {
    pub(crate) async fn open(dir: &Path) -> Result<City> {
        let pid = std::fs::read_to_string(dir.join("postgres/postmaster.pid"))?;
        let mut lines = pid.lines();
        let postmaster = lines.next().ok_or("an empty postmaster.pid")?.trim().parse()?;
        // The fifth line says where the socket is.
        let run = PathBuf::from(lines.nth(3).ok_or("postmaster.pid names no socket")?.trim());
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&run)
            .username("lamppost")
            .database("lamppost");
        let pool = PgPoolOptions::new().max_connections(4).connect_with(options).await?;
        Ok(City { run, postmaster, pool })
    }

    /// As every PostgreSQL driver reads it. Peer authentication lets in whoever runs the cluster, and root.
    pub(crate) fn url(&self) -> String {
        format!("postgresql://lamppost@localhost/lamppost?host={}", self.run.display())
    }

    /// CPU of PostgreSQL so far, in ticks.
    pub(crate) fn cpu(&self) -> Result<u64> {
        cpu_with_children(self.postmaster)
    }
}
