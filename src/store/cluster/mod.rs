//! The private PostgreSQL cluster of a Lamppost that was given no database URL.
//!
//! One process owns a data directory and runs PostgreSQL in it; other verbs on the same machine join as guests. The cluster
//! speaks over a socket in a private directory and knows callers by their operating system account, so there is neither a
//! port nor a password to keep. How each way of dying is survived:
//!
//! | killed | then |
//! |---|---|
//! | Lamppost | its PostgreSQL lives on; the next owner stops it and starts afresh ([`process`]) |
//! | PostgreSQL | its owner waits for the orphaned backends to go and starts it again ([`supervise`]) |
//! | both, or the machine | PostgreSQL recovers from its log at the next start |
//! | either, while the cluster is being made | it was made under another name and is made again ([`layout`]) |
mod account;
mod install;
mod layout;
mod lock;
mod prepare;
mod process;
mod settings;
mod supervise;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use tokio::time::sleep;

use crate::error::{Error, Result};
use crate::text;
use account::Account;
use layout::Layout;
use lock::{GuestLock, Holder, OwnerLock};
use process::Server;
use supervise::Supervisor;

pub use install::OLDEST_MAJOR;

const TICK: Duration = Duration::from_millis(100);
/// A verb that is about to end need not keep the service from starting.
const GRACE: Duration = Duration::from_secs(5);

/// A running private cluster, ours or joined. Call [`Cluster::stop`] at the end; dropping it only asks PostgreSQL to stop.
#[derive(Debug)]
pub struct Cluster {
    socket: PathBuf,
    part: Part,
}

#[derive(Debug)]
enum Part {
    // Fields drop in this order: PostgreSQL is told to stop before the directory is let go.
    Owner {
        supervisor: Supervisor,
        dir: PathBuf,
        patient: bool,
        _lock: OwnerLock,
    },
    Guest {
        _lock: GuestLock,
    },
}

/// One of PostgreSQL's own tools, of a major version or a newer one.
pub fn tool(name: &str, major: u32) -> Result<PathBuf> {
    let places = install::usual_places();
    let installed = install::search(&places);
    let fits = installed.iter().filter(|i| i.major >= major).map(|i| i.bin.join(name));
    // A machine without a server may have the tools alone.
    let alone = places.iter().map(|p| p.join(name));
    let alone = alone.filter(|p| p.exists() && install::version_of(p).is_some_and(|v| v >= major));
    let mut found = fits.filter(|p| p.exists()).chain(alone);
    found.next().ok_or_else(|| {
        Error::Setup(text!(
            "没有 {name} {major} 或更高版本：请安装 postgresql-client-{major}",
            "there is no {name} {major} or newer: install postgresql-client-{major}"
        ))
    })
}

impl Cluster {
    /// Runs the cluster in `dir` as its only owner, for `lamppost serve`; a second one is refused.
    pub async fn open(dir: &Path) -> Result<Cluster> {
        let (layout, account) = look(dir).await?;
        let began = Instant::now();
        loop {
            match lock::own(&layout.dir, "serve")? {
                Ok(lock) => return own(layout, account, lock, false).await,
                Err(holder) if holder.verb == "serve" || began.elapsed() > GRACE => {
                    return Err(in_use(&layout.dir, &holder));
                }
                Err(_) => sleep(TICK).await,
            }
        }
    }

    /// Joins the cluster that runs in `dir`, or runs it for as long as this verb takes.
    pub async fn open_or_join(dir: &Path) -> Result<Cluster> {
        let (layout, account) = look(dir).await?;
        let mut told = Instant::now();
        loop {
            if let Ok(lock) = lock::own(&layout.dir, "verb")? {
                return own(layout, account, lock, true).await;
            }
            if let Some(lock) = lock::visit(&layout.dir)?
                && layout.existing(&account)?.is_some()
            {
                let socket = layout.socket_dir(&account)?;
                if prepare::answers(&socket).await? {
                    let part = Part::Guest { _lock: lock };
                    return Ok(Cluster { socket, part });
                }
            }
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                tracing::info!("waiting for the lamppost that runs this cluster");
            }
            sleep(TICK).await;
        }
    }

    /// How to connect to the register's database.
    pub fn options(&self) -> PgConnectOptions {
        process::options(&self.socket, "lamppost", "lamppost").application_name("lamppost")
    }

    /// The process number of our PostgreSQL: `None` for a guest, and while it is being started again.
    pub fn process(&self) -> Option<u32> {
        match &self.part {
            Part::Owner { supervisor, .. } => Some(supervisor.process()).filter(|p| *p != 0),
            Part::Guest { .. } => None,
        }
    }

    /// Stops PostgreSQL, unless it is somebody else's. A verb first waits for its guests; a service that is told to stop does
    /// not, and they are cut off.
    pub async fn stop(self) -> Result<()> {
        let Part::Owner {
            supervisor,
            dir,
            patient,
            _lock,
        } = self.part
        else {
            return Ok(());
        };
        let mut door = lock::close_door(&dir)?;
        if patient && door.is_none() {
            tracing::info!("waiting for other lamppost verbs that use this cluster");
            while door.is_none() {
                sleep(TICK).await;
                door = lock::close_door(&dir)?;
            }
        }
        supervisor.stop().await?;
        // Outside the data directory it would be litter; the next start makes it anew.
        let _ = std::fs::remove_dir(&self.socket);
        Ok(())
    }
}

async fn look(dir: &Path) -> Result<(Layout, Account)> {
    let account = Account::find().await?;
    let layout = Layout::at(dir)?;
    account.check_enter(&layout.dir).await?;
    Ok((layout, account))
}

async fn own(layout: Layout, account: Account, lock: OwnerLock, patient: bool) -> Result<Cluster> {
    let existing = layout.existing(&account)?;
    let installed = tokio::task::spawn_blocking(|| install::search(&install::usual_places()))
        .await
        .map_err(Error::internal)?;
    let install = install::choose(&installed, existing, &layout.data)?;
    match existing {
        Some(_) => layout.check_complete()?,
        None => layout.create(&install, &account).await?,
    }
    layout.configure(&account)?;
    let server = Server {
        socket: layout.socket_dir(&account)?,
        tag: layout.tag()?,
        install,
        account,
        layout,
    };
    let (socket, dir) = (server.socket.clone(), server.layout.dir.clone());
    let supervisor = Supervisor::start(server).await?;
    if let Err(e) = prepare::prepare(&socket).await {
        supervisor.stop().await?;
        return Err(e);
    }
    let part = Part::Owner {
        supervisor,
        dir,
        patient,
        _lock: lock,
    };
    Ok(Cluster { socket, part })
}

fn in_use(dir: &Path, holder: &Holder) -> Error {
    let (dir, pid) = (dir.display(), holder.pid);
    if holder.verb == "serve" {
        return Error::Setup(text!(
            "数据目录 {dir} 正由另一个 lamppost serve（进程 {pid}）使用：请先停止它，或用 --data-dir 选择其他目录",
            "data directory {dir} is in use by another `lamppost serve` (process {pid}): stop that one first, or choose another directory with --data-dir"
        ));
    }
    Error::Setup(text!(
        "数据目录 {dir} 正由另一个 lamppost 命令（进程 {pid}）使用：请等它结束",
        "data directory {dir} is in use by another lamppost command (process {pid}): wait until it has finished"
    ))
}
