//! Districts on their way into the database, a few side by side.

use std::sync::Arc;

use indicatif::ProgressBar;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::bulk::{Bases, District, Stamp};

/// How many districts are loaded at a time: triggers and foreign keys keep one PostgreSQL process busy each.
pub(super) const LOADERS: usize = 2;

/// Loads under way. Each is numbered after the one before it, so that what is committed is always the first few districts.
pub(super) struct Loads {
    store: Store,
    classes: Arc<[i32]>,
    running: JoinSet<Result<()>>,
    last: Option<oneshot::Receiver<()>>,
}

impl Loads {
    /// No loads yet.
    pub(super) fn new(store: &Store, classes: &[i32]) -> Loads {
        Loads {
            store: store.clone(),
            classes: classes.into(),
            running: JoinSet::new(),
            last: None,
        }
    }

    /// Starts the next district.
    pub(super) fn start(&mut self, rows: Arc<District>, bases: Bases, stamp: Stamp, bar: ProgressBar) {
        let (store, classes) = (self.store.clone(), self.classes.clone());
        let (done, next) = oneshot::channel();
        let turn = after(self.last.replace(next));
        self.running.spawn(async move {
            let progress = |n: usize| bar.inc(n as u64);
            store.demo_load(&rows, &classes, bases, &stamp, progress, turn).await?;
            // Nobody waits after the last district.
            let _ = done.send(());
            Ok(())
        });
    }

    /// Waits until at most `most` loads are under way.
    pub(super) async fn wait(&mut self, most: usize) -> Result<()> {
        while self.running.len() > most {
            if let Some(result) = self.running.join_next().await {
                result.map_err(Error::internal)??;
            }
        }
        Ok(())
    }
}

/// Resolves once the load before is committed; an error where it failed.
async fn after(before: Option<oneshot::Receiver<()>>) -> Result<()> {
    match before {
        Some(before) => before
            .await
            .map_err(|_| Error::internal("the district before could not be loaded")),
        None => Ok(()),
    }
}
