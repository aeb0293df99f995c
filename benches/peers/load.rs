//! Asks for tiles over several connections for a while.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Result;
use crate::http::Connection;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    pub(crate) statuses: BTreeMap<u16, u64>,
}

impl Outcome {
    /// Complains of any answer but 200.
    pub(crate) fn all_well(&self, what: &str) -> Result<()> {
        match self.statuses.iter().find(|(status, _)| **status != 200) {
            None => Ok(()),
            Some((status, n)) => Err(format!("{what}: {n} answers of {status}").into()),
        }
    }
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After so long; what has been asked is read to its end. The list starts again when it is through.
    Seconds(f64),
    /// When each request has been made once.
    Through,
}

/// Sends the requests in their order over `connections`.
pub(crate) async fn ask(
    to: SocketAddr,
    requests: &Arc<Vec<Vec<u8>>>,
    connections: usize,
    until: Until,
) -> Result<Outcome> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(to).await?);
    }
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for mut connection in open {
        let (requests, next) = (requests.clone(), next.clone());
        tasks.spawn(async move {
            let mut out = Outcome::default();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let done = match until {
                    Until::Seconds(seconds) => start.elapsed() >= Duration::from_secs_f64(seconds),
                    Until::Through => n >= requests.len(),
                };
                if done {
                    return Ok::<_, crate::Error>(out);
                }
                let request = requests.get(n % requests.len()).ok_or("nothing to ask")?;
                let status = connection.ask(request).await?;
                out.requests += 1;
                out.bytes += connection.body().len() as u64;
                *out.statuses.entry(status).or_default() += 1;
            }
        });
    }
    let mut all = Outcome::default();
    while let Some(one) = tasks.join_next().await {
        let one = one??;
        all.requests += one.requests;
        all.bytes += one.bytes;
        for (status, n) in one.statuses {
            *all.statuses.entry(status).or_default() += n;
        }
    }
    all.seconds = start.elapsed().as_secs_f64();
    Ok(all)
}
