//! Finished tiles, bounded by their weight. An edit drops exactly the tiles that show it.
//!
//! There is no race between a tile that is being built and an edit: a tile is built *and put in here* under one read lock of
//! memory, and an edit is applied *and drops tiles here* under one write lock. So a tile in the cache always shows memory.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use quick_cache::Weighter;
use quick_cache::sync::Cache as Quick;

use super::body::Body;
use super::layer::{Layer, LayerSet};
use crate::spatial::tile_id::{BUFFER, MAX_ZOOM, TileId, touched};

/// The layers of one tile URL. Each combination that is asked for is a variant of every tile.
#[derive(Debug)]
pub struct Variant {
    /// Its layers, in the order asked for.
    pub layers: Vec<Arc<Layer>>,
    set: LayerSet,
    number: u32,
    zooms: AtomicU32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    variant: u32,
    tile: TileId,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Arc<Body>> for ByBytes {
    fn weight(&self, _: &Key, body: &Arc<Body>) -> u64 {
        body.weight()
    }
}

/// The cache of finished tiles.
pub struct Cache {
    bodies: Quick<Key, Arc<Body>, ByBytes>,
    variants: RwLock<Vec<Arc<Variant>>>,
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

/// The most combinations of layers whose tiles are kept; those of others are built each time. Single layers are always kept.
const MAX_VARIANTS: usize = 64;

impl Cache {
    /// A cache of at most `bytes`.
    pub fn new(bytes: u64) -> Cache {
        Cache {
            bodies: Quick::with_weighter((bytes / 8192).max(64) as usize, bytes, ByBytes),
            variants: RwLock::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// How many tiles are kept, and their weight in bytes.
    pub fn size(&self) -> (usize, u64) {
        (self.bodies.len(), self.bodies.weight())
    }

    /// The variant of some layers; none when too many combinations are kept already.
    pub fn variant(&self, layers: &[Arc<Layer>]) -> Option<Arc<Variant>> {
        let same = |v: &&Arc<Variant>| v.layers.iter().map(|l| l.bit).eq(layers.iter().map(|l| l.bit));
        if let Some(known) = self
            .variants
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find(same)
        {
            return Some(known.clone());
        }
        let mut variants = self.variants.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = variants.iter().find(same) {
            return Some(known.clone());
        }
        if layers.len() > 1 && variants.len() >= MAX_VARIANTS {
            return None;
        }
        let variant = Arc::new(Variant {
            layers: layers.to_vec(),
            set: layers.iter().fold(0, |set, l| set | l.bit),
            number: variants.len() as u32,
            zooms: AtomicU32::new(0),
        });
        variants.push(variant.clone());
        Some(variant)
    }

    /// A kept tile.
    pub fn get(&self, variant: &Variant, tile: TileId) -> Option<Arc<Body>> {
        let body = self.bodies.get(&Key {
            variant: variant.number,
            tile,
        });
        let counter = if body.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        body
    }

    /// A tile: the kept one, or the one that `build` makes, which is then kept. Whoever asks for it meanwhile waits for the
    /// same one, so call it on a blocking thread; `build` must hold memory's read lock until it has called the function it gets.
    pub fn get_or_build(
        &self,
        variant: &Variant,
        tile: TileId,
        build: impl FnOnce(&dyn Fn(Arc<Body>)),
    ) -> Option<Arc<Body>> {
        use quick_cache::sync::GuardResult;
        let key = Key {
            variant: variant.number,
            tile,
        };
        variant.zooms.fetch_or(1 << tile.z(), Ordering::SeqCst);
        match self.bodies.get_value_or_guard(&key, None) {
            GuardResult::Value(body) => Some(body),
            GuardResult::Guard(guard) => {
                let guard = std::cell::Cell::new(Some(guard));
                let made = std::cell::Cell::new(None);
                build(&|body: Arc<Body>| {
                    if let Some(guard) = guard.take() {
                        // An error means that the place was dropped meanwhile: then the tile is answered but not kept.
                        let _ = guard.insert(body.clone());
                    }
                    made.set(Some(body));
                });
                made.take()
            }
            GuardResult::Timeout => None,
        }
    }

    /// Drops every kept tile of the layers in `set` that shows something of a window `[min_x, min_y, max_x, max_y]`. For `feed`
    /// alone, under memory's write lock.
    pub fn drop_touched(&self, set: LayerSet, window: [u32; 4]) {
        for variant in self
            .variants
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(|v| v.set & set != 0)
        {
            let zooms = variant.zooms.load(Ordering::SeqCst);
            for z in (0..=MAX_ZOOM).filter(|z| zooms & 1 << z != 0) {
                self.drop_tiles(variant.number, z, touched(z, window, BUFFER));
            }
        }
    }

    fn drop_tiles(&self, variant: u32, z: u8, [x0, y0, x1, y1]: [u32; 4]) {
        let count = u64::from(x1 - x0 + 1) * u64::from(y1 - y0 + 1);
        if count > self.bodies.len() as u64 {
            let before = self.bodies.len();
            self.bodies.retain(|k, _| {
                let t = k.tile;
                k.variant != variant || t.z() != z || !(x0..=x1).contains(&t.x()) || !(y0..=y1).contains(&t.y())
            });
            self.dropped
                .fetch_add(before.saturating_sub(self.bodies.len()) as u64, Ordering::Relaxed);
            return;
        }
        for tile in (x0..=x1).flat_map(|x| (y0..=y1).filter_map(move |y| TileId::new(z, x, y))) {
            if self.bodies.remove(&Key { variant, tile }).is_some() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Drops everything. For `feed` alone, under memory's write lock.
    pub fn clear(&self) {
        self.bodies.clear();
    }
}
