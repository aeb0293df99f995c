//! The operating system account that PostgreSQL runs as.
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::error::{Error, Result};
use crate::text;

/// PostgreSQL refuses to run as root, so root's cluster runs as `postgres`; everybody else's as themselves.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// Numeric user.
    pub(super) uid: u32,
    gid: u32,
    /// The name that peer authentication compares with.
    pub(super) name: String,
    switch: bool,
}

impl Account {
    /// The account for whoever runs this process.
    pub(super) async fn find() -> Result<Account> {
        let uid = rustix::process::geteuid().as_raw();
        if uid != 0 {
            let name = id(&["-un"]).await?.ok_or_else(|| {
                Error::Setup(text!(
                    "用户号 {uid} 没有用户名（见 /etc/passwd）,PostgreSQL 需要用户名",
                    "user number {uid} has no name in /etc/passwd, and PostgreSQL needs one"
                ))
            })?;
            let gid = rustix::process::getegid().as_raw();
            return Ok(Account {
                uid,
                gid,
                name,
                switch: false,
            });
        }
        let number = |s: Option<String>| s.and_then(|s| s.parse::<u32>().ok());
        match (
            number(id(&["-u", "postgres"]).await?),
            number(id(&["-g", "postgres"]).await?),
        ) {
            (Some(uid), Some(gid)) => Ok(Account {
                uid,
                gid,
                name: "postgres".to_owned(),
                switch: true,
            }),
            _ => Err(Error::Setup(text!(
                "PostgreSQL 不能以 root 运行，而系统没有用户 postgres:请安装 PostgreSQL 的系统包，或以普通用户运行 lamppost",
                "PostgreSQL refuses to run as root and there is no user postgres: install PostgreSQL from your system's packages, or run lamppost as an ordinary user"
            ))),
        }
    }

    /// Whether we are root and PostgreSQL is another account.
    pub(super) fn switches(&self) -> bool {
        self.switch
    }

    /// A command that runs as this account, untouched by the caller's own PostgreSQL environment and in plain English.
    pub(super) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        for (key, _) in std::env::vars_os() {
            let name = key.to_string_lossy();
            // A database URL may hold a password, which is none of the server's business.
            if name.starts_with("PG") || name.ends_with("DATABASE_URL") {
                command.env_remove(&key);
            }
        }
        command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Hands a file or directory to the account.
    pub(super) fn give(&self, path: &Path) -> Result<()> {
        if self.switch {
            std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).map_err(|e| unusable(path, &e))?;
        }
        Ok(())
    }

    /// Makes sure that the account can enter `dir`; names the first directory on the way that keeps it out.
    pub(super) async fn check_enter(&self, dir: &Path) -> Result<()> {
        if !self.switch || self.can_enter(dir).await? {
            return Ok(());
        }
        let mut on_the_way: Vec<PathBuf> = dir.ancestors().map(Path::to_owned).collect();
        on_the_way.reverse();
        for closed in on_the_way {
            if !self.can_enter(&closed).await? {
                let (dir, closed, name) = (dir.display(), closed.display(), &self.name);
                return Err(Error::Setup(text!(
                    "用户 {name} 无法进入 {closed}，因此不能使用数据目录 {dir}:请执行 chmod o+x {closed}，或用 --data-dir 选择其他目录",
                    "user {name} cannot enter {closed}, so the data directory {dir} is of no use to it: run `chmod o+x {closed}`, or choose another with --data-dir"
                )));
            }
        }
        Ok(())
    }

    async fn can_enter(&self, dir: &Path) -> Result<bool> {
        let status = self
            .command("test")
            .arg("-x")
            .arg(dir)
            .status()
            .await
            .map_err(Error::internal)?;
        Ok(status.success())
    }
}

async fn id(args: &[&str]) -> Result<Option<String>> {
    let out = Command::new("id")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(Error::internal)?;
    Ok(out
        .status
        .success()
        .then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
        .filter(|name| !name.is_empty()))
}

/// A path that could not be read or written, with the system's reason.
pub(super) fn unusable(path: &Path, e: &std::io::Error) -> Error {
    let path = path.display();
    Error::Setup(text!("无法使用 {path}:{e}", "cannot use {path}: {e}"))
}
