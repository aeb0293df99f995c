//! What lies where in a data directory, and how it is made.
//!
//! ```text
//! DIR/lamppost.lock, lamppost.guests   who runs the cluster, who else uses it (`lock`)
//! DIR/postgres/                        PostgreSQL's own directory; `postgres.new` while it is being made
//! DIR/run/                             the socket; elsewhere when DIR is too long for a socket's name
//! DIR/postgres.log                     what PostgreSQL says; the run before last in postgres.log.1
//! ```
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::account::{Account, unusable};
use super::install::Install;
use super::settings;
use crate::error::{Error, Result};
use crate::text;

/// A socket's whole name must fit into `sun_path`: 108 bytes on Linux, 104 elsewhere, with the final zero.
const LONGEST_SOCKET: usize = 103;
const SOCKET_NAME: &str = "/.s.PGSQL.5432";
const LARGEST_LOG: u64 = 10 << 20;

/// The paths of one data directory.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The data directory, canonical.
    pub(super) dir: PathBuf,
    /// PostgreSQL's own directory.
    pub(super) data: PathBuf,
}

impl Layout {
    /// Makes the data directory if it is not there.
    pub(super) fn at(dir: &Path) -> Result<Layout> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o755);
        builder.create(dir).map_err(|e| unusable(dir, &e))?;
        let dir = dir.canonicalize().map_err(|e| unusable(dir, &e))?;
        if dir.join("PG_VERSION").exists() {
            let dir = dir.display();
            return Err(Error::Setup(text!(
                "{dir} 本身就是一个 PostgreSQL 数据目录，请为 lamppost 另选一个空目录",
                "{dir} is itself a PostgreSQL data directory; give lamppost an empty one of its own"
            )));
        }
        let data = dir.join("postgres");
        Ok(Layout { dir, data })
    }

    /// The major version that made the cluster, `None` when it has yet to be made. Anything in between is refused: what may
    /// be somebody's data is never overwritten.
    pub(super) fn existing(&self, account: &Account) -> Result<Option<u32>> {
        let meta = match std::fs::symlink_metadata(&self.data) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| unusable(&self.data, &e))?,
        };
        if meta.uid() != account.uid {
            let (data, uid, name) = (self.data.display(), meta.uid(), &account.name);
            return Err(Error::Setup(text!(
                "{data} 属于用户 {uid}，而 PostgreSQL 将以 {name} 运行：请以原用户运行，或用 --data-dir 选择其他目录",
                "{data} belongs to user number {uid}, but PostgreSQL would run as {name}: run lamppost as that user, or choose another directory with --data-dir"
            )));
        }
        let version = match std::fs::read_to_string(self.data.join("PG_VERSION")) {
            Ok(version) => version,
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(unusable(&self.data, &e)),
            // An empty directory holds nobody's data.
            Err(_) if std::fs::remove_dir(&self.data).is_ok() => return Ok(None),
            Err(_) => return Err(self.incomplete("PG_VERSION")),
        };
        let major = version.trim().parse().map_err(|_| self.incomplete("PG_VERSION"))?;
        Ok(Some(major))
    }

    /// A cluster of the right major may still lack its heart, after a partial copy or restore.
    pub(super) fn check_complete(&self) -> Result<()> {
        for part in ["global/pg_control", "postgresql.conf", "pg_wal"] {
            if !self.data.join(part).exists() {
                return Err(self.incomplete(part));
            }
        }
        Ok(())
    }

    fn incomplete(&self, part: &str) -> Error {
        let data = self.data.display();
        Error::Setup(text!(
            "{data} 不完整（缺少 {part}）:请恢复备份；若其中没有要保留的数据，请移走该目录后重试",
            "{data} is incomplete ({part} is missing): restore it from a backup or, if nothing in it is to be kept, move it away and try again"
        ))
    }

    /// Makes the cluster under another name and renames it when it is whole, so that a kill leaves either nothing or all of it.
    pub(super) async fn create(&self, install: &Install, account: &Account) -> Result<()> {
        let new = self.dir.join("postgres.new");
        if new.exists() {
            tracing::warn!(directory = %new.display(), "finishing a cluster that was left half-made");
            std::fs::remove_dir_all(&new).map_err(|e| unusable(&new, &e))?;
        }
        tracing::info!(
            directory = %self.data.display(),
            "making a PostgreSQL {} cluster; this takes a few seconds", install.major
        );
        private_dir(&new, account)?;
        // Byte order collates the same on every machine and after every upgrade of its C library; C.UTF-8 still knows letters.
        let utf8 = ["--lc-collate=C", "--lc-ctype=C.UTF-8"];
        let plain = ["--lc-collate=C", "--lc-ctype=C"];
        let mut out = initdb(&new, install, account, &utf8).await?;
        if !out.status.success() {
            std::fs::remove_dir_all(&new).map_err(|e| unusable(&new, &e))?;
            private_dir(&new, account)?;
            out = initdb(&new, install, account, &plain).await?;
        }
        if !out.status.success() {
            let said = String::from_utf8_lossy(&out.stderr);
            let said = said.trim();
            return Err(Error::Setup(text!("initdb 失败：{said}", "initdb failed: {said}")));
        }
        let conf = new.join("postgresql.conf");
        let written = OpenOptions::new().append(true).open(&conf).and_then(|mut f| {
            f.write_all(b"\ninclude 'lamppost.conf'\n")?;
            f.sync_all()
        });
        written.map_err(|e| unusable(&conf, &e))?;
        std::fs::rename(&new, &self.data)
            .and_then(|()| File::open(&self.dir)?.sync_all())
            .map_err(|e| unusable(&self.data, &e))
    }

    /// Writes what we settle for every start, so that a newer Lamppost's settings reach an older cluster.
    pub(super) fn configure(&self, account: &Account) -> Result<()> {
        let local = self.data.join("local.conf");
        if !local.exists() {
            replace(&local, settings::LOCAL, account)?;
        }
        replace(
            &self.data.join("lamppost.conf"),
            &settings::conf(settings::memory_mb()),
            account,
        )?;
        replace(&self.data.join("pg_hba.conf"), settings::HBA, account)?;
        replace(
            &self.data.join("pg_ident.conf"),
            &settings::ident(&account.name),
            account,
        )
    }

    /// What marks our processes in the process list. The directory's own number, not its path: a move keeps it, and the same
    /// path in a container is another directory.
    pub(super) fn tag(&self) -> Result<String> {
        let meta = std::fs::metadata(&self.data).map_err(|e| unusable(&self.data, &e))?;
        Ok(format!("lamppost-{:x}-{:x}", meta.dev(), meta.ino()))
    }

    /// The private directory of the socket, made if it is not there.
    pub(super) fn socket_dir(&self, account: &Account) -> Result<PathBuf> {
        let near = self.dir.join("run");
        let dir = if near.as_os_str().len() + SOCKET_NAME.len() <= LONGEST_SOCKET {
            near
        } else {
            // /run is root's own; a user's part of it goes away when they log out, and the service with it.
            let root = account.switches() && Path::new("/run").is_dir();
            let base = Path::new(if root { "/run" } else { "/tmp" });
            base.join(format!("{}-{}", self.tag()?, account.uid))
        };
        match std::fs::symlink_metadata(&dir) {
            Err(_) => private_dir(&dir, account)?,
            // /tmp is everybody's: a directory that somebody else put there would hand them our socket.
            Ok(meta) if meta.is_dir() && meta.uid() == account.uid => {
                std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700))
                    .map_err(|e| unusable(&dir, &e))?;
            }
            Ok(_) => {
                let (dir, name) = (dir.display(), &account.name);
                return Err(Error::Setup(text!(
                    "{dir} 不是用户 {name} 的目录，请移走后重试",
                    "{dir} is not a directory of user {name}; move it away and try again"
                )));
            }
        }
        Ok(dir)
    }

    /// The log for a new run of PostgreSQL.
    pub(super) fn log(&self) -> Result<File> {
        let path = self.log_path();
        if std::fs::metadata(&path).is_ok_and(|m| m.len() > LARGEST_LOG) {
            std::fs::rename(&path, path.with_extension("log.1")).map_err(|e| unusable(&path, &e))?;
        }
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|e| unusable(&path, &e))
    }

    /// Where PostgreSQL's log is.
    pub(super) fn log_path(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }
}

async fn initdb(data: &Path, install: &Install, account: &Account, locale: &[&str]) -> Result<std::process::Output> {
    account
        .command(install.bin.join("initdb"))
        .arg("-D")
        .arg(data)
        .args(["--username=postgres", "--auth=peer", "--encoding=UTF8", "--locale=C"])
        .args(locale)
        .args(["--data-checksums", "--no-instructions"])
        .output()
        .await
        .map_err(Error::internal)
}

fn private_dir(path: &Path, account: &Account) -> Result<()> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|e| unusable(path, &e))?;
    account.give(path)
}

/// Writes a whole file at once. Root writes here into a directory of `postgres`, so a link in the way is replaced, not followed.
fn replace(path: &Path, text: &str, account: &Account) -> Result<()> {
    let new = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        match std::fs::remove_file(&new) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(&new)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|e| unusable(&new, &e))?;
    account.give(&new)?;
    std::fs::rename(&new, path).map_err(|e| unusable(path, &e))
}
