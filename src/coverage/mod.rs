//! What of the city's land its facilities serve, by rules: from memory, and kept up with edits.
//!
//! An [`Outcome`] is what one question comes to. The newest outcome of each question is kept; when it is asked again after edits, only the
//! pieces of land within reach of what was edited are looked at again. Nothing here asks PostgreSQL.

pub mod change;
pub mod draw;
mod facility;
pub mod figures;
mod kept;
pub mod land;
mod planned;
pub mod rules;
pub mod spots;

use std::sync::{Arc, OnceLock};

use hashbrown::HashSet;

use self::draw::Tiles;
use self::facility::Gathering;
pub use self::facility::rings_of;
pub use self::kept::Coverages;
use self::land::Land;
pub use self::planned::{Known, PLANNED, Planned};
use self::spots::Spots;
use crate::domain::filter::Filter;
use crate::domain::grant::Rights;
use crate::domain::rule::{Denominator, Rule};
use crate::domain::text::Text;
use crate::domain::word::State;
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::query::matcher::Matchers;
use crate::spatial::cover::{Blind, Piece, Solver, Watch};
use crate::spatial::overlay::meet;
use crate::spatial::site::{Site, Sites};

/// Facilities are known this far beyond the land, in metres, so that the nearest one of a blind spot is.
const BEYOND: f64 = 5_000.0;

/// A question: a rule, and in what it is asked otherwise than the rule says.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The rule.
    pub rule: Arc<Rule>,
    /// One radius in metres for all facilities instead of the rule's.
    pub radius: Option<f64>,
    /// Which facilities count.
    pub filter: Option<Arc<Filter>>,
    /// In which states.
    pub states: Vec<State>,
    /// The land that is to be served.
    pub denominator: Denominator,
    /// Only what of it lies in this area.
    pub within: Option<i32>,
    /// What serves besides, as if it were built.
    pub planned: Option<Arc<Planned>>,
    /// The restricted classes that the reader may see.
    pub rights: Rights,
}

impl Question {
    /// A rule's own question, of one of its denominators, the first if none is named.
    pub fn of_rule(rule: &Arc<Rule>, denominator: Option<&str>, rights: Rights) -> Result<Question> {
        let wanted = |d: &&Denominator| denominator.is_none_or(|key| d.key == key);
        let denominator = rule.denominators.iter().find(wanted).cloned();
        let filter = rule.filter.as_deref().map(|text| rules::filter(&rule.id, text));
        Ok(Question {
            rule: rule.clone(),
            radius: None,
            filter: filter.transpose()?,
            states: rule.counted(),
            denominator: denominator.ok_or_else(|| Error::internal(format!("{} has no such denominator", rule.id)))?,
            within: None,
            planned: None,
            rights,
        })
    }

    /// Metres that a facility of some square metres reaches; none if it does not count.
    pub fn reach(&self, size: f64) -> Option<f64> {
        match self.radius {
            Some(radius) => Some(radius),
            None => self.rule.reach(size),
        }
    }

    /// The farthest that anything reaches, in metres.
    pub fn farthest(&self) -> f64 {
        self.radius.unwrap_or_else(|| self.rule.farthest())
    }

    fn same_land(&self, other: &Question) -> bool {
        self.denominator == other.denominator && self.within == other.within
    }

    /// Whether another question is about the same facilities of the register on the same land.
    fn shares_sites(&self, other: &Question) -> bool {
        let rule = |q: &Question| (q.rule.layer.clone(), q.rule.measured_from, q.rule.entrances.clone());
        self.same_land(other)
            && rule(self) == rule(other)
            && self.filter == other.filter
            && self.states == other.states
            && self.rights == other.rights
    }
}

/// What a question comes to, as of a revision.
#[derive(Debug)]
pub struct Outcome {
    /// The question.
    pub question: Question,
    /// The land.
    pub land: Arc<Land>,
    /// The facilities that count.
    pub sites: Sites,
    /// Those that are too small to count by the rule.
    pub too_small: Small,
    /// The entrances that they are measured from.
    doors: imbl::HashSet<u64>,
    /// What of each piece of the land none of them reaches.
    pub blind: Vec<Blind>,
    revision: i64,
    wording: u64,
    lay: u64,
    spots: OnceLock<Spots>,
    tiles: Tiles,
}

/// Facilities that do not count, by number: another radius may count them.
pub type Small = imbl::HashMap<u64, Arc<Site>>;

/// More edited windows than these, and all of the land is looked at again.
const MANY: usize = 256;

/// Nothing to stop for.
pub fn never(_: f64) -> bool {
    false
}

/// That nobody wants an analysis any longer.
pub fn stopped() -> Error {
    Error::Busy(Text::new("分析已取消", "the analysis was dismissed"))
}

