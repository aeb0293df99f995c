//! Lines and polygons in grids of their boxes.
//!
//! A shape that is smaller than a pixel is drawn as a member of a bin. So shapes are sorted by the zoom from which they are drawn:
//! a tile looks only at those that it draws, and reads the rest from a pyramid of counters. Shapes that are drawn from the same zoom
//! are of about one size, and for things of one size no tree beats a grid: each stands in the square that holds the middle of its
//! box, and no box reaches further than an eighth of a square out of it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::paged::Paged;
use super::pyramid::{FINEST, Mark, Pyramid};
use crate::spatial::packed::Packed;
use crate::spatial::tile_id::{BINS_BITS, MAX_ZOOM, World, meet};

/// A shape smaller than this in both directions is binned at zoom 0: one pixel of a 512-pixel tile, as a power of two of
/// [`World`] steps. At each further zoom it is half of that.
const PIXEL_BITS: u32 = 32 - 9;
/// Squares are so many zooms deeper than the tile whose pixel the shape is.
const SQUARE: u8 = 6;
/// Squares are not smaller than tiles of this zoom.
const DEEPEST: u8 = 17;

/// A line or polygon, with what memory says of the thing whose shape it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape<T = ()> {
    /// The number of what it belongs to.
    pub id: u64,
    /// lon,lat degrees.
    pub geometry: Packed,
    /// Its box: an inclusive window `[min_x, min_y, max_x, max_y]` of [`World`] positions.
    pub window: [u32; 4],
    /// The point that stands for it in a bin.
    pub at: World,
    /// What bins tell apart.
    pub mark: Mark,
    /// The zoom from which it is at least a pixel; more than [`MAX_ZOOM`] if it never is.
    pub from: u8,
    /// Whether it is on the map, and not only remembered.
    pub shown: bool,
    /// Whose shape it is.
    pub what: T,
}

type Square<T> = Arc<Vec<Arc<Shape<T>>>>;

/// Shapes by number, together with what they are the shapes of. Boxes may over-answer; the caller tests exactly.
#[derive(Clone, Debug)]
pub struct Shapes<T = ()> {
    by_id: Paged<Arc<Shape<T>>>,
    len: usize,
    grids: [Paged<Square<T>>; MAX_ZOOM as usize + 2],
    /// Counters of the shapes that are smaller than a pixel, level by level.
    pub tiny: Pyramid,
}

impl<T> Default for Shapes<T> {
    fn default() -> Self {
        Shapes {
            by_id: Paged::default(),
            len: 0,
            grids: Default::default(),
            tiny: Pyramid::default(),
        }
    }
}

impl<T: PartialEq> PartialEq for Shapes<T> {
    fn eq(&self, other: &Shapes<T>) -> bool {
        self.iter().eq(other.iter())
    }
}

/// The zoom from which a window is at least a pixel.
fn drawn_from(w: [u32; 4]) -> u8 {
    let size = (w[2] - w[0]).max(w[3] - w[1]);
    let bits = size.checked_ilog2().unwrap_or(0);
    PIXEL_BITS.saturating_sub(bits).min(u32::from(MAX_ZOOM) + 1) as u8
}

fn middle(w: [u32; 4]) -> World {
    World {
        x: w[0] + (w[2] - w[0]) / 2,
        y: w[1] + (w[3] - w[1]) / 2,
    }
}

/// The zoom of the squares for shapes that are drawn from a zoom. Those of zoom 0 may be as large as the world.
fn square_zoom(from: u8) -> u8 {
    if from == 0 { 0 } else { (from + SQUARE).min(DEEPEST) }
}

impl<T> Shape<T> {
    /// The shape of a thing, shown unless it is empty. It stands `at` a position in a bin, or else in the middle of its box.
    pub fn new(id: u64, geometry: Packed, at: Option<World>, mark: Mark, what: T) -> Shape<T> {
        let box_of = window(&geometry);
        let window = box_of.unwrap_or_default();
        Shape {
            id,
            geometry,
            window,
            at: at.unwrap_or_else(|| middle(window)),
            mark,
            from: drawn_from(window),
            shown: box_of.is_some(),
            what,
        }
    }

