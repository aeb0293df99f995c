//! The follower of changes: the one way into memory and the tile cache, on one node or on ten.
//!
//! The loop is: number what has committed, read the revisions after the newest applied one, apply them to a copy of memory, put that
//! in place of memory, drop the tiles that they touch, publish the new position. A notification or a local commit wakes it at once;
//! polling is the floor. Readers see whole revisions, and never wait.

pub mod visible;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::coverage::Coverages;
use crate::domain::record::{Record, Revision};
use crate::door::Door;
use crate::error::Result;
use crate::index::components::Loading;
use crate::index::{Index, Memory, Touched};
use crate::push::Hub;
use crate::query::matcher::Matchers;
use crate::query::retile::Edits;
use crate::store::edit::Edit;
use crate::store::record::Version;
use crate::store::{Store, record, revision};
use crate::thread::workshop::Workshop;
use crate::tile::cache::Cache;
use visible::Visible;

/// How long a writer's answer waits for its own revision, and a reader for the one it asked for.
pub const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(500);
/// Changes applied at a time.
const BATCH: usize = 4096;
/// Rows handed over at a time while everything is read. They would rather wait in the socket than in memory.
const PIECES: usize = 512;
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
    matchers: Matchers,
    coverages: Coverages,
    door: Door,
    kick: Notify,
    position: watch::Sender<Position>,
    waiting: Mutex<Waiting>,
    hub: Hub,
    visible: Visible,
    workshop: Workshop,
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
    pub fn new(
        store: Store,
        index: Index,
        cache: Arc<Cache>,
        matchers: Matchers,
        coverages: Coverages,
        door: Door,
    ) -> Feed {
        let position = watch::Sender::new(Position::default());
        let (kick, waiting) = (Notify::new(), Mutex::default());
        Feed {
            inner: Arc::new(Inner {
                store,
                index,
                cache,
                matchers,
                coverages,
                door,
                kick,
                position,
                waiting,
                hub: Hub::default(),
                visible: Visible::default(),
                workshop: Workshop::open(),
            }),
        }
    }

    /// Where this node is now.
    pub fn position(&self) -> Position {
        *self.inner.position.borrow()
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
        let memory = load_in(&self.inner.store, &self.inner.workshop).await?;
        let revision = memory.revision.as_ref().map_or(0, |r| r.number);
        // There, because what it replaces is large and is dropped with it.
        let feed = self.clone();
        let replace = move || {
            feed.inner.coverages.restart(revision);
            feed.publish(Arc::new(memory));
            let cache = &feed.inner.cache;
            cache.variants().iter().for_each(|variant| cache.drop_all(variant));
            feed.inner.door.forget();
        };
        self.inner.workshop.run(replace).await?;
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
        let (before, workshop) = (self.inner.index.read(), &self.inner.workshop);
        let mut next = Next {
            memory: (*before).clone(),
            touched: Touched::default(),
        };
        for batch in record::changed_entities(&mut connection, &txns).await?.chunks(BATCH) {
            next = next.apply(batch.to_vec(), Ok, workshop).await?;
        }
        let mut changed = pin!(record::changed_components(&mut connection, &txns).ready_chunks(BATCH));
        while let Some(batch) = changed.next().await {
            let batch: Vec<Version> = batch.into_iter().collect::<Result<_>>()?;
            let read = |v: Version| Ok(Record::Component(Box::new(v.read()?)));
            next = next.apply(batch, read, workshop).await?;
        }
        next.memory.revision = Some(newest.clone());
        let feed = self.clone();
        let replace = move || {
            let after = Arc::new(next.memory);
            let revision = after.revision.as_ref().map_or(0, |r| r.number);
            feed.inner.coverages.changed(revision, &next.touched.components);
            feed.publish(after.clone());
            feed.retile(&before, &after, &next.touched);
            if next.touched.grants {
                feed.inner.door.forget();
            }
        };
        workshop.run(replace).await?;
        self.announce(&revisions, &newest);
        Ok(true)
    }

    /// Puts a memory in place of the one before.
    fn publish(&self, memory: Arc<Memory>) {
        let start = Instant::now();
        let old = self.inner.index.publish(memory);
        self.inner.visible.replaced(start.elapsed());
        drop(old);
    }

    /// Drops the tiles that show what was touched, and notes for clients which those are.
    fn retile(&self, before: &Memory, after: &Memory, touched: &Touched) {
        let edits = Edits::new(before, after, touched);
        let cache = &self.inner.cache;
        for variant in cache.variants() {
            match edits.of(&variant.selection, &self.inner.matchers, before, after) {
                None => cache.drop_all(&variant),
                Some(windows) => cache.drop_touched(&variant, &windows),
            }
        }
        match edits.by_layer() {
            None => self.inner.hub.touch_all(),
            Some(windows) => windows.into_iter().for_each(|(who, w)| self.inner.hub.touch(who, w)),
        }
    }

    fn announce(&self, revisions: &[Revision], newest: &Revision) {
        let position = Position {
            revision: newest.number,
            ready: true,
        };
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
}

