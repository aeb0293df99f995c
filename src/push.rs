//! What edits touched on the map, for clients that want to be told. Written by `feed` alone, read by any number of clients.
//!
//! There is one ring of the newest batches of revisions and nothing per client: a client is the number of the revision that it
//! was told last, and takes what came after it whenever it gets round to it. So a slow client costs no memory, and resuming is
//! the same as reading on. What the ring no longer holds is gone, and a client that needs it starts afresh.

pub mod shown;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::tile::layer::LayerSet;

/// `[min_x, min_y, max_x, max_y]` of [`World`](crate::spatial::tile_id::World) positions, inclusive.
pub type Window = [u32; 4];

/// All of the map.
pub const EVERYWHERE: Window = [0, 0, u32::MAX, u32::MAX];

/// Windows of one audience that a batch keeps; more become the box around them.
const MAX_WINDOWS: usize = 1024;
/// Windows that the ring holds in all; a batch counts as one more.
const MAX_HELD: usize = 65_536;

/// Whom an edit concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Audience {
    /// Who shows any of these layers.
    pub layers: LayerSet,
    /// And has the right to this class, by its number; none if everybody may hear of it.
    pub restricted: Option<i32>,
}

impl Audience {
    /// Everybody who shows some layers.
    pub fn of(layers: LayerSet) -> Audience {
        Audience {
            layers,
            restricted: None,
        }
    }
}

/// How far the map has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Rises whenever memory is loaded anew, which no list of windows describes.
    pub epoch: u64,
    /// The newest revision that tiles show.
    pub revision: i64,
}

/// What one batch of revisions touched.
#[derive(Debug)]
pub struct Batch {
    /// The newest revision of the batch.
    pub revision: i64,
    /// When tiles showed it.
    pub at: Instant,
    /// Windows by those whom they concern.
    pub touched: BTreeMap<Audience, Vec<Window>>,
}

impl Batch {
    fn weight(&self) -> usize {
        1 + self.touched.values().map(Vec::len).sum::<usize>()
    }
}

#[derive(Debug, Default)]
struct Ring {
    batches: VecDeque<Arc<Batch>>,
    held: usize,
    /// The newest revision that is *not* in the ring: whoever knows it, or a later one, can read on.
    floor: i64,
}

/// The windows of one audience, while a batch is applied.
#[derive(Debug, Default)]
struct Gathered {
    windows: Vec<Window>,
    boxed: bool,
}

impl Gathered {
    fn add(&mut self, new: Window) {
        match self.windows.last_mut() {
            // An edit that moves nothing touches the same place before and after.
            Some(last) if *last == new => {}
            Some(last) if self.boxed => *last = around(*last, new),
            _ => self.windows.push(new),
        }
        if self.windows.len() > MAX_WINDOWS {
            self.boxed = true;
            self.windows = self.windows.drain(..).reduce(around).into_iter().collect();
        }
    }
}

