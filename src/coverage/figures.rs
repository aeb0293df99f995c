//! How much of the land is served, in all and by cell, community, street or district.

use hashbrown::HashMap;

use super::Outcome;
use crate::domain::word::AreaLevel;
use crate::index::Memory;
use crate::query::roll::Roll;
use crate::spatial::cover::Blind;
use crate::spatial::overlay::{Overlay, twice_all};

/// Served and not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Square metres of land.
    pub area: f64,
    /// Square metres of it that nothing reaches.
    pub blind: f64,
    /// People, where that is known.
    pub people: f64,
    /// People whom nothing reaches, where people live evenly on their plot.
    pub blind_people: f64,
}

impl Figures {
    /// Square metres that are served.
    pub fn covered(&self) -> f64 {
        (self.area - self.blind).max(0.0)
    }

    /// The share that is served; none of nothing.
    pub fn rate(&self) -> Option<f64> {
        (self.area > 0.0).then(|| self.covered() / self.area)
    }

    fn add(&mut self, area: f64, blind: f64, density: f64) {
        self.area += area;
        self.blind += blind;
        self.people += area * density;
        self.blind_people += blind * density;
    }
}

/// What land is grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// 单元网格.
    Cell,
    /// 社区, 街道 or 区.
    Area(AreaLevel),
}

/// All of it. Cost: O(pieces).
pub fn total(outcome: &Outcome) -> Figures {
    of(outcome, &outcome.blind)
}

/// All of it, if so much of each piece is blind.
pub fn of(outcome: &Outcome, blind: &[Blind]) -> Figures {
    let ground = &outcome.land.ground;
    let mut total = Figures::default();
    for (piece, blind) in ground.pieces.iter().zip(blind) {
        total.add(piece.area, blind.area(piece), ground.density(piece));
    }
    total
}

/// By group: the number of the cell or area, 0 for what lies in none. Cost: O(pieces), and some µs for each that is served in part and lies in several cells.
pub fn by(outcome: &Outcome, memory: &Memory, roll: &Roll, by: By) -> HashMap<u32, Figures> {
    let ground = &outcome.land.ground;
    let parts = outcome.land.by_cell(memory);
    let mut overlay = Overlay::default();
    let mut groups: HashMap<u32, Figures> = HashMap::new();
    for ((piece, blind), parts) in ground.pieces.iter().zip(&outcome.blind).zip(parts) {
        let density = ground.density(piece);
        let mut left = blind.area(piece);
        for (n, part) in parts.iter().enumerate() {
            let group = match by {
                By::Cell => part.cell,
                By::Area(level) => roll
                    .area(part.cell, level)
                    .and_then(|a| u32::try_from(a).ok())
                    .unwrap_or(0),
            };
            let own = match blind {
                Blind::None => 0.0,
                Blind::All => part.area,
                // The last one has what the others leave, so that the sum is right.
                Blind::Part(..) if n + 1 == parts.len() => left.clamp(0.0, part.area),
                Blind::Part(rings, _) => {
                    let shared = overlay.intersection(rings, &part.rings);
                    ground.local.ground(twice_all(&shared), piece.middle()).min(part.area)
                }
            };
            left -= own;
            groups.entry(group).or_default().add(part.area, own, density);
        }
    }
    groups
}
