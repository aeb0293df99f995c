//! The register as it was recorded at a past moment.
//!
//! A memory of then is the memory of now with what has changed since put back: a copy costs nothing, and each difference what an edit
//! costs. For a tile or a box only what stands there, or stood there, is put back; the rest of such a memory is of now and is not
//! looked at. Components have a past; the names of parties, classes, cells and roads are those of today.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use quick_cache::Weighter;
use quick_cache::sync::Cache as Quick;
use tokio::sync::{Semaphore, mpsc};

use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::feed::Feed;
use crate::index::components::window;
use crate::index::{Index, Memory};
use crate::spatial::tile_id::{BUFFER, TileId, World, degrees};
use crate::store::Store;
use crate::store::past::{Then, differing};
use crate::thread::blocking;
use crate::thread::workshop::Workshop;
use crate::tile::body::Body;
use crate::tile::cache::Selection;

/// Components in a place of which each is asked for; of more, all of the register is put back and kept.
const MAX_NEAR: usize = 50_000;
/// Memories of all of the register that are kept.
const MAX_WHOLE: usize = 2;
/// Questions that may wait for such a memory.
const MAX_WAITING: usize = 32;
/// Differences that are put back at a time.
const BATCH: usize = 4096;
/// Bytes of past tiles that are kept.
const MAX_TILES: u64 = 64 << 20;

/// What the past is made from, and what of it is kept. One a node.
pub struct Past {
    store: Store,
    index: Index,
    feed: Feed,
    whole: Mutex<VecDeque<(i64, Arc<Memory>)>>,
    /// Whoever makes a whole memory, one at a time.
    making: Semaphore,
    waiting: Semaphore,
    workshop: Workshop,
    tiles: Quick<Key, Arc<Body>, ByBytes>,
}

/// A past tile: of which revision, under which names.
type Key = (i64, u64, Selection, TileId);

impl std::fmt::Debug for Past {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Past").field("tiles", &self.tiles.len()).finish()
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Arc<Body>> for ByBytes {
    fn weight(&self, _: &Key, body: &Arc<Body>) -> u64 {
        body.weight()
    }
}

impl Past {
    /// Nothing is kept yet.
    pub fn new(store: Store, index: Index, feed: Feed) -> Past {
        Past {
            store,
            index,
            feed,
            whole: Mutex::default(),
            making: Semaphore::new(1),
            waiting: Semaphore::new(MAX_WAITING),
            workshop: Workshop::open(),
            tiles: Quick::with_weighter(1024, MAX_TILES, ByBytes),
        }
    }

    /// The revision that was the newest at a moment, 0 before the first; none where that is the newest now, which is no past yet. What
    /// is left of today may be asked about, as a day stands for its end.
    pub async fn revision(&self, moment: DateTime<Utc>) -> Result<Option<i64>> {
        if moment > Utc::now() + TimeDelta::days(1) {
            let detail = Text::new("不能晚于今日", "cannot be later than today");
            return Err(Error::syntax("datetime", detail));
        }
        let standing = self.store.standing_at(moment).await?;
        // What is put back is put back from a memory that has come at least so far.
        if !self.feed.reached(standing.newest).await {
            return Err(Error::Busy(Text::new(
                "内存尚未跟上，请稍后重试",
                "memory has not caught up yet; try again shortly",
            )));
        }
        Ok((standing.revision < standing.newest).then_some(standing.revision))
    }

    /// A memory that is of a revision wherever one of some boxes of degrees is, `[west, south, east, north]`; everywhere, without boxes.
    /// Cost: O(components there) and about 10 µs for each of them that differs from the nearest memory at hand.
    pub async fn memory(&self, revision: i64, boxes: Option<&[[f64; 4]]>) -> Result<Arc<Memory>> {
        let (from, base) = self.nearest(revision);
        if from == revision {
            return Ok(base);
        }
        if let Some(boxes) = boxes
            && let Some(near) = self.near(boxes).await?
        {
            let mut connection = self.store.reader().await?;
            let differing = pin!(differing(&mut connection, revision, from, Some(&near)));
            let differing: Result<Vec<Then>> = differing.collect::<Vec<_>>().await.into_iter().collect();
            let differing = differing?;
            let now = self.index.read();
            return blocking(move || Ok(Arc::new(put_back((*base).clone(), &now, differing)?))).await?;
        }
        self.make_whole(revision).await
    }

