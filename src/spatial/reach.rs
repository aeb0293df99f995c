//! What lies within a distance of a shape, as a ring to be put among others.
//!
//! It is the shape's outline moved outwards, with an arc at every corner: forwards round a corner that sticks out, backwards round one that
//! goes in. Such a ring goes round a position as often as there are parts of the shape in the circle about it, so never a negative
//! number of times: it crosses itself, and yet the rings of any number of shapes may be thrown together and united.
//! Source: the theory of convolutions, Guibas, Ramshaw and Stolfi 1983.

use std::f64::consts::{PI, TAU};

use super::overlay::{Dot, Ring, Window};

/// How far a chord may lie inside its arc, in tenths of a millimetre: 5 cm.
const SAGITTA: f64 = 500.0;

/// A circle of a radius as a polygon of the same area.
#[derive(Clone, Debug)]
pub struct Circle {
    radius: f64,
    /// From the middle to each corner, anticlockwise from the east.
    corners: Vec<(f64, f64)>,
}

impl Circle {
    /// Of a radius in tenths of a millimetre.
    pub fn new(radius: f64) -> Circle {
        let n = (PI * (radius / (2.0 * SAGITTA)).sqrt()).ceil().clamp(32.0, 2048.0);
        let step = TAU / n;
        // A polygon in a circle is smaller than it; this one has its area.
        let out = radius * (step / step.sin()).sqrt();
        let corner = |i: u32| {
            let (sin, cos) = (f64::from(i) * step).sin_cos();
            (out * cos, out * sin)
        };
        Circle {
            radius,
            corners: (0..n as u32).map(corner).collect(),
        }
    }

    /// The radius in tenths of a millimetre.
    pub fn radius(&self) -> f64 {
        self.radius
    }

    /// The ring of what lies within the radius of a point, of a line given there and back, or of what an anticlockwise ring goes round.
    /// Cost: O(points).
    pub fn about(&self, shape: &[Dot]) -> Ring {
        let mut out = Ring::new();
        match shape {
            [] => {}
            [p] => out.extend(self.corners.iter().map(|c| moved(*p, *c))),
            _ => {
                let n = shape.len();
                let normal = |i: usize| {
                    let (a, b) = (shape[i % n], shape[(i + 1) % n]);
                    (f64::from(b.y - a.y)).atan2(f64::from(b.x - a.x)) - PI / 2.0
                };
                let mut facing = normal(n - 1);
                for (i, p) in shape.iter().enumerate() {
                    let next = normal(i);
                    self.turn(*p, facing, next, &mut out);
                    facing = next;
                }
            }
        }
        out
    }

    /// What of the circle about a point is seen from there in the direction of a box: a slice that holds all of the circle that lies in the box.
    pub fn towards(&self, p: Dot, w: Window) -> Ring {
        let (x, y) = (
            f64::from(w[0]) / 2.0 + f64::from(w[2]) / 2.0,
            f64::from(w[1]) / 2.0 + f64::from(w[3]) / 2.0,
        );
        let (dx, dy) = (x - f64::from(p.x), y - f64::from(p.y));
        let (away, half) = (dx.hypot(dy), f64::from(w[2] - w[0]).hypot(f64::from(w[3] - w[1])) / 2.0);
        if away <= 2.0 * half {
            return self.about(&[p]);
        }
        let n = self.corners.len() as i64;
        let step = TAU / n as f64;
        let (middle, wide) = (dy.atan2(dx), (half / away).asin());
        let (first, last) = ((middle - wide) / step, (middle + wide) / step);
        let corner = |k: i64| moved(p, self.corners[k.rem_euclid(n) as usize]);
        std::iter::once(p)
            .chain((first.floor() as i64..=last.ceil() as i64).map(corner))
            .collect()
    }

