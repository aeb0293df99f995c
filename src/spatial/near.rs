//! Points of many classes, asked whether another of a class stands within a metre: what a duplicate is recognised by.

use std::collections::{BTreeSet, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use super::measure::{around, distance};
use super::position::LonLat;

/// Points by class and place, to 1e-7 degrees (1 cm). 32 bytes each; a question costs about a microsecond.
#[derive(Clone, Debug, Default)]
pub struct Near {
    points: BTreeSet<Entry>,
    settled: HashSet<u64>,
}

/// Class, band of latitude, longitude and latitude in 1e-7 degrees, whose it is, and its mark.
type Entry = (i32, i32, i32, i32, i64, u64);

/// The height of a band in 1e-7 degrees: about 2 m.
const BAND: i32 = 200;

fn fixed(degrees: f64) -> i32 {
    (degrees * 1e7).round() as i32
}

impl Near {
    /// What the points of the thing of a key share.
    pub fn mark(key: &str) -> u64 {
        xxh3_64(key.as_bytes()).max(1)
    }

    /// Notes that a thing is one already, whatever stands near it.
    pub fn settle(&mut self, mark: u64) {
        self.settled.insert(mark);
    }

    /// Whether it is.
    pub fn is_settled(&self, mark: u64) -> bool {
        self.settled.contains(&mark)
    }

    /// Notes a point of a class. `mark` is zero, or what the points of one thing share: a thing is no duplicate of itself.
    pub fn add(&mut self, class: i32, at: LonLat, who: i64, mark: u64) {
        let (x, y) = (fixed(at.lon()), fixed(at.lat()));
        self.points.insert((class, y.div_euclid(BAND), x, y, who, mark));
    }

    /// The nearest other point of the class within some metres, a few at most, and how far it is.
    pub fn nearest(&self, class: i32, at: LonLat, metres: f64, mark: u64) -> Option<(i64, f64)> {
        let mut best: Option<(i64, f64)> = None;
        for [west, south, east, north] in around(at, metres) {
            let bands = fixed(south).div_euclid(BAND)..=fixed(north).div_euclid(BAND);
            for band in bands {
                let from = (class, band, fixed(west), i32::MIN, i64::MIN, 0);
                let to = (class, band, fixed(east), i32::MAX, i64::MAX, u64::MAX);
                for (.., x, y, who, own) in self.points.range(from..=to) {
                    let Ok(p) = LonLat::new(f64::from(*x) / 1e7, f64::from(*y) / 1e7) else {
                        continue;
                    };
                    let off = distance(at, p);
                    if off <= metres && (mark == 0 || *own != mark) && best.is_none_or(|(_, d)| off < d) {
                        best = Some((*who, off));
                    }
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_loop_finds(
            points in proptest::collection::vec((0..3i32, -30..30i32, -30..30i32, 0..3u64), 0..60),
            class in 0..3i32, x in -30..30i32, y in -30..30i32, metres in 0.1..3.0f64, mark in 0..3u64,
        ) {
            // Steps of about 10 cm about a place.
            let at = |x: i32, y: i32| LonLat::new(117.2 + f64::from(x) * 1e-6, 39.1 + f64::from(y) * 1e-6).unwrap();
            let mut near = Near::default();
            for (i, (class, x, y, mark)) in points.iter().enumerate() {
                near.add(*class, at(*x, *y), i as i64, *mark);
            }
            let naive = points.iter()
                .filter(|p| p.0 == class && (mark == 0 || p.3 != mark))
                .map(|p| distance(at(p.1, p.2), at(x, y)))
                .filter(|d| *d <= metres)
                .min_by(f64::total_cmp);
            let found = near.nearest(class, at(x, y), metres, mark).map(|(_, d)| d);
            // Both within a centimetre of the limit or of each other.
            match (naive, found) {
                (Some(a), Some(b)) => prop_assert!((a - b).abs() < 0.03),
                (Some(d), None) | (None, Some(d)) => prop_assert!((d - metres).abs() < 0.03),
                (None, None) => {}
            }
        }
    }
}