/// A memory in the making.
struct Next {
    memory: Memory,
    touched: Touched,
}

impl Next {
    /// Reads and applies on the thread of memory: a batch would hold up the requests of an async one.
    async fn apply<T: Send + 'static>(
        mut self,
        batch: Vec<T>,
        read: impl Fn(T) -> Result<Record> + Send + 'static,
        workshop: &Workshop,
    ) -> Result<Next> {
        let work = move || {
            for sent in batch {
                self.memory.apply(read(sent)?, &mut self.touched);
            }
            Ok(self)
        };
        workshop.run(work).await?
    }
}

/// What the database sends of a register that is read as a whole.
enum Part {
    /// Things that are no components; all of them come before the first component.
    Entities(Vec<record::Sent>),
    /// A piece of the copy of all components.
    Components(Vec<Bytes>),
}

/// Memory as the database has it in one snapshot. Cost: about 2 µs a component; this task reads, another thread builds.
pub async fn load(store: &Store) -> Result<Memory> {
    load_in(store, &Workshop::open()).await
}

async fn load_in(store: &Store, workshop: &Workshop) -> Result<Memory> {
    let mut tx = store.snapshot().await?;
    let revision = revision::newest(&mut tx).await?;
    let count = record::count_components(&mut tx).await?;
    let (send, receive) = mpsc::channel(8);
    // Where nobody receives any longer, the builder has stopped and says why.
    let read = async {
        let entities = async |rows| send.send(Part::Entities(rows)).await.is_ok();
        record::all_entities(&mut tx, PIECES, entities).await?;
        let mut copied = pin!(record::copy_components(&mut tx).await?.ready_chunks(PIECES));
        while let Some(messages) = copied.next().await {
            let messages = messages.into_iter().collect::<Result<_>>()?;
            if send.send(Part::Components(messages)).await.is_err() {
                break;
            }
        }
        drop(send);
        Ok(())
    };
    let (read, memory): (Result<()>, _) = tokio::join!(read, workshop.run(move || build(revision, count, receive)));
    read?;
    let memory = memory??;
    tx.commit().await?;
    Ok(memory)
}

fn build(revision: Option<Revision>, count: i64, mut parts: mpsc::Receiver<Part>) -> Result<Memory> {
    let mut memory = Memory {
        revision,
        ..Memory::default()
    };
    let mut touched = Touched::default();
    let mut components = Loading::with_capacity(usize::try_from(count).unwrap_or(0));
    let mut copied = record::Copied::default();
    while let Some(part) = parts.blocking_recv() {
        match part {
            Part::Entities(rows) => {
                for row in rows {
                    memory.apply(row.read()?, &mut touched);
                }
            }
            Part::Components(pieces) => {
                for bytes in pieces {
                    copied.read(&bytes, |component| components.add(&component))?;
                }
            }
        }
    }
    copied.finish()?;
    memory.components = components.finish();
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
            memory.apply(entity, &mut Touched::default());
        }
        {
            let mut changed = pin!(record::changed_components(&mut connection, &txns));
            while let Some(component) = changed.next().await {
                memory.components.apply(&component?.read()?);
            }
        }
        memory.revision = Some(newest);
    }
    connection.commit().await?;
    Ok(memory)
}
