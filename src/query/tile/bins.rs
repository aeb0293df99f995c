//! Bins: components too many to be drawn one by one, as one point a square.

use crate::domain::word::{OwnershipStatus, State};
use crate::index::pyramid::{Counter, Mark};
use crate::spatial::plane::Plane;
use crate::spatial::tile_id::{BINS_BITS, TileId, World};
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
    /// No members yet. `coarser` halves the bins along the tile's edge so many times.
    pub(super) fn new(tile: TileId, plane: Plane, coarser: u8) -> Bins {
        let zoom = tile.z() + BINS_BITS.saturating_sub(coarser);
        let window = plane.window_back(tile.window(0));
        let shift = 32 - u32::from(zoom);
        let lead = |v: u32| v.checked_shr(shift).unwrap_or(0);
        let corner = (lead(window[0]), lead(window[1]));
        let (width, height) = (lead(window[2]) - corner.0 + 1, lead(window[3]) - corner.1 + 1);
        Bins {
            tile,
            plane,
            zoom,
            corner,
            width,
            height,
            bins: Vec::new(),
        }
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

    /// Each bin that has members and whose mean the tile shows: the window of its square, its mean in tile units, and itself.
    pub(super) fn finish(self) -> impl Iterator<Item = ([u32; 4], (i32, i32), Bin)> {
        let shift = 32 - u32::from(self.zoom);
        let (tile, plane, corner, width) = (self.tile, self.plane, self.corner, self.width);
        let placed = move |(i, bin): (u32, Bin)| {
            let mean = World {
                x: (bin.x / bin.count) as u32,
                y: (bin.y / bin.count) as u32,
            };
            let (x, y) = tile.pixel(plane.place(mean));
            let inside = |v: i64| (0..i64::from(crate::spatial::tile_id::EXTENT)).contains(&v);
            let (cx, cy) = (corner.0 + i % width, corner.1 + i / width);
            let last = ((1u64 << shift) - 1) as u32;
            let (west, north) = ((u64::from(cx) << shift) as u32, (u64::from(cy) << shift) as u32);
            (inside(x) && inside(y)).then_some(([west, north, west | last, north | last], (x as i32, y as i32), bin))
        };
        (0u32..)
            .zip(self.bins)
            .filter(|(_, bin)| bin.count > 0)
            .filter_map(placed)
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
    pub(super) fn write(&mut self, drawing: &mut mvt::Layer<'_>, p: (i32, i32), bin: &Bin) {
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
        drawing.point(None, p);
    }
}