fn around(a: Window, b: Window) -> Window {
    [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
}

/// What a client has missed.
#[derive(Debug)]
pub enum Missed {
    /// These batches, oldest first, as of a mark.
    Batches(Mark, Vec<Arc<Batch>>),
    /// The ring does not reach back to it, or memory was loaded anew since.
    Everything(Mark),
}

/// Where the feed tells and clients listen. Telling never waits for a client.
#[derive(Debug, Default)]
pub struct Hub {
    pending: Mutex<BTreeMap<Audience, Gathered>>,
    ring: Mutex<Ring>,
    mark: watch::Sender<Mark>,
}

impl Hub {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lock of its own, so that the feed waits for no client.
    fn pending(&self) -> MutexGuard<'_, BTreeMap<Audience, Gathered>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that tiles have changed inside a window, and for whom. Clients hear of it with the next [`Hub::publish`].
    pub fn touch(&self, audience: Audience, window: Window) {
        if audience.layers != 0 {
            self.pending().entry(audience).or_default().add(window);
        }
    }

    /// Notes that any tile may have changed.
    pub fn touch_all(&self) {
        self.touch(Audience::of(LayerSet::MAX), EVERYWHERE);
    }

    /// Tells what was touched since the last time, once tiles show the revision. Cost: O(windows).
    pub fn publish(&self, revision: i64) {
        let pending = std::mem::take(&mut *self.pending());
        let batch = Batch {
            revision,
            at: Instant::now(),
            touched: pending.into_iter().map(|(audience, g)| (audience, g.windows)).collect(),
        };
        let mut ring = self.ring();
        ring.held += batch.weight();
        ring.batches.push_back(Arc::new(batch));
        while ring.held > MAX_HELD {
            let Some(oldest) = ring.batches.pop_front() else {
                break;
            };
            ring.held -= oldest.weight();
            ring.floor = oldest.revision;
        }
        self.mark.send_modify(|m| m.revision = revision);
    }

    /// Memory was loaded anew, as of a revision: every client has to ask for everything again.
    pub fn restart(&self, revision: i64) {
        self.pending().clear();
        let mut ring = self.ring();
        *ring = Ring {
            floor: revision,
            ..Ring::default()
        };
        self.mark.send_modify(|m| {
            *m = Mark {
                epoch: m.epoch + 1,
                revision,
            }
        });
    }

    /// Where the map is now.
    pub fn mark(&self) -> Mark {
        *self.mark.borrow()
    }

    /// Hears of every new mark.
    pub fn listen(&self) -> watch::Receiver<Mark> {
        self.mark.subscribe()
    }

    /// What came after a mark. Cost: O(batches missed).
    pub fn missed(&self, known: Mark) -> Missed {
        let ring = self.ring();
        let mark = self.mark();
        if known.epoch != mark.epoch || known.revision < ring.floor || known.revision > mark.revision {
            return Missed::Everything(mark);
        }
        let from = ring.batches.partition_point(|b| b.revision <= known.revision);
        Missed::Batches(mark, ring.batches.range(from..).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(hub: &Hub, revision: i64) -> Option<Vec<(LayerSet, Vec<Window>)>> {
        let known = Mark { revision, ..hub.mark() };
        match hub.missed(known) {
            Missed::Everything(_) => None,
            Missed::Batches(_, batches) => Some(
                batches
                    .iter()
                    .flat_map(|b| b.touched.iter().map(|(a, w)| (a.layers, w.clone())))
                    .collect(),
            ),
        }
    }

    #[test]
    fn a_client_gets_what_came_after_the_revision_it_knows() {
        let hub = Hub::default();
        hub.restart(10);
        hub.touch(Audience::of(1), [1; 4]);
        hub.touch(Audience::of(1), [1; 4]);
        hub.touch(Audience::of(0), [9; 4]);
        hub.publish(12);
        hub.touch(Audience::of(2), [2; 4]);
        hub.publish(13);
        hub.publish(14);
        assert_eq!(
            windows(&hub, 10),
            Some(vec![(1, vec![[1; 4]]), (2, vec![[2; 4]])]),
            "10 is where it began"
        );
        assert_eq!(
            windows(&hub, 11).unwrap().len(),
            2,
            "11 is inside of a batch, which is told whole"
        );
        assert_eq!(windows(&hub, 12), Some(vec![(2, vec![[2; 4]])]));
        assert_eq!(windows(&hub, 14), Some(Vec::new()));
        assert_eq!(windows(&hub, 9), None, "before it began");
        assert_eq!(windows(&hub, 15), None, "never heard of");
        let old = hub.mark();
        hub.restart(14);
        assert!(matches!(hub.missed(old), Missed::Everything(m) if m.revision == 14));
    }

    #[test]
    fn many_windows_become_the_box_around_them_and_other_layers_stay_exact() {
        let hub = Hub::default();
        for n in 0..=MAX_WINDOWS as u32 + 5 {
            hub.touch(Audience::of(1), [n, 2 * n, n + 1, 2 * n + 1]);
        }
        hub.touch(Audience::of(2), [7; 4]);
        hub.publish(1);
        let last = MAX_WINDOWS as u32 + 5;
        assert_eq!(
            windows(&hub, 0),
            Some(vec![(1, vec![[0, 0, last + 1, 2 * last + 1]]), (2, vec![[7; 4]])])
        );
    }

    #[test]
    fn the_ring_is_bounded_and_says_where_it_ends() {
        let hub = Hub::default();
        for revision in 1..=MAX_HELD as i64 {
            hub.touch(Audience::of(1), [revision as u32; 4]);
            hub.publish(revision);
        }
        // One window and one batch each: half as many revisions fit.
        let floor = MAX_HELD as i64 / 2;
        assert_eq!(hub.ring().held, MAX_HELD);
        assert_eq!(windows(&hub, floor).map(|w| w.len()), Some(MAX_HELD / 2));
        assert_eq!(windows(&hub, floor - 1), None);
    }
}
