//! Starting, awaiting and stopping PostgreSQL, and sweeping up what a killed Lamppost left running.
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::process::Child;
use tokio::time::sleep;

use super::account::{Account, unusable};
use super::install::Install;
use super::layout::Layout;
use crate::error::{Error, Result};
use crate::text;

/// A fast shutdown writes a checkpoint first; one that takes longer is cut short and recovers at the next start.
const FAST: Duration = Duration::from_secs(60);
const IMMEDIATE: Duration = Duration::from_secs(15);
/// A backend in the middle of a long statement does not look for its postmaster; its work is lost either way.
const ORPHANS: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(50);

/// Everything that a start of PostgreSQL needs to know.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) layout: Layout,
    pub(super) install: Install,
    pub(super) account: Account,
    pub(super) socket: PathBuf,
    pub(super) tag: String,
}

/// How to reach a private cluster whose socket is in `socket`.
pub(super) fn options(socket: &Path, role: &str, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket)
        .port(5432)
        .ssl_mode(PgSslMode::Disable)
        .username(role)
        .database(database)
}

impl Server {
    /// Starts PostgreSQL in a process group of its own, so that a ctrl-c at the terminal does not stop it before the service
    /// has drained.
    pub(super) fn spawn(&self) -> Result<Child> {
        // A comma or a quotation mark in the path would be read as a list of directories.
        let socket = self.socket.to_string_lossy().replace('"', "\"\"");
        let log = self.layout.log()?;
        let log_too = log.try_clone().map_err(Error::internal)?;
        let program = self.install.bin.join("postgres");
        self.account
            .command(&program)
            .arg("-D")
            .arg(&self.layout.data)
            .args(["-c", &format!("cluster_name={}", self.tag)])
            .args(["-c", &format!("unix_socket_directories=\"{socket}\"")])
            .args(["-c", "unix_socket_permissions=0700"])
            .args(["-c", "listen_addresses=", "-c", "port=5432"])
            // On the command line these also win over ALTER SYSTEM.
            .args(["-c", "fsync=on", "-c", "full_page_writes=on"])
            .args(["-c", "synchronous_commit=on"])
            .stdout(log)
            .stderr(log_too)
            .process_group(0)
            .spawn()
            .map_err(|e| unusable(&program, &e))
    }

