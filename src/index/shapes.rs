//! Lines and polygons in R-trees of their boxes.
//!
//! A shape that is smaller than a pixel is drawn as a member of a bin. So shapes are sorted by the zoom from which they are drawn:
//! a tile looks only at those that it draws, and reads the rest from a pyramid of counters. The trees are small, one for each
//! square of zoom 12 and each such zoom, because an edit copies the tree that it changes.

use std::sync::Arc;

use geo::Geometry;
use imbl::OrdMap;
use rstar::{AABB, RTree, RTreeObject};

use super::pyramid::{FINEST, Mark, Pyramid};
use crate::spatial::position::bounds;
use crate::spatial::tile_id::{BINS_BITS, EXTENT, MAX_ZOOM, World, unit};

/// A shape smaller than this in both directions, in tile units (one pixel of a 512-pixel tile), is binned.
const PIXEL: f64 = (EXTENT / 512) as f64;
/// The zoom of the squares that have a tree of their own.
const SQUARE: u8 = 12;

/// A line or polygon.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The number of what it belongs to.
    pub id: u64,
    /// lon,lat degrees.
    pub geometry: Arc<Geometry<f64>>,
    /// Its box in degrees `[min_lon, min_lat, max_lon, max_lat]`.
    pub bounds: [f64; 4],
    /// The point that stands for it in a bin.
    pub at: World,
    /// What bins tell apart.
    pub mark: Mark,
    /// The zoom from which it is at least a pixel; more than [`MAX_ZOOM`] if it never is.
    pub from: u8,
}

#[derive(Clone, Debug)]
struct Boxed(Arc<Shape>);

impl RTreeObject for Boxed {
    type Envelope = AABB<[f64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        let b = self.0.bounds;
        AABB::from_corners([b[0], b[1]], [b[2], b[3]])
    }
}

impl PartialEq for Boxed {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

/// Shapes by number. Boxes may over-answer; the caller tests exactly.
#[derive(Clone, Debug, Default)]
pub struct Shapes {
    by_id: OrdMap<u64, Arc<Shape>>,
    trees: OrdMap<(u8, u64), Arc<RTree<Boxed>>>,
    /// Counters of the shapes that are smaller than a pixel, level by level.
    pub tiny: Pyramid,
}

/// The zoom from which a box is at least a pixel.
fn drawn_from(b: [f64; 4]) -> u8 {
    let ((x0, y0), (x1, y1)) = (unit(b[0], b[3]), unit(b[2], b[1]));
    let size = (x1 - x0).max(y1 - y0) * f64::from(EXTENT);
    (0..=MAX_ZOOM)
        .find(|z| size * f64::from(1u32 << z) >= PIXEL)
        .unwrap_or(MAX_ZOOM + 1)
}

impl Shape {
    /// The finest level of the pyramid that counts it; none if even the coarsest tile draws it.
    fn deepest(&self) -> Option<u8> {
        let tile = self.from.checked_sub(1)?;
        Some((tile + BINS_BITS).min(FINEST))
    }

    fn tree(&self) -> (u8, u64) {
        (self.from, self.at.quadkey(SQUARE))
    }
}

impl Shapes {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Puts a shape in, in place of the one with its number. `at` stands for it in a bin.
    pub fn set(&mut self, id: u64, geometry: Arc<Geometry<f64>>, at: World, mark: Mark) {
        self.take(id);
        let Some(bounds) = bounds(&geometry) else { return };
        let shape = Arc::new(Shape {
            id,
            geometry,
            bounds,
            at,
            mark,
            from: drawn_from(bounds),
        });
        if let Some(deepest) = shape.deepest() {
            self.tiny.add(at, mark, deepest);
        }
        let tree = self.trees.entry(shape.tree()).or_insert_with(Arc::default);
        Arc::make_mut(tree).insert(Boxed(shape.clone()));
        self.by_id.insert(id, shape);
    }

