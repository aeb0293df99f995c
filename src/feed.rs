//! The follower of changes: the one way into memory and the tile cache, on one node or on ten.
//!
//! The loop is: number what has committed, read the revisions after the newest applied one, apply them in small batches under
//! memory's write lock while dropping the tiles that they touch, publish the new position. A notification or a local commit
//! wakes it at once; polling is the floor.

pub mod visible;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::sync::{Notify, oneshot, watch};

use crate::domain::record::{Record, Revision};
use crate::error::Result;
use crate::index::{Index, Memory, Touched};
use crate::push::Hub;
use crate::store::edit::Edit;
use crate::store::{Store, record, revision};
use crate::tile::cache::Cache;
use crate::tile::layer::{self, Source};
use visible::Visible;

/// How long a writer's answer waits for its own revision, and a reader for the one it asked for.
pub const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(500);
/// Changes applied under one write lock: well under a millisecond.
const BATCH: usize = 256;
const REVISIONS_AT_ONCE: i64 = 500;

/// How far this node has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The newest revision that memory holds; 0 before the first.
    pub revision: i64,
    /// Whether memory is loaded and follows.
    pub ready: bool,
}

/// What became of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It changed nothing.
    Unchanged,
    /// Memory holds it, as of this revision.
    Applied(i64),
    /// It is durable, but memory does not hold it yet.
    Lagging,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    index: Index,
    cache: Arc<Cache>,
    kick: Notify,
    position: watch::Sender<Position>,
    waiting: Mutex<Waiting>,
    lock_us: AtomicU64,
    hub: Hub,
    visible: Visible,
}

/// Edits of this node that memory does not hold yet, by transaction: since when, and whom to tell.
type Waiting = HashMap<i64, (Instant, oneshot::Sender<i64>)>;

/// The follower of one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Feed {
    inner: Arc<Inner>,
}

impl Feed {
    /// A feed that has not loaded yet.
    pub fn new(store: Store, index: Index, cache: Arc<Cache>) -> Feed {
        let position = watch::Sender::new(Position::default());
        let (kick, waiting, lock_us) = (Notify::new(), Mutex::default(), AtomicU64::new(0));
        Feed {
            inner: Arc::new(Inner {
                store,
                index,
                cache,
                kick,
                position,
                waiting,
                lock_us,
                hub: Hub::default(),
                visible: Visible::default(),
            }),
        }
    }

    /// Where this node is now.
    pub fn position(&self) -> Position {
        *self.inner.position.borrow()
    }

    /// The longest that readers have waited for a batch of changes so far.
    pub fn longest_lock(&self) -> Duration {
        Duration::from_micros(self.inner.lock_us.load(Ordering::Relaxed))
    }

    /// Where clients hear what edits have touched.
    pub fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    /// How long edits have taken from their commit until they were seen here.
    pub fn visible(&self) -> &Visible {
        &self.inner.visible
    }

    /// Waits until memory holds a revision, for at most [`PATIENCE`]. Whether it does.
    pub async fn reached(&self, revision: i64) -> bool {
        let mut position = self.inner.position.subscribe();
        let wait = position.wait_for(|p| p.ready && p.revision >= revision);
        matches!(tokio::time::timeout(PATIENCE, wait).await, Ok(Ok(_)))
    }