    /// Waits until PostgreSQL answers: as long as it lives and says that it is starting, for recovery takes as long as it takes.
    pub(super) async fn await_ready(&self, child: &mut Child) -> Result<()> {
        let began = Instant::now();
        let mut silent_since = began;
        let mut told = began;
        loop {
            if let Some(status) = child.try_wait().map_err(Error::internal)? {
                return Err(self.died(&status.to_string()));
            }
            match options(&self.socket, "postgres", "postgres").connect().await {
                Ok(connection) => {
                    drop(connection);
                    return Ok(());
                }
                Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("57P03") => {
                    silent_since = Instant::now();
                }
                Err(sqlx::Error::Io(_)) if silent_since.elapsed() < FAST => {}
                Err(e) => return Err(Error::internal(e)),
            }
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                let seconds = began.elapsed().as_secs();
                tracing::info!(seconds, "waiting for PostgreSQL to start or recover");
            }
            sleep(TICK).await;
        }
    }

    fn died(&self, status: &str) -> Error {
        let log = self.layout.log_path();
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(8)..].join("\n");
        let log = log.display();
        Error::Setup(text!(
            "PostgreSQL 没有启动({status})。{log} 的末尾：\n{last}",
            "PostgreSQL did not start ({status}); the end of {log}:\n{last}"
        ))
    }

    /// Asks PostgreSQL to stop, with more insistence when it takes too long.
    pub(super) async fn stop(&self, child: &mut Child) -> Result<()> {
        for (signal, patience) in [(Signal::INT, FAST), (Signal::QUIT, IMMEDIATE)] {
            if let Some(pid) = child.id().and_then(pid) {
                // It may have ended on its own just now; then the wait below returns at once.
                let _ = kill_process(pid, signal);
            }
            if let Ok(ended) = tokio::time::timeout(patience, child.wait()).await {
                ended.map_err(Error::internal)?;
                return Ok(());
            }
            tracing::warn!(seconds = patience.as_secs(), "PostgreSQL is slow to stop; insisting");
        }
        child.kill().await.map_err(Error::internal)
    }

    /// Stops every process of a former run of this cluster: a postmaster whose Lamppost was killed, or backends whose
    /// postmaster was. They hold the shared memory, and nothing may start beside them.
    pub(super) async fn sweep(&self) -> Result<()> {
        self.refuse_foreign_postmaster()?;
        self.stop_former().await?;
        // Nobody is left behind this socket, but its lock names a process number that may by now be another program's, or that
        // of a zombie, and would keep PostgreSQL from starting.
        for name in [".s.PGSQL.5432", ".s.PGSQL.5432.lock"] {
            let path = self.socket.join(name);
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(unusable(&path, &e)),
                _ => {}
            }
        }
        Ok(())
    }

    async fn stop_former(&self) -> Result<()> {
        if self.processes().is_empty() {
            return Ok(());
        }
        // Backends notice by themselves that their postmaster is gone; a postmaster is told to stop.
        for (signal, patience) in [(Signal::INT, FAST), (Signal::QUIT, IMMEDIATE)] {
            for postmaster in self.processes().iter().filter(|p| p.postmaster) {
                let process = postmaster.pid.as_raw_pid();
                tracing::warn!(process, "stopping the PostgreSQL that a killed lamppost left running");
                signal_or_refuse(postmaster.pid, signal)?;
            }
            let began = Instant::now();
            while began.elapsed() < patience {
                let left = self.processes();
                if left.is_empty() {
                    return Ok(());
                }
                let orphans = left.iter().all(|p| !p.postmaster);
                if orphans && began.elapsed() > ORPHANS {
                    for backend in &left {
                        signal_or_refuse(backend.pid, Signal::QUIT)?;
                    }
                }
                sleep(TICK).await;
            }
        }
        let left: Vec<String> = self
            .processes()
            .iter()
            .map(|p| p.pid.as_raw_pid().to_string())
            .collect();
        let left = left.join(" ");
        Err(Error::Setup(text!(
            "上次运行留下的 PostgreSQL 进程 {left} 没有停止，请执行 kill -9 {left} 后重试",
            "PostgreSQL processes {left} of an earlier run do not stop: run `kill -9 {left}` and try again"
        )))
    }

    /// A PostgreSQL that somebody else started on our directory is theirs to stop; a number that now belongs to some other
    /// program would keep ours from starting, and is forgotten.
    fn refuse_foreign_postmaster(&self) -> Result<()> {
        let file = self.layout.data.join("postmaster.pid");
        let Some(number) = std::fs::read_to_string(&file)
            .ok()
            .and_then(|text| text.lines().next()?.trim().parse::<u32>().ok())
        else {
            return Ok(());
        };
        let alive = pid(number).is_some_and(|p| {
            // EPERM means that it lives and is somebody else's.
            !matches!(test_kill_process(p), Err(rustix::io::Errno::SRCH))
        });
        if !alive || self.processes().iter().any(|p| p.is(number)) {
            return Ok(());
        }
        let line = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains("postgres") {
            let data = self.layout.data.display();
            return Err(Error::Setup(text!(
                "{data} 正由另一个 PostgreSQL（进程 {number}）使用，它不是 lamppost 启动的：请先停止它",
                "{data} is in use by a PostgreSQL (process {number}) that lamppost did not start: stop that first"
            )));
        }
        std::fs::remove_file(&file).map_err(|e| unusable(&file, &e))
    }

    fn processes(&self) -> Vec<Process> {
        processes(&self.tag)
    }
}

#[derive(Debug)]
struct Process {
    pid: Pid,
    postmaster: bool,
}

impl Process {
    fn is(&self, number: u32) -> bool {
        u32::try_from(self.pid.as_raw_pid()) == Ok(number)
    }
}

/// The living processes of a cluster, by the name that each carries in its command line; readable without any privilege.
fn processes(tag: &str) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()).and_then(pid) else {
            continue;
        };
        // A zombie has no command line, and holds nothing.
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        let backend = line.starts_with("postgres: ") && line[10..].starts_with(&format!("{tag}: "));
        let postmaster = !backend
            && line.split('\0').next().is_some_and(|p| p.ends_with("/postgres"))
            && line.split('\0').any(|a| a.strip_prefix("cluster_name=") == Some(tag));
        if backend || postmaster {
            found.push(Process { pid, postmaster });
        }
    }
    found
}

/// A process number as the system wants it.
pub(super) fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

fn signal_or_refuse(pid: Pid, signal: Signal) -> Result<()> {
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(e) => {
            let number = pid.as_raw_pid();
            Err(Error::Setup(text!(
                "无法停止上次运行留下的 PostgreSQL（进程 {number}）:{e}",
                "cannot stop the PostgreSQL of an earlier run (process {number}): {e}"
            )))
        }
    }
}