    /// Takes a shape out.
    pub fn take(&mut self, id: u64) -> Option<Arc<Shape>> {
        let old = self.by_id.remove(&id)?;
        if let Some(deepest) = old.deepest() {
            self.tiny.take(old.at, old.mark, deepest);
        }
        let key = old.tree();
        if let Some(tree) = self.trees.get_mut(&key) {
            let tree = Arc::make_mut(tree);
            tree.remove(&Boxed(old.clone()));
            if tree.size() == 0 {
                self.trees.remove(&key);
            }
        }
        Some(old)
    }

    /// The shape of a number.
    pub fn get(&self, id: u64) -> Option<&Arc<Shape>> {
        self.by_id.get(&id)
    }

    /// Every shape, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Shape>> {
        self.by_id.values()
    }

    /// Every shape whose box touches a box in degrees.
    pub fn touching(&self, b: [f64; 4]) -> impl Iterator<Item = &Shape> {
        self.drawn(b, 0..=MAX_ZOOM + 1)
    }

    /// Those of [`Shapes::touching`] that are at least a pixel from one of some zooms on, and not before.
    pub fn drawn(&self, b: [f64; 4], from: std::ops::RangeInclusive<u8>) -> impl Iterator<Item = &Shape> {
        let window = AABB::from_corners([b[0], b[1]], [b[2], b[3]]);
        let trees = self.trees.range((*from.start(), 0)..=(*from.end(), u64::MAX));
        trees.flat_map(move |(_, tree)| tree.locate_in_envelope_intersecting(&window).map(|s| &*s.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo::{Rect, polygon};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn boxes_are_found_as_a_loop_finds_them(
            all in prop::collection::vec((116.9..117.4f64, 38.9..39.3f64, 1e-7..0.1f64), 0..120), gone in 0usize..40,
            a in (116.8..117.5f64, 38.8..39.4f64), size in 0.0..0.2f64, z in 0u8..=22,
        ) {
            let mut shapes = Shapes::default();
            let rect = |i: usize| Rect::new((all[i].0, all[i].1), (all[i].0 + all[i].2, all[i].1 + all[i].2 / 2.0));
            for i in 0..all.len() {
                shapes.set(i as u64, Arc::new(rect(i).to_polygon().into()), World::at(all[i].0, all[i].1), Mark::default());
            }
            for i in 0..gone.min(all.len()) {
                prop_assert_eq!(shapes.take(i as u64).map(|s| s.id), Some(i as u64));
            }
            let window = [a.0, a.1, a.0 + size, a.1 + size];
            let mut found: Vec<u64> = shapes.touching(window).map(|s| s.id).collect();
            found.sort_unstable();
            let naive: Vec<u64> = (gone.min(all.len())..all.len()).filter(|i| {
                let r = rect(*i);
                r.min().x <= window[2] && window[0] <= r.max().x && r.min().y <= window[3] && window[1] <= r.max().y
            }).map(|i| i as u64).collect();
            prop_assert_eq!(found, naive);
            // Each is either drawn in a tile or counted in its bins.
            let drawn = shapes.drawn([-180.0, -90.0, 180.0, 90.0], 0..=z).count();
            if z + BINS_BITS <= FINEST {
                let mut counted = 0;
                shapes.tiny.visit(z + BINS_BITS, [0, 0, u32::MAX, u32::MAX], &mut |_, counters| {
                    counted += counters.iter().map(|c| c.count as usize).sum::<usize>();
                });
                prop_assert_eq!(drawn + counted, shapes.len());
            }
        }
    }

    #[test]
    fn a_shape_is_drawn_from_the_zoom_at_which_it_is_a_pixel() {
        // 512 pixels across the world at zoom 0, so that 360/512 degrees of longitude are one pixel there.
        let wide = |degrees: f64| drawn_from([0.0, 0.0, degrees, 1e-9]);
        assert_eq!((wide(0.71), wide(0.70), wide(0.36), wide(0.35)), (0, 1, 1, 2));
        assert_eq!(wide(1e-12), MAX_ZOOM + 1);
        let p = polygon![(x: 0.0, y: 0.0), (x: 1e-9, y: 0.0), (x: 0.0, y: 1e-9)];
        assert!(drawn_from(bounds(&p.into()).unwrap()) > MAX_ZOOM);
    }
}
