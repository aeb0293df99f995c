//! The figures of cells and areas as their tiles show them: how many components, in what state, how far their ownership is settled.

use hashbrown::HashMap;

use crate::domain::grant::Rights;
use crate::domain::word::{OwnershipStatus, State};
use crate::index::Memory;
use crate::index::tally::{By, Tallied};
use crate::query::matcher::Matchers;
use crate::tile::layer;
use crate::tile::mvt::{self, Value};

/// The properties, in the order of [`Figures`].
pub const NAMES: [&str; 8] = [
    "count",
    "confirmed",
    "disputed",
    "unclaimed",
    "unmaintained",
    "damaged",
    "missing",
    "abandoned",
];

type Figures = [u64; NAMES.len()];

/// The figures of everything that a tile may show.
pub(super) struct Sums {
    cells: HashMap<u32, Figures>,
    areas: HashMap<i32, Figures>,
}

impl Sums {
    /// Those of the components that a reader may see. Cost: O(counters of cells).
    pub(super) fn new(memory: &Memory, matchers: &Matchers, rights: &Rights) -> Sums {
        let (mut cells, mut areas) = (HashMap::new(), HashMap::<i32, Figures>::new());
        let Some(layer) = layer::get("components") else {
            return Sums { cells, areas };
        };
        let (matcher, roll) = (matchers.of(memory, layer, None, rights), matchers.rolls.of(memory));
        memory.components.tally.by(By::Cell).for_each(|(cell, counters)| {
            let mut own = Figures::default();
            let seen = counters.iter().filter(|c| matcher.mark(c.sort.mark));
            seen.for_each(|c| count(&mut own, c));
            for area in roll.areas(cell) {
                let sum = areas.entry(area).or_default();
                sum.iter_mut().zip(own).for_each(|(sum, n)| *sum += n);
            }
            cells.insert(cell, own);
        });
        Sums { cells, areas }
    }

    /// Writes those of a cell.
    pub(super) fn of_cell(&self, cell: i32, drawing: &mut mvt::Layer<'_>) {
        let own = u32::try_from(cell).ok().and_then(|cell| self.cells.get(&cell));
        tag(own, drawing);
    }

    /// Writes those of an area.
    pub(super) fn of_area(&self, area: i32, drawing: &mut mvt::Layer<'_>) {
        tag(self.areas.get(&area), drawing);
    }
}

fn count(own: &mut Figures, c: &Tallied) {
    let (n, mark) = (u64::from(c.count), c.sort.mark);
    let owned = |status: OwnershipStatus| mark.ownership == status as u8;
    let is = |state: State| mark.state == state as u8;
    let holds = [
        true,
        owned(OwnershipStatus::Confirmed),
        owned(OwnershipStatus::Disputed),
        owned(OwnershipStatus::Unclaimed),
        !c.sort.maintained,
        is(State::Damaged),
        is(State::Missing),
        is(State::Abandoned),
    ];
    own.iter_mut()
        .zip(holds)
        .filter(|(_, holds)| *holds)
        .for_each(|(sum, _)| *sum += n);
}

fn tag(own: Option<&Figures>, drawing: &mut mvt::Layer<'_>) {
    let own = own.copied().unwrap_or_default();
    for (name, n) in NAMES.iter().zip(own) {
        drawing.tag(name, Value::Number(n));
    }
}
