//! Points in buckets by quadkey: the smallest updatable structure that answers tiles, boxes and radii.
//!
//! A bucket is one tile of zoom 17 (about 240 m in the middle latitudes). Buckets stand in quadkey order, so that any tile
//! of a lower zoom is one contiguous range, and a box is a few such ranges.

use std::hint::black_box;
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
    /// The point of a component with this owner.
    pub fn of(id: u64, row: &Row, owner: u32) -> Point {
        Point {
            id,
            at: row.at(),
            mark: Mark::of(row),
            owner,
        }
    }
}

/// A point as a bucket keeps it: 16 bytes, the position within the bucket. The class is told by the head of its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// The id, which is below 2^53, under the state in four bits and the ownership status in four.
    key: u64,
    x: u16,
    y: u16,
    owner: u32,
}

const _: () = assert!(size_of::<Entry>() == 16);
const STATE: u32 = 56;
const OWNERSHIP: u32 = 60;

impl Entry {
    fn of(p: &Point) -> Entry {
        let inside = |v: u32| (v & ((1 << INSIDE) - 1)) as u16;
        let (state, ownership) = (u64::from(p.mark.state & 15), u64::from(p.mark.ownership & 15));
        Entry {
            key: p.id & ((1 << STATE) - 1) | state << STATE | ownership << OWNERSHIP,
            x: inside(p.at.x),
            y: inside(p.at.y),
            owner: p.owner,
        }
    }

    /// What stands before points: a class and where its points end.
    fn head(class: u16, end: usize) -> Entry {
        Entry {
            key: end as u64,
            x: class,
            y: 0,
            owner: 0,
        }
    }

    fn class(&self) -> u16 {
        self.x
    }

    fn end(&self) -> usize {
        self.key as usize
    }

    fn id(&self) -> u64 {
        self.key & ((1 << STATE) - 1)
    }

    #[inline]
    fn point(&self, corner: World, class: u16) -> Point {
        Point {
            id: self.id(),
            at: World {
                x: corner.x | u32::from(self.x),
                y: corner.y | u32::from(self.y),
            },
            mark: Mark {
                class,
                state: (self.key >> STATE & 15) as u8,
                ownership: (self.key >> OWNERSHIP) as u8,
            },
            owner: self.owner,
        }
    }
}

/// A point that is not in its bucket yet.
#[derive(Clone, Copy, Debug)]
pub struct Loose {
    /// The bucket, above the class in sixteen bits.
    run: u64,
    entry: Entry,
}

const CLASS: u32 = 16;
const _: () = assert!(2 * DEEP as u32 + CLASS <= u64::BITS);

impl Loose {
    /// A point.
    pub fn of(p: &Point) -> Loose {
        Loose {
            run: p.at.quadkey(DEEP) << CLASS | u64::from(p.mark.class),
            entry: Entry::of(p),
        }
    }

    fn bucket(&self) -> u64 {
        self.run >> CLASS
    }

    fn class(&self) -> u16 {
        self.run as u16
    }

    fn order(&self) -> (u64, u64) {
        (self.run, self.entry.id())
    }
}

/// The points of one tile of zoom [`DEEP`], those of one class beside each other, and of these in the order of ids: so that a layer
/// reads past the rest, and the same register draws the same tile on every node.
///
/// All in one piece, since fetching a piece from memory takes longer than reading it: first how many classes there are, then for
/// each its number and where its points end, then the points. What is left at the end is room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bucket(Arc<[Entry]>);

/// Buckets are as long as a multiple of this, so that one that has changed fits where another was.
const STEP: usize = 8;

impl Bucket {
    /// Points of one bucket in their order.
    fn of(points: &[Loose]) -> Bucket {
        let runs = || points.chunk_by(|a, b| a.run == b.run);
        let count = runs().count();
        let heads = runs().scan(0, |end, run| {
            *end += run.len();
            Some(Entry::head(run[0].class(), *end))
        });
        let used = std::iter::once(Entry::head(0, count)).chain(heads);
        let used = used.chain(points.iter().map(|p| p.entry));
        let len = (1 + count + points.len()).next_multiple_of(STEP);
        let mut all = Vec::with_capacity(len);
        all.extend(used);
        all.resize(len, Entry::head(0, 0));
        Bucket(all.into())
    }

    /// The points of each class.
    fn runs(&self) -> impl Iterator<Item = (u16, &[Entry])> {
        let count = self.0.first().map_or(0, |head| head.end());
        let (heads, entries) = self.0.get(1..).map_or((&[][..], &[][..]), |rest| rest.split_at(count));
        let mut from = 0;
        heads.iter().map(move |head| {
            let run = entries.get(std::mem::replace(&mut from, head.end())..head.end());
            (head.class(), run.unwrap_or(&[]))
        })
    }