    /// Commits an edit and waits until memory holds it, for at most [`PATIENCE`].
    pub async fn commit(&self, mut edit: Edit) -> Result<Settled> {
        let Some(txn) = edit.txn().await? else {
            edit.commit().await?;
            return Ok(Settled::Unchanged);
        };
        let (tell, told) = oneshot::channel();
        self.waiting().insert(txn, (Instant::now(), tell));
        let committed = edit.commit().await;
        if committed.is_ok() {
            self.inner.kick.notify_one();
        }
        let settled = match committed {
            Ok(()) => tokio::time::timeout(PATIENCE, told).await,
            Err(e) => {
                self.waiting().remove(&txn);
                return Err(e);
            }
        };
        // One that lags stays among those that wait, so that it is counted when it arrives.
        Ok(match settled {
            Ok(Ok(revision)) => Settled::Applied(revision),
            _ => Settled::Lagging,
        })
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds memory from the database, in one snapshot, and puts it in place of what was there.
    pub async fn load(&self) -> Result<()> {
        let memory = load(&self.inner.store).await?;
        let revision = memory.revision.as_ref().map_or(0, |r| r.number);
        {
            let mut current = self.inner.index.write();
            *current = memory;
            self.inner.cache.clear();
        }
        self.waiting().retain(|_, (since, _)| since.elapsed() < PATIENCE);
        self.inner.position.send_replace(Position { revision, ready: true });
        self.inner.hub.restart(revision);
        self.inner.visible.loaded();
        Ok(())
    }

    /// Follows until the future is dropped. Trouble with the database is logged and tried again.
    pub async fn follow(&self) {
        loop {
            if let Err(e) = self.follow_while_connected().await {
                tracing::warn!(error = ?e, "the feed lost the database; trying again");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn follow_while_connected(&self) -> Result<()> {
        let mut listener = self.inner.store.listen().await?;
        loop {
            while self.step().await? {}
            tokio::select! {
                heard = listener.try_recv() => { heard?; }
                () = self.inner.kick.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// One round: number what has committed and apply what is new. Whether there may be more.
    pub async fn step(&self) -> Result<bool> {
        self.inner.store.number_revisions().await?;
        let known = self.inner.index.read().revision.clone();
        let from = known.as_ref().map_or(0, |r| r.number);
        let mut connection = self.inner.store.reader().await?;
        let mut revisions = revision::since(&mut connection, from, REVISIONS_AT_ONCE).await?;
        if let Some(known) = known {
            if revisions.first() != Some(&known) {
                tracing::warn!(
                    revision = from,
                    "the database is not the one that memory was built from; loading again"
                );
                drop(connection);
                self.inner.position.send_modify(|p| p.ready = false);
                self.load().await?;
                return Ok(true);
            }
            revisions.remove(0);
        }
        let Some(newest) = revisions.last().cloned() else {
            return Ok(false);
        };
        let txns: Vec<i64> = revisions.iter().map(|r| r.txn).collect();
        let entities = record::changed_entities(&mut connection, &txns).await?;
        for batch in entities.chunks(BATCH) {
            self.apply(batch);
        }
        let mut changed = pin!(record::changed_components(&mut connection, &txns).ready_chunks(BATCH));
        while let Some(batch) = changed.next().await {
            let batch: Vec<Record> = batch
                .into_iter()
                .map(|c| Ok(Record::Component(Box::new(c?))))
                .collect::<Result<_>>()?;
            self.apply(&batch);
        }
        self.publish(&revisions, newest);
        Ok(true)
    }

    fn publish(&self, revisions: &[Revision], newest: Revision) {
        let position = Position {
            revision: newest.number,
            ready: true,
        };
        self.inner.index.write().revision = Some(newest);
        self.inner.position.send_replace(position);
        self.inner.hub.publish(position.revision);
        let mut waiting = self.waiting();
        for r in revisions {
            match waiting.remove(&r.txn) {
                Some((since, tell)) => {
                    self.inner.visible.own(since.elapsed());
                    // Whoever has stopped waiting needs no answer.
                    let _ = tell.send(r.number);
                }
                None => self.inner.visible.others(r.recorded),
            }
        }
    }

    fn apply(&self, batch: &[Record]) {
        let mut memory = self.inner.index.write();
        let start = Instant::now();
        apply(&mut memory, batch, &self.inner.cache, &self.inner.hub);
        drop(memory);
        let us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.inner.lock_us.fetch_max(us, Ordering::Relaxed);
    }
}

/// Applies some records, drops the tiles that they touch, and notes for clients which those are.
fn apply(memory: &mut Memory, batch: &[Record], cache: &Cache, hub: &Hub) {
    let touch = |set, window| {
        cache.drop_touched(set, window);
        hub.touch(set, window);
    };
    let mut by_class = None;
    for record in batch {
        for touched in memory.apply(record) {
            match touched {
                Touched::Component(place) => {
                    let sets = by_class.get_or_insert_with(|| layer::sets_by_class(&memory.classes));
                    let set = sets.get(usize::from(place.class)).copied().unwrap_or(0);
                    touch(set, place.window);
                }
                Touched::Area(window) => touch(layer::set_of_source(Source::Area), window),
                Touched::Cell(window) => touch(layer::set_of_source(Source::Cell), window),
                Touched::Road(window) => touch(layer::set_of_source(Source::Road), window),
                Touched::Land(window) => touch(layer::set_of_source(Source::Land), window),
                Touched::Everything => {
                    by_class = None;
                    cache.clear();
                    hub.touch_all();
                }
            }
        }
    }
}

/// Memory as the database has it in one snapshot. Cost: about 4 µs a component.
pub async fn load(store: &Store) -> Result<Memory> {
    let mut tx = store.snapshot().await?;
    let mut memory = Memory {
        revision: revision::newest(&mut tx).await?,
        ..Memory::default()
    };
    let count = record::count_components(&mut tx).await?;
    memory.components.reserve(usize::try_from(count).unwrap_or(0));
    for entity in record::all_entities(&mut tx).await? {
        memory.apply(&entity);
    }
    {
        let mut components = pin!(record::all_components(&mut tx));
        while let Some(component) = components.next().await {
            memory.components.apply(&component?);
        }
    }
    tx.commit().await?;
    Ok(memory)
}

/// Memory as it comes of following every revision from the first, `at_once` revisions at a time.
pub async fn replay(store: &Store, at_once: i64) -> Result<Memory> {
    let mut connection = store.snapshot().await?;
    let mut memory = Memory::default();
    loop {
        let from = memory.revision.as_ref().map_or(0, |r| r.number);
        let mut revisions = revision::since(&mut connection, from, at_once).await?;
        revisions.retain(|r| r.number > from);
        let Some(newest) = revisions.last().cloned() else {
            break;
        };
        let txns: Vec<i64> = revisions.iter().map(|r| r.txn).collect();
        for entity in record::changed_entities(&mut connection, &txns).await? {
            memory.apply(&entity);
        }
        {
            let mut changed = pin!(record::changed_components(&mut connection, &txns));
            while let Some(component) = changed.next().await {
                memory.components.apply(&component?);
            }
        }
        memory.revision = Some(newest);
    }
    connection.commit().await?;
    Ok(memory)
}
