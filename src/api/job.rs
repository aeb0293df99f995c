//! Analyses that somebody comes back for: bounded, in memory, gone with the process. Whoever began one is the only one to see it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use chrono::{DateTime, Utc};

use super::reader::Reader;
use super::work::Progress;
use crate::domain::grant::Grant;
use crate::domain::text::Text;
use crate::error::{Error, Result};

/// Jobs that are held; one more, and the first one that has ended goes.
const MAX_JOBS: usize = 64;
/// Jobs of one reader that are under way.
const MAX_OWN: usize = 8;
/// Bytes of all results that are held.
const MAX_BYTES: usize = 256 << 20;

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Accepted,
    Running,
    Successful,
    Failed,
    Dismissed,
}

impl Status {
    /// The word of OGC API - Processes.
    pub(super) fn key(self) -> &'static str {
        match self {
            Status::Accepted => "accepted",
            Status::Running => "running",
            Status::Successful => "successful",
            Status::Failed => "failed",
            Status::Dismissed => "dismissed",
        }
    }
}

/// One analysis.
#[derive(Debug)]
pub(super) struct Job {
    /// 128 random bits.
    pub(super) id: String,
    /// What is done.
    pub(super) process: &'static str,
    pub(super) created: DateTime<Utc>,
    pub(super) progress: Progress,
    /// Told once it is dismissed, so that it waits no longer.
    pub(super) dismissed: tokio::sync::Notify,
    owner: Option<Arc<Grant>>,
    started: OnceLock<DateTime<Utc>>,
    ended: OnceLock<(DateTime<Utc>, Result<String>)>,
}

impl Job {
    pub(super) fn status(&self) -> Status {
        use std::sync::atomic::Ordering;
        match (self.ended.get(), self.started.get()) {
            (Some((_, Ok(_))), _) => Status::Successful,
            _ if self.progress.left().load(Ordering::Relaxed) => Status::Dismissed,
            (Some((_, Err(_))), _) => Status::Failed,
            (None, Some(_)) => Status::Running,
            (None, None) => Status::Accepted,
        }
    }

    pub(super) fn started(&self) -> Option<DateTime<Utc>> {
        self.started.get().copied()
    }

    /// When it ended, and with what.
    pub(super) fn ended(&self) -> Option<&(DateTime<Utc>, Result<String>)> {
        self.ended.get()
    }

    /// It begins.
    pub(super) fn begin(&self) {
        self.started.set(Utc::now()).ok();
    }

    /// It has ended.
    pub(super) fn end(&self, result: Result<String>) {
        self.ended.set((Utc::now(), result)).ok();
    }

    fn bytes(&self) -> usize {
        self.ended.get().map_or(0, |(_, r)| r.as_ref().map_or(0, String::len))
    }
}

/// The jobs that are held, the oldest first.
#[derive(Debug, Default)]
pub struct Jobs(Mutex<Vec<Arc<Job>>>);

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Job>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one on; refuses where too many are under way.
    pub(super) fn add(&self, process: &'static str, reader: &Reader) -> Result<Arc<Job>> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(Error::internal)?;
        let owner = reader.grant().cloned();
        let mut jobs = self.lock();
        let under_way = |j: &&Arc<Job>| j.ended().is_none();
        let own = jobs.iter().filter(under_way).filter(|j| j.owner == owner).count();
        // One's own first, then a stranger's, before anybody else's.
        let ended_of = |whose: &dyn Fn(&Arc<Job>) -> bool| jobs.iter().position(|j| j.ended().is_some() && whose(j));
        let ended = ended_of(&|j| j.owner == owner)
            .or_else(|| ended_of(&|j| j.owner.is_none()))
            .or_else(|| ended_of(&|_| true));
        match (jobs.len() >= MAX_JOBS, ended) {
            (true, None) => return Err(busy()),
            _ if own >= MAX_OWN => return Err(busy()),
            (true, Some(oldest)) => drop(jobs.remove(oldest)),
            (false, _) => {}
        }
        let job = Arc::new(Job {
            id: bytes.iter().map(|b| format!("{b:02x}")).collect(),
            process,
            created: Utc::now(),
            progress: Progress::default(),
            dismissed: tokio::sync::Notify::new(),
            owner,
            started: OnceLock::new(),
            ended: OnceLock::new(),
        });
        jobs.push(job.clone());
        Ok(job)
    }

    /// Lets the oldest results go where they are too much together.
    pub(super) fn bound(&self) {
        let mut jobs = self.lock();
        let mut all: usize = jobs.iter().map(|j| j.bytes()).sum();
        let newest = jobs.last().map(|j| j.id.clone());
        jobs.retain(|j| {
            let goes = all > MAX_BYTES && j.bytes() > 0 && Some(&j.id) != newest.as_ref();
            all -= if goes { j.bytes() } else { 0 };
            !goes
        });
    }

    /// One that the reader began, with the same rights as now.
    pub(super) fn get(&self, id: &str, reader: &Reader) -> Option<Arc<Job>> {
        let jobs = self.lock();
        let own = jobs.iter().find(|j| j.id == id && j.owner.as_ref() == reader.grant());
        own.cloned()
    }

    /// Those that the reader began; of strangers, who are not told apart, none.
    pub(super) fn of(&self, reader: &Reader) -> Vec<Arc<Job>> {
        let Some(grant) = reader.grant() else {
            return Vec::new();
        };
        let jobs = self.lock();
        jobs.iter()
            .filter(|j| j.owner.as_ref() == Some(grant))
            .cloned()
            .collect()
    }

    /// Takes one out.
    pub(super) fn forget(&self, id: &str) {
        self.lock().retain(|j| j.id != id);
    }
}

fn busy() -> Error {
    Error::Busy(Text::new(
        "进行中的分析任务过多，请待其完成，或取消一些",
        "too many analyses are under way; wait for some, or dismiss them",
    ))
}
