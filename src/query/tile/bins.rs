//! Bins: components too many to be drawn one by one, as one point a square.

use crate::domain::word::{OwnershipStatus, State};
use crate::index::pyramid::{Counter, Mark};
use crate::spatial::plane::Plane;
use crate::spatial::tile_id::{BINS_BITS, FEWEST_BINS_BITS, TileId, World};
use crate::tile::mvt::{self, Value};

/// Members of one bin: how many, the sum of their positions, and how many of each state and ownership status.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bin {
    /// How many.
    pub(super) count: u64,
    /// The number of a member, where its number is known.
    pub(super) member: Option<u64>,
    x: u64,
    y: u64,
    states: [u32; State::ALL.len()],
    ownership: [u32; OwnershipStatus::ALL.len()],
}

impl Bin {
    fn join(&mut self, other: &Bin) {
        self.count += other.count;
        self.member = other.member.or(self.member);
        self.x += other.x;
        self.y += other.y;
        let states = self.states.iter_mut().zip(other.states);
        let ownership = self.ownership.iter_mut().zip(other.ownership);
        states.chain(ownership).for_each(|(n, more)| *n += more);
    }
}

/// A bin that a tile shows.
pub(super) struct Shown<'b> {
    /// Its members.
    pub(super) bin: &'b Bin,
    /// Their mean in tile units.
    pub(super) p: (i32, i32),
    /// The window of its square.
    pub(super) square: [u32; 4],
}

/// The bins that a tile may show: 64 × 64, or fewer where that would be too much. They are squares of the register's own plane;
/// in a shifted plane each is drawn where its mean comes to lie.
#[derive(Debug)]
pub(super) struct Bins {
    tile: TileId,
    plane: Plane,
    zoom: u8,
    corner: (u32, u32),
    width: u32,
    height: u32,
    /// Row by row; nothing until there is a member.
    bins: Vec<Bin>,
}

impl Bins {
    /// No members yet.
    pub(super) fn new(tile: TileId, plane: Plane) -> Bins {
        let (fine, coarse) = (tile.z() + BINS_BITS, tile.z() + FEWEST_BINS_BITS);
        let window = plane.window_back(tile.window(0));
        // Whole ones of the coarsest, so that halving leaves none without some of its members.
        let lead = |v: u32| v.checked_shr(32 - u32::from(coarse)).unwrap_or(0);
        let scale = |v: u32| v << (fine - coarse);
        let corner = (lead(window[0]), lead(window[1]));
        let (width, height) = (lead(window[2]) - corner.0 + 1, lead(window[3]) - corner.1 + 1);
        Bins {
            tile,
            plane,
            zoom: fine,
            corner: (scale(corner.0), scale(corner.1)),
            width: scale(width),
            height: scale(height),
            bins: Vec::new(),
        }
    }

    /// Joins each four of them to one. Whether it did: they are never fewer than 8 × 8.
    pub(super) fn halve(&mut self) -> bool {
        if self.zoom <= self.tile.z() + FEWEST_BINS_BITS || self.bins.is_empty() {
            return false;
        }
        let (width, fine) = (self.width, std::mem::take(&mut self.bins));
        self.zoom -= 1;
        self.corner = (self.corner.0 / 2, self.corner.1 / 2);
        (self.width, self.height) = (width / 2, self.height / 2);
        self.bins = vec![Bin::default(); self.width as usize * self.height as usize];
        for (i, bin) in (0..width * self.height * 2).zip(&fine) {
            let (x, y) = (i % width / 2, i / width / 2);
            self.bins[(y * self.width + x) as usize].join(bin);
        }
        true
    }

    /// The window of the register whose members belong here: whole bins.
    pub(super) fn window(&self) -> [u32; 4] {
        let shift = 32 - u32::from(self.zoom);
        let low = |v: u32| (u64::from(v) << shift).min(u64::from(u32::MAX)) as u32;
        let high = |v: u32, n: u64| (((u64::from(v) + n) << shift) - 1).min(u64::from(u32::MAX)) as u32;
        [
            low(self.corner.0),
            low(self.corner.1),
            high(self.corner.0, u64::from(self.width)),
            high(self.corner.1, u64::from(self.height)),
        ]
    }

    #[inline]
    fn bin(&mut self, at: World) -> Option<&mut Bin> {
        let shift = 32 - u32::from(self.zoom);
        let lead = |v: u32| v.checked_shr(shift).unwrap_or(0);
        let x = lead(at.x).checked_sub(self.corner.0).filter(|x| *x < self.width)?;
        let y = lead(at.y).checked_sub(self.corner.1).filter(|y| *y < self.height)?;
        if self.bins.is_empty() {
            self.bins = vec![Bin::default(); self.width as usize * self.height as usize];
        }
        self.bins.get_mut(y as usize * self.width as usize + x as usize)
    }

    /// Adds a member; one that lies in none of the bins is another tile's.
    #[inline]
    pub(super) fn add(&mut self, at: World, member: u64, mark: Mark) {
        if let Some(bin) = self.bin(at) {
            bin.count += 1;
            bin.member = Some(member);
            bin.x += u64::from(at.x);
            bin.y += u64::from(at.y);
            bin.states[usize::from(mark.state)] += 1;
            bin.ownership[usize::from(mark.ownership)] += 1;
        }
    }

