//! The components of a layer nearest to a position.

use super::list::classes_of;
use crate::index::Memory;
use crate::index::components::window;
use crate::spatial::measure::{around, distance, distance_to};
use crate::spatial::position::LonLat;
use crate::tile::layer::Layer;

/// Half the earth's girth: nothing is farther, in metres.
const FARTHEST: f64 = 20_010_000.0;

/// The `k` nearest within `metres`, each as slot and distance in metres on the ellipsoid, nearest first, ties by id.
/// Cost: O(points in a circle that holds about `k` of the layer).
pub fn nearest(memory: &Memory, layer: &Layer, p: LonLat, k: usize, metres: f64) -> Vec<(u32, f64)> {
    let classes = classes_of(memory, layer);
    let mut radius = 100.0f64.min(metres);
    loop {
        let mut found = within(memory, &classes, p, radius);
        if found.len() >= k || radius >= metres.min(FARTHEST) {
            let id = |slot: u32| memory.components.row(slot).map_or(0, |r| r.id);
            found.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(id(a.0).cmp(&id(b.0))));
            found.truncate(k);
            return found;
        }
        radius = (radius * 3.0).min(metres.min(FARTHEST));
    }
}

fn within(memory: &Memory, classes: &[bool], p: LonLat, radius: f64) -> Vec<(u32, f64)> {
    let components = &memory.components;
    let shown = |class: u16| classes.get(usize::from(class)).copied().unwrap_or(false);
    let mut found = Vec::new();
    // A shape across the antimeridian touches both boxes.
    let mut seen = hashbrown::HashSet::new();
    for b in around(p, radius) {
        components.live.points.visit(window(b), &mut |e| {
            if !shown(e.class) {
                return;
            }
            let Some(q) = components.row(e.slot).and_then(|r| LonLat::new(r.lon, r.lat).ok()) else {
                return;
            };
            let away = distance(p, q);
            if away <= radius {
                found.push((e.slot, away));
            }
        });
        for (slot, shape) in components.live.shapes.touching(b) {
            if components.row(slot).is_some_and(|r| shown(r.class)) {
                let away = distance_to(p, &shape.geometry);
                if away <= radius && seen.insert(slot) {
                    found.push((slot, away));
                }
            }
        }
    }
    found
}
