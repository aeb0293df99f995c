//! How many features each layer has, and where they lie.

use std::sync::{Arc, Mutex, PoisonError};

use crate::index::Memory;
use crate::index::shapes::Shapes;
use crate::tile::layer::{self, Source};

/// Counts and extent as of one revision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The revision.
    pub revision: i64,
    /// Features by layer, in the layers' order; retired components are not counted.
    pub counts: Vec<usize>,
    /// `[min_lon, min_lat, max_lon, max_lat]` degrees of the valid areas, or of all components where there are none.
    pub extent: Option<[f64; 4]>,
}

/// The newest summary, made again when the revision has moved.
#[derive(Debug, Default)]
pub struct Summaries {
    newest: Mutex<Option<Arc<Summary>>>,
}

impl Summaries {
    /// The summary of memory as it is. Cost: O(1), or 2 ns a component after an edit.
    pub fn get(&self, memory: &Memory) -> Arc<Summary> {
        let revision = memory.revision.as_ref().map_or(0, |r| r.number);
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*newest {
            Some(known) if known.revision == revision => known.clone(),
            _ => newest.insert(Arc::new(summarise(memory, revision))).clone(),
        }
    }
}

fn summarise(memory: &Memory, revision: i64) -> Summary {
    let last = memory.classes.keys().next_back().map_or(0, |id| *id as usize);
    let mut by_class = vec![0usize; last + 1];
    let mut extent: Option<[f64; 4]> = None;
    let live = |state| state != crate::domain::word::State::Retired;
    for row in memory.components.rows().iter().filter(|r| live(r.state)) {
        if let Some(n) = by_class.get_mut(usize::from(row.class)) {
            *n += 1;
        }
        grow(&mut extent, [row.lon, row.lat, row.lon, row.lat]);
    }
    let sets = layer::sets_by_class(&memory.classes);
    let count = |layer: &layer::Layer| match layer.source {
        Source::Component => sets
            .iter()
            .zip(&by_class)
            .filter(|(set, _)| **set & layer.bit != 0)
            .map(|(_, n)| n)
            .sum(),
        Source::Area => memory.areas.values().filter(|a| a.valid).count(),
        Source::Cell => memory.cells.values().filter(|c| c.valid).count(),
        Source::Road => memory.roads.len(),
        Source::Land => memory.lands.values().filter(|l| layer.kinds.contains(&l.kind)).count(),
    };
    let counts = layer::all().iter().map(|l| count(l)).collect();
    Summary {
        revision,
        counts,
        extent: outline(&memory.area_shapes).or(extent),
    }
}

fn grow(extent: &mut Option<[f64; 4]>, b: [f64; 4]) {
    let e = extent.get_or_insert(b);
    *e = [e[0].min(b[0]), e[1].min(b[1]), e[2].max(b[2]), e[3].max(b[3])];
}

fn outline(shapes: &Shapes) -> Option<[f64; 4]> {
    let mut extent = None;
    shapes
        .touching([-180.0, -90.0, 180.0, 90.0])
        .for_each(|(_, s)| grow(&mut extent, s.bounds));
    extent
}
