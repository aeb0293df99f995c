//! What is served in one case and not in another one: on two days, by two scenarios, by two radii.

use std::sync::Arc;

use super::Outcome;
use super::spots::inside;
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::spatial::cover::{Blind, Piece};
use crate::spatial::overlay::{Overlay, Ring, twice_all};

/// A place that is served in one case alone.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its outline and holes.
    pub rings: Vec<Ring>,
    /// Square metres.
    pub area: f64,
}

/// Where two outcomes on the same land differ, the largest place first.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Served after, and not before.
    pub gained: Vec<Place>,
    /// Served before, and not after.
    pub lost: Vec<Place>,
}

/// Compares two outcomes. Cost: some µs for each piece on which they differ, and the union of what differs.
pub fn change(before: &Outcome, after: &Outcome) -> Result<Change> {
    if !Arc::ptr_eq(&before.land, &after.land)
        && (before.lay != after.lay || !before.question.same_land(&after.question))
    {
        return Err(Error::Conflict(Text::new(
            "两次统计的用地不同，无法逐块比较；若刚导入用地，请重试",
            "the two are not about the same land; if land has just been imported, try again",
        )));
    }
    let ground = &after.land.ground;
    let mut overlay = Overlay::default();
    let (mut gained, mut lost) = (Vec::new(), Vec::new());
    for (piece, (a, b)) in ground.pieces.iter().zip(before.blind.iter().zip(&after.blind)) {
        if a != b {
            gained.extend(without(&mut overlay, piece, a, b));
            lost.extend(without(&mut overlay, piece, b, a));
        }
    }
    let mut places = |rings: &[Ring]| {
        let place = |rings: Vec<Ring>| {
            let at = inside(rings.first()?);
            let area = ground.local.ground(twice_all(&rings), at);
            (area >= after.question.rule.least_blind_m2).then_some(Place { rings, area })
        };
        let mut all: Vec<Place> = overlay.polygons(rings).into_iter().filter_map(place).collect();
        all.sort_by(|a, b| b.area.total_cmp(&a.area));
        all
    };
    Ok(Change {
        gained: places(&gained),
        lost: places(&lost),
    })
}

/// What of a piece is blind by one and not by the other.
fn without(overlay: &mut Overlay, piece: &Piece, a: &Blind, b: &Blind) -> Vec<Ring> {
    match (a.rings(piece), b.rings(piece)) {
        ([], _) => Vec::new(),
        (a, []) => a.to_vec(),
        (a, b) => overlay.difference(a, b),
    }
}
