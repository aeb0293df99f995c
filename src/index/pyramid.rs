//! Counts of points by quadkey cell, class, state and ownership status, at every level that low zooms are drawn from.
//!
//! There is one counter for each combination that occurs in a cell, with the sums of its members' coordinates: any layer, and any
//! filter over these three words, is a sum of counters, and the mean of a bin's members comes without visiting them.

use std::sync::Arc;

use super::paged::Paged;
use super::points::{Point, Points};
use super::row::Row;
use crate::domain::word::{OwnershipStatus, State};
use crate::spatial::tile_id::World;

/// What counters tell apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Class, or the kind of what is no component.
    pub class: u16,
    /// Number of its state.
    pub state: u8,
    /// Number of its ownership status.
    pub ownership: u8,
}

const STATES: usize = State::ALL.len();
const OWNERSHIPS: usize = OwnershipStatus::ALL.len();

impl Mark {
    /// The mark of a component.
    pub fn of(row: &Row) -> Mark {
        Mark {
            class: row.class,
            state: row.state_number(),
            ownership: row.ownership_number(),
        }
    }

    /// A whole number, small if the class is.
    #[inline]
    pub fn number(self) -> usize {
        (usize::from(self.class) * STATES + usize::from(self.state)) * OWNERSHIPS + usize::from(self.ownership)
    }

    /// The inverse of [`Mark::number`].
    pub fn from_number(n: usize) -> Mark {
        Mark {
            class: (n / (STATES * OWNERSHIPS)) as u16,
            state: (n / OWNERSHIPS % STATES) as u8,
            ownership: (n % OWNERSHIPS) as u8,
        }
    }
}

/// The members of one mark in one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// What they have in common.
    pub mark: Mark,
    /// How many.
    pub count: u32,
    /// Sum of [`World::x`].
    pub x: u64,
    /// Sum of [`World::y`].
    pub y: u64,
}

/// The zoom of the smallest cells. Tiles whose bins are smaller visit the points themselves, which is cheaper by then.
pub const FINEST: u8 = 16;

/// The counters of all levels, sparse.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pyramid {
    levels: [Paged<Arc<Vec<Counter>>>; FINEST as usize + 1],
}

impl Pyramid {
    /// Counts a point in, in all levels up to `deepest`. Cost: O(levels).
    pub fn add(&mut self, at: World, mark: Mark, deepest: u8) {
        for (z, level) in (0u8..).zip(&mut self.levels).take(usize::from(deepest) + 1) {
            let cell = Arc::make_mut(level.or_insert(at.quadkey(z), Arc::default));
            match cell.binary_search_by_key(&mark, |c| c.mark) {
                Ok(i) => {
                    cell[i].count += 1;
                    cell[i].x += u64::from(at.x);
                    cell[i].y += u64::from(at.y);
                }
                Err(i) => {
                    let (x, y) = (u64::from(at.x), u64::from(at.y));
                    super::grow(cell);
                    cell.insert(i, Counter { mark, count: 1, x, y });
                }
            }
        }
    }

    /// Takes a point out that [`Pyramid::add`] has counted.
    pub fn take(&mut self, at: World, mark: Mark, deepest: u8) {
        for (z, level) in (0u8..).zip(&mut self.levels).take(usize::from(deepest) + 1) {
            let key = at.quadkey(z);
            let Some(cell) = level.get_mut(key) else { continue };
            let cell = Arc::make_mut(cell);
            if let Ok(i) = cell.binary_search_by_key(&mark, |c| c.mark) {
                if cell[i].count == 1 {
                    cell.remove(i);
                } else {
                    cell[i].count -= 1;
                    cell[i].x -= u64::from(at.x);
                    cell[i].y -= u64::from(at.y);
                }
            }
            if cell.is_empty() {
                level.remove(key);
            }
        }
    }

    /// The counters of a cell, by its quadkey at a level.
    pub fn cell(&self, level: u8, key: u64) -> &[Counter] {
        let cell = self.levels.get(usize::from(level)).and_then(|l| l.get(key));
        cell.map_or(&[], |c| c)
    }

    /// Visits the counters of every cell of a level that touches an inclusive window.
    pub fn visit(&self, level: u8, window: [u32; 4], visit: &mut impl FnMut(u64, &[Counter])) {
        if let Some(cells) = self.levels.get(usize::from(level)) {
            cells.window(level, window, &mut |near| {
                near.iter().for_each(|(key, cell, _)| visit(key, cell))
            });
        }
    }

