//! The plane that the demo city is drawn on, and how it lies on the earth.
//!
//! Streets are cut in a flat pattern space `uv`, where every face is convex and a cut is a straight line. [`Warp`] bends that
//! space smoothly into the ground plane `xy` (metres east and north): the river meanders and the streets follow it, while
//! neighbours keep sharing exactly the same corners.

use geo::Coord;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A position in `uv` or `xy`, metres.
pub(super) type P = Coord<f64>;

/// Width of a district in `uv`, metres.
pub(super) const WIDTH: f64 = 6650.0;
/// Height of a district in `uv`, metres.
pub(super) const HEIGHT: f64 = 6100.0;
/// Where the river runs within a district, in `u`.
pub(super) const RIVER: f64 = 4750.0;

const LON0: f64 = 117.22;
const LAT0: f64 = 39.10;

/// A generator for one named part of the city, so that adding a draw in one part does not change the others.
pub(super) fn rng(seed: u64, part: &str, a: i64, b: i64) -> ChaCha8Rng {
    let mut h = seed ^ 0x9e37_79b9_7f4a_7c15;
    let numbers = a.to_le_bytes().into_iter().chain(b.to_le_bytes());
    for byte in part.bytes().chain(numbers) {
        h = (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    ChaCha8Rng::seed_from_u64(h)
}

/// z component of the cross product.
pub(super) fn cross(a: P, b: P) -> f64 {
    a.x * b.y - a.y * b.x
}

/// Length.
pub(super) fn norm(a: P) -> f64 {
    a.x.hypot(a.y)
}

/// The direction as a unit vector; east for a null vector.
pub(super) fn unit(a: P) -> P {
    let n = norm(a);
    if n > 0.0 { a / n } else { P { x: 1.0, y: 0.0 } }
}

/// The vector turned left by a right angle.
pub(super) fn left(a: P) -> P {
    P { x: -a.y, y: a.x }
}

/// Signed area of a ring (not closed), positive when counter-clockwise.
pub(super) fn ring_area(ring: &[P]) -> f64 {
    let n = ring.len();
    (0..n).map(|i| cross(ring[i], ring[(i + 1) % n])).sum::<f64>() / 2.0
}

/// Mean of the corners.
pub(super) fn middle(ring: &[P]) -> P {
    let sum = ring.iter().fold(P { x: 0.0, y: 0.0 }, |sum, p| sum + *p);
    sum / ring.len().max(1) as f64
}

/// Whether a convex counter-clockwise ring contains a position.
pub(super) fn inside(ring: &[P], p: P) -> bool {
    let n = ring.len();
    n > 2 && (0..n).all(|i| cross(ring[(i + 1) % n] - ring[i], p - ring[i]) >= 0.0)
}

/// Whether any ring contains a position (even-odd rule).
pub(super) fn within(ring: &[P], p: P) -> bool {
    let n = ring.len();
    let crossings = (0..n).filter(|i| {
        let (a, b) = (ring[*i], ring[(i + 1) % n]);
        (a.y > p.y) != (b.y > p.y) && p.x < a.x + (b.x - a.x) * (p.y - a.y) / (b.y - a.y)
    });
    crossings.count() % 2 == 1
}

/// The part of a convex ring on the left of a line; empty when nothing is left.
pub(super) fn clip(ring: &[P], p: P, dir: P) -> Vec<P> {
    let mut out = Vec::with_capacity(ring.len() + 1);
    for (i, &a) in ring.iter().enumerate() {
        let b = ring[(i + 1) % ring.len()];
        let (sa, sb) = (cross(dir, a - p), cross(dir, b - p));
        if sa >= 0.0 {
            out.push(a);
        }
        if sa * sb < 0.0 {
            out.push(a + (b - a) * (sa / (sa - sb)));
        }
    }
    if out.len() < 3 {
        out.clear();
    }
    out
}

/// The smooth map from `uv` to `xy`. It repeats with the districts, so that they fit each other.
#[derive(Clone, Debug)]
pub(super) struct Warp {
    phase: [f64; 5],
    turn: (f64, f64),
}

impl Warp {
    /// The warp of a city.
    pub(super) fn new(seed: u64) -> Warp {
        let mut r = rng(seed, "warp", 0, 0);
        let mut phase = [0.0; 5];
        for p in &mut phase {
            *p = r.random_range(0.0..std::f64::consts::TAU);
        }
        // Old Chinese river cities follow their bank rather than the compass; Hexi's grid is turned by some fifteen degrees.
        let angle: f64 = r.random_range(-0.30..-0.16);
        Warp {
            phase,
            turn: (angle.cos(), angle.sin()),
        }
    }

    /// Where a pattern position lies on the ground.
    pub(super) fn apply(&self, p: P) -> P {
        let tau = std::f64::consts::TAU;
        let [a, b, c, d, e] = self.phase;
        let near_river = 0.5 * (1.0 + (tau * (p.x - RIVER) / WIDTH).cos());
        let meander = 270.0 * (tau * p.y / 5300.0 + a).sin() + 55.0 * (tau * p.y / 2300.0 + b).sin();
        let x = p.x + meander * near_river + 35.0 * (tau * p.y / 1900.0 + p.x / 2500.0 + c).sin();
        let y = p.y + 130.0 * (tau * p.x / 5400.0 + d).sin() + 30.0 * (tau * p.x / 2100.0 + p.y / 3000.0 + e).sin();
        let (x, y) = (x - WIDTH / 2.0, y - HEIGHT / 2.0);
        P {
            x: x * self.turn.0 - y * self.turn.1,
            y: x * self.turn.1 + y * self.turn.0,
        }
    }
}

/// Degrees to a centimetre, longitude first, of a position in `xy`. Parallels keep their true length, and so do areas
/// (better than 0.1 % within 100 km).
pub(super) fn lon_lat(p: P) -> P {
    let (a, e2) = (6_378_137.0_f64, 0.006_694_380_022_9_f64);
    let w = |lat: f64| (1.0 - e2 * lat.to_radians().sin().powi(2)).sqrt();
    let meridian = |lat: f64| (a * (1.0 - e2) / w(lat).powi(3)).to_radians();
    let half_way = LAT0 + p.y / meridian(LAT0) / 2.0;
    let lat = LAT0 + p.y / meridian(half_way);
    let parallel = (a / w(lat) * lat.to_radians().cos()).to_radians();
    let round = |v: f64| (v * 1e7).round() / 1e7;
    P {
        x: round(LON0 + p.x / parallel),
        y: round(lat),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo::{Distance, Geodesic, Point};

    #[test]
    fn a_kilometre_on_the_plane_is_a_kilometre_on_the_ellipsoid() {
        for at in [
            P { x: 0.0, y: 0.0 },
            P {
                x: 3000.0,
                y: -40_000.0,
            },
        ] {
            for to in [P { x: 1000.0, y: 0.0 }, P { x: 0.0, y: 1000.0 }] {
                let d = Geodesic.distance(Point::from(lon_lat(at)), Point::from(lon_lat(at + to)));
                assert!((d - 1000.0).abs() < 1.0, "{d}");
            }
        }
    }
}