    /// Adds the members of a counter, whose square has its corner at `corner`.
    pub(super) fn join(&mut self, corner: World, c: &Counter) {
        if let Some(bin) = self.bin(corner) {
            bin.count += u64::from(c.count);
            bin.x += c.x;
            bin.y += c.y;
            bin.states[usize::from(c.mark.state)] += c.count;
            bin.ownership[usize::from(c.mark.ownership)] += c.count;
        }
    }

    /// Each bin that has members and whose mean the tile shows.
    pub(super) fn shown(&self) -> impl Iterator<Item = Shown<'_>> {
        let shift = 32 - u32::from(self.zoom);
        let last = ((1u64 << shift) - 1) as u32;
        let placed = move |(i, bin): (u32, _)| {
            let bin: &Bin = bin;
            let mean = World {
                x: (bin.x / bin.count) as u32,
                y: (bin.y / bin.count) as u32,
            };
            let (x, y) = self.tile.pixel(self.plane.place(mean));
            let inside = |v: i64| (0..i64::from(crate::spatial::tile_id::EXTENT)).contains(&v);
            let (cx, cy) = (self.corner.0 + i % self.width, self.corner.1 + i / self.width);
            let (west, north) = ((u64::from(cx) << shift) as u32, (u64::from(cy) << shift) as u32);
            (inside(x) && inside(y)).then_some(Shown {
                bin,
                p: (x as i32, y as i32),
                square: [west, north, west | last, north | last],
            })
        };
        let members = (0u32..).zip(&self.bins).filter(|(_, bin)| bin.count > 0);
        members.filter_map(placed)
    }
}

/// Writes bins: the numbers of their keys are looked up once a tile.
pub(super) struct Writer {
    count: u32,
    states: [u32; State::ALL.len()],
    ownership: [u32; OwnershipStatus::ALL.len()],
    words: bool,
}

impl Writer {
    /// A writer for a layer; `words` says whether members have a state and an ownership status.
    pub(super) fn new(words: bool) -> Writer {
        Writer {
            count: u32::MAX,
            states: [u32::MAX; State::ALL.len()],
            ownership: [u32::MAX; OwnershipStatus::ALL.len()],
            words,
        }
    }

    /// Writes a bin of several members.
    pub(super) fn write(&mut self, drawing: &mut mvt::Layer<'_>, shown: &Shown<'_>) {
        let bin = shown.bin;
        let mut tag = |known: &mut u32, key: &'static str, n: u64| {
            if *known == u32::MAX {
                *known = drawing.key(key);
            }
            let value = drawing.value(Value::Number(n));
            drawing.tag_numbers(*known, value);
        };
        tag(&mut self.count, "point_count", bin.count);
        if self.words {
            let states = self.states.iter_mut().zip(State::ALL).zip(bin.states);
            for ((known, word), n) in states.filter(|(_, n)| *n > 0) {
                tag(known, word.key(), u64::from(n));
            }
            let ownership = self.ownership.iter_mut().zip(OwnershipStatus::ALL).zip(bin.ownership);
            for ((known, word), n) in ownership.filter(|(_, n)| *n > 0) {
                tag(known, word.key(), u64::from(n));
            }
        }
        drawing.point(None, shown.p);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mark(word: u8) -> Mark {
        Mark {
            class: 0,
            state: word % State::ALL.len() as u8,
            ownership: word % OwnershipStatus::ALL.len() as u8,
        }
    }

    proptest! {
        #[test]
        fn halved_bins_are_those_of_twice_the_size(
            points in prop::collection::vec((117.18..117.24f64, 39.08..39.13f64, any::<u8>()), 1..200), halved in 0u8..5,
            coords in prop::sample::select(&["", "gcj02", "bd09"][..]),
        ) {
            let plane = Plane::parse(coords).unwrap_or_default();
            // Without any member there is nothing to halve.
            let points: Vec<_> = points.into_iter().chain([(117.2172, 39.1096, 0)]).collect();
            let tile = plane.place(World::at(117.2172, 39.1096)).tile(14);
            let mut bins = Bins::new(tile, plane);
            points.iter().for_each(|p| bins.add(World::at(p.0, p.1), 7, mark(p.2)));
            let fine = (0..halved).filter(|_| bins.halve()).count() as u8;
            let zoom = 20 - fine;
            prop_assert_eq!(fine, halved.min(BINS_BITS - FEWEST_BINS_BITS));
            for shown in bins.shown() {
                let of_bin = |p: &&(f64, f64, u8)| {
                    let at = World::at(p.0, p.1);
                    let square = at.tile(zoom).window(0);
                    square == shown.square
                };
                let members: Vec<_> = points.iter().filter(of_bin).collect();
                prop_assert_eq!(shown.bin.count, members.len() as u64);
                for (state, n) in shown.bin.states.iter().enumerate() {
                    let of_state = members.iter().filter(|p| usize::from(mark(p.2).state) == state);
                    prop_assert_eq!(*n, of_state.count() as u32);
                }
                let mean = members.iter().map(|p| u64::from(World::at(p.0, p.1).x)).sum::<u64>() / shown.bin.count;
                prop_assert_eq!(shown.bin.x / shown.bin.count, mean);
            }
            // No point that the tile shows is missed, unless its bin's mean lies in another tile.
            if plane.0.is_none() {
                let inside = points.iter().filter(|p| World::at(p.0, p.1).tile(14) == tile).count() as u64;
                prop_assert_eq!(bins.shown().map(|s| s.bin.count).sum::<u64>(), inside);
            }
        }
    }
}
