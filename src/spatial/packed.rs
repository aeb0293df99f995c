//! Lines and polygons as memory keeps them: a tenth of a millimetre, in a few bytes a vertex.

use std::fmt;

use geo::{Coord, CoordsIter, Geometry, LineString, MultiLineString, MultiPolygon, Point, Polygon};

/// A geometry in lon,lat degrees, rounded to 1e-9 degrees (0.1 mm), which is also what lists print. The first vertex is written in
/// full, every other one as its distance from the one before, in as many bytes as it needs: about 6 for a street corner, where two
/// `f64` take 16, and 4 where every position has at most seven decimals, as surveys deliver them.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed(Box<[u8]>);

/// Steps a degree.
const STEPS: f64 = 1e9;
/// Steps of the last of seven decimals.
const COARSE: i64 = 100;
/// Added to the kind of a geometry whose numbers count [`COARSE`] steps.
const IS_COARSE: u64 = 8;

const POINT: u64 = 0;
const LINE: u64 = 1;
const LINES: u64 = 2;
const POLYGON: u64 = 3;
const POLYGONS: u64 = 4;

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.unpack().fmt(f)
    }
}

impl Default for Packed {
    /// Nothing: no polygons.
    fn default() -> Packed {
        Packed::new(&MultiPolygon(Vec::new()).into())
    }
}

impl Packed {
    /// A point, line, polygon, or several lines or polygons; of anything else an empty list of polygons.
    pub fn new(geometry: &Geometry<f64>) -> Packed {
        let fine = |v: f64| (v * STEPS).round() as i64 % COARSE != 0;
        let coarse = !geometry.coords_iter().any(|c| fine(c.x) || fine(c.y));
        let mut out = Writer {
            bytes: Vec::new(),
            unit: if coarse { COARSE } else { 1 },
            x: 0,
            y: 0,
        };
        match geometry {
            Geometry::Point(p) => {
                out.count(POINT);
                out.vertex(p.0);
            }
            Geometry::LineString(l) => {
                out.count(LINE);
                out.line(&l.0);
            }
            Geometry::MultiLineString(m) => {
                out.count(LINES);
                out.count(m.0.len() as u64);
                m.0.iter().for_each(|l| out.line(&l.0));
            }
            Geometry::Polygon(p) => {
                out.count(POLYGON);
                out.polygon(p);
            }
            Geometry::MultiPolygon(m) => {
                out.count(POLYGONS);
                out.count(m.0.len() as u64);
                m.0.iter().for_each(|p| out.polygon(p));
            }
            _ => {
                out.count(POLYGONS);
                out.count(0);
            }
        }
        if coarse {
            out.bytes[0] |= IS_COARSE as u8;
        }
        Packed(out.bytes.into())
    }

    /// The geometry. Cost: about 5 ns a vertex.
    pub fn unpack(&self) -> Geometry<f64> {
        let mut read = Reader {
            bytes: &self.0,
            unit: 1,
            x: 0,
            y: 0,
        };
        let kind = read.number();
        if kind & IS_COARSE != 0 {
            read.unit = COARSE;
        }
        match kind & !IS_COARSE {
            POINT => Point(read.vertex()).into(),
            LINE => read.line().into(),
            LINES => {
                let n = read.count();
                MultiLineString((0..n).map(|_| read.line()).collect()).into()
            }
            POLYGON => read.polygon().into(),
            _ => {
                let n = read.count();
                MultiPolygon((0..n).map(|_| read.polygon()).collect()).into()
            }
        }
    }
}

struct Writer {
    bytes: Vec<u8>,
    unit: i64,
    x: i64,
    y: i64,
}

impl Writer {
    fn count(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.bytes.push(n as u8);
    }

    fn vertex(&mut self, c: Coord<f64>) {
        let whole = |v: f64| (v * STEPS).round() as i64 / self.unit;
        let (x, y) = (whole(c.x), whole(c.y));
        for step in [x - self.x, y - self.y] {
            self.count(((step << 1) ^ (step >> 63)) as u64);
        }
        (self.x, self.y) = (x, y);
    }