impl Outcome {
    /// Works a question out from memory. `like` may lend the facilities of the same memory.
    fn new(
        memory: &Memory,
        matchers: &Matchers,
        question: Question,
        land: Arc<Land>,
        like: Option<&Outcome>,
        watch: Watch<'_>,
    ) -> Result<Outcome> {
        let local = land.ground.local;
        let lends = |o: &&Outcome| question.farthest() <= o.question.farthest() + BEYOND;
        let doors;
        let (mut sites, mut too_small): (Sites, Small) = match like.filter(lends) {
            Some(like) => {
                doors = like.doors.clone();
                let mut small = Small::new();
                let all = like.sites.iter().chain(like.too_small.values());
                let built = all.filter(|s| s.id < PLANNED);
                let sites = built.filter_map(|s| {
                    let reach = question.reach(s.size);
                    if reach.is_none() {
                        small.insert(s.id, s.clone());
                    }
                    Some(Arc::new(s.with_radius(local.steps(reach?, s.middle()))))
                });
                (sites.collect(), small)
            }
            None => {
                let mut gathering = Gathering::new(memory, matchers, &question, local)?;
                let found = match land.around(question.farthest() + BEYOND) {
                    Some(around) => gathering.all(around)?,
                    None => Default::default(),
                };
                doors = gathering.used;
                found
            }
        };
        if let Some(planned) = &question.planned {
            let (more, small) = planned.sites(&question, &local)?;
            more.into_iter().for_each(|site| sites.put(site));
            too_small.extend(small);
        }
        let ground = &land.ground;
        let blind = Solver::default().each(ground, ground.pieces.iter(), &sites, watch);
        Ok(Outcome {
            blind: blind.ok_or_else(stopped)?,
            revision: memory.revision.as_ref().map_or(0, |r| r.number),
            wording: memory.wording,
            lay: memory.lay,
            question,
            land,
            sites,
            too_small,
            doors,
            spots: OnceLock::new(),
            tiles: Tiles::default(),
        })
    }

    /// The same after some components have changed: only what lies within their reach is looked at again.
    fn after(&self, memory: &Memory, matchers: &Matchers, changed: &HashSet<u64>) -> Result<Outcome> {
        let ground = &self.land.ground;
        let mut gathering = Gathering::new(memory, matchers, &self.question, ground.local)?;
        let (mut sites, mut too_small) = (self.sites.clone(), self.too_small.clone());
        let mut touched = Vec::new();
        for id in changed {
            let old = sites.get(*id).cloned();
            let new = memory.components.get(*id).and_then(|found| gathering.site(&found));
            match &new {
                Some((site, false)) => too_small.insert(*id, site.clone()),
                _ => too_small.remove(id),
            };
            let new = new.filter(|(_, counts)| *counts).map(|(site, _)| site);
            if old.as_ref().map(|s| (&s.rings, s.radius)) == new.as_ref().map(|s| (&s.rings, s.radius)) {
                continue;
            }
            touched.extend(old.iter().map(|s| s.reached()));
            touched.extend(new.iter().map(|s| s.reached()));
            match new {
                Some(new) => sites.put(new),
                None => drop(sites.take(*id)),
            }
        }
        let mut blind = self.blind.clone();
        // Beyond some, finding the pieces that they touch takes longer than looking at all.
        let near = |p: &Piece| touched.len() > MANY || touched.iter().any(|w| meet(*w, p.window));
        let places: Vec<usize> = (0..blind.len()).filter(|i| near(&ground.pieces[*i])).collect();
        let again = Solver::default().each(ground, places.iter().map(|i| &ground.pieces[*i]), &sites, &never);
        for (place, now) in places.iter().zip(again.into_iter().flatten()) {
            blind[*place] = now;
        }
        let spots = if places.is_empty() {
            self.spots.clone()
        } else {
            OnceLock::new()
        };
        Ok(Outcome {
            question: self.question.clone(),
            land: self.land.clone(),
            sites,
            too_small,
            doors: self.doors.clone(),
            blind,
            revision: memory.revision.as_ref().map_or(0, |r| r.number),
            wording: self.wording,
            lay: self.lay,
            spots,
            tiles: self.tiles.without(&touched),
        })
    }

    /// What of each piece is left blind if some more sites are built. Cost: O(pieces within their reach).
    pub fn with(&self, more: &[Arc<Site>]) -> Vec<Blind> {
        let (ground, mut sites, mut blind) = (&self.land.ground, self.sites.clone(), self.blind.clone());
        more.iter().for_each(|site| sites.put(site.clone()));
        let near = |p: &Piece| more.iter().any(|site| meet(site.reached(), p.window));
        let places: Vec<usize> = (0..blind.len()).filter(|i| near(&ground.pieces[*i])).collect();
        let again = Solver::default().each(ground, places.iter().map(|i| &ground.pieces[*i]), &sites, &never);
        for (place, now) in places.iter().zip(again.into_iter().flatten()) {
            blind[*place] = now;
        }
        blind
    }

    /// Whether land lies and words mean as in a memory: no class has become restricted, and no land is another one.
    fn means_as(&self, memory: &Memory) -> bool {
        self.wording == memory.wording && self.lay == memory.lay
    }

    /// The revision that it is as of.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The blind spots. Cost: the first time about 0.3 µs a vertex.
    pub fn spots(&self) -> &Spots {
        self.spots.get_or_init(|| Spots::of(self))
    }
}
