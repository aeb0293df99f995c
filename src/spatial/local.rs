//! A plane of tenths of a millimetre about one city: what areas are computed in.
//!
//! It is the local three-degree Gauss-Krüger zone moved to the middle of the city. The zone's plane is larger than the ground by a few
//! parts in ten thousand, more towards the edge of the zone: [`Local::scale`] says by how much, so that radii and areas are those of the ground.

use geo::{Coord, LineString, MultiPolygon, Polygon};

use super::crs::Crs;
use super::overlay::{Dot, Overlay, PER_METRE, Ring};
use super::position::LonLat;
use crate::domain::text::Text;
use crate::text;

/// Nothing may lie farther from the middle, in metres: an analysis is about one city, and a coordinate has 32 bits, of which the work with it
/// leaves 31.
pub const FARTHEST: f64 = 100_000.0;

/// A city's plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Local {
    crs: Crs,
    east: f64,
    north: f64,
    /// Gauss's radius of the ellipsoid's curvature in metres.
    curvature: f64,
}

/// CGCS2000's ellipsoid.
const A: f64 = 6_378_137.0;
const E2: f64 = 0.006_694_380_022_90;
/// Steps of a degree.
const STEPS: f64 = 1e8;
/// The zone's easting at its meridian.
const FALSE_EASTING: f64 = 500_000.0;

impl Local {
    /// The plane whose middle is a position. Fails at the poles, where there is no zone.
    pub fn about(middle: LonLat) -> Result<Local, Text> {
        let crs = Crs::gauss_kruger(middle.lon())?;
        let (east, north) = crs.from_lonlat(middle)?;
        let sin = middle.lat().to_radians().sin();
        Ok(Local {
            crs,
            east: east.round(),
            north: north.round(),
            curvature: A * (1.0 - E2).sqrt() / (1.0 - E2 * sin * sin),
        })
    }

    /// The Gauss-Krüger zone behind it.
    pub fn crs(&self) -> Crs {
        self.crs
    }

    /// A position in degrees, to a tenth of a millimetre. Cost: about a microsecond.
    pub fn to(&self, lon: f64, lat: f64) -> Result<Dot, Text> {
        let (east, north) = self.crs.from_lonlat(LonLat::new(lon, lat)?)?;
        let (x, y) = (east - self.east, north - self.north);
        if x.abs().max(y.abs()) > FARTHEST {
            let most = FARTHEST / 1000.0;
            return Err(text!(
                "位置 {lon},{lat} 距分析范围中心超过 {most} 公里，一次分析只限一个城市",
                "position {lon},{lat} is more than {most} km from the middle of what is analysed; an analysis is about one city"
            ));
        }
        Ok(Dot::new((x * PER_METRE).round() as i32, (y * PER_METRE).round() as i32))
    }

    /// Easting and northing in the zone, in metres.
    pub fn zone(&self, at: Dot) -> (f64, f64) {
        (
            self.east + f64::from(at.x) / PER_METRE,
            self.north + f64::from(at.y) / PER_METRE,
        )
    }

    /// Degrees, longitude first. Cost: about a microsecond.
    pub fn back(&self, at: Dot) -> Result<(f64, f64), Text> {
        let (east, north) = self.zone(at);
        let p = self.crs.to_lonlat(east, north)?;
        Ok((p.lon(), p.lat()))
    }

    /// The ring of a line of degrees, without the repeated end.
    pub fn ring(&self, line: &geo::LineString<f64>) -> Result<Ring, Text> {
        let mut ring = line
            .0
            .iter()
            .map(|c| self.to(c.x, c.y))
            .collect::<Result<Ring, Text>>()?;
        ring.dedup();
        if ring.len() > 1 && ring.first() == ring.last() {
            ring.pop();
        }
        Ok(ring)
    }

    /// A region in degrees, longitude first, to 1e-8 degrees (1 mm). It is united again among those: rings that pass each other by a
    /// millimetre here may cross there. Cost: O(points), each of which PROJ converts.
    pub fn degrees(&self, rings: &[Ring]) -> Result<MultiPolygon<f64>, Text> {
        let (lon, lat) = self.back(Dot::new(0, 0))?;
        let whole = |degrees: f64| (degrees * STEPS).round() as i64;
        let (lon, lat) = (whole(lon), whole(lat));
        let mut moved = Vec::with_capacity(rings.len());
        for ring in rings {
            let there = |p: &Dot| {
                self.back(*p)
                    .map(|(x, y)| Dot::new((whole(x) - lon) as i32, (whole(y) - lat) as i32))
            };
            moved.push(ring.iter().map(there).collect::<Result<Ring, Text>>()?);
        }
        let degrees = |p: &Dot| Coord {
            x: (lon + i64::from(p.x)) as f64 / STEPS,
            y: (lat + i64::from(p.y)) as f64 / STEPS,
        };
        let line = |ring: &Ring| LineString(ring.iter().chain(ring.first()).map(degrees).collect());
        let polygon = |rings: Vec<Ring>| {
            let mut lines = rings.iter().map(line);
            Some(Polygon::new(lines.next()?, lines.collect()))
        };
        let polygons = Overlay::default().polygons(&moved);
        Ok(MultiPolygon(polygons.into_iter().filter_map(polygon).collect()))
    }

    /// Metres of the plane in a metre of the ground, at a place; good to 1e-7 within [`FARTHEST`] of the zone's meridian.
    pub fn scale(&self, at: Dot) -> f64 {
        let off = (self.zone(at).0 - FALSE_EASTING) / self.curvature;
        1.0 + off * off / 2.0 + off.powi(4) / 24.0
    }

