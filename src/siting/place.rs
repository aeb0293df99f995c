//! Candidates on the ground, and the demand that they would cover: what is blind, cut into small boxes.

use std::sync::Arc;

use hashbrown::HashMap;

use super::parcels::{Fit, Parcels};
use super::{Goal, Plan, Problem, Unreachable};
use crate::coverage::figures::total;
use crate::coverage::land::polygons;
use crate::coverage::spots::inside;
use crate::coverage::{Outcome, Question, stopped};
use crate::domain::rule::From;
use crate::domain::text::Text;
use crate::domain::word::GeometryKind;
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::spatial::cover::{Watch, parts, squares};
use crate::spatial::local::Local;
use crate::spatial::overlay::{Dot, Overlay, PER_METRE, Ring, Window, contains, twice_all, window};
use crate::spatial::position::LonLat;
use crate::spatial::site::Site;
use crate::tile::layer;

/// Candidates of one question.
pub const MAX_CANDIDATES: usize = 5_000;
/// Boxes that all candidates reach together, each counted for each: 200 MB.
const MAX_REACHED: usize = 50_000_000;
/// Boxes of demand; beyond, they are made larger.
const MAX_DEMAND: usize = 100_000;
/// Boxes have this side at least, as a power of two: 26 m.
const FINEST: u32 = 18;
/// Boxes of demand are looked up by place in squares of this side: 419 m.
const LOOKED_UP: u32 = 22;

/// Where may be built.
#[derive(Clone, Debug, PartialEq)]
pub enum On {
    /// At these places.
    Points(Vec<LonLat>),
    /// On parcels.
    Land(Parcels),
}

/// A place where may be built.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What it would reach.
    pub site: Arc<Site>,
    /// The number of its parcel.
    pub parcel: Option<i32>,
}

/// What there is most to be gained of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Square metres of land.
    Area,
    /// People.
    People,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted {
    /// At most so many sites.
    Sites(usize),
    /// A share of all from 0 to 1.
    Rate(f64),
}

/// A question with all that is needed to answer it.
#[derive(Debug)]
pub struct Siting {
    /// Where may be built.
    pub candidates: Vec<Candidate>,
    /// Which candidate reaches what.
    pub problem: Problem,
}

impl Siting {
    /// Of an outcome. Cost: O(boxes of demand + those that each candidate may reach); 0.1 s for 18,000 and 470 in the demo city, the solver among it.
    pub fn new(memory: &Memory, outcome: &Outcome, on: &On, weight: Weight, watch: Watch<'_>) -> Result<Siting> {
        let candidates = candidates(memory, outcome, on, watch)?;
        let (mut demand, mut bits) = (demand(outcome, weight, FINEST), FINEST);
        while demand.len() > MAX_DEMAND {
            bits += 1;
            demand = self::demand(outcome, weight, bits);
        }
        let mut near: HashMap<(i32, i32), Vec<u32>> = HashMap::new();
        for (n, (at, _)) in (0..).zip(&demand) {
            near.entry((at.x >> LOOKED_UP, at.y >> LOOKED_UP)).or_default().push(n);
        }
        let reached = |c: &Candidate| -> Vec<u32> {
            let there = squares(c.site.reached(), LOOKED_UP)
                .filter_map(|square| near.get(&square))
                .flatten();
            let within = |n: &u32| {
                let at = demand[*n as usize].0;
                c.site.at_least(at) <= c.site.radius && c.site.away(at) <= c.site.radius
            };
            there.copied().filter(within).collect()
        };
        let (mut reach, mut count) = (Vec::with_capacity(candidates.len()), 0);
        for candidate in &candidates {
            let reached = reached(candidate);
            count += reached.len();
            if count > MAX_REACHED {
                return Err(Error::TooLarge(Text::new(
                    "候选地点过多且半径过大，超出一次求解的上限；请减少候选地点，或用 within-area 缩小范围",
                    "so many candidates reach so far that it is too much at once; allow fewer, or narrow it by within-area",
                )));
            }
            if watch(1.0) {
                return Err(stopped());
            }
            reach.push(reached);
        }
        let figures = total(outcome);
        let (all, blind) = match weight {
            Weight::Area => (figures.area, figures.blind),
            Weight::People => (figures.people, figures.blind_people),
        };
        let covered = (all - blind).max(0.0);
        let weights = demand.into_iter().map(|(_, weight)| weight).collect();
        let problem = Problem::new(weights, reach, covered, all).map_err(Error::internal)?;
        Ok(Siting { candidates, problem })
    }

