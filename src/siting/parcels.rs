//! Which parcels may be built on: by kind and land-use code, by width, and by what they lie along.

use std::sync::Arc;

use geo::Geometry;

use crate::coverage::rings_of;
use crate::index::Memory;
use crate::index::components::window as boxed;
use crate::spatial::cover::{Blind, Ground, Plot, Solver};
use crate::spatial::local::Local;
use crate::spatial::overlay::{Dot, Overlay, Ring};
use crate::spatial::site::{Site, Sites};

/// Something that land may lie along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// Roads of any class.
    Roads,
    /// Land of the kind `water`.
    Water,
}

/// Parcels that may be built on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parcels {
    /// Of these kinds; any, if none is given.
    pub kinds: Vec<String>,
    /// Whose land-use codes begin so; any, if none is given.
    pub codes: Vec<String>,
    /// Wider than so many metres somewhere.
    pub wider: Option<f64>,
    /// Along one of these.
    pub along: Vec<Along>,
    /// And no farther from it than so many metres.
    pub within: f64,
    /// At places so many metres apart, instead of on each as a whole.
    pub step: Option<f64>,
}

impl Parcels {
    /// Whether land of a kind and a code is wanted.
    pub(super) fn wants(&self, kind: &str, code: Option<&str>) -> bool {
        let of_kind = self.kinds.is_empty() || self.kinds.iter().any(|k| k == kind);
        let of_code =
            self.codes.is_empty() || code.is_some_and(|c| self.codes.iter().any(|p| c.starts_with(p.as_str())));
        of_kind && of_code
    }

    /// Whether a parcel is wide enough, and lies along what it should. `around` is its box in degrees.
    pub(super) fn fits(&self, memory: &Memory, local: &Local, rings: &[Ring], around: [f64; 4]) -> bool {
        self.wider.is_none_or(|metres| wider(local, rings, metres)) && self.lies_along(memory, local, rings, around)
    }

    fn lies_along(&self, memory: &Memory, local: &Local, rings: &[Ring], [w, s, e, n]: [f64; 4]) -> bool {
        if self.along.is_empty() {
            return true;
        }
        let Some(any) = rings.first().and_then(|r| r.first()) else {
            return false;
        };
        let steps = local.steps(self.within, *any);
        // A little more than the metres of a degree, anywhere.
        let more = self.within / 60_000.0 / n.abs().max(s.abs()).to_radians().cos().max(0.1);
        let near = boxed([w - more, (s - more).max(-90.0), e + more, (n + more).min(90.0)]);
        let Some(parcel) = Site::new(0, rings.to_vec(), 0.0, 0.0) else {
            return false;
        };
        let close = |shape: Geometry<f64>| {
            let rings = rings_of(local, &mut Overlay::default(), shape).unwrap_or_default();
            Site::new(0, rings, 0.0, 0.0)
                .is_some_and(|other| meets(&parcel, &other, steps) || meets(&other, &parcel, steps))
        };
        self.along.iter().any(|along| match along {
            Along::Roads => memory
                .roads
                .touching(near)
                .iter()
                .any(|r| r.shown && close(r.geometry.unpack())),
            Along::Water => {
                let waters = memory.lands.touching(near);
                waters
                    .iter()
                    .any(|l| l.shown && &*l.what.kind == "water" && close(l.geometry.unpack()))
            }
        })
    }
}

/// Whether a corner of one lies so near to the other one. Two lines are nearest at a corner of either, unless they cross.
fn meets(one: &Site, other: &Site, steps: f64) -> bool {
    let near = |p: &Dot| one.at_least(*p) <= steps && one.away(*p) <= steps;
    other.rings.iter().flatten().any(near)
}

/// Whether a circle of so many metres across fits into a parcel: whether anything of it lies farther than half of that from its outline.
fn wider(local: &Local, rings: &[Ring], metres: f64) -> bool {
    let Some(any) = rings.first().and_then(|r| r.first()) else {
        return false;
    };
    let radius = local.steps(metres / 2.0, *any);
    let edges = rings
        .iter()
        .flat_map(|r| (0..r.len()).map(|i| vec![r[i], r[(i + 1) % r.len()]]));
    let sites: Sites = (0..)
        .zip(edges)
        .filter_map(|(id, edge)| Site::new(id, vec![edge], 0.0, radius).map(Arc::new))
        .collect();
    let plot = Plot {
        rings: rings.to_vec(),
        people: None,
    };
    let ground = Ground::new(*local, &[plot]);
    let left = Solver::default().each(&ground, ground.pieces.iter(), &sites, &|_| false);
    left.into_iter().flatten().any(|blind| blind != Blind::None)
}
