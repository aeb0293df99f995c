//! Keeps PostgreSQL running for as long as its owner wants it.
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::process::{Server, pid};
use crate::error::{Error, Result};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A run this long was a good one: the next failure starts from the shortest pause again.
const GOOD_RUN: Duration = Duration::from_secs(60);

/// A running PostgreSQL that is started again when it dies.
#[derive(Debug)]
pub(super) struct Supervisor {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<Result<()>>>,
    process: Arc<AtomicU32>,
}

impl Supervisor {
    /// Starts PostgreSQL, waits until it answers, and watches over it from then on.
    pub(super) async fn start(server: Server) -> Result<Supervisor> {
        server.sweep().await?;
        let mut child = server.spawn()?;
        let process = Arc::new(AtomicU32::new(child.id().unwrap_or(0)));
        let (stop, stopped) = watch::channel(false);
        // From here on a dropped future (ctrl-c while PostgreSQL recovers) stops it, too.
        let mut supervisor = Supervisor {
            stop,
            task: None,
            process: Arc::clone(&process),
        };
        if let Err(e) = server.await_ready(&mut child).await {
            let stopping = server.stop(&mut child).await;
            process.store(0, Ordering::Release);
            stopping?;
            return Err(e);
        }
        supervisor.task = Some(tokio::spawn(watch_over(server, child, stopped, process)));
        Ok(supervisor)
    }

    /// The postmaster's process number; 0 while there is none.
    pub(super) fn process(&self) -> u32 {
        self.process.load(Ordering::Acquire)
    }

    /// Stops PostgreSQL and waits until it has.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.stop.send_replace(true);
        match self.task.take() {
            Some(task) => task.await.map_err(Error::internal)?,
            None => Ok(()),
        }
    }
}

impl Drop for Supervisor {
    /// An owner that ends without stopping first at least asks PostgreSQL to follow; the next start waits for it.
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let process = self.process.load(Ordering::Acquire);
        if let Some(pid) = pid(process) {
            let _ = kill_process(pid, Signal::INT);
        }
    }
}

async fn watch_over(
    server: Server,
    mut child: Child,
    mut stopped: watch::Receiver<bool>,
    process: Arc<AtomicU32>,
) -> Result<()> {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
        let ended = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => None,
            status = child.wait() => Some(status),
        };
        let Some(status) = ended else {
            let result = server.stop(&mut child).await;
            process.store(0, Ordering::Release);
            return result;
        };
        process.store(0, Ordering::Release);
        let status = status.map_or_else(|e| e.to_string(), |s| s.to_string());
        tracing::error!(%status, "PostgreSQL died and is being started again");
        if began.elapsed() > GOOD_RUN {
            pause = FIRST_PAUSE;
        }
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            match restart(&server, &mut stopped, &process).await {
                Ok(Some(new)) => {
                    child = new;
                    break;
                }
                Ok(None) => return Ok(()),
                Err(e) => tracing::error!(error = %e, "PostgreSQL does not start; trying again"),
            }
        }
        tracing::info!(seconds = began.elapsed().as_secs(), "PostgreSQL answers again");
    }
}

/// One attempt; `None` when the owner wants to stop meanwhile.
async fn restart(server: &Server, stopped: &mut watch::Receiver<bool>, process: &AtomicU32) -> Result<Option<Child>> {
    server.sweep().await?;
    let mut child = server.spawn()?;
    process.store(child.id().unwrap_or(0), Ordering::Release);
    let ready = tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => None,
        ready = server.await_ready(&mut child) => Some(ready),
    };
    match ready {
        Some(Ok(())) => return Ok(Some(child)),
        Some(Err(e)) => {
            server.stop(&mut child).await?;
            process.store(0, Ordering::Release);
            return Err(e);
        }
        None => {}
    }
    server.stop(&mut child).await?;
    process.store(0, Ordering::Release);
    Ok(None)
}