    /// The goal as the solver has it.
    pub fn goal(&self, wanted: Wanted) -> Goal {
        match wanted {
            Wanted::Sites(n) => Goal::Sites(n),
            Wanted::Rate(rate) => Goal::Weight(self.problem.missing(rate)),
        }
    }

    /// Why a goal cannot be reached: how far one comes.
    pub fn too_far(&self, short: Unreachable) -> Error {
        let most = self.problem.rate(short.reachable).unwrap_or(0.0) * 100.0;
        Error::syntax(
            "rate",
            Text::new(
                format!("在全部候选地点建设也只能达到 {most:.2}%；请扩大候选范围"),
                format!("all candidates together come to {most:.2} %; allow more of them"),
            ),
        )
    }

    /// The sites of a plan.
    pub fn sites(&self, plan: &Plan) -> Vec<&Candidate> {
        plan.sites
            .iter()
            .filter_map(|s| self.candidates.get(s.candidate))
            .collect()
    }
}

/// What is blind, in boxes of a side that is a power of two: the middle and the weight of each.
fn demand(outcome: &Outcome, weight: Weight, bits: u32) -> Vec<(Dot, f64)> {
    let ground = &outcome.land.ground;
    let mut out = Vec::new();
    for (piece, blind) in ground.pieces.iter().zip(&outcome.blind) {
        let each = match weight {
            Weight::Area => 1.0,
            Weight::People => ground.density(piece),
        };
        let rings = blind.rings(piece);
        let Some(w) = window(rings).filter(|_| each > 0.0) else {
            continue;
        };
        for (x, y) in squares(w, bits) {
            let corner = Dot::new(x << bits, y << bits);
            let side = 1 << bits;
            let part = parts(rings, [corner.x, corner.y, corner.x + side, corner.y + side]);
            let Some([x0, y0, x1, y1]) = window(&part) else {
                continue;
            };
            let middle = Dot::new(x0 + (x1 - x0) / 2, y0 + (y1 - y0) / 2);
            out.push((middle, ground.local.ground(twice_all(&part).max(0), middle) * each));
        }
    }
    out
}

fn candidates(memory: &Memory, outcome: &Outcome, on: &On, watch: Watch<'_>) -> Result<Vec<Candidate>> {
    let (local, question) = (&outcome.land.ground.local, &outcome.question);
    let mut out = Making {
        local,
        question,
        candidates: Vec::new(),
    };
    match on {
        On::Points(points) => {
            for p in points {
                let at = local.to(p.lon(), p.lat()).map_err(|t| Error::syntax("points", t))?;
                out.point(at, None)?;
            }
        }
        On::Land(wanted) => {
            let whole = layer::get(&question.rule.layer).is_some_and(|l| l.geometry == GeometryKind::Polygon)
                && question.rule.measured_from == From::Boundary;
            let mut overlay = Overlay::default();
            let parcels = memory
                .lands
                .iter()
                .filter(|l| l.shown && wanted.wants(&l.what.kind, l.what.code.as_deref()));
            let bounds = outcome.land.ground.window();
            let mut fit = Fit::new(wanted, memory, local);
            for parcel in parcels {
                if watch(1.0) {
                    return Err(stopped());
                }
                let shape = polygons(parcel.geometry.unpack());
                let lines = shape
                    .iter()
                    .flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()));
                // What lies in another city serves nobody here.
                let Some(rings) = lines.map(|l| local.ring(l).ok()).collect::<Option<Vec<Ring>>>() else {
                    continue;
                };
                let rings = overlay.clean(&rings);
                let far = |w: Window| bounds.is_some_and(|b| !near(w, b, question.farthest()));
                if window(&rings).is_none_or(far) {
                    continue;
                }
                if !fit.fits(&rings, &shape) {
                    continue;
                }
                match &wanted.step {
                    Some(metres) => out.lattice(&rings, *metres, parcel.what.id)?,
                    None if whole => out.parcel(rings, parcel.what.id)?,
                    None => {
                        let largest = rings.iter().max_by_key(|r| crate::spatial::overlay::twice(r));
                        if let Some(ring) = largest {
                            out.point(inside(ring), Some(parcel.what.id))?;
                        }
                    }
                }
            }
        }
    }
    if out.candidates.is_empty() {
        return Err(Error::syntax(
            "on",
            Text::new(
                "没有候选地点：该类用地不存在，或地块面积达不到规则要求",
                "there is no candidate: no such land, or every parcel is too small for the rule",
            ),
        ));
    }
    Ok(out.candidates)
}

