//! Points in buckets by quadkey: the smallest updatable structure that answers tiles, boxes and radii.
//!
//! A bucket is one tile of zoom 17 (about 240 m in the middle latitudes). Buckets stand in quadkey order, so that any tile
//! of a lower zoom is one contiguous range, and a box is a few such ranges.

use std::sync::Arc;

use super::paged::Paged;
use super::pyramid::Mark;
use super::row::Row;
use crate::spatial::tile_id::World;

/// The zoom whose tiles are the buckets.
pub const DEEP: u8 = 17;
const INSIDE: u32 = 32 - DEEP as u32;

/// A point and what tiles ask of it; everything else is found by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Permanent number.
    pub id: u64,
    /// Its position.
    pub at: World,
    /// Class, state, ownership status.
    pub mark: Mark,
    /// 权属单位, 0 is none.
    pub owner: u32,
}

impl Point {
    /// The point of a component.
    pub fn of(id: u64, row: &Row) -> Point {
        Point {
            id,
            at: row.at(),
            mark: Mark::of(row),
            owner: row.owner,
        }
    }
}

/// A point as a bucket keeps it: 18 bytes, the position within the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// The id, which is below 2^53, under the state in four bits and the ownership status in four.
    key: [u8; 8],
    x: u16,
    y: u16,
    class: u16,
    owner: [u8; 4],
}

const _: () = assert!(size_of::<Entry>() == 18);
const STATE: u32 = 56;
const OWNERSHIP: u32 = 60;

impl Entry {
    fn of(p: &Point) -> Entry {
        let inside = |v: u32| (v & ((1 << INSIDE) - 1)) as u16;
        let (state, ownership) = (u64::from(p.mark.state & 15), u64::from(p.mark.ownership & 15));
        let key = p.id & ((1 << STATE) - 1) | state << STATE | ownership << OWNERSHIP;
        Entry {
            key: key.to_le_bytes(),
            x: inside(p.at.x),
            y: inside(p.at.y),
            class: p.mark.class,
            owner: p.owner.to_le_bytes(),
        }
    }

    fn key(&self) -> u64 {
        u64::from_le_bytes(self.key)
    }

    fn id(&self) -> u64 {
        self.key() & ((1 << STATE) - 1)
    }

    fn point(&self, corner: World) -> Point {
        Point {
            id: self.id(),
            at: World {
                x: corner.x | u32::from(self.x),
                y: corner.y | u32::from(self.y),
            },
            mark: Mark {
                class: self.class,
                state: (self.key() >> STATE & 15) as u8,
                ownership: (self.key() >> OWNERSHIP) as u8,
            },
            owner: u32::from_le_bytes(self.owner),
        }
    }
}

/// A point that is not in its bucket yet.
#[derive(Clone, Copy, Debug)]
pub struct Loose {
    bucket: [u8; 8],
    entry: Entry,
}

impl Loose {
    /// A point.
    pub fn of(p: &Point) -> Loose {
        let key = p.at.quadkey(DEEP);
        Loose {
            bucket: key.to_le_bytes(),
            entry: Entry::of(p),
        }
    }

    fn bucket(&self) -> u64 {
        u64::from_le_bytes(self.bucket)
    }
}

/// All points; within a bucket in the order of ids, so that the same register draws the same tile on every node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    buckets: Paged<Arc<Vec<Entry>>>,
    len: usize,
}

impl Points {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Points of different ids, all at once: each bucket is as large as it must be, and lies beside its neighbour.
    /// Cost: about 0.1 µs a point.
    pub fn of(mut all: Vec<Loose>) -> Points {
        all.sort_unstable_by_key(|p| (p.bucket(), p.entry.id()));
        let mut points = Points {
            len: all.len(),
            ..Points::default()
        };
        for bucket in all.chunk_by(|a, b| a.bucket == b.bucket) {
            let entries: Vec<Entry> = bucket.iter().map(|p| p.entry).collect();
            points.buckets.or_insert(bucket[0].bucket(), || Arc::new(entries));
        }
        points
    }

    /// Adds a point.
    pub fn add(&mut self, point: &Point) {
        let bucket = Arc::make_mut(self.buckets.or_insert(point.at.quadkey(DEEP), Arc::default));
        let place = bucket.partition_point(|e| e.id() < point.id);
        super::grow(bucket);
        bucket.insert(place, Entry::of(point));
        self.len += 1;
    }

    /// Takes out the point of an id that stands at a position.
    pub fn take(&mut self, id: u64, at: World) {
        let key = at.quadkey(DEEP);
        let Some(bucket) = self.buckets.get_mut(key) else {
            return;
        };
        if let Ok(place) = bucket.binary_search_by_key(&id, Entry::id) {
            Arc::make_mut(bucket).remove(place);
            self.len -= 1;
        }
        if bucket.is_empty() {
            self.buckets.remove(key);
        }
    }

    /// Visits every point whose position lies in the inclusive window `[min_x, min_y, max_x, max_y]`.
    /// Cost: O(buckets on the window's edge + points in the buckets it touches).
    pub fn visit(&self, window: [u32; 4], visit: &mut impl FnMut(&Point)) {
        let held = |at: World| window[0] <= at.x && at.x <= window[2] && window[1] <= at.y && at.y <= window[3];
        self.buckets.window(DEEP, window, &mut |key, bucket, inside| {
            let corner = World::corner(key, DEEP);
            for entry in bucket.iter() {
                let point = entry.point(corner);
                if inside || held(point.at) {
                    visit(&point);
                }
            }
        });
    }

    /// Visits every point, bucket by bucket.
    pub fn visit_all(&self, visit: &mut impl FnMut(u64, &Point)) {
        for (key, bucket) in self.buckets.iter() {
            let corner = World::corner(key, DEEP);
            bucket.iter().for_each(|e| visit(key, &e.point(corner)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_window_holds_what_a_loop_finds(
            points in prop::collection::vec((117.0..117.3f64, 39.0..39.2f64), 0..200),
            a in (116.9..117.4f64, 38.9..39.3f64), b in (116.9..117.4f64, 38.9..39.3f64), gone in 0usize..50,
        ) {
            let mut kept = Points::default();
            let entries: Vec<Point> = points.iter().enumerate()
                .map(|(i, p)| Point { id: (i as u64) << 20, at: World::at(p.0, p.1), mark: Mark::default(), owner: i as u32 })
                .collect();
            entries.iter().rev().for_each(|e| kept.add(e));
            prop_assert_eq!(&kept, &Points::of(entries.iter().rev().map(Loose::of).collect()));
            entries.iter().take(gone).for_each(|e| kept.take(e.id, e.at));
            let (a, b) = (World::at(a.0, a.1), World::at(b.0, b.1));
            let window = [a.x.min(b.x), a.y.min(b.y), a.x.max(b.x), a.y.max(b.y)];
            let mut found = Vec::new();
            kept.visit(window, &mut |e| found.push(*e));
            found.sort_unstable_by_key(|e| e.id);
            let naive: Vec<Point> = entries.iter().skip(gone)
                .filter(|e| window[0] <= e.at.x && e.at.x <= window[2] && window[1] <= e.at.y && e.at.y <= window[3])
                .copied().collect();
            prop_assert_eq!(found, naive);
            prop_assert_eq!(kept.len(), entries.len().saturating_sub(gone));
        }
    }
}
