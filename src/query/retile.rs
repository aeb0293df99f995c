//! Which windows of the map some edits have changed: for a layer, or for a selection of tiles.

use std::sync::Arc;

use hashbrown::HashSet;

use super::matcher::{self, Matcher, Matchers, Shown};
use crate::domain::grant::Rights;
use crate::domain::word::State;
use crate::index::row::Found;
use crate::index::tally::groups;
use crate::index::{Memory, Touched};
use crate::push::Audience;
use crate::tile::cache::Selection;
use crate::tile::layer::{Layer, LayerSet, Source, set_of_source};

type Window = [u32; 4];

/// Edits, as the map sees them: memory before and after, and what is not the same.
#[derive(Debug)]
pub struct Edits {
    components: Vec<Component>,
    others: Vec<(LayerSet, Window)>,
    everything: bool,
}

/// One component that was edited.
#[derive(Debug)]
struct Component {
    id: u64,
    before: Option<Side>,
    after: Option<Side>,
    /// Whether it is drawn otherwise than before.
    redrawn: bool,
}

#[derive(Debug)]
struct Side {
    window: Window,
    layers: LayerSet,
    /// The class, if it is shown only to those who have the right to it.
    restricted: Option<i32>,
}

impl Side {
    fn shown_to(&self, rights: &Rights) -> bool {
        self.restricted.is_none_or(|class| rights.has(class))
    }
}

fn side(memory: &Memory, shown: &[Shown], id: u64) -> Option<Side> {
    let found = live(memory, id)?;
    let shown = shown.get(usize::from(found.class)).copied().unwrap_or_default();
    Some(Side {
        window: memory.components.window(&found),
        layers: shown.layers,
        restricted: shown.restricted.then_some(i32::from(found.class)),
    })
}

fn live(memory: &Memory, id: u64) -> Option<Found<'_>> {
    memory.components.get(id).filter(|f| f.state() != State::Retired)
}

/// Whether tiles show a component the same way in two memories.
fn same(before: &Memory, after: &Memory, id: u64) -> bool {
    match (live(before, id), live(after, id)) {
        (Some(x), Some(y)) => {
            let shape = |m: &Memory| m.components.shape(id).cloned();
            x.drawn() == y.drawn() && (!y.shaped() || shape(before) == shape(after))
        }
        (None, None) => true,
        _ => false,
    }
}

impl Edits {
    /// What was touched between two memories. Cost: about 1 µs a component.
    pub fn new(before: &Memory, after: &Memory, touched: &Touched) -> Edits {
        let shown = matcher::shown_by_class(after);
        let mut seen = HashSet::with_capacity(touched.components.len());
        let ids = touched.components.iter().filter(|id| seen.insert(**id));
        let component = |id: &u64| Component {
            id: *id,
            before: side(before, &shown, *id),
            after: side(after, &shown, *id),
            redrawn: !same(before, after, *id),
        };
        let of = |source: Source, windows: &[Window]| {
            let set = set_of_source(source);
            windows.iter().map(|w| (set, *w)).collect::<Vec<_>>()
        };
        let others = [
            of(Source::Area, &touched.areas),
            of(Source::Cell, &touched.cells),
            of(Source::Road, &touched.roads),
            of(Source::Land, &touched.lands),
        ];
        Edits {
            components: ids.map(component).collect(),
            others: others.concat(),
            everything: touched.everything,
        }
    }

    /// The windows that each layer draws otherwise, and for whom; none if everything may be drawn otherwise.
    pub fn by_layer(&self) -> Option<Vec<(Audience, Window)>> {
        if self.everything {
            return None;
        }
        let redrawn = self.components.iter().filter(|c| c.redrawn);
        let sides = redrawn.flat_map(|c| c.before.iter().chain(&c.after));
        let audience = |layers, restricted| Audience { layers, restricted };
        let mut windows: Vec<(Audience, Window)> =
            sides.map(|s| (audience(s.layers, s.restricted), s.window)).collect();
        windows.extend(self.others.iter().map(|(set, w)| (audience(*set, None), *w)));
        windows.retain(|(audience, _)| audience.layers != 0);
        windows.dedup();
        Some(windows)
    }

    /// The windows that the tiles of a selection draw otherwise; none if all of them may. A component that its filter let through
    /// neither before nor after changes nothing.
    pub fn of(
        &self,
        selection: &Selection,
        matchers: &Matchers,
        before: &Memory,
        after: &Memory,
    ) -> Option<Vec<Window>> {
        if self.everything || (selection.filter.is_some() && before.wording != after.wording) {
            return None;
        }
        let set = selection.layers.iter().fold(0, |set, l| set | l.bit);
        let filtered = selection.filter.as_ref().map(|filter| {
            let of = |layer: &Arc<Layer>| matchers.of(after, layer, Some(filter), &selection.rights);
            selection.layers.iter().map(of).collect::<Vec<_>>()
        });
        let shown = |side: &Option<Side>, memory: &Memory, id: u64| {
            let passes = |all: &Vec<Arc<Matcher>>| {
                let found = memory.components.get(id);
                found.is_some_and(|f| all.iter().any(|m| m.shows(&f)))
            };
            let side = side
                .as_ref()
                .filter(|s| s.layers & set != 0 && s.shown_to(&selection.rights))?;
            filtered.as_ref().is_none_or(passes).then_some(side.window)
        };
        let mut windows = Vec::new();
        for c in &self.components {
            let (old, new) = (shown(&c.before, before, c.id), shown(&c.after, after, c.id));
            if c.redrawn || old.is_some() != new.is_some() {
                windows.extend(old.into_iter().chain(new));
            }
        }
        windows.extend(self.others.iter().filter(|(s, _)| s & set != 0).map(|(_, w)| *w));
        if selection.figures {
            windows.extend(self.counted(set, matchers, before, after));
        }
        Some(windows)
    }

    /// The windows of cells and areas whose figures have changed.
    fn counted(&self, set: LayerSet, matchers: &Matchers, before: &Memory, after: &Memory) -> Vec<Window> {
        let mut cells: Vec<u32> = Vec::new();
        for c in &self.components {
            let counted = |memory| live(memory, c.id).map(|f| (f.cell, groups(f.row(), f.parties()).1));
            let (old, new) = (counted(before), counted(after));
            if old != new {
                cells.extend(old.iter().chain(&new).map(|(cell, _)| *cell));
            }
        }
        cells.sort_unstable();
        cells.dedup();
        let roll = matchers.rolls.of(after);
        let mut areas: Vec<i32> = cells.iter().flat_map(|c| roll.areas(*c)).collect();
        areas.sort_unstable();
        areas.dedup();
        let shows = |source| set & set_of_source(source) != 0;
        let of_cells = cells
            .iter()
            .filter(|_| shows(Source::Cell))
            .filter_map(|c| Some(after.cells.get(u64::from(*c))?.window));
        let of_areas = areas.iter().filter(|_| shows(Source::Area));
        let of_areas = of_areas.filter_map(|a| Some(after.areas.get(u64::try_from(*a).ok()?)?.window));
        of_cells.chain(of_areas).collect()
    }
}
