//! The components of a layer nearest to a position.

use super::matcher::Matcher;
use crate::index::Memory;
use crate::index::components::window;
use crate::spatial::measure::{around, distance, distance_to};
use crate::spatial::position::LonLat;

/// Half the earth's girth: nothing is farther, in metres.
const FARTHEST: f64 = 20_010_000.0;

/// The `k` nearest within `metres`, each as id and distance in metres on the ellipsoid, nearest first, ties by id.
/// Cost: O(points in a circle that holds about `k` of those that match).
pub fn nearest(memory: &Memory, matcher: &Matcher, p: LonLat, k: usize, metres: f64) -> Vec<(u64, f64)> {
    let mut radius = 100.0f64.min(metres);
    loop {
        let mut found = within(memory, matcher, p, radius);
        if found.len() >= k || radius >= metres.min(FARTHEST) {
            found.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
            found.truncate(k);
            return found;
        }
        radius = (radius * 2.0).min(metres.min(FARTHEST));
    }
}

fn within(memory: &Memory, matcher: &Matcher, p: LonLat, radius: f64) -> Vec<(u64, f64)> {
    let components = &memory.components;
    let mut found = Vec::new();
    // A shape across the antimeridian touches both boxes.
    let mut seen = hashbrown::HashSet::new();
    for b in around(p, radius) {
        let of_layer = |class| matcher.class(class);
        components.live.points.visit(window(b), of_layer, &mut |e| {
            if !matcher.points().may_show(e) {
                return;
            }
            let Some(row) = components.get(e.id).filter(|f| matcher.shows(f)) else {
                return;
            };
            let Ok(q) = LonLat::new(row.lon, row.lat) else { return };
            let away = distance(p, q);
            if away <= radius {
                found.push((e.id, away));
            }
        });
        for shape in components.live.shapes.touching(window(b)) {
            if components.get(shape.id).is_some_and(|f| matcher.shows(&f)) {
                let away = distance_to(p, &shape.geometry.unpack());
                if away <= radius && seen.insert(shape.id) {
                    found.push((shape.id, away));
                }
            }
        }
    }
    found
}
