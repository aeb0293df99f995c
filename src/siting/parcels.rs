//! Which parcels may be built on: by kind and land-use code, by width, and by what they lie along.

use std::sync::Arc;

use geo::{Geometry, Intersects, Polygon};
use hashbrown::HashMap;

use crate::coverage::land::box_of;
use crate::coverage::rings_of;
use crate::index::Memory;
use crate::index::components::window as boxed;
use crate::spatial::cover::{Blind, Ground, Plot, Solver};
use crate::spatial::local::Local;
use crate::spatial::overlay::{Dot, Overlay, Ring};
use crate::spatial::packed::Packed;
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
}

/// Looks at parcels one after the other: what they may lie along is brought into the plane once.
pub(super) struct Fit<'a> {
    wanted: &'a Parcels,
    memory: &'a Memory,
    local: &'a Local,
    others: HashMap<(bool, u64), Option<Other>>,
}

/// Something that parcels may lie along, in degrees and in the plane.
struct Other {
    shape: Geometry<f64>,
    site: Site,
}

impl<'a> Fit<'a> {
    pub(super) fn new(wanted: &'a Parcels, memory: &'a Memory, local: &'a Local) -> Fit<'a> {
        Fit {
            wanted,
            memory,
            local,
            others: HashMap::new(),
        }
    }

    /// Whether a parcel is wide enough, and lies along what it should.
    pub(super) fn fits(&mut self, rings: &[Ring], shape: &[Polygon<f64>]) -> bool {
        self.wanted.wider.is_none_or(|metres| wider(self.local, rings, metres)) && self.lies_along(rings, shape)
    }

    fn lies_along(&mut self, rings: &[Ring], shape: &[Polygon<f64>]) -> bool {
        if self.wanted.along.is_empty() {
            return true;
        }
        let (Some([w, s, e, n]), Some(parcel)) = (box_of(shape.iter()), Site::new(0, rings.to_vec(), 0.0, 0.0)) else {
            return false;
        };
        let steps = self.local.steps(self.wanted.within, parcel.middle());
        // A little more than the metres of a degree, anywhere.
        let more = self.wanted.within / 60_000.0 / n.abs().max(s.abs()).to_radians().cos().max(0.1);
        let near = boxed([w - more, (s - more).max(-90.0), e + more, (n + more).min(90.0)]);
        let mut others: Vec<((bool, u64), Geometry<f64>)> = Vec::new();
        let mut known: Vec<(bool, u64)> = Vec::new();
        for along in &self.wanted.along {
            let mut put = |key: (bool, u64), packed: &Packed| match self.others.contains_key(&key) {
                true => known.push(key),
                false => others.push((key, packed.unpack())),
            };
            match along {
                Along::Roads => {
                    let roads = self.memory.roads.touching(near);
                    roads
                        .iter()
                        .filter(|r| r.shown)
                        .for_each(|r| put((true, r.id), &r.geometry));
                }
                Along::Water => {
                    let waters = self.memory.lands.touching(near);
                    let waters = waters.iter().filter(|l| l.shown && &*l.what.kind == "water");
                    waters.for_each(|l| put((false, l.id), &l.geometry));
                }
            }
        }
        for (key, shape) in others {
            let rings = rings_of(self.local, &mut Overlay::default(), shape.clone()).unwrap_or_default();
            let site = Site::new(key.1, rings, 0.0, 0.0);
            self.others.insert(key, site.map(|site| Other { shape, site }));
            known.push(key);
        }
        let close = |other: &Other| {
            let crosses = || shape.iter().any(|p| p.intersects(&other.shape));
            meets(&parcel, &other.site, steps) || meets(&other.site, &parcel, steps) || crosses()
        };
        known
            .iter()
            .any(|key| self.others.get(key).and_then(Option::as_ref).is_some_and(close))
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
