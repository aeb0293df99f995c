//! A sorted map from numbers to things in blocks of 64 neighbours, cheap to copy: a copy shares every block with the original
//! until one of them changes it.

use std::ops::Range;
use std::sync::Arc;

use imbl::OrdMap;

use crate::spatial::tile_id::{TileId, World};

const BITS: u32 = 6;

/// The map. Neighbouring keys lie together, so that a range of them is read in long runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Paged<T: Clone> {
    blocks: OrdMap<u64, Arc<Block<T>>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Block<T> {
    /// One bit for each key that is there; the items stand in their order.
    present: u64,
    items: Vec<T>,
}

impl<T: Clone> Default for Paged<T> {
    fn default() -> Self {
        Paged { blocks: OrdMap::new() }
    }
}

fn split(key: u64) -> (u64, u64) {
    (key >> BITS, 1 << (key & ((1 << BITS) - 1)))
}

impl<T> Block<T> {
    fn place(&self, bit: u64) -> usize {
        (self.present & (bit - 1)).count_ones() as usize
    }

    /// The items of some keys, given as a mask of bits.
    fn masked(&self, mask: u64) -> impl Iterator<Item = (u32, &T)> {
        let first = mask
            .checked_shr(mask.trailing_zeros())
            .map_or(0, |_| mask.trailing_zeros());
        let skipped = (self.present & ((1u64 << first) - 1)).count_ones() as usize;
        let mut left = self.present & mask;
        self.items[skipped.min(self.items.len())..]
            .iter()
            .map_while(move |item| {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < 64).then_some((bit, item))
            })
    }
}

impl<T: Clone> Paged<T> {
    /// The thing of a key. Cost: O(log blocks).
    pub fn get(&self, key: u64) -> Option<&T> {
        let (block, bit) = split(key);
        let block = self.blocks.get(&block).filter(|b| b.present & bit != 0)?;
        block.items.get(block.place(bit))
    }

    /// The thing of a key, to change it.
    pub fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        let (block, bit) = split(key);
        let block = self.blocks.get_mut(&block).filter(|b| b.present & bit != 0)?;
        let block = Arc::make_mut(block);
        let place = block.place(bit);
        block.items.get_mut(place)
    }

    /// The thing of a key, made by `new` if there is none.
    pub fn or_insert(&mut self, key: u64, new: impl FnOnce() -> T) -> &mut T {
        let (block, bit) = split(key);
        let empty = || {
            Arc::new(Block {
                present: 0,
                items: Vec::new(),
            })
        };
        let block = Arc::make_mut(self.blocks.entry(block).or_insert_with(empty));
        let place = block.place(bit);
        if block.present & bit == 0 {
            block.items.insert(place, new());
            block.present |= bit;
        }
        &mut block.items[place]
    }

    /// Takes a thing out.
    pub fn remove(&mut self, key: u64) -> Option<T> {
        let (number, bit) = split(key);
        let block = self.blocks.get_mut(&number).filter(|b| b.present & bit != 0)?;
        let block = Arc::make_mut(block);
        let item = block.items.remove(block.place(bit));
        block.present &= !bit;
        if block.present == 0 {
            self.blocks.remove(&number);
        }
        Some(item)
    }

    /// Everything, in the order of keys.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.blocks.iter().flat_map(|(n, b)| {
            b.masked(u64::MAX)
                .map(move |(bit, item)| (n << BITS | u64::from(bit), item))
        })
    }

    /// Hands every thing of a range of keys to `visit`, in their order. Cost: O(log blocks + things).
    pub fn range<'a>(&'a self, keys: Range<u64>, mut visit: impl FnMut(u64, &'a T)) {
        if keys.is_empty() {
            return;
        }
        let (first, last) = (keys.start >> BITS, (keys.end - 1) >> BITS);
        let mut read = |number: u64, block: &'a Block<T>| {
            let base = number << BITS;
            let low = keys.start.saturating_sub(base);
            let high = (keys.end - 1 - base).min(63);
            let mask = (u64::MAX << low) & (u64::MAX >> (63 - high));
            block
                .masked(mask)
                .for_each(|(bit, item)| visit(base | u64::from(bit), item));
        };
        if first == last {
            if let Some(block) = self.blocks.get(&first) {
                read(first, block);
            }
        } else {
            self.blocks.range(first..=last).for_each(|(n, b)| read(*n, b));
        }
    }

    /// Whether a range of keys holds nothing. May say no where the range is part of a block.
    fn is_empty_in(&self, keys: &Range<u64>) -> bool {
        let (first, last) = (keys.start >> BITS, (keys.end - 1) >> BITS);
        if first == last {
            return self.blocks.get(&first).is_none();
        }
        self.blocks.range(first..=last).next().is_none()
    }

    /// For keys that are quadkeys of zoom `deep`: hands everything whose square touches an inclusive window of
    /// [`crate::spatial::tile_id::World`] positions to `visit`, with whether the square lies wholly inside it.
    /// Cost: O(squares on the window's edge + things).
    pub fn window<'a>(&'a self, deep: u8, window: [u32; 4], visit: &mut impl FnMut(u64, &'a T, bool)) {
        // From the smallest tile that holds the whole window.
        let apart = (window[0] ^ window[2]) | (window[1] ^ window[3]);
        let zoom = (apart.leading_zeros() as u8).min(deep);
        let corner = World {
            x: window[0],
            y: window[1],
        };
        self.descend(corner.tile(zoom), deep, window, visit);
    }

    fn descend<'a>(&'a self, tile: TileId, deep: u8, window: [u32; 4], visit: &mut impl FnMut(u64, &'a T, bool)) {
        let area = tile.window(0);
        if area[0] > window[2] || area[2] < window[0] || area[1] > window[3] || area[3] < window[1] {
            return;
        }
        let inside = window[0] <= area[0] && area[2] <= window[2] && window[1] <= area[1] && area[3] <= window[3];
        let keys = tile.quadkeys(deep);
        if inside || tile.z() == deep {
            self.range(keys, |key, item| visit(key, item, inside));
        } else if !self.is_empty_in(&keys) {
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                if let Some(child) = TileId::new(tile.z() + 1, tile.x() * 2 + dx, tile.y() * 2 + dy) {
                    self.descend(child, deep, window, visit);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_sorted_map_and_a_copy_does_not_change(
            steps in prop::collection::vec((any::<bool>(), 0u64..500, any::<u8>()), 0..400), from in 0u64..520, to in 0u64..520,
        ) {
            let (mut map, mut naive) = (Paged::<u8>::default(), BTreeMap::new());
            let half = steps.len() / 2;
            let mut copy = (map.clone(), naive.clone());
            for (i, (add, key, value)) in steps.into_iter().enumerate() {
                if i == half {
                    copy = (map.clone(), naive.clone());
                }
                if add {
                    *map.or_insert(key, || 0) = value;
                    naive.insert(key, value);
                } else {
                    prop_assert_eq!(map.remove(key), naive.remove(&key));
                }
                prop_assert_eq!(map.get(key), naive.get(&key));
            }
            for (map, naive) in [(&map, &naive), (&copy.0, &copy.1)] {
                prop_assert!(map.iter().map(|(k, v)| (k, *v)).eq(naive.iter().map(|(k, v)| (*k, *v))));
                let mut found = Vec::new();
                map.range(from..to, |k, v| found.push((k, *v)));
                let expected: Vec<_> = if from < to { naive.range(from..to).map(|(k, v)| (*k, *v)).collect() } else { vec![] };
                prop_assert_eq!(found, expected);
            }
        }
    }
}