    /// Round a corner, from facing one way to facing another.
    fn turn(&self, p: Dot, from: f64, to: f64, out: &mut Ring) {
        let mut by = (to - from).rem_euclid(TAU);
        // A turn on the spot is one outwards: the end of a line.
        if by > PI + 1e-9 {
            by -= TAU;
        }
        let at = |angle: f64| (self.radius * angle.cos(), self.radius * angle.sin());
        out.push(moved(p, at(from)));
        let n = self.corners.len() as i64;
        let step = TAU / n as f64;
        let corner = |k: i64| moved(p, self.corners[k.rem_euclid(n) as usize]);
        let (first, last) = (from / step, (from + by) / step);
        if by > 0.0 {
            out.extend((first.floor() as i64 + 1..last.ceil() as i64).map(corner));
        } else {
            out.extend((last.floor() as i64 + 1..first.ceil() as i64).rev().map(corner));
        }
        out.push(moved(p, at(from + by)));
    }
}

fn moved(p: Dot, by: (f64, f64)) -> Dot {
    Dot::new(p.x + by.0.round() as i32, p.y + by.1.round() as i32)
}

/// The distance in tenths of a millimetre from a position to the outline of a ring, or to a point or a line given there and back.
pub fn to_outline(ring: &[Dot], p: Dot) -> f64 {
    let Some(mut a) = ring.last() else {
        return f64::INFINITY;
    };
    let mut nearest = f64::INFINITY;
    for b in ring {
        nearest = nearest.min(to_segment(*a, *b, p));
        a = b;
    }
    nearest.sqrt()
}

/// The square of the distance from a position to a segment.
fn to_segment(a: Dot, b: Dot, p: Dot) -> f64 {
    let (dx, dy) = (f64::from(b.x - a.x), f64::from(b.y - a.y));
    let (px, py) = (f64::from(p.x - a.x), f64::from(p.y - a.y));
    let along = dx * dx + dy * dy;
    let t = if along > 0.0 {
        ((px * dx + py * dy) / along).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let (x, y) = (px - t * dx, py - t * dy);
    x * x + y * y
}

#[cfg(test)]
mod tests {
    use super::super::overlay::{Overlay, contains, twice, twice_all};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_circle_has_the_area_of_its_polygon() {
        for radius in [100_000.0, 250_000.0, 5_000_000.0, 50_000_000.0] {
            let ring = Circle::new(radius).about(&[Dot::new(7, -9)]);
            let area = twice(&ring) as f64 / 2.0;
            assert!((area / (PI * radius * radius) - 1.0).abs() < 1e-4, "{radius}: {area}");
        }
        // A segment of 100 m: a stadium.
        let line = Circle::new(500_000.0).about(&[Dot::new(0, 0), Dot::new(1_000_000, 0)]);
        let area = twice(&line) as f64 / 2.0;
        assert!((area / (PI * 2.5e11 + 1e12) - 1.0).abs() < 1e-4, "{area}");
    }

    proptest! {
        /// Any star-shaped ring, with corners that go in: what lies inside of the united ring is what is within the radius, by a loop over the edges.
        #[test]
        fn what_is_inside_is_within_reach(
            arms in proptest::collection::vec(50_000.0..900_000.0f64, 3..12), radius in 20_000.0..600_000.0f64,
            points in proptest::collection::vec((-2_000_000..2_000_000i32, -2_000_000..2_000_000i32), 40),
        ) {
            let n = arms.len() as f64;
            let shape: Ring = arms.iter().enumerate().map(|(i, r)| {
                let (sin, cos) = (i as f64 / n * TAU).sin_cos();
                Dot::new((r * cos) as i32, (r * sin) as i32)
            }).collect();
            let about = Circle::new(radius).about(&shape);
            let united: Vec<Ring> = Overlay::default().polygons([&about]).concat();
            for (x, y) in points {
                let p = Dot::new(x, y);
                let away = if contains(std::slice::from_ref(&shape), p) { 0.0 } else { to_outline(&shape, p) };
                // A chord lies 5 cm inside its arc at most, in a circle that is as much too wide.
                if (away - radius).abs() > 1200.0 {
                    prop_assert_eq!(contains(std::slice::from_ref(&about), p), away < radius, "raw, {} of {}", away, radius);
                    prop_assert_eq!(contains(&united, p), away < radius, "united, {} of {}", away, radius);
                }
            }
            prop_assert!(twice_all(&united) > 0);
        }
    }
}
