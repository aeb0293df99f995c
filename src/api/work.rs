//! CPU work off the async threads: so much at a time, so much waiting, and told when nobody wants it any longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::domain::text::Text;
use crate::error::{Error, Result};

/// Runs CPU work on blocking threads, so many at a time, and refuses when the queue is long.
#[derive(Debug)]
pub struct Work {
    permits: Arc<tokio::sync::Semaphore>,
    queue: Arc<tokio::sync::Semaphore>,
}

/// Requests that may wait for a thread.
const MAX_QUEUE: usize = 512;
/// Analyses under way and waiting; a map asks for a screen of tiles at once.
const MAX_ANALYSES: usize = 128;

impl Work {
    /// For tiles and lists: twice as many as there are cores.
    pub fn tiles() -> Work {
        Work::new(
            std::thread::available_parallelism().map_or(2, usize::from) * 2,
            MAX_QUEUE,
        )
    }

    /// For analyses: one at a time, so that tiles go on.
    pub fn analyses() -> Work {
        Work::new(1, MAX_ANALYSES)
    }

    fn new(at_a_time: usize, waiting: usize) -> Work {
        Work {
            permits: Arc::new(tokio::sync::Semaphore::new(at_a_time)),
            queue: Arc::new(tokio::sync::Semaphore::new(waiting)),
        }
    }

    /// Runs `f` when a thread is free.
    pub async fn run<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let busy = || {
            Error::Busy(Text::new(
                "排队请求过多，请稍后重试",
                "too many requests are waiting; try again shortly",
            ))
        };
        let place = self.queue.clone().try_acquire_owned().map_err(|_| busy())?;
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| busy())?;
        // The work goes on when whoever asked has hung up, and so must its place in the queue.
        let held = move || {
            let _held = (place, permit);
            f()
        };
        tokio::task::spawn_blocking(held).await.map_err(Error::internal)
    }

    /// The same for work that takes long: it is told once whoever asked has hung up.
    pub async fn run_while_wanted<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Progress) -> T + Send + 'static,
    ) -> Result<T> {
        /// Says, once it is gone, that nobody waits for an answer any longer.
        struct Waiting(Arc<Progress>);
        impl Drop for Waiting {
            fn drop(&mut self) {
                self.0.stop();
            }
        }
        let waiting = Waiting(Arc::default());
        let progress = waiting.0.clone();
        self.run(move || f(&progress)).await
    }
}

/// How far some work has come, and whether anybody still wants it.
#[derive(Debug, Default)]
pub struct Progress {
    left: AtomicBool,
    per_cent: AtomicU8,
}

impl Progress {
    /// Nobody wants it any longer.
    pub fn stop(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// True once nobody wants it.
    pub fn left(&self) -> &AtomicBool {
        &self.left
    }

    /// Per cent that are done.
    pub fn per_cent(&self) -> u8 {
        self.per_cent.load(Ordering::Relaxed)
    }

    /// For one of several steps: notes what of it is done, and says whether to stop.
    pub fn step(&self, n: usize, of: usize) -> impl Fn(f64) -> bool {
        move |done| {
            let all = (n as f64 + done.clamp(0.0, 1.0)) / of.max(1) as f64;
            self.per_cent.fetch_max((all * 99.0) as u8, Ordering::Relaxed);
            self.left.load(Ordering::Relaxed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_told_when_whoever_asked_has_left_and_its_place_is_free_again() {
        let work = Work::analyses();
        let (began, mut begun) = tokio::sync::mpsc::channel::<()>(1);
        let (ended, end) = std::sync::mpsc::channel::<u8>();
        let long = work.run_while_wanted(move |progress| {
            let watch = progress.step(1, 2);
            began.blocking_send(()).unwrap();
            // Only being told ends it.
            while !watch(0.5) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            ended.send(progress.per_cent()).unwrap();
        });
        tokio::select! {
            _ = long => panic!("it ended by itself"),
            _ = begun.recv() => {}
        }
        assert_eq!(work.run(|| 7).await.unwrap(), 7);
        assert_eq!(end.recv().unwrap(), 74);
    }
}
