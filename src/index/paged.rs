//! A sorted map from numbers to things in blocks of 64 neighbours, cheap to copy: a copy shares every block with the original
//! until one of them changes it.

use std::sync::Arc;

use imbl::OrdMap;

use crate::spatial::tile_id::{TileId, World, interleave, meet};

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
        let mut left = self.present & mask;
        std::iter::from_fn(move || {
            let bit = left & left.wrapping_neg();
            left ^= bit;
            let item = self.items.get(self.place(bit.max(1))).filter(|_| bit != 0)?;
            Some((bit.trailing_zeros(), item))
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

    /// For keys that are quadkeys of zoom `deep`: hands everything whose square touches an inclusive window of
    /// [`crate::spatial::tile_id::World`] positions to `visit`, block by block.
    /// Cost: O(blocks on the window's edge + things).
    pub fn window<'a>(&'a self, deep: u8, window: [u32; 4], visit: &mut impl FnMut(Near<'a, T>)) {
        let squares = Squares::new(deep, window);
        let [west, north, east, south] = squares.touched.map(|v| v >> SIDE_BITS);
        if (east.saturating_sub(west) + 1).saturating_mul(south.saturating_sub(north) + 1) > FEW {
            let zoom = deep.saturating_sub(SIDE_BITS);
            return self.descend(World { x: 0, y: 0 }.tile(0), zoom, window, &squares, visit);
        }
        for (y, x) in (north..=south).flat_map(|y| (west..=east).map(move |x| (y, x))) {
            let number = interleave(x, y);
            if let Some(block) = self.blocks.get(&number) {
                visit(squares.near((x, y), number, block));
            }
        }
    }

    /// Looks for the blocks of a window, which are tiles of a zoom, in the tiles that hold any.
    fn descend<'a>(
        &'a self,
        tile: TileId,
        zoom: u8,
        window: [u32; 4],
        squares: &Squares,
        visit: &mut impl FnMut(Near<'a, T>),
    ) {
        let area = tile.window(0);
        if !meet(area, window) {
            return;
        }
        let inside = window[0] <= area[0] && area[2] <= window[2] && window[1] <= area[1] && area[3] <= window[3];
        let mut blocks = self.blocks.range(tile.quadkeys(zoom));
        if inside {
            blocks.for_each(|(number, block)| visit(Near::whole(*number, block)));
        } else if let Some((number, block)) = blocks.next() {
            if tile.z() == zoom {
                return visit(squares.near((tile.x(), tile.y()), *number, block));
            }
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                if let Some(child) = TileId::new(tile.z() + 1, tile.x() * 2 + dx, tile.y() * 2 + dy) {
                    self.descend(child, zoom, window, squares, visit);
                }
            }
        }
    }
}

/// What of one block touches a window.
pub struct Near<'a, T> {
    number: u64,
    block: &'a Block<T>,
    touched: u64,
    inside: u64,
}

impl<'a, T> Near<'a, T> {
    fn whole(number: u64, block: &'a Block<T>) -> Near<'a, T> {
        Near {
            number,
            block,
            touched: u64::MAX,
            inside: u64::MAX,
        }
    }

    /// Its things: the key, the thing, and whether its square lies wholly inside the window.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &'a T, bool)> {
        let (first, inside) = (self.number << BITS, self.inside);
        let items = self.block.masked(self.touched);
        items.map(move |(bit, item)| (first | u64::from(bit), item, inside >> bit & 1 != 0))
    }
}

/// A block whose keys are quadkeys is a square of so many squares, as a power of two.
const SIDE_BITS: u8 = BITS as u8 / 2;
const SIDE: u32 = 1 << SIDE_BITS;

/// So many blocks are looked up one by one.
const FEW: u32 = 16;

/// The squares of a window at a zoom, as `[west, north, east, south]`.
struct Squares {
    /// Those that touch it, the last ones included.
    touched: [u32; 4],
    /// Those that lie wholly inside it; the last ones excluded, and none where they do not lie behind the first.
    inside: [u32; 4],
}

impl Squares {
    fn new(zoom: u8, window: [u32; 4]) -> Squares {
        let shift = 32 - u32::from(zoom);
        let whole = |v: u64| (v >> shift) as u32;
        let [west, north, east, south] = window.map(u64::from);
        let last = (1 << shift) - 1;
        Squares {
            touched: [whole(west), whole(north), whole(east), whole(south)],
            inside: [
                whole(west + last),
                whole(north + last),
                whole(east + 1),
                whole(south + 1),
            ],
        }
    }

    fn near<'a, T>(&self, (x, y): (u32, u32), number: u64, block: &'a Block<T>) -> Near<'a, T> {
        let mask = |[west, north, east, south]: [u32; 4]| {
            let below = |table: &[u64; SIDE as usize + 1], v: u32, corner: u32| {
                table[v.saturating_sub(corner * SIDE).min(SIDE) as usize]
            };
            let columns = below(&COLUMNS, east, x) & !below(&COLUMNS, west, x);
            columns & below(&ROWS, south, y) & !below(&ROWS, north, y)
        };
        let [west, north, east, south] = self.touched;
        Near {
            number,
            block,
            touched: mask([west, north, east + 1, south + 1]),
            inside: mask(self.inside),
        }
    }
}

/// For each n, the squares of a block whose column is below n.
const COLUMNS: [u64; SIDE as usize + 1] = below(0);
/// For each n, the squares of a block whose row is below n.
const ROWS: [u64; SIDE as usize + 1] = below(1);

const fn below(axis: u32) -> [u64; SIDE as usize + 1] {
    let mut masks = [0; SIDE as usize + 1];
    let mut key = 0;
    while key < 1 << BITS {
        let along = key >> axis;
        let at = along & 1 | along >> 1 & 2 | along >> 2 & 4;
        let mut n = at as usize + 1;
        while n <= SIDE as usize {
            masks[n] |= 1 << key;
            n += 1;
        }
        key += 1;
    }
    masks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_sorted_map_and_a_copy_does_not_change(
            steps in prop::collection::vec((any::<bool>(), 0u64..500, any::<u8>()), 0..400),
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
            }
        }

        #[test]
        fn a_window_shows_what_a_loop_finds(
            deep in 0u8..10, keys in prop::collection::hash_set(any::<u64>(), 0..200), a in any::<[u32; 2]>(), b in any::<[u32; 2]>(),
            small in any::<bool>(),
        ) {
            let mut map = Paged::<u64>::default();
            for key in keys.iter().map(|k| k % (1 << (2 * deep))) {
                *map.or_insert(key, || 0) = key;
            }
            // A few squares, or any part of the world.
            let apart = |a: u32, b: u32| if small { a.saturating_add(b >> deep) } else { b };
            let b = [apart(a[0], b[0]), apart(a[1], b[1])];
            let window = [a[0].min(b[0]), a[1].min(b[1]), a[0].max(b[0]), a[1].max(b[1])];
            let mut found = Vec::new();
            map.window(deep, window, &mut |near| found.extend(near.iter().map(|(k, v, inside)| (k, *v, inside))));
            found.sort_unstable();
            let naive: Vec<_> = map.iter().filter_map(|(k, v)| {
                let [w, n, e, s] = World::corner(k, deep).tile(deep).window(0);
                let touches = w <= window[2] && window[0] <= e && n <= window[3] && window[1] <= s;
                let inside = window[0] <= w && e <= window[2] && window[1] <= n && s <= window[3];
                touches.then_some((k, *v, inside))
            }).collect();
            prop_assert_eq!(found, naive);
        }
    }
}
