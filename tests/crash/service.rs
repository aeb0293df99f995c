//! The processes of the crash test.
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::process::{Child, Command};

const LAMPPOST: &str = env!("CARGO_BIN_EXE_lamppost");

/// A directory with the register and everything else of the test; removed at the end.
pub struct Place {
    pub dir: PathBuf,
    pub data: PathBuf,
}

impl Place {
    pub fn new() -> Place {
        let dir = std::env::temp_dir().join(format!("lamppost-crash-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        // Root's PostgreSQL is another account and has to pass.
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)).unwrap();
        let data = dir.join("data");
        Place { dir, data }
    }

    /// `lamppost ARGS --data-dir …`, whatever database the test run itself was given.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(LAMPPOST);
        command
            .args(args)
            .arg("--data-dir")
            .arg(&self.data)
            .env_remove("DATABASE_URL")
            .env_remove("LAMPPOST_DATA_DIR")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a verb to its end: what it prints, or what it complains about.
    pub async fn run(&self, args: &[&str]) -> Result<String, String> {
        let out = self.command(args).output().await.unwrap();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if out.status.success() {
            Ok(said(&out.stdout))
        } else {
            Err(format!("{}: {}{}", out.status, said(&out.stdout), said(&out.stderr)))
        }
    }

    fn postmaster(&self) -> Option<Pid> {
        let file = std::fs::read_to_string(self.data.join("postgres/postmaster.pid")).ok()?;
        Pid::from_raw(file.lines().next()?.trim().parse().ok()?)
    }

    /// Kill -9 of the postmaster; its backends notice and go by themselves.
    pub fn kill_postgres(&self) {
        if let Some(pid) = self.postmaster() {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    pub fn postgres_lives(&self) -> bool {
        self.postmaster().is_some_and(|pid| {
            let stat = format!("/proc/{}/stat", pid.as_raw_pid());
            // A zombie that nobody has reaped is not alive.
            test_kill_process(pid).is_ok() && std::fs::read_to_string(stat).is_ok_and(|s| !s.contains(") Z"))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.kill_postgres();
        if std::thread::panicking() {
            println!("what is left is in {}", self.dir.display());
            return;
        }
        for _ in 0..50 {
            if std::fs::remove_dir_all(&self.dir).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A `lamppost serve`.
pub struct Service {
    child: Child,
    pub url: String,
    client: reqwest::Client,
    log: PathBuf,
    killed: bool,
}

impl Service {
    /// Starts one and waits until it is ready.
    pub async fn start(place: &Place) -> Service {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = free.local_addr().unwrap().to_string();
        drop(free);
        let log = place.dir.join("serve.log");
        let out = File::options().create(true).append(true).open(&log).unwrap();
        let child = place
            .command(&["serve", "--listen", &listen])
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let client = reqwest::Client::builder()
            // Longer than the service waits for its database, so that silence means that it is gone.
            .timeout(Duration::from_secs(60))
            .no_proxy()
            .build()
            .unwrap();
        let mut service = Service {
            child,
            url: format!("http://{listen}"),
            client,
            log,
            killed: false,
        };
        let began = Instant::now();
        service.await_ready().await;
        println!("  serve was ready after {:?}", began.elapsed());
        service
    }

    pub fn client(&self) -> reqwest::Client {
        self.client.clone()
    }

    /// Waits until it answers that it is ready; it must not end meanwhile.
    pub async fn await_ready(&mut self) {
        let ready = format!("{}/readyz", self.url);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(120) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("lamppost serve ended by itself, {status}:\n{}", self.said());
            }
            if let Ok(response) = self.client.get(&ready).send().await
                && response.status() == 200
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("lamppost serve did not become ready:\n{}", self.said());
    }

    fn said(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Kill -9.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
        self.killed = true;
    }

    pub fn killed(&self) -> bool {
        self.killed
    }

    /// Ends it in good order; whether it did.
    pub async fn stop(mut self, signal: Signal) -> bool {
        let pid = self.child.id().and_then(|p| Pid::from_raw(p as i32));
        kill_process(pid.expect("a running service"), signal).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        let success = matches!(ended, Ok(Ok(status)) if status.success());
        if !success {
            println!("{}", self.said());
        }
        success
    }
}
