//! Which areas each cell lies in: what cells are rolled up to.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

use crate::domain::word::AreaLevel;
use crate::index::Memory;

/// Areas of a cell by level; 0 is none.
type Areas = [i32; AreaLevel::ALL.len()];

/// The areas that each cell lies in, by the cell's number: cells come in the order of their numbers, and so are these read.
#[derive(Debug, Default)]
pub struct Roll(Vec<Areas>);

impl Roll {
    fn of(memory: &Memory) -> Roll {
        // All cells of a community lie in the same street.
        let mut communities: HashMap<Option<i32>, Areas> = HashMap::new();
        let mut roll = Vec::new();
        for cell in memory.cells.all() {
            let Ok(id) = u32::try_from(cell.id) else { continue };
            let community = cell.area.map(std::num::NonZeroI32::get);
            let areas = communities.entry(community).or_insert_with(|| {
                let mut areas = Areas::default();
                let found = memory.areas_of_cell(id);
                found.iter().for_each(|a| areas[a.level as usize] = a.id);
                areas
            });
            let place = id as usize;
            if place >= roll.len() {
                roll.resize(place + 1, Areas::default());
            }
            roll[place] = *areas;
        }
        Roll(roll)
    }

    /// The area of a level that a cell lies in.
    #[inline]
    pub fn area(&self, cell: u32, level: AreaLevel) -> Option<i32> {
        let areas = self.0.get(cell as usize)?;
        Some(areas[level as usize]).filter(|id| *id != 0)
    }

    /// All areas that a cell lies in.
    pub fn areas(&self, cell: u32) -> impl Iterator<Item = i32> + '_ {
        let areas = self.0.get(cell as usize).into_iter().flatten();
        areas.copied().filter(|id| *id != 0)
    }
}

/// The areas of cells, found once for as long as names mean the same. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Rolls {
    known: Arc<Mutex<(u64, Arc<Roll>)>>,
}

impl Rolls {
    /// The areas of each cell. Cost: O(1), or O(cells) after a change of cells or areas.
    pub fn of(&self, memory: &Memory) -> Arc<Roll> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != memory.wording {
            *known = (memory.wording, Arc::new(Roll::of(memory)));
        }
        known.1.clone()
    }
}
