//! The whole database into one file, as of one moment and while others write, and back into an empty one: by PostgreSQL's own tools.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use sqlx::postgres::PgConnectOptions;
use tokio::process::Command;

use super::Store;
use super::cluster::tool;
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::text;

/// Where PostgreSQL's own tools find a database: as sqlx does, and the password, which goes by the environment.
#[derive(Clone, Debug)]
pub struct Server {
    options: PgConnectOptions,
    password: Option<String>,
}

impl Server {
    /// The database that some options lead to; `url` is where they come from, if they come from one.
    pub fn of(options: PgConnectOptions, url: Option<&str>) -> Server {
        Server {
            options,
            password: url.and_then(password),
        }
    }

    fn command(&self, program: &Path) -> Command {
        let o = &self.options;
        let mut command = Command::new(program);
        let socket = o.get_socket().map(|s| s.to_string_lossy().into_owned());
        command
            .env("PGHOST", socket.unwrap_or_else(|| o.get_host().to_owned()))
            .env("PGPORT", o.get_port().to_string())
            .env("PGUSER", o.get_username())
            .env("PGDATABASE", o.get_database().unwrap_or("postgres"))
            .env("PGAPPNAME", "lamppost backup")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(password) = &self.password {
            command.env("PGPASSWORD", password);
        }
        command
    }

    /// What one of the tools prints, given a file.
    async fn run(&self, name: &str, major: u32, args: &[&str], file: &Path) -> Result<String> {
        let program: PathBuf = tool(name, major)?;
        let out = self.command(&program).args(args).arg(file).output().await;
        let out = out.map_err(|e| Error::Setup(text!("{name} 无法运行：{e}", "{name} cannot be run: {e}")))?;
        if out.status.success() {
            return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&out.stderr);
        let said = said.lines().take(5).collect::<Vec<_>>().join("\n");
        Err(Error::Setup(text!("{name} 失败：\n{said}", "{name} failed:\n{said}")))
    }

    /// Writes the database into a file, in one snapshot.
    pub async fn dump(&self, store: &Store, file: &Path) -> Result<()> {
        let args = ["--format=custom", "--no-owner", "--no-privileges", "--file"];
        self.run("pg_dump", store.major().await?, &args, file).await.map(drop)
    }

    /// Reads a file that [`Server::dump`] wrote into an empty database: all of it or nothing.
    pub async fn restore(&self, store: &Store, file: &Path) -> Result<()> {
        let taken: bool = sqlx::query_scalar("select to_regclass('component') is not null")
            .fetch_one(&store.pool)
            .await?;
        if taken {
            return Err(Error::Setup(Text::new(
                "目标数据库已有登记簿；请恢复到空的数据目录或空数据库",
                "the database holds a register already; restore into an empty data directory or database",
            )));
        }
        let database = self.options.get_database().unwrap_or("postgres");
        // The extension is another one's, who need not be us: it must be there, and is left as it is.
        sqlx::raw_sql("create extension if not exists postgis")
            .execute(&store.pool)
            .await?;
        let major = store.major().await?;
        let all = self.run("pg_restore", major, &["--list"], file).await?;
        let ours: String = all
            .lines()
            .filter(|l| !l.contains(" EXTENSION ") && !l.contains(" spatial_ref_sys "))
            .map(|l| l.to_owned() + "\n")
            .collect();
        let list = tempfile::NamedTempFile::new().map_err(Error::internal)?;
        std::fs::write(list.path(), ours).map_err(Error::internal)?;
        let listed = list.path().to_string_lossy();
        let args = [
            "--use-list",
            &listed,
            "--no-owner",
            "--no-privileges",
            "--exit-on-error",
            "--single-transaction",
            "--dbname",
            database,
        ];
        self.run("pg_restore", major, &args, file).await.map(drop)
    }
}

impl Store {
    async fn major(&self) -> Result<u32> {
        let number: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
            .fetch_one(&self.pool)
            .await?;
        Ok(u32::try_from(number / 10_000).unwrap_or(0))
    }
}

/// The password of a database URL.
fn password(url: &str) -> Option<String> {
    let rest = url.split_once("://")?.1;
    let user = rest.split(['/', '?']).next()?.rsplit_once('@')?.0;
    let (_, password) = user.split_once(':')?;
    let mut bytes = Vec::new();
    let mut left = password.bytes();
    while let Some(b) = left.next() {
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        bytes.push(match b {
            b'%' => u8::try_from(digit(left.next())? * 16 + digit(left.next())?).ok()?,
            b => b,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_url_is_found_and_read() {
        let read = |url: &str| password(url);
        assert_eq!(read("postgres://a:b%40%2Fc@host/db?x=y"), Some("b@/c".to_owned()));
        assert_eq!(read("postgres://a@host/db"), None);
        assert_eq!(read("postgres://host/db?host=a:b@c"), None);
    }
}
