//! Positions and boxes in lon,lat degrees.

use geo::{BoundingRect, CoordsIter, Geometry, Validation};

use crate::domain::text::Text;
use crate::text;

/// A position: degrees, longitude first, EPSG:4326 (CGCS2000 at component accuracy). Always finite and on the earth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LonLat {
    lon: f64,
    lat: f64,
}

impl LonLat {
    /// A position from degrees. Fails unless -180 ≤ lon ≤ 180 and -90 ≤ lat ≤ 90 (so never on NaN).
    pub fn new(lon: f64, lat: f64) -> Result<LonLat, Text> {
        if (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat) {
            return Ok(LonLat { lon, lat });
        }
        let swapped = (-180.0..=180.0).contains(&lat) && (-90.0..=90.0).contains(&lon);
        let (hint_zh, hint_en) = if swapped {
            (",是否经纬度颠倒?", "; are longitude and latitude swapped?")
        } else {
            ("", "")
        };
        Err(text!(
            "位置 {lon},{lat} 不在地球上，应为 经度,纬度（度）{hint_zh}",
            "position {lon},{lat} is not on the earth; it should be lon,lat in degrees{hint_en}"
        ))
    }

    /// Reads `lon,lat`.
    pub fn parse(s: &str) -> Result<LonLat, Text> {
        let numbers = numbers(s).filter(|n| n.len() == 2);
        match numbers {
            Some(n) => LonLat::new(n[0], n[1]),
            None => Err(text!(
                "“{s}”应为 经度,纬度，例如 117.2172,39.1096",
                "\"{s}\" should be lon,lat such as 117.2172,39.1096"
            )),
        }
    }

    /// Degrees east.
    pub fn lon(self) -> f64 {
        self.lon
    }

    /// Degrees north.
    pub fn lat(self) -> f64 {
        self.lat
    }
}

fn numbers(s: &str) -> Option<Vec<f64>> {
    s.split(',')
        .map(|n| n.trim().parse::<f64>().ok().filter(|n| n.is_finite()))
        .collect()
}

/// A box `[min_lon, min_lat, max_lon, max_lat]` in degrees, all four edges inclusive. `min_lon > max_lon` means that it crosses
/// the antimeridian.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bbox {
    min: LonLat,
    max: LonLat,
}

impl Bbox {
    /// A box from its corners. Fails where south is north of north.
    pub fn new(min: LonLat, max: LonLat) -> Result<Bbox, Text> {
        if min.lat > max.lat {
            let (a, b) = (min.lat, max.lat);
            return Err(text!(
                "南界 {a} 高于北界 {b}",
                "the south edge {a} lies north of the north edge {b}"
            ));
        }
        Ok(Bbox { min, max })
    }

    /// Reads `min_lon,min_lat,max_lon,max_lat`, or six numbers with heights, which are ignored.
    pub fn parse(s: &str) -> Result<Bbox, Text> {
        match numbers(s).as_deref() {
            Some(&[a, b, c, d] | &[a, b, _, c, d, _]) => Bbox::new(LonLat::new(a, b)?, LonLat::new(c, d)?),
            _ => Err(text!(
                "“{s}”应为 西,南,东,北 四个度数，例如 117.19,39.08,117.25,39.12",
                "\"{s}\" should be four degrees west,south,east,north such as 117.19,39.08,117.25,39.12"
            )),
        }
    }

    /// South-west corner.
    pub fn min(self) -> LonLat {
        self.min
    }

    /// North-east corner.
    pub fn max(self) -> LonLat {
        self.max
    }

    /// The box as one or two boxes that do not cross the antimeridian, each `[min_lon, min_lat, max_lon, max_lat]`.
    pub fn parts(self) -> Vec<[f64; 4]> {
        let (a, b) = (self.min, self.max);
        if a.lon <= b.lon {
            vec![[a.lon, a.lat, b.lon, b.lat]]
        } else {
            vec![[a.lon, a.lat, 180.0, b.lat], [-180.0, a.lat, b.lon, b.lat]]
        }
    }

    /// Whether a position is inside or on an edge.
    pub fn contains(self, lon: f64, lat: f64) -> bool {
        self.parts()
            .iter()
            .any(|p| p[0] <= lon && lon <= p[2] && p[1] <= lat && lat <= p[3])
    }
}

/// The box of a geometry as `[min_lon, min_lat, max_lon, max_lat]` degrees; none for an empty one.
pub fn bounds(geometry: &Geometry<f64>) -> Option<[f64; 4]> {
    geometry
        .bounding_rect()
        .map(|r| [r.min().x, r.min().y, r.max().x, r.max().y])
}

/// Whether a geometry can be kept: not empty, at most `max_vertices`, every vertex on the earth, and valid (OGC simple features).
pub fn check_geometry(geometry: &Geometry<f64>, max_vertices: usize) -> Result<(), Text> {
    let n = geometry.coords_count();
    if n == 0 {
        return Err(Text::new("几何为空", "the geometry is empty"));
    }
    if n > max_vertices {
        return Err(text!(
            "几何有{n}个顶点，最多{max_vertices}个",
            "the geometry has {n} vertices; at most {max_vertices} are kept"
        ));
    }
    for c in geometry.coords_iter() {
        LonLat::new(c.x, c.y)?;
    }
    geometry
        .check_validation()
        .map_err(|e| text!("几何无效：{e}", "the geometry is not valid: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_across_the_antimeridian_has_two_parts() {
        let b = Bbox::parse("170,-10,-170,10").unwrap();
        assert_eq!(b.parts().len(), 2);
        assert!(b.contains(175.0, 0.0) && b.contains(-175.0, 10.0) && !b.contains(0.0, 0.0));
    }

    #[test]
    fn swapped_or_broken_positions_are_named() {
        assert!(LonLat::parse("39.1,117.2").unwrap_err().en.contains("swapped"));
        for bad in ["", "1", "1,2,3", "NaN,1", "inf,1", "1;2"] {
            assert!(LonLat::parse(bad).is_err(), "{bad}");
        }
        assert!(Bbox::parse("1,3,2,1").is_err());
    }
}
