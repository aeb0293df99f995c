//! Which database a verb works on: a server that it is given, or the private cluster of its data directory.
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, Result};
use crate::store::cluster::Cluster;
use crate::store::dump::Server;
use crate::store::{Store, external};
use crate::text;

/// Several processes share the private cluster's 50 connections.
const CONNECTIONS: u32 = 12;

/// The database, for every verb that needs one.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DatabaseArgs {
    // Both at once would be a guess at which register is meant.
    /// PostgreSQL server with PostGIS, as postgres://user:password@host/database?sslmode=verify-full; without it, Lamppost
    /// runs a private one in the data directory
    #[arg(
        long,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_name = "URL",
        conflicts_with = "data_dir"
    )]
    pub database_url: Option<String>,
    /// Where the private PostgreSQL keeps its data [default: /var/lib/lamppost for root, else ~/.local/share/lamppost]
    #[arg(long, env = "LAMPPOST_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// An open database. Close it at the end, so that a private PostgreSQL stops in good order.
#[derive(Debug)]
pub struct Database {
    /// The record.
    pub store: Store,
    /// The same for PostgreSQL's own tools.
    pub server: Server,
    cluster: Option<Cluster>,
}

impl DatabaseArgs {
    /// Opens the database and brings its schema up to date. `serving` makes this process the only owner of a private cluster;
    /// any other verb joins the one that runs.
    pub async fn open(&self, serving: bool) -> Result<Database> {
        self.open_as_is(serving).await?.migrated().await
    }

    /// Opens the database and leaves its schema as it is.
    async fn open_as_is(&self, serving: bool) -> Result<Database> {
        let url = self.database_url.as_deref().filter(|url| !url.is_empty());
        let (options, cluster) = match url {
            Some(url) => (external::check(url).await?, None),
            None => {
                let dir = self.data_dir()?;
                let cluster = if serving {
                    Cluster::open(&dir).await?
                } else {
                    Cluster::open_or_join(&dir).await?
                };
                (cluster.options(), Some(cluster))
            }
        };
        let server = Server::of(options.clone(), url);
        match Store::connect(options, CONNECTIONS).await {
            Ok(store) => Ok(Database { store, server, cluster }),
            Err(e) => {
                if let Some(cluster) = cluster {
                    cluster.stop().await?;
                }
                Err(e)
            }
        }
    }

    /// Runs a verb on the database and closes it again, also when ctrl-c or SIGTERM ends the verb before its time: a private
    /// PostgreSQL that this process started would otherwise stay behind.
    pub async fn with<T>(&self, verb: impl AsyncFnOnce(&Store) -> Result<T>) -> Result<T> {
        self.run(self.open(false), async |d: &Database| verb(&d.store).await)
            .await
    }

    /// The same for a verb that needs PostgreSQL's own tools.
    pub async fn with_server<T>(&self, verb: impl AsyncFnOnce(&Store, &Server) -> Result<T>) -> Result<T> {
        self.run(self.open(false), async |d: &Database| verb(&d.store, &d.server).await)
            .await
    }

    /// The same for one that makes the schema itself.
    pub async fn with_empty<T>(&self, verb: impl AsyncFnOnce(&Store, &Server) -> Result<T>) -> Result<T> {
        self.run(self.open_as_is(false), async |d: &Database| {
            verb(&d.store, &d.server).await
        })
        .await
    }

    async fn run<T>(
        &self,
        open: impl Future<Output = Result<Database>>,
        verb: impl AsyncFnOnce(&Database) -> Result<T>,
    ) -> Result<T> {
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::internal)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::internal)?;
        let stopped = || Error::Setup(text!("已中断", "interrupted"));
        let database = tokio::select! {
            opened = open => opened?,
            _ = terminate.recv() => return Err(stopped()),
            _ = interrupt.recv() => return Err(stopped()),
        };
        let done = tokio::select! {
            done = verb(&database) => done,
            _ = terminate.recv() => Err(stopped()),
            _ = interrupt.recv() => Err(stopped()),
        };
        // What the verb itself has to say comes before what closing has.
        let closed = database.close().await;
        let value = done?;
        closed.map(|()| value)
    }

    /// The data directory: the one given, or the usual place for who runs this.
    pub fn data_dir(&self) -> Result<PathBuf> {
        if let Some(dir) = self.data_dir.as_ref().filter(|d| !d.as_os_str().is_empty()) {
            return Ok(dir.clone());
        }
        if rustix::process::geteuid().is_root() {
            return Ok(PathBuf::from("/var/lib/lamppost"));
        }
        let from = |key: &str| std::env::var_os(key).map(PathBuf::from);
        // The XDG rules ask to ignore a path that is not absolute.
        from("XDG_DATA_HOME")
            .filter(|dir| dir.is_absolute())
            .or_else(|| from("HOME").map(|home| home.join(".local/share")))
            .map(|base| base.join("lamppost"))
            .ok_or_else(|| {
                Error::Setup(text!(
                    "没有 HOME 环境变量：请用 --data-dir 指定数据目录",
                    "there is no HOME in the environment: name a data directory with --data-dir"
                ))
            })
    }
}

impl Database {
    /// The same with its schema up to date; closed where that fails.
    async fn migrated(self) -> Result<Database> {
        match self.store.migrate().await {
            Ok(()) => Ok(self),
            Err(e) => {
                self.close().await?;
                Err(e)
            }
        }
    }

    /// The private cluster, where there is one.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Closes the connections and, if this process owns it, stops the private cluster.
    pub async fn close(self) -> Result<()> {
        self.store.close().await;
        match self.cluster {
            Some(cluster) => cluster.stop().await,
            None => Ok(()),
        }
    }
}