/// Whether a box lies within some metres of another one.
fn near(a: Window, b: Window, metres: f64) -> bool {
    let off = |low: i32, high: i32, from: i32, to: i32| {
        (f64::from(from) - f64::from(high)).max(f64::from(low) - f64::from(to))
    };
    off(a[0], a[2], b[0], b[2]).max(off(a[1], a[3], b[1], b[3])) <= metres * PER_METRE * 1.01
}

/// Candidates in the making.
struct Making<'a> {
    local: &'a Local,
    question: &'a Question,
    candidates: Vec<Candidate>,
}

impl Making<'_> {
    fn put(&mut self, rings: Vec<Ring>, size: f64, metres: f64, parcel: Option<i32>) -> Result<()> {
        if self.candidates.len() >= MAX_CANDIDATES {
            return Err(Error::TooLarge(Text::new(
                format!("候选地点超过 {MAX_CANDIDATES} 个；请减少用地类别，或加大 step"),
                format!("there are more than {MAX_CANDIDATES} candidates; allow less land, or a larger step"),
            )));
        }
        // Behind all numbers of components.
        let id = u64::MAX - self.candidates.len() as u64;
        let Some(at) = rings.first().and_then(|r| r.first()).copied() else {
            return Ok(());
        };
        let site = Site::new(id, rings, size, self.local.steps(metres, at));
        self.candidates.extend(site.map(|site| Candidate {
            site: Arc::new(site),
            parcel,
        }));
        Ok(())
    }

    /// A place: it reaches as far as the largest does, since nobody knows how large it will be.
    fn point(&mut self, at: Dot, parcel: Option<i32>) -> Result<()> {
        self.put(vec![vec![at]], 0.0, self.question.farthest(), parcel)
    }

    /// A parcel that is built on as a whole, if it is large enough to count.
    fn parcel(&mut self, rings: Vec<Ring>, parcel: i32) -> Result<()> {
        let about = rings.first().and_then(|r| r.first()).copied().unwrap_or_default();
        let size = self.local.ground(twice_all(&rings), about);
        match self.question.reach(size) {
            Some(metres) => self.put(rings, size, metres, Some(parcel)),
            None => Ok(()),
        }
    }

    fn lattice(&mut self, rings: &[Ring], metres: f64, parcel: i32) -> Result<()> {
        let Some(w) = window(rings) else { return Ok(()) };
        let step = (metres * PER_METRE).round() as i32;
        let first = |low: i32| low.div_euclid(step).saturating_add(1).saturating_mul(step);
        for x in (first(w[0])..=w[2]).step_by(step as usize) {
            for y in (first(w[1])..=w[3]).step_by(step as usize) {
                if contains(rings, Dot::new(x, y)) {
                    self.point(Dot::new(x, y), Some(parcel))?;
                }
            }
        }
        Ok(())
    }
}
