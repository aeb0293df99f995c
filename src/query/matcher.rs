//! Which components and other things a layer and a filter let through, looked up once for as long as words mean the same.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

use crate::domain::class::Class;
use crate::domain::word::State;
use crate::index::Memory;
use crate::index::pyramid::Mark;
use crate::index::row::Found;
use crate::tile::layer::{self, Layer, LayerSet, Source};

/// What of a layer is shown.
#[derive(Debug)]
pub struct Matcher {
    /// By [`Mark::number`]; none if marks do not matter.
    marks: Option<Vec<bool>>,
}

/// The mark that all things of a class have in common.
fn of_class(class: u16) -> std::ops::Range<usize> {
    let first = |class| Mark { class, ..Mark::default() }.number();
    first(class)..first(class.saturating_add(1))
}

impl Matcher {
    /// What a layer shows. Cost: O(classes).
    pub fn new(memory: &Memory, layer: &Layer) -> Matcher {
        let shown: Vec<u16> = match layer.source {
            Source::Area | Source::Cell | Source::Road => return Matcher { marks: None },
            Source::Component => classes(memory, layer).collect(),
            Source::Land => {
                let kinds = (0u16..).zip(memory.land_kinds.iter());
                kinds
                    .filter(|(_, kind)| layer.kinds.iter().any(|k| **k == ***kind))
                    .map(|(n, _)| n)
                    .collect()
            }
        };
        let mut marks = vec![false; shown.iter().max().map_or(0, |c| of_class(*c).end)];
        shown.into_iter().for_each(|c| marks[of_class(c)].fill(true));
        Matcher { marks: Some(marks) }
    }

    /// Whether things of a mark may be shown.
    pub fn mark(&self, mark: Mark) -> bool {
        let shown = |marks: &Vec<bool>| marks.get(mark.number()).copied().unwrap_or(false);
        self.marks.as_ref().is_none_or(shown)
    }

    /// Whether [`Matcher::mark`] says it all.
    pub fn by_mark(&self) -> bool {
        true
    }

    /// Whether a component is shown.
    pub fn shows(&self, found: &Found<'_>) -> bool {
        found.state != State::Retired && self.mark(Mark::of(found.row()))
    }

    /// Whether something that is no component is shown, besides its mark.
    pub fn entity(&self, _memory: &Memory, _layer: &Layer, _id: u64) -> bool {
        true
    }
}

/// Whether a layer shows components of a class.
pub fn shows(memory: &Memory, layer: &Layer, class: &Class) -> bool {
    layer.shows(class, |id| memory.classes.get(&id).map(|c| &**c))
}

/// The classes that a layer shows, by number.
pub fn classes(memory: &Memory, layer: &Layer) -> impl Iterator<Item = u16> {
    let shown = memory.classes.iter().filter(move |(_, c)| shows(memory, layer, c));
    shown.filter_map(|(id, _)| u16::try_from(*id).ok())
}

/// For each class number, the layers that show it.
pub fn layers_by_class(memory: &Memory) -> Vec<LayerSet> {
    let mut sets = Vec::new();
    for layer in layer::all() {
        for class in classes(memory, layer).map(usize::from) {
            if sets.len() <= class {
                sets.resize(class + 1, 0);
            }
            sets[class] |= layer.bit;
        }
    }
    sets
}

/// Matchers that were made, for as long as words mean the same. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Matchers {
    known: Arc<Mutex<HashMap<LayerSet, Known>>>,
}

#[derive(Debug)]
struct Known {
    wording: u64,
    matcher: Arc<Matcher>,
}

impl Matchers {
    /// The matcher of a layer.
    pub fn of(&self, memory: &Memory, layer: &Layer) -> Arc<Matcher> {
        let wording = memory.wording;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&layer.bit).filter(|k| k.wording == wording) {
            return known.matcher.clone();
        }
        let matcher = Arc::new(Matcher::new(memory, layer));
        let new = Known {
            wording,
            matcher: matcher.clone(),
        };
        known.insert(layer.bit, new);
        matcher
    }
}