    /// The counters of all points, each level summed from the one below. Cost: about 15 ns a point.
    pub fn of(points: &Points) -> Pyramid {
        let mut pyramid = Pyramid::default();
        let mut sums = Sums::default();
        let finest = &mut pyramid.levels[usize::from(FINEST)];
        let shift = 2 * (super::points::DEEP - FINEST);
        let mut cell = None;
        points.visit_all(&mut |bucket, p| {
            if cell != Some(bucket >> shift) {
                sums.put(finest, cell.replace(bucket >> shift));
            }
            sums.add(p);
        });
        sums.put(finest, cell);
        for z in (0..usize::from(FINEST)).rev() {
            let (upper, lower) = pyramid.levels.split_at_mut(z + 1);
            let mut cell = None;
            for (key, counters) in lower[0].iter() {
                if cell != Some(key >> 2) {
                    sums.put(&mut upper[z], cell.replace(key >> 2));
                }
                counters.iter().for_each(|c| sums.join(c));
            }
            sums.put(&mut upper[z], cell);
        }
        pyramid
    }
}

/// One cell's counters while they are being summed.
#[derive(Default)]
struct Sums {
    by_mark: Vec<(u32, u64, u64)>,
    used: Vec<usize>,
}

impl Sums {
    fn add(&mut self, p: &Point) {
        let (mark, x, y) = (p.mark, u64::from(p.at.x), u64::from(p.at.y));
        self.join(&Counter { mark, count: 1, x, y });
    }

    fn join(&mut self, c: &Counter) {
        let n = c.mark.number();
        if n >= self.by_mark.len() {
            self.by_mark.resize(n + 1, (0, 0, 0));
        }
        let sum = &mut self.by_mark[n];
        if sum.0 == 0 {
            self.used.push(n);
        }
        *sum = (sum.0 + c.count, sum.1 + c.x, sum.2 + c.y);
    }

    fn put(&mut self, level: &mut Paged<Arc<Vec<Counter>>>, key: Option<u64>) {
        let Some(key) = key else { return };
        self.used.sort_unstable();
        let counter = |n: &usize| {
            let (count, x, y) = std::mem::take(&mut self.by_mark[*n]);
            let mark = Mark::from_number(*n);
            Counter { mark, count, x, y }
        };
        let counters: Vec<Counter> = self.used.iter().map(counter).collect();
        self.used.clear();
        *level.or_insert(key, Arc::default) = Arc::new(counters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point(id: u64, lon: f64, lat: f64, word: u8) -> Point {
        let mark = Mark {
            class: u16::from(word % 7),
            state: word % 4,
            ownership: word % 5,
        };
        Point {
            id,
            at: World::at(lon, lat),
            mark,
            owner: 0,
        }
    }

    proptest! {
        /// Conservation: whatever is added and taken, every level holds what a loop over the points finds, and a pyramid that
        /// followed every change is the one that is made at once.
        #[test]
        fn every_level_conserves_the_points(
            all in prop::collection::vec((-180.0..180.0f64, -85.0..85.0f64, 0u8..40), 1..80),
            near in prop::collection::vec((117.0..117.01f64, 39.0..39.01f64, 0u8..40), 1..80),
            moves in prop::collection::vec((0usize..160, 117.0..117.1f64, 39.0..39.1f64, 0u8..40), 0..60),
        ) {
            let mut points: Vec<Point> = all.iter().chain(&near).enumerate()
                .map(|(i, p)| point(i as u64, p.0, p.1, p.2)).collect();
            let (mut kept, mut pyramid) = (Points::default(), Pyramid::default());
            for p in &points {
                kept.add(p);
                pyramid.add(p.at, p.mark, FINEST);
            }
            for (i, lon, lat, word) in moves {
                let i = i % points.len();
                let (old, new) = (points[i], point(i as u64, lon, lat, word));
                kept.take(&old);
                pyramid.take(old.at, old.mark, FINEST);
                kept.add(&new);
                pyramid.add(new.at, new.mark, FINEST);
                points[i] = new;
            }
            prop_assert_eq!(&pyramid, &Pyramid::of(&kept));
            for level in [0, 3, 9, FINEST] {
                let mut total = 0;
                pyramid.visit(level, [0, 0, u32::MAX, u32::MAX], &mut |key, counters| {
                    for c in counters {
                        let members: Vec<&Point> = points.iter()
                            .filter(|p| p.at.quadkey(level) == key && p.mark == c.mark).collect();
                        assert_eq!(members.len(), c.count as usize);
                        assert_eq!(members.iter().map(|p| u64::from(p.at.x)).sum::<u64>(), c.x);
                        assert_eq!(members.iter().map(|p| u64::from(p.at.y)).sum::<u64>(), c.y);
                        total += c.count as usize;
                    }
                });
                prop_assert_eq!(total, points.len());
            }
        }
    }
}
