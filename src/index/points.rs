//! Points in buckets by quadkey: the smallest updatable structure that answers tiles, boxes and radii.
//!
//! A bucket is one tile of zoom 17 (about 240 m in the middle latitudes). Buckets stand in quadkey order, so that any tile
//! of a lower zoom is one contiguous range, and a box is a few such ranges.

use std::collections::BTreeMap;

use crate::spatial::tile_id::{TileId, World};

const DEEP: u8 = 17;

/// A point and what tiles ask of it; everything else is found by its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the component's row stands.
    pub slot: u32,
    /// Its position.
    pub at: World,
    /// Class number.
    pub class: u16,
    /// Number of its state.
    pub state: u8,
    /// Number of its ownership status.
    pub ownership: u8,
}

/// All points.
#[derive(Debug, Default)]
pub struct Points {
    buckets: BTreeMap<u64, Vec<Entry>>,
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

    /// Adds a point.
    pub fn add(&mut self, entry: Entry) {
        self.buckets.entry(entry.at.quadkey(DEEP)).or_default().push(entry);
        self.len += 1;
    }

    /// Takes out the point of a slot that stands at a position.
    pub fn take(&mut self, slot: u32, at: World) {
        let key = at.quadkey(DEEP);
        let Some(bucket) = self.buckets.get_mut(&key) else {
            return;
        };
        if let Some(i) = bucket.iter().position(|e| e.slot == slot) {
            bucket.swap_remove(i);
            self.len -= 1;
        }
        if bucket.is_empty() {
            self.buckets.remove(&key);
        }
    }

    /// Visits every point whose position lies in the inclusive window `[min_x, min_y, max_x, max_y]`.
    /// Cost: O(buckets on the window's edge + points in the buckets it touches).
    pub fn visit(&self, window: [u32; 4], visit: &mut impl FnMut(&Entry)) {
        if let Some(root) = TileId::new(0, 0, 0) {
            self.descend(root, window, visit);
        }
    }

    fn descend(&self, tile: TileId, window: [u32; 4], visit: &mut impl FnMut(&Entry)) {
        let area = tile.window(0);
        let apart = area[0] > window[2] || area[2] < window[0] || area[1] > window[3] || area[3] < window[1];
        if apart {
            return;
        }
        let inside = window[0] <= area[0] && area[2] <= window[2] && window[1] <= area[1] && area[3] <= window[3];
        let mut range = self.buckets.range(tile.quadkeys(DEEP));
        if inside {
            range.flat_map(|(_, bucket)| bucket).for_each(visit);
        } else if tile.z() == DEEP {
            let held =
                |e: &&Entry| window[0] <= e.at.x && e.at.x <= window[2] && window[1] <= e.at.y && e.at.y <= window[3];
            range.flat_map(|(_, bucket)| bucket).filter(held).for_each(visit);
        } else if range.next().is_some() {
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                if let Some(child) = TileId::new(tile.z() + 1, tile.x() * 2 + dx, tile.y() * 2 + dy) {
                    self.descend(child, window, visit);
                }
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
            let entries: Vec<Entry> = points.iter().enumerate()
                .map(|(i, p)| Entry { slot: i as u32, at: World::at(p.0, p.1), class: 0, state: 0, ownership: 0 }).collect();
            entries.iter().for_each(|e| kept.add(*e));
            entries.iter().take(gone).for_each(|e| kept.take(e.slot, e.at));
            let (a, b) = (World::at(a.0, a.1), World::at(b.0, b.1));
            let window = [a.x.min(b.x), a.y.min(b.y), a.x.max(b.x), a.y.max(b.y)];
            let mut found = Vec::new();
            kept.visit(window, &mut |e| found.push(e.slot));
            found.sort_unstable();
            let naive: Vec<u32> = entries.iter().skip(gone)
                .filter(|e| window[0] <= e.at.x && e.at.x <= window[2] && window[1] <= e.at.y && e.at.y <= window[3])
                .map(|e| e.slot).collect();
            prop_assert_eq!(found, naive);
            prop_assert_eq!(kept.len(), entries.len().saturating_sub(gone));
        }
    }
}
