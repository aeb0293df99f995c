//! Lines and polygons in an R-tree of their boxes.

use std::sync::Arc;

use geo::Geometry;
use hashbrown::HashMap;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use crate::spatial::position::bounds;

type Boxed = GeomWithData<Rectangle<[f64; 2]>, u32>;

/// A line or polygon with its box in degrees `[min_lon, min_lat, max_lon, max_lat]`.
#[derive(Clone, Debug)]
pub struct Shape {
    /// lon,lat degrees.
    pub geometry: Arc<Geometry<f64>>,
    /// Its box.
    pub bounds: [f64; 4],
}

/// Shapes by key. Boxes may over-answer; the caller tests exactly.
#[derive(Debug, Default)]
pub struct Shapes {
    tree: RTree<Boxed>,
    by_key: HashMap<u32, Shape>,
}

fn boxed(key: u32, b: [f64; 4]) -> Boxed {
    GeomWithData::new(Rectangle::from_corners([b[0], b[1]], [b[2], b[3]]), key)
}

impl Shapes {
    /// Puts a shape in, in place of the one with its key.
    pub fn set(&mut self, key: u32, geometry: Arc<Geometry<f64>>) {
        self.take(key);
        if let Some(bounds) = bounds(&geometry) {
            self.tree.insert(boxed(key, bounds));
            self.by_key.insert(key, Shape { geometry, bounds });
        }
    }

    /// Takes a shape out.
    pub fn take(&mut self, key: u32) -> Option<Shape> {
        let old = self.by_key.remove(&key)?;
        self.tree.remove(&boxed(key, old.bounds));
        Some(old)
    }

    /// The shape of a key.
    pub fn get(&self, key: u32) -> Option<&Shape> {
        self.by_key.get(&key)
    }

    /// Every shape whose box touches a box in degrees.
    pub fn touching(&self, b: [f64; 4]) -> impl Iterator<Item = (u32, &Shape)> {
        let window = AABB::from_corners([b[0], b[1]], [b[2], b[3]]);
        self.tree
            .locate_in_envelope_intersecting(&window)
            .filter_map(|g| Some((g.data, self.by_key.get(&g.data)?)))
    }
}