    /// Steps of the plane in some metres of the ground, about a place.
    pub fn steps(&self, metres: f64, about: Dot) -> f64 {
        metres * PER_METRE * self.scale(about)
    }

    /// Metres of the ground in some steps of the plane, about a place.
    pub fn metres(&self, steps: f64, about: Dot) -> f64 {
        steps / PER_METRE / self.scale(about)
    }

    /// Square metres of the ground of twice an area of the plane, about a place.
    pub fn ground(&self, twice: i64, about: Dot) -> f64 {
        let scale = self.scale(about);
        twice as f64 / (2.0 * PER_METRE * PER_METRE * scale * scale)
    }
}

/// Degrees of the places of a box, for drawing: a lattice of exact ones, and between them straight lines, which are 2 cm off at most.
#[derive(Debug)]
pub struct Lattice {
    first: (i32, i32),
    wide: usize,
    nodes: Vec<(f64, f64)>,
}

/// The side of a mesh as a power of two: 419 m.
const MESH: u32 = 22;

impl Lattice {
    /// Of a box. Cost: a microsecond for each 419 m in either direction.
    pub fn new(local: &Local, w: [i32; 4]) -> Lattice {
        let (first, last) = ((w[0] >> MESH, w[1] >> MESH), ((w[2] >> MESH) + 1, (w[3] >> MESH) + 1));
        let node = |x: i32, y: i32| {
            local
                .back(Dot::new(x << MESH, y << MESH))
                .unwrap_or((f64::NAN, f64::NAN))
        };
        let nodes = (first.1..=last.1).flat_map(|y| (first.0..=last.0).map(move |x| node(x, y)));
        Lattice {
            first,
            wide: (last.0 - first.0 + 1) as usize,
            nodes: nodes.collect(),
        }
    }

    /// Degrees, longitude first; none outside of the box.
    pub fn degrees(&self, at: Dot) -> Option<(f64, f64)> {
        let (x, y) = ((at.x >> MESH) - self.first.0, (at.y >> MESH) - self.first.1);
        let (x, y) = (usize::try_from(x).ok()?, usize::try_from(y).ok()?);
        if x + 1 >= self.wide {
            return None;
        }
        let (below, above) = (y * self.wide + x, (y + 1) * self.wide + x);
        let [a, b] = self.nodes.get(below..below + 2)? else {
            return None;
        };
        let [c, d] = self.nodes.get(above..above + 2)? else {
            return None;
        };
        let part = |v: i32| f64::from(v & ((1 << MESH) - 1)) / f64::from(1 << MESH);
        let (u, v) = (part(at.x), part(at.y));
        let mix = |of: fn(&(f64, f64)) -> f64| {
            (of(a) * (1.0 - u) + of(b) * u) * (1.0 - v) + (of(c) * (1.0 - u) + of(d) * u) * v
        };
        Some((mix(|p| p.0), mix(|p| p.1))).filter(|(lon, _)| lon.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::super::overlay::twice;
    use super::*;

    #[test]
    fn areas_and_lengths_are_those_of_the_ground_anywhere_in_a_zone_and_beyond_china() {
        use geo::{Distance, Geodesic, GeodesicArea, Point};
        for (lon, lat) in [
            (117.2172, 39.1096),
            (118.49, 36.8),
            (115.51, 23.0),
            (24.9, 60.0),
            (-77.0, 38.9),
            (121.49, 0.1),
        ] {
            let local = Local::about(LonLat::new(lon, lat).unwrap()).unwrap();
            let square = geo::Rect::new((lon - 0.004, lat - 0.004), (lon + 0.004, lat + 0.004)).to_polygon();
            let ring = local.ring(square.exterior()).unwrap();
            let middle = local.to(lon, lat).unwrap();
            let (own, geodesic) = (
                local.ground(twice(&ring).abs(), middle),
                square.geodesic_area_unsigned(),
            );
            assert!((own / geodesic - 1.0).abs() < 2e-6, "{lon},{lat}: {own} {geodesic}");
            let east = local.to(lon + 0.005, lat).unwrap();
            let steps = f64::from(east.x - middle.x).hypot(f64::from(east.y - middle.y));
            let own = local.metres(steps, middle);
            let geodesic = Geodesic.distance(Point::new(lon, lat), Point::new(lon + 0.005, lat));
            assert!((own / geodesic - 1.0).abs() < 1e-5, "{lon},{lat}: {own} {geodesic}");
            let (x, y) = local.back(east).unwrap();
            assert!((x - lon - 0.005).abs() < 2e-8 && (y - lat).abs() < 2e-8);
        }
        let tianjin = Local::about(LonLat::new(117.2172, 39.1096).unwrap()).unwrap();
        let lattice = Lattice::new(&tianjin, [-30_000_000, -20_000_000, 30_000_000, 20_000_000]);
        for at in [
            Dot::new(1_234_567, -7_654_321),
            Dot::new(-29_999_999, 19_999_999),
            Dot::new(0, 0),
        ] {
            let (exact, drawn) = (tianjin.back(at).unwrap(), lattice.degrees(at).unwrap());
            let metres = (exact.0 - drawn.0).hypot(exact.1 - drawn.1) * 111_000.0;
            assert!(metres < 0.02, "{at:?}: {metres} m");
        }
        assert_eq!(lattice.degrees(Dot::new(40_000_000, 0)), None);
        assert_eq!(tianjin.crs().key(), "EPSG:4548");
        assert!(tianjin.to(121.4, 31.2).unwrap_err().en.contains("one city"));
    }
}