    fn line(&mut self, line: &[Coord<f64>]) {
        self.count(line.len() as u64);
        line.iter().for_each(|c| self.vertex(*c));
    }

    fn polygon(&mut self, polygon: &Polygon<f64>) {
        self.count(polygon.interiors().len() as u64 + 1);
        for ring in std::iter::once(polygon.exterior()).chain(polygon.interiors()) {
            // The last vertex is the first again.
            self.line(&ring.0[..ring.0.len().saturating_sub(1)]);
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    unit: i64,
    x: i64,
    y: i64,
}

impl Reader<'_> {
    fn count(&mut self) -> usize {
        self.number() as usize
    }

    fn number(&mut self) -> u64 {
        let (mut n, mut shift) = (0, 0);
        while let Some((byte, rest)) = self.bytes.split_first() {
            self.bytes = rest;
            n |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        n
    }

    fn vertex(&mut self) -> Coord<f64> {
        let step = |n: u64| (n >> 1) as i64 ^ -((n & 1) as i64);
        self.x += step(self.number());
        self.y += step(self.number());
        Coord {
            x: (self.x * self.unit) as f64 / STEPS,
            y: (self.y * self.unit) as f64 / STEPS,
        }
    }

    fn line(&mut self) -> LineString<f64> {
        let n = self.count();
        LineString((0..n).map(|_| self.vertex()).collect())
    }

    fn polygon(&mut self) -> Polygon<f64> {
        let rings = self.count();
        let exterior = self.line();
        // A polygon closes its rings itself.
        Polygon::new(exterior, (1..rings).map(|_| self.line()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo::MapCoords;
    use proptest::prelude::*;

    fn line() -> impl Strategy<Value = LineString<f64>> {
        let vertex = (-180.0..180.0f64, -90.0..90.0f64).prop_map(|(x, y)| Coord { x, y });
        let surveyed = |c: Coord<f64>| Coord {
            x: (c.x * 1e7).round() / 1e7,
            y: (c.y * 1e7).round() / 1e7,
        };
        let line = prop::collection::vec(vertex, 2..12).prop_map(LineString);
        (line, any::<bool>()).prop_map(move |(line, exact)| if exact { line } else { line.map_coords(surveyed) })
    }

    fn polygon() -> impl Strategy<Value = Polygon<f64>> {
        (line(), prop::collection::vec(line(), 0..3)).prop_map(|(e, i)| Polygon::new(e, i))
    }

    fn geometry() -> impl Strategy<Value = Geometry<f64>> {
        prop_oneof![
            (-180.0..180.0f64, -90.0..90.0f64).prop_map(|p| Point::from(p).into()),
            line().prop_map(Into::into),
            polygon().prop_map(Into::into),
            prop::collection::vec(line(), 0..4).prop_map(|l| MultiLineString(l).into()),
            prop::collection::vec(polygon(), 0..4).prop_map(|p| MultiPolygon(p).into()),
        ]
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_to_a_tenth_of_a_millimetre(g in geometry()) {
            let out = Packed::new(&g).unpack();
            let rounded = g.map_coords(|c| Coord { x: (c.x * 1e9).round() / 1e9, y: (c.y * 1e9).round() / 1e9 });
            prop_assert_eq!(&out, &rounded);
            prop_assert_eq!(Packed::new(&out), Packed::new(&g));
        }
    }

    #[test]
    fn a_city_block_takes_less_than_half() {
        let block: Vec<Coord<f64>> = [(0.0, 0.0), (1e-3, 0.0), (1e-3, 8e-4), (0.0, 8e-4), (0.0, 0.0)]
            .map(|(x, y)| Coord {
                x: 117.2 + x,
                y: 39.1 + y,
            })
            .to_vec();
        let packed = Packed::new(&Polygon::new(LineString(block), vec![]).into());
        assert!(packed.0.len() < 30, "{}", packed.0.len());
    }
}
