//! The ground that a register covers: its areas and unit cells, asked whether a position lies where a delivery says.

use std::collections::{HashMap, HashSet};

use geo::{BoundingRect, Geometry, Intersects, MultiPolygon, Point};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use super::measure::distance_to;
use super::position::LonLat;

type Entry = GeomWithData<Rectangle<[f64; 2]>, usize>;

/// Areas and cells, in EPSG:4326 lon,lat degrees. About twice the memory of their vertices.
#[derive(Debug, Default)]
pub struct Ground {
    shapes: Vec<(Piece, MultiPolygon<f64>)>,
    cells: HashMap<String, Vec<usize>>,
    tree: RTree<Entry>,
    districts: HashSet<String>,
}

/// What a shape is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// An area, by its code.
    Area(String),
    /// A unit cell, by its code.
    Cell(String),
}

impl Ground {
    /// Of these pieces. O(n log n).
    pub fn new(shapes: Vec<(Piece, MultiPolygon<f64>)>) -> Ground {
        let mut ground = Ground::default();
        let mut entries = Vec::new();
        for (i, (piece, shape)) in shapes.iter().enumerate() {
            let Some(b) = shape.bounding_rect() else { continue };
            entries.push(Entry::new(Rectangle::from_corners(b.min().into(), b.max().into()), i));
            let code = match piece {
                Piece::Cell(code) => {
                    ground.cells.entry(code.clone()).or_default().push(i);
                    code
                }
                Piece::Area(code) => code,
            };
            // The district stands in front of every national code.
            if code.len() >= 6 && code.bytes().all(|b| b.is_ascii_digit()) {
                ground.districts.insert(code[..6].to_owned());
            }
        }
        ground.tree = RTree::bulk_load(entries);
        ground.shapes = shapes;
        ground
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// The six digits of its districts.
    pub fn districts(&self) -> &HashSet<String> {
        &self.districts
    }

    /// Whether some area or cell covers a position, its border included. About a microsecond among ten thousand cells.
    pub fn covers(&self, p: LonLat) -> bool {
        self.at(p).next().is_some()
    }

    /// The cell that covers a position: on a border that of the lowest code.
    pub fn cell_at(&self, p: LonLat) -> Option<&str> {
        let cells = self.at(p).filter_map(|i| match &self.shapes[i].0 {
            Piece::Cell(code) => Some(code.as_str()),
            Piece::Area(_) => None,
        });
        cells.min()
    }

    /// The six digits of the district that covers a position, as the code of an area or cell there begins.
    pub fn district_at(&self, p: LonLat) -> Option<&str> {
        let codes = self.at(p).map(|i| match &self.shapes[i].0 {
            Piece::Area(code) | Piece::Cell(code) => code.as_str(),
        });
        codes
            .filter_map(|c| c.get(..6))
            .filter(|d| self.districts.contains(*d))
            .min()
    }

    /// Metres from a position to a cell, 0 within; none where no cell has the code. With several schemes the nearest of the code.
    pub fn off_cell(&self, code: &str, p: LonLat) -> Option<f64> {
        let own = self.cells.get(code)?;
        let point = Point::new(p.lon(), p.lat());
        if own.iter().any(|i| self.shapes[*i].1.intersects(&point)) {
            return Some(0.0);
        }
        let metres = |i: &usize| distance_to(p, &Geometry::MultiPolygon(self.shapes[*i].1.clone()));
        own.iter().map(metres).min_by(f64::total_cmp)
    }

    /// Whether a shape touches a cell: a line or polygon stands where its point on surface is, which two programs choose differently.
    pub fn cell_touches(&self, code: &str, shape: &Geometry<f64>) -> bool {
        let own = self.cells.get(code).map_or(&[][..], Vec::as_slice);
        own.iter().any(|i| self.shapes[*i].1.intersects(shape))
    }

    fn at(&self, p: LonLat) -> impl Iterator<Item = usize> {
        let at = [p.lon(), p.lat()];
        let near = self.tree.locate_in_envelope_intersecting(&AABB::from_point(at));
        let point = Point::new(p.lon(), p.lat());
        near.map(|e| e.data)
            .filter(move |i| self.shapes[*i].1.intersects(&point))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn square(x: f64, y: f64, side: f64) -> MultiPolygon<f64> {
        MultiPolygon(vec![geo::Rect::new((x, y), (x + side, y + side)).to_polygon()])
    }

    fn ground() -> Ground {
        let cell = |code: &str, x| (Piece::Cell(code.into()), square(x, 39.0, 0.01));
        let area = (Piece::Area("120103001".into()), square(117.0, 39.0, 0.1));
        Ground::new(vec![
            area,
            cell("120103001001002", 117.01),
            cell("120103001001001", 117.0),
        ])
    }

    #[test]
    fn a_border_belongs_to_the_lowest_code_and_what_is_off_is_measured() {
        let ground = ground();
        let p = |lon, lat| LonLat::new(lon, lat).unwrap();
        assert_eq!(ground.cell_at(p(117.01, 39.005)), Some("120103001001001"));
        assert_eq!(
            (ground.covers(p(117.05, 39.05)), ground.cell_at(p(117.05, 39.05))),
            (true, None)
        );
        assert!(!ground.covers(p(117.11, 39.05)));
        assert_eq!(ground.off_cell("120103001001002", p(117.015, 39.005)), Some(0.0));
        let off = ground.off_cell("120103001001002", p(117.015, 39.0145)).unwrap();
        assert!((off - 499.6).abs() < 1.0, "{off}");
        assert_eq!(ground.off_cell("x", p(117.0, 39.0)), None);
        assert_eq!(ground.districts().iter().collect::<Vec<_>>(), ["120103"]);
    }

    proptest! {
        #[test]
        fn the_tree_answers_as_a_loop_does(lon in 116.99..117.12, lat in 38.99..39.11) {
            let ground = ground();
            let p = LonLat::new(lon, lat).unwrap();
            let naive = ground.shapes.iter().any(|(_, s)| s.intersects(&Point::new(lon, lat)));
            prop_assert_eq!(ground.covers(p), naive);
        }
    }
}