    /// The finest level of the pyramid that counts it; none if even the coarsest tile draws it.
    fn deepest(&self) -> Option<u8> {
        let tile = self.from.checked_sub(1)?;
        Some((tile + BINS_BITS).min(FINEST))
    }

    fn square(&self) -> u64 {
        middle(self.window).quadkey(square_zoom(self.from))
    }
}

impl<T> Shapes<T> {
    /// How many there are, shown or not.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts a shape in, in place of the one with its number.
    pub fn set(&mut self, shape: Shape<T>) {
        self.take(shape.id);
        let shape = Arc::new(shape);
        if shape.shown {
            if let Some(deepest) = shape.deepest() {
                self.tiny.add(shape.at, shape.mark, deepest);
            }
            let grid = &mut self.grids[usize::from(shape.from)];
            let square = Arc::make_mut(grid.or_insert(shape.square(), Arc::default));
            super::grow(square);
            square.push(shape.clone());
        }
        self.by_id.or_insert(shape.id, || shape);
        self.len += 1;
    }

    /// Takes a shape out.
    pub fn take(&mut self, id: u64) -> Option<Arc<Shape<T>>> {
        let old = self.by_id.remove(id)?;
        self.len -= 1;
        if !old.shown {
            return Some(old);
        }
        if let Some(deepest) = old.deepest() {
            self.tiny.take(old.at, old.mark, deepest);
        }
        let (grid, key) = (&mut self.grids[usize::from(old.from)], old.square());
        if let Some(square) = grid.get_mut(key) {
            Arc::make_mut(square).retain(|s| s.id != id);
            if square.is_empty() {
                grid.remove(key);
            }
        }
        Some(old)
    }

    /// The shape of a number.
    pub fn get(&self, id: u64) -> Option<&Arc<Shape<T>>> {
        self.by_id.get(id)
    }

    /// What the shape of a number is the shape of.
    pub fn what(&self, id: i32) -> Option<&T> {
        self.get(u64::try_from(id).ok()?).map(|s| &s.what)
    }

    /// Every shape, shown or not, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Shape<T>>> {
        self.by_id.iter().map(|(_, shape)| shape)
    }

    /// What they are the shapes of, shown or not, by number.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|s| &s.what)
    }

    /// Whether there may be a shown shape of some marks. Cost: O(marks).
    pub fn may_have(&self, wanted: impl Fn(Mark) -> bool) -> bool {
        // The largest are not counted.
        self.grids[0].iter().next().is_some() || self.tiny.cell(0, 0).iter().any(|c| wanted(c.mark))
    }

    /// Every shown shape whose box touches an inclusive window of [`World`] positions.
    pub fn touching(&self, window: [u32; 4]) -> Vec<&Shape<T>> {
        self.drawn(window, 0..=MAX_ZOOM + 1)
    }

    /// Those of [`Shapes::touching`] that are at least a pixel from one of some zooms on, and not before.
    /// Cost: about 1 µs a zoom, and O(shapes in the squares that the window touches).
    pub fn drawn(&self, window: [u32; 4], from: RangeInclusive<u8>) -> Vec<&Shape<T>> {
        let mut found = Vec::new();
        for from in from {
            let Some(grid) = self.grids.get(usize::from(from)) else {
                continue;
            };
            // No box reaches further from its middle than half its size.
            let reach = if from == 0 {
                0
            } else {
                1 << (PIXEL_BITS + 1 - u32::from(from)).saturating_sub(1)
            };
            let [x0, y0, x1, y1] = window;
            let near = [
                x0.saturating_sub(reach),
                y0.saturating_sub(reach),
                x1.saturating_add(reach),
                y1.saturating_add(reach),
            ];
            grid.window(square_zoom(from), near, &mut |squares| {
                let shapes = squares.iter().flat_map(|(_, square, _)| square.iter());
                found.extend(shapes.map(|s| &**s).filter(|s| meet(s.window, window)));
            });
        }
        found
    }
}

