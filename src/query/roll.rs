//! Which areas each cell lies in: what cells are rolled up to.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

use crate::domain::word::AreaLevel;
use crate::index::Memory;

/// By cell, the areas that it lies in: community, street, district.
pub type Roll = HashMap<u32, Vec<(AreaLevel, i32)>>;

/// The areas of each cell, found once for as long as names mean the same. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Rolls {
    known: Arc<Mutex<(u64, Arc<Roll>)>>,
}

impl Rolls {
    /// The areas of each cell. Cost: O(1), or O(cells) after a change of cells or areas.
    pub fn of(&self, memory: &Memory) -> Arc<Roll> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != memory.wording {
            // All cells of a community lie in the same street.
            let mut communities: HashMap<Option<i32>, Vec<(AreaLevel, i32)>> = HashMap::new();
            let mut roll = Roll::new();
            for cell in memory.cells.all() {
                let Ok(id) = u32::try_from(cell.id) else { continue };
                let community = cell.area.map(std::num::NonZeroI32::get);
                let areas = communities.entry(community).or_insert_with(|| {
                    let areas = memory.areas_of_cell(id);
                    areas.iter().map(|a| (a.level, a.id)).collect()
                });
                roll.insert(id, areas.clone());
            }
            *known = (memory.wording, Arc::new(roll));
        }
        known.1.clone()
    }
}
