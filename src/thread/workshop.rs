//! The one thread that memory is made on.
//!
//! An allocator gives each thread its own share of memory, and takes back into it what that thread has allocated, whoever frees it.
//! If now this thread and now that one copied a page of the register to change it, each share would grow to the size of the whole,
//! mostly free and of no use to the others: after a million edits, the register once took 1.7 times its size.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, Result};

type Job = Box<dyn FnOnce() + Send>;

/// A handle to the thread, which ends with it.
#[derive(Debug)]
pub struct Workshop {
    jobs: mpsc::UnboundedSender<Job>,
}

impl Workshop {
    /// Starts the thread. Where none can be had, all work ends in an error.
    pub fn open() -> Workshop {
        let (jobs, mut open) = mpsc::unbounded_channel::<Job>();
        let work = move || {
            while let Some(job) = open.blocking_recv() {
                // Whoever waits for a job that panicked hears nothing of it and is told so; the next job is another's.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
        };
        let thread = std::thread::Builder::new().name("lamppost-memory".into());
        if let Err(error) = thread.spawn(work) {
            tracing::error!(%error, "no thread for memory could be started");
        }
        Workshop { jobs }
    }

    /// Does some work on the thread, after what was begun before. It is done even if nobody waits for it any longer.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (tell, told) = oneshot::channel();
        let job = move || {
            let _ = tell.send(work());
        };
        self.jobs
            .send(Box::new(job))
            .map_err(|_| Error::internal("the thread of memory has ended"))?;
        told.await.map_err(|_| Error::internal("work on memory panicked"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_work_is_done_by_one_thread_and_a_panic_is_an_error() {
        let workshop = Workshop::open();
        let first = workshop.run(|| std::thread::current().id()).await.unwrap();
        assert!(workshop.run(|| panic!("as it should")).await.is_err());
        assert_eq!(workshop.run(|| std::thread::current().id()).await.unwrap(), first);
    }
}