    /// The memory whose revision is nearest, of those that are kept and of now.
    fn nearest(&self, revision: i64) -> (i64, Arc<Memory>) {
        let now = self.index.read();
        let newest = now.revision.as_ref().map_or(0, |r| r.number);
        let known = self.known();
        // Names are today's: one made before they changed is made again.
        let kept = known.iter().filter(|(_, m)| m.wording == now.wording);
        let nearest = kept.min_by_key(|(at, _)| at.abs_diff(revision));
        match nearest.filter(|(at, _)| at.abs_diff(revision) < newest.abs_diff(revision)) {
            Some((at, memory)) => (*at, memory.clone()),
            None => (newest, now),
        }
    }

    /// What stands in some boxes now or has ever left them; none if that is too much to ask for one by one.
    async fn near(&self, boxes: &[[f64; 4]]) -> Result<Option<Vec<i64>>> {
        let (memory, own) = (self.index.read(), boxes.to_vec());
        let here = move || {
            let components = &memory.components;
            let mut ids = Vec::new();
            for places in [&components.live, &components.retired] {
                for b in &own {
                    let window = window(*b);
                    places.points.visit(window, |_| true, &mut |p| ids.push(p.id as i64));
                    ids.extend(places.shapes.touching(window).iter().map(|s| s.id as i64));
                }
            }
            ids
        };
        let mut ids = blocking(here).await?;
        if ids.len() > MAX_NEAR {
            return Ok(None);
        }
        for b in boxes {
            ids.extend(self.store.left(*b).await?);
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(Some(ids))
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<(i64, Arc<Memory>)>> {
        self.whole.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make_whole(&self, revision: i64) -> Result<Arc<Memory>> {
        let busy = || {
            Error::Busy(Text::new(
                "等待过去数据的请求过多，请稍后重试",
                "too many requests wait for the past; try again shortly",
            ))
        };
        let _place = self.waiting.try_acquire().map_err(|_| busy())?;
        let _one = self.making.acquire().await.map_err(|_| busy())?;
        let (from, base) = self.nearest(revision);
        if from == revision {
            return Ok(base);
        }
        let mut connection = self.store.reader().await?;
        let (send, mut receive) = mpsc::channel::<Vec<Then>>(4);
        // One reads while the other puts back. Where nobody receives any longer, the other has stopped and says why.
        let read = async {
            let mut differing = pin!(differing(&mut connection, revision, from, None).ready_chunks(BATCH));
            while let Some(batch) = differing.next().await {
                let batch: Result<Vec<Then>> = batch.into_iter().collect();
                if send.send(batch?).await.is_err() {
                    break;
                }
            }
            drop(send);
            Ok(())
        };
        let now = self.index.read();
        let make = self.workshop.run(move || {
            let mut memory = (*base).clone();
            while let Some(batch) = receive.blocking_recv() {
                memory = put_back(memory, &now, batch)?;
            }
            Ok::<_, Error>(memory)
        });
        let (read, memory): (Result<()>, _) = tokio::join!(read, make);
        read?;
        let memory = Arc::new(memory??);
        let mut known = self.known();
        known.truncate(MAX_WHOLE - 1);
        known.push_front((revision, memory.clone()));
        Ok(memory)
    }

    /// The tile of a selection as of a revision, kept or made by `build` from a memory of then.
    pub async fn tile(
        &self,
        revision: i64,
        selection: &Selection,
        tile: TileId,
        build: impl AsyncFnOnce(Arc<Memory>) -> Result<Arc<Body>>,
    ) -> Result<Arc<Body>> {
        let key = (revision, self.index.read().wording, selection.clone(), tile);
        if let Some(kept) = self.tiles.get(&key) {
            return Ok(kept);
        }
        let shown = [box_of(selection.plane.window_back(tile.window(BUFFER)))];
        // What cells and areas are about lies outside of the tile too.
        let memory = self.memory(revision, (!selection.figures).then_some(&shown)).await?;
        let body = build(memory).await?;
        self.tiles.insert(key, body.clone());
        Ok(body)
    }
}

/// What is of a restricted class now was so then: who may not see it has not seen it before.
fn put_back(mut memory: Memory, now: &Memory, differing: Vec<Then>) -> Result<Memory> {
    for then in differing {
        let (id, mut then) = then.read()?;
        let id = id.unsigned_abs();
        let class = now.components.get(id).map(|c| i32::from(c.class));
        if let Some((then, class)) = then.as_mut().zip(class.filter(|c| now.restricts(*c))) {
            then.class = class;
        }
        memory.revert(id, then.as_ref());
    }
    Ok(memory)
}

/// A window of the map as a box of degrees.
fn box_of(window: [u32; 4]) -> [f64; 4] {
    let at = |x, y| degrees(World { x, y });
    let ((west, north), (east, south)) = (at(window[0], window[1]), at(window[2], window[3]));
    [west, south, east, north]
}