    /// Its points, to change them. `key` is its place.
    fn loosen(&self, key: u64) -> Vec<Loose> {
        let mut points = Vec::with_capacity(self.0.len());
        for (class, entries) in self.runs() {
            let run = key << CLASS | u64::from(class);
            points.extend(entries.iter().map(|entry| Loose { run, entry: *entry }));
        }
        points
    }
}

/// All points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    buckets: Paged<Bucket>,
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

    /// Points of different ids, all at once: each bucket is made once, and lies beside its neighbour.
    /// Cost: about 0.1 µs a point.
    pub fn of(mut all: Vec<Loose>) -> Points {
        all.sort_unstable_by_key(Loose::order);
        let mut points = Points {
            len: all.len(),
            ..Points::default()
        };
        for bucket in all.chunk_by(|a, b| a.bucket() == b.bucket()) {
            points.buckets.or_insert(bucket[0].bucket(), || Bucket::of(bucket));
        }
        points
    }

    /// Adds a point. Cost: O(points of its bucket).
    pub fn add(&mut self, point: &Point) {
        let point = Loose::of(point);
        let bucket = self.buckets.or_insert(point.bucket(), Bucket::default);
        let mut points = bucket.loosen(point.bucket());
        let place = points.partition_point(|p| p.order() < point.order());
        points.insert(place, point);
        *bucket = Bucket::of(&points);
        self.len += 1;
    }

    /// Takes a point out again. Cost: O(points of its bucket).
    pub fn take(&mut self, point: &Point) {
        let point = Loose::of(point);
        let Some(bucket) = self.buckets.get_mut(point.bucket()) else {
            return;
        };
        let mut points = bucket.loosen(point.bucket());
        let Ok(place) = points.binary_search_by_key(&point.order(), Loose::order) else {
            return;
        };
        points.remove(place);
        self.len -= 1;
        if points.is_empty() {
            self.buckets.remove(point.bucket());
        } else {
            *bucket = Bucket::of(&points);
        }
    }

    /// Visits every point of some classes whose position lies in the inclusive window `[min_x, min_y, max_x, max_y]`.
    /// Cost: O(buckets on the window's edge + points of these classes in the buckets it touches).
    pub fn visit(&self, window: [u32; 4], classes: impl Fn(u16) -> bool, visit: &mut impl FnMut(&Point)) {
        self.buckets.window(DEEP, window, &mut |near| {
            // Memory is asked for everything that will be read, and answers all at once instead of one after the other: first for
            // the heads, then for each fourth point, which is each piece that it answers with.
            let head = |bucket: &Bucket| bucket.0.first().map_or(0, |head| head.key);
            let runs = |bucket: &Bucket| {
                let wanted = bucket.runs().filter(|(class, _)| classes(*class));
                wanted.fold(0, |all, (_, run)| run.iter().step_by(4).fold(all, |all, e| all ^ e.key))
            };
            black_box(near.iter().fold(0, |all, (_, bucket, _)| all ^ head(bucket)));
            black_box(near.iter().fold(0, |all, (_, bucket, _)| all ^ runs(bucket)));
            for (key, bucket, inside) in near.iter() {
                let corner = World::corner(key, DEEP);
                for (class, entries) in bucket.runs().filter(|(class, _)| classes(*class)) {
                    for entry in entries {
                        let point = entry.point(corner, class);
                        if inside || point.at.lies_in(window) {
                            visit(&point);
                        }
                    }
                }
            }
        });
    }

    /// Visits every point, bucket by bucket.
    pub fn visit_all(&self, visit: &mut impl FnMut(u64, &Point)) {
        for (key, bucket) in self.buckets.iter() {
            let corner = World::corner(key, DEEP);
            for (class, entries) in bucket.runs() {
                entries.iter().for_each(|e| visit(key, &e.point(corner, class)));
            }
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
                .map(|(i, p)| Point { id: (i as u64) << 20, at: World::at(p.0, p.1), mark: Mark { class: i as u16 % 3, ..Mark::default() }, owner: i as u32 })
                .collect();
            entries.iter().rev().for_each(|e| kept.add(e));
            prop_assert_eq!(&kept, &Points::of(entries.iter().rev().map(Loose::of).collect()));
            entries.iter().take(gone).for_each(|e| kept.take(e));
            let (a, b) = (World::at(a.0, a.1), World::at(b.0, b.1));
            let window = [a.x.min(b.x), a.y.min(b.y), a.x.max(b.x), a.y.max(b.y)];
            let mut found = Vec::new();
            kept.visit(window, |class| class != 1, &mut |e| found.push(*e));
            found.sort_unstable_by_key(|e| e.id);
            let naive: Vec<Point> = entries.iter().skip(gone)
                .filter(|e| e.mark.class != 1)
                .filter(|e| window[0] <= e.at.x && e.at.x <= window[2] && window[1] <= e.at.y && e.at.y <= window[3])
                .copied().collect();
            prop_assert_eq!(found, naive);
            prop_assert_eq!(kept.len(), entries.len().saturating_sub(gone));
        }
    }
}
