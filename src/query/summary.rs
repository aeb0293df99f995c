//! How many features each layer has, and where they lie.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

use super::matcher;
use crate::domain::grant::Rights;
use crate::index::Memory;
use crate::index::pyramid::FINEST;
use crate::spatial::tile_id::{World, degrees};
use crate::tile::layer::{self, Layer, Source};

/// Counts and extent as of one revision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The revision.
    pub revision: i64,
    /// Components by class, retired ones not counted.
    by_class: HashMap<u16, usize>,
    /// Features of layers of anything else, in the layers' order.
    others: Vec<usize>,
    /// `[min_lon, min_lat, max_lon, max_lat]` degrees of the valid areas, or about that of all components that
    /// everybody sees where there are none.
    pub extent: Option<[f64; 4]>,
}

/// The newest summary, made again when the revision has moved.
#[derive(Debug, Default)]
pub struct Summaries {
    newest: Mutex<Option<Arc<Summary>>>,
}

impl Summaries {
    /// The summary of memory as it is. Cost: O(1), or O(lines and polygons) after an edit.
    pub fn get(&self, memory: &Memory) -> Arc<Summary> {
        let revision = memory.revision.as_ref().map_or(0, |r| r.number);
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*newest {
            Some(known) if known.revision == revision => known.clone(),
            _ => newest.insert(Arc::new(summarise(memory, revision))).clone(),
        }
    }
}

impl Summary {
    /// How many features of a layer a reader sees; `memory` says what classes mean. Cost: O(classes).
    pub fn count(&self, memory: &Memory, layer: &Layer, rights: &Rights) -> usize {
        if layer.source == Source::Component {
            let classes = matcher::classes(memory, layer, rights);
            return classes.filter_map(|class| self.by_class.get(&class)).sum();
        }
        let at = layer::all().iter().position(|l| l.id == layer.id);
        at.and_then(|i| self.others.get(i)).copied().unwrap_or(0)
    }
}

fn summarise(memory: &Memory, revision: i64) -> Summary {
    let components = &memory.components;
    let mut by_class = HashMap::new();
    for counter in components.pyramid.cell(0, 0) {
        *by_class.entry(counter.mark.class).or_insert(0) += counter.count as usize;
    }
    for shape in components.live.shapes.iter() {
        *by_class.entry(shape.mark.class).or_insert(0) += 1;
    }
    let count = |layer: &layer::Layer| match layer.source {
        Source::Component => 0,
        Source::Area => memory.areas.iter().filter(|s| s.shown).count(),
        Source::Cell => memory.cells.iter().filter(|s| s.shown).count(),
        Source::Road => memory.roads.len(),
        Source::Land => memory
            .lands
            .all()
            .filter(|l| layer.kinds.iter().any(|k| **k == *l.kind))
            .count(),
    };
    let others = layer::all().iter().map(|l| count(l)).collect();
    Summary {
        revision,
        by_class,
        others,
        extent: outline(memory),
    }
}

fn grow(extent: &mut Option<[u32; 4]>, b: [u32; 4]) {
    let e = extent.get_or_insert(b);
    *e = [e[0].min(b[0]), e[1].min(b[1]), e[2].max(b[2]), e[3].max(b[3])];
}

/// The box of the valid areas; where there are none, of the squares of the pyramid and the shapes of what everybody sees.
fn outline(memory: &Memory) -> Option<[f64; 4]> {
    let mut extent = None;
    memory
        .areas
        .iter()
        .filter(|s| s.shown)
        .for_each(|s| grow(&mut extent, s.window));
    if extent.is_none() {
        let components = &memory.components;
        let open = |class: u16| memory.classes.get(&i32::from(class)).is_some_and(|c| !c.restricted);
        let shapes = components.live.shapes.iter().filter(|s| open(s.mark.class));
        shapes.for_each(|s| grow(&mut extent, s.window));
        let everywhere = [0, 0, u32::MAX, u32::MAX];
        components.pyramid.visit(FINEST, everywhere, &mut |square, counters| {
            if counters.iter().any(|c| open(c.mark.class)) {
                let tile = World::corner(square, FINEST).tile(FINEST);
                grow(&mut extent, tile.window(0));
            }
        });
    }
    let [x0, y0, x1, y1] = extent?;
    let ((west, north), (east, south)) = (degrees(World { x: x0, y: y0 }), degrees(World { x: x1, y: y1 }));
    Some([west, south, east, north])
}
