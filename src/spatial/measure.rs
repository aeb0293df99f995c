//! Distances in metres on the WGS84 ellipsoid (CGCS2000's differs by 0.1 mm in its minor axis).

use geo::{Closest, ClosestPoint, Distance, Geodesic, Geometry, Point};

use super::position::LonLat;

/// The geodesic distance in metres between two positions. Source: Karney 2013, by the `geo` crate. Cost: about 1 µs.
///
/// ```
/// use lamppost::spatial::{measure::distance, position::LonLat};
/// let (a, b) = (LonLat::new(117.2172, 39.1096).unwrap(), LonLat::new(117.2172, 39.1141).unwrap());
/// assert!((distance(a, b) - 499.5793).abs() < 1e-3); // cs2cs vector, GRS80
/// ```
pub fn distance(a: LonLat, b: LonLat) -> f64 {
    Geodesic.distance(Point::new(a.lon(), a.lat()), Point::new(b.lon(), b.lat()))
}

/// The distance in metres from a position to a geometry, 0 inside a polygon.
///
/// The nearest point is found in a plane scaled to metres at the position, then measured on the ellipsoid: good to 0.1 % within
/// 10 km.
pub fn distance_to(p: LonLat, geometry: &Geometry<f64>) -> f64 {
    let shrink = p.lat().to_radians().cos().max(1e-6);
    use geo::MapCoords;
    let plane = geometry.map_coords(|c| geo::Coord {
        x: c.x * shrink,
        y: c.y,
    });
    match plane.closest_point(&Point::new(p.lon() * shrink, p.lat())) {
        Closest::SinglePoint(q) => Geodesic.distance(Point::new(p.lon(), p.lat()), Point::new(q.x() / shrink, q.y())),
        Closest::Intersection(_) => 0.0,
        Closest::Indeterminate => f64::INFINITY,
    }
}

/// One or two boxes `[min_lon, min_lat, max_lon, max_lat]` in degrees that hold everything within `metres` of a position: a little
/// larger than needed, never smaller, apart from each other, none across the antimeridian.
pub fn around(p: LonLat, metres: f64) -> Vec<[f64; 4]> {
    // The shortest degree of latitude on the ellipsoid is 110,574 m, the shortest degree of longitude 111,319 m × cos φ at sea level.
    let lat = metres / 110_500.0;
    let (south, north) = ((p.lat() - lat).max(-90.0), (p.lat() + lat).min(90.0));
    let widest = (p.lat().abs() + lat).min(89.9).to_radians().cos();
    let lon = metres / (111_200.0 * widest);
    if lon >= 180.0 || p.lat().abs() + lat >= 89.9 {
        return vec![[-180.0, south, 180.0, north]];
    }
    let (west, east) = (p.lon() - lon, p.lon() + lon);
    if west < -180.0 {
        vec![[-180.0, south, east, north], [west + 360.0, south, 180.0, north]]
    } else if east > 180.0 {
        vec![[west, south, 180.0, north], [-180.0, south, east - 360.0, north]]
    } else {
        vec![[west, south, east, north]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_box_around_never_misses(lon in -180.0..180.0f64, lat in -89.0..89.0f64, r in 1.0..500_000.0f64, turn in 0.0..360.0f64) {
            use geo::Destination;
            let q = Geodesic.destination(Point::new(lon, lat), turn, r);
            let boxes = around(LonLat::new(lon, lat).unwrap(), r);
            prop_assert!(boxes.iter().any(|b| b[0] <= q.x() && q.x() <= b[2] && b[1] <= q.y() && q.y() <= b[3]), "{:?} {:?}", boxes, q);
        }
    }
}
