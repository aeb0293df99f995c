//! Finished tiles, bounded by their weight. An edit drops exactly the tiles that show it.
//!
//! No stale tile is ever kept, and nobody waits for anybody: whoever builds a tile promises it here *before* taking the memory that
//! it is built from, and an edit is published in memory *before* it drops tiles here, promised ones included. So a promise that is
//! still good when the tile is finished was made after the last edit that touches it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use quick_cache::Weighter;
use quick_cache::sync::{Cache as Quick, GuardResult};

use super::body::Body;
use super::layer::{Layer, LayerSet};
use crate::domain::filter::Filter;
use crate::domain::grant::Rights;
use crate::spatial::plane::Plane;
use crate::spatial::tile_id::{BUFFER, FEWEST_BINS_BITS, MAX_ZOOM, TileId, touched};

/// What tiles are asked for: some layers, what of them a filter lets through, in some coordinates.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Layers, in the order asked for.
    pub layers: Vec<Arc<Layer>>,
    /// In its one form, so that spelling makes no difference.
    pub filter: Option<Arc<Filter>>,
    /// The coordinates that they are drawn in.
    pub plane: Plane,
    /// The restricted classes of these layers that the reader may see.
    pub rights: Rights,
    /// Whether cells and areas are drawn with the figures of their components.
    pub figures: bool,
}

impl PartialEq for Selection {
    fn eq(&self, other: &Self) -> bool {
        let bits = |s: &Selection| s.layers.iter().map(|l| l.bit).collect::<Vec<_>>();
        self.plane == other.plane
            && self.filter == other.filter
            && self.rights == other.rights
            && self.figures == other.figures
            && bits(self) == bits(other)
    }
}

impl Eq for Selection {}

impl std::hash::Hash for Selection {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.layers.iter().for_each(|l| l.bit.hash(state));
        self.filter.hash(state);
        self.plane.hash(state);
        self.rights.hash(state);
        self.figures.hash(state);
    }
}

/// A selection whose tiles are kept.
#[derive(Debug)]
pub struct Variant {
    /// What it shows.
    pub selection: Selection,
    /// Its layers.
    pub set: LayerSet,
    number: u32,
    /// The zooms that were ever asked for, one bit each.
    zooms: AtomicU32,
    /// Rises when more tiles of a zoom are to be dropped than are kept at all: those of older generations are not found any more.
    generations: [AtomicU32; MAX_ZOOM as usize + 1],
    used: AtomicU64,
}