/// The window of a geometry; none if it is empty.
pub fn window(geometry: &Packed) -> Option<[u32; 4]> {
    let b = crate::spatial::position::bounds(&geometry.unpack())?;
    let (nw, se) = (World::at(b[0], b[3]), World::at(b[2], b[1]));
    Some([nw.x, nw.y, se.x, se.y])
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo::Rect;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn boxes_are_found_as_a_loop_finds_them(
            all in prop::collection::vec((116.9..117.4f64, 38.9..39.3f64, 1e-7..0.1f64), 0..120), gone in 0usize..40,
            a in (116.8..117.5f64, 38.8..39.4f64), size in 0.0..0.2f64, z in 0u8..=22,
        ) {
            let mut shapes = Shapes::<()>::default();
            let rect = |i: usize| Rect::new((all[i].0, all[i].1), (all[i].0 + all[i].2, all[i].1 + all[i].2 / 2.0));
            for i in 0..all.len() as u64 {
                let i = i as usize;
                let packed = Packed::new(&rect(i).to_polygon().into());
                shapes.set(Shape::new(i as u64, packed, None, Mark::default(), ()));
            }
            for i in 0..gone.min(all.len()) {
                prop_assert_eq!(shapes.take(i as u64).map(|s| s.id), Some(i as u64));
            }
            let window = [a.0, a.1, a.0 + size, a.1 + size];
            let steps = |x: f64, y: f64| World::at(x, y);
            let (nw, se) = (steps(window[0], window[3]), steps(window[2], window[1]));
            let mut found: Vec<u64> = shapes.touching([nw.x, nw.y, se.x, se.y]).iter().map(|s| s.id).collect();
            found.sort_unstable();
            // What touches by less than a step may be found or not.
            let edge = |i: &u64| {
                let r = rect(*i as usize);
                [r.min().x - window[2], window[0] - r.max().x, r.min().y - window[3], window[1] - r.max().y]
                    .iter().any(|d| d.abs() < 2e-7)
            };
            found.retain(|i| !edge(i));
            let naive: Vec<u64> = (gone.min(all.len())..all.len()).filter(|i| {
                let r = rect(*i);
                r.min().x <= window[2] && window[0] <= r.max().x && r.min().y <= window[3] && window[1] <= r.max().y
            }).map(|i| i as u64).filter(|i| !edge(i)).collect();
            prop_assert_eq!(found, naive);
            // Each is either drawn in a tile or counted in its bins.
            let drawn = shapes.drawn([0, 0, u32::MAX, u32::MAX], 0..=z).len();
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
    fn a_mark_that_no_shape_has_is_known_but_for_shapes_as_large_as_the_world() {
        let mark = |class| Mark {
            class,
            ..Mark::default()
        };
        let square = |size: f64| Packed::new(&Rect::new((-size, -size / 3.0), (size, size / 3.0)).to_polygon().into());
        let with = |size| {
            let mut shapes = Shapes::<()>::default();
            shapes.set(Shape::new(1, square(size), None, mark(7), ()));
            shapes
        };
        let small = with(1e-6);
        assert!(small.may_have(|m| m == mark(7)) && !small.may_have(|m| m == mark(8)));
        assert!(with(180.0).may_have(|m| m == mark(7)));
        let mut gone = small;
        gone.take(1);
        assert!(!gone.may_have(|_| true));
    }

    #[test]
    fn a_shape_is_drawn_from_the_zoom_at_which_it_is_a_pixel() {
        // 512 pixels across the world at zoom 0: 2^23 steps are one pixel there.
        let wide = |steps: u32| drawn_from([5, 5, 5 + steps, 5]);
        assert_eq!(
            (wide(1 << 23), wide((1 << 23) - 1), wide(1 << 22), wide((1 << 22) - 1)),
            (0, 1, 1, 2)
        );
        assert_eq!((wide(2), wide(1), wide(0)), (22, 23, 23));
        assert_eq!((wide(u32::MAX - 5), MAX_ZOOM + 1), (0, 23));
    }
}