impl Variant {
    fn key(&self, tile: TileId) -> Key {
        let generation = &self.generations[usize::from(tile.z())];
        Key {
            variant: self.number,
            generation: generation.load(Ordering::SeqCst),
            tile,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    variant: u32,
    generation: u32,
    tile: TileId,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Arc<Body>> for ByBytes {
    fn weight(&self, _: &Key, body: &Arc<Body>) -> u64 {
        body.weight()
    }
}

#[derive(Debug, Default)]
struct Variants {
    by_selection: HashMap<Selection, Arc<Variant>>,
    next: u32,
}

/// The cache of finished tiles.
pub struct Cache {
    bodies: Quick<Key, Arc<Body>, ByBytes>,
    variants: RwLock<Variants>,
    clock: AtomicU64,
    /// Answers found here.
    pub hits: AtomicU64,
    /// Answers that had to be built.
    pub misses: AtomicU64,
    /// Tiles dropped because an edit showed in them.
    pub dropped: AtomicU64,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("tiles", &self.bodies.len()).finish()
    }
}

/// The most selections whose tiles are kept. One more, and the tiles of the one that was longest not asked for are given up.
const MAX_VARIANTS: usize = 256;

impl Cache {
    /// A cache of at most `bytes`.
    pub fn new(bytes: u64) -> Cache {
        Cache {
            bodies: Quick::with_weighter((bytes / 8192).max(64) as usize, bytes, ByBytes),
            variants: RwLock::default(),
            clock: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// How many tiles are kept, and their weight in bytes.
    pub fn size(&self) -> (usize, u64) {
        (self.bodies.len(), self.bodies.weight())
    }

    /// The variant of a selection.
    pub fn variant(&self, selection: &Selection) -> Arc<Variant> {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let known = {
            let variants = self.variants.read().unwrap_or_else(PoisonError::into_inner);
            variants.by_selection.get(selection).cloned()
        };
        if let Some(known) = known {
            known.used.store(now, Ordering::Relaxed);
            return known;
        }
        let mut variants = self.variants.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = variants.by_selection.get(selection) {
            return known.clone();
        }
        if variants.by_selection.len() >= MAX_VARIANTS {
            let all = variants.by_selection.values();
            let oldest = all.min_by_key(|v| v.used.load(Ordering::Relaxed)).cloned();
            if let Some(oldest) = oldest {
                variants.by_selection.remove(&oldest.selection);
            }
        }
        let variant = Arc::new(Variant {
            selection: selection.clone(),
            set: selection.layers.iter().fold(0, |set, l| set | l.bit),
            number: variants.next,
            zooms: AtomicU32::new(0),
            generations: [const { AtomicU32::new(0) }; MAX_ZOOM as usize + 1],
            used: AtomicU64::new(now),
        });
        variants.next += 1;
        variants.by_selection.insert(selection.clone(), variant.clone());
        variant
    }

    /// The variants that are kept.
    pub fn variants(&self) -> Vec<Arc<Variant>> {
        let variants = self.variants.read().unwrap_or_else(PoisonError::into_inner);
        variants.by_selection.values().cloned().collect()
    }

    /// A kept tile.
    pub fn get(&self, variant: &Variant, tile: TileId) -> Option<Arc<Body>> {
        let body = self.bodies.get(&variant.key(tile));
        let counter = if body.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        body
    }

    /// A tile: the kept one, or the one that `build` makes, which is then kept. Whoever asks for it meanwhile waits for the
    /// same one, for as long as `patience` lasts and then for none; without a limit, call it on a blocking thread. `build` must
    /// take memory itself.
    pub fn get_or_build(
        &self,
        variant: &Variant,
        tile: TileId,
        patience: Option<Duration>,
        build: impl FnOnce() -> Arc<Body>,
    ) -> Option<Arc<Body>> {
        variant.zooms.fetch_or(1 << tile.z(), Ordering::SeqCst);
        match self.bodies.get_value_or_guard(&variant.key(tile), patience) {
            GuardResult::Value(body) => Some(body),
            GuardResult::Guard(promise) => {
                let body = build();
                // An error means that an edit has broken the promise: then the tile is answered but not kept.
                let _ = promise.insert(body.clone());
                Some(body)
            }
            GuardResult::Timeout => None,
        }
    }

    /// Drops every kept tile of a variant that shows something of some windows `[min_x, min_y, max_x, max_y]` of the register. For
    /// `feed` alone, after the edit is published.
    pub fn drop_touched(&self, variant: &Variant, windows: &[[u32; 4]]) {
        if windows.is_empty() {
            return;
        }
        let zooms = variant.zooms.load(Ordering::SeqCst);
        let kept = self.bodies.len() as u64;
        for z in (0..=MAX_ZOOM).filter(|z| zooms & 1 << z != 0) {
            let mut tiles = HashSet::new();
            for window in windows {
                let [x0, y0, x1, y1] = touched(z, drawn(*window, z, variant.selection.plane), BUFFER);
                if u64::from(x1 - x0 + 1) * u64::from(y1 - y0 + 1) + tiles.len() as u64 > kept.max(64) {
                    variant.generations[usize::from(z)].fetch_add(1, Ordering::SeqCst);
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    tiles.clear();
                    break;
                }
                tiles.extend((x0..=x1).flat_map(|x| (y0..=y1).filter_map(move |y| TileId::new(z, x, y))));
            }
            for tile in tiles {
                if self.bodies.remove(&variant.key(tile)).is_some() {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Drops every tile of a variant. For `feed` alone.
    pub fn drop_all(&self, variant: &Variant) {
        for generation in &variant.generations {
            generation.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A window of the register as a plane draws it. In a shifted plane a bin is drawn where its mean comes to lie, which an edit of
/// any member moves: there the window is that of whole bins, as large as they may be.
fn drawn(window: [u32; 4], z: u8, plane: Plane) -> [u32; 4] {
    if plane.0.is_none() {
        return window;
    }
    let inside = (1u64 << (32 - z - FEWEST_BINS_BITS)) as u32 - 1;
    let [x0, y0, x1, y1] = window;
    plane.window_forward([x0 & !inside, y0 & !inside, x1 | inside, y1 | inside])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spatial::tile_id::World;

    #[test]
    fn an_edit_in_a_shifted_plane_touches_all_of_the_largest_bin_that_counts_it() {
        let plane = Plane::parse("gcj02").unwrap();
        let at = World::at(117.2172, 39.1096);
        for z in [6, 12, 16] {
            let touched = drawn([at.x, at.y, at.x, at.y], z, plane);
            let bin = at.tile(z + FEWEST_BINS_BITS).window(0);
            // Wherever in its bin the mean comes to lie.
            for (x, y) in [(0, 1), (2, 1), (0, 3), (2, 3)] {
                let mean = plane.place(World { x: bin[x], y: bin[y] });
                assert!(mean.lies_in(touched), "z{z} {mean:?} {touched:?}");
            }
        }
        assert_eq!(drawn([1, 2, 3, 4], 14, Plane::default()), [1, 2, 3, 4]);
    }
}
