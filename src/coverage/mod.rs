//! What of the city's land its facilities serve, by rules: from memory, and kept up with edits.
//!
//! An [`Outcome`] is what one question comes to. The newest outcome of each question is kept; when it is asked again after edits, only the
//! pieces of land within reach of what was edited are looked at again. Nothing here asks PostgreSQL.

pub mod draw;
pub mod figures;
pub mod land;
pub mod rules;
pub mod spots;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use geo::{Geometry, LineString};
use hashbrown::HashSet;

use self::draw::Tiles;
use self::land::{Land, Lands};
use self::spots::Spots;
use crate::domain::filter::Filter;
use crate::domain::grant::Rights;
use crate::domain::rule::{Denominator, From, Rule};
use crate::domain::text::Text;
use crate::domain::word::State;
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::index::components::window;
use crate::index::row::Found;
use crate::query::matcher::{Matcher, Matchers};
use crate::spatial::cover::{Blind, Piece, Solver};
use crate::spatial::local::Local;
use crate::spatial::overlay::{Overlay, Ring, meet, twice_all};
use crate::spatial::plane::Plane;
use crate::spatial::site::{Site, Sites};
use crate::spatial::tile_id::TileId;
use crate::tile::body::Body;
use crate::tile::layer;

/// Facilities are known this far beyond the land, in metres, so that the nearest one of a blind spot is.
const BEYOND: f64 = 5_000.0;
/// More facilities than these are too many for one analysis.
const MAX_SITES: usize = 500_000;

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
    /// The restricted classes that the reader may see.
    pub rights: Rights,
}

impl Question {
    /// Metres that a facility of some square metres reaches; none if it does not count.
    fn reach(&self, size: f64) -> Option<f64> {
        match self.radius {
            Some(radius) => Some(radius),
            None => self.rule.reach(size),
        }
    }

    /// The farthest that anything reaches, in metres.
    pub fn farthest(&self) -> f64 {
        self.radius.unwrap_or_else(|| self.rule.farthest())
    }

    /// Whether another question is about the same facilities on the same land.
    fn shares_sites(&self, other: &Question) -> bool {
        let denominators = self.denominator == other.denominator && self.within == other.within;
        let rule = |q: &Question| (q.rule.layer.clone(), q.rule.measured_from);
        denominators
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
    pub too_small: imbl::HashSet<u64>,
    /// What of each piece of the land none of them reaches.
    pub blind: Vec<Blind>,
    revision: i64,
    wording: u64,
    lay: u64,
    spots: OnceLock<Spots>,
    tiles: Tiles,
}

/// Facilities as memory has them.
struct Gathering<'a> {
    memory: &'a Memory,
    question: &'a Question,
    matcher: Arc<Matcher>,
    local: Local,
    overlay: Overlay,
}

impl<'a> Gathering<'a> {
    fn new(memory: &'a Memory, matchers: &Matchers, question: &'a Question, local: Local) -> Result<Gathering<'a>> {
        let layer = layer::get(&question.rule.layer).ok_or_else(|| {
            let layer = &question.rule.layer;
            Error::internal(format!("rule {} names no layer: {layer}", question.rule.id))
        })?;
        Ok(Gathering {
            memory,
            question,
            matcher: matchers.of(memory, layer, question.filter.as_ref(), &question.rights),
            local,
            overlay: Overlay::default(),
        })
    }

    /// The facility that a component is; none if it does not count. A size too small has no radius.
    fn site(&mut self, found: &Found<'_>) -> Option<(Site, bool)> {
        if !self.matcher.shows(found) || !self.question.states.contains(&found.state()) {
            return None;
        }
        let rings = self.rings(found)?;
        let any = *rings.first()?.first()?;
        let size = self.local.ground(twice_all(&rings).max(0), any);
        let reach = self.question.reach(size);
        let site = Site::new(found.id, rings, size, self.local.steps(reach.unwrap_or(0.0), any))?;
        Some((site, reach.is_some()))
    }

    fn rings(&mut self, found: &Found<'_>) -> Option<Vec<Ring>> {
        let point = |g: &Gathering<'_>| Some(vec![vec![g.local.to(found.lon, found.lat).ok()?]]);
        let shape = (found.shaped() && self.question.rule.measured_from == From::Boundary)
            .then(|| self.memory.components.shape(found.id))
            .flatten();
        let Some(shape) = shape else { return point(self) };
        let line = |g: &Gathering<'_>, line: &LineString<f64>| -> Option<Ring> {
            let there: Ring = line
                .0
                .iter()
                .map(|c| g.local.to(c.x, c.y).ok())
                .collect::<Option<_>>()?;
            let back = there.iter().rev().skip(1).take(there.len().saturating_sub(2));
            Some(there.iter().chain(back).copied().collect())
        };
        match shape.unpack() {
            Geometry::LineString(l) => Some(vec![line(self, &l)?]),
            Geometry::MultiLineString(m) => m.0.iter().map(|l| line(self, l)).collect(),
            geometry => {
                let polygons = land::polygons(geometry);
                let lines = polygons
                    .iter()
                    .flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()));
                let rings: Vec<Ring> = lines.map(|l| self.local.ring(l).ok()).collect::<Option<_>>()?;
                Some(self.overlay.clean(&rings))
                    .filter(|r| !r.is_empty())
                    .or_else(|| point(self))
            }
        }
    }

    /// All facilities in a box of degrees.
    fn all(&mut self, around: [f64; 4]) -> Result<(Sites, imbl::HashSet<u64>)> {
        let components = &self.memory.components;
        let mut ids = Vec::new();
        let matcher = self.matcher.clone();
        components
            .live
            .points
            .visit(window(around), |class| matcher.class(class), &mut |p| {
                if matcher.points().may_show(p) {
                    ids.push(p.id);
                }
            });
        let shapes = components.live.shapes.touching(window(around)).into_iter();
        ids.extend(shapes.filter(|s| matcher.mark(s.mark)).map(|s| s.id));
        if ids.len() > MAX_SITES {
            let many = ids.len();
            return Err(Error::TooLarge(Text::new(
                format!("设施共 {many} 个，一次分析至多 {MAX_SITES} 个；请用 filter 或 within-area 缩小范围"),
                format!(
                    "there are {many} facilities, and an analysis takes {MAX_SITES} at most; narrow them by filter or within-area"
                ),
            )));
        }
        let (mut sites, mut small) = (Vec::with_capacity(ids.len()), imbl::HashSet::new());
        for id in ids {
            match components.get(id).and_then(|found| self.site(&found)) {
                Some((site, true)) => sites.push(Arc::new(site)),
                Some((_, false)) => drop(small.insert(id)),
                None => {}
            }
        }
        Ok((sites.into_iter().collect(), small))
    }
}

/// Nothing to stop for.
pub fn never() -> bool {
    false
}

fn stopped() -> Error {
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
        stop: &dyn Fn() -> bool,
    ) -> Result<Outcome> {
        let local = land.ground.local;
        let lends = |o: &&Outcome| o.too_small.is_empty() && question.farthest() <= o.question.farthest() + BEYOND;
        let (sites, too_small) = match like.filter(lends) {
            Some(like) => {
                let mut small = imbl::HashSet::new();
                let sites = like.sites.iter().filter_map(|s| {
                    let reach = question.reach(s.size);
                    if reach.is_none() {
                        small.insert(s.id);
                    }
                    Some(Arc::new(s.with_radius(local.steps(reach?, s.middle()))))
                });
                (sites.collect(), small)
            }
            None => {
                let mut gathering = Gathering::new(memory, matchers, &question, local)?;
                match land.around(question.farthest() + BEYOND) {
                    Some(around) => gathering.all(around)?,
                    None => Default::default(),
                }
            }
        };
        let ground = &land.ground;
        let blind = Solver::default().each(ground, ground.pieces.iter(), &sites, stop);
        Ok(Outcome {
            blind: blind.ok_or_else(stopped)?,
            revision: memory.revision.as_ref().map_or(0, |r| r.number),
            wording: memory.wording,
            lay: memory.lay,
            question,
            land,
            sites,
            too_small,
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
            match new {
                Some((_, false)) => too_small.insert(*id),
                _ => too_small.remove(id),
            };
            let new = new.filter(|(_, counts)| *counts).map(|(site, _)| site);
            if old.as_ref().map(|s| (&s.rings, s.radius)) == new.as_ref().map(|s| (&s.rings, s.radius)) {
                continue;
            }
            touched.extend(old.iter().map(|s| s.reached()));
            touched.extend(new.iter().map(Site::reached));
            match new {
                Some(new) => sites.put(Arc::new(new)),
                None => drop(sites.take(*id)),
            }
        }
        let mut blind = self.blind.clone();
        let near = |p: &Piece| touched.iter().any(|w| meet(*w, p.window));
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
            blind,
            revision: memory.revision.as_ref().map_or(0, |r| r.number),
            wording: self.wording,
            lay: self.lay,
            spots,
            tiles: self.tiles.without(&touched),
        })
    }

    /// The revision that it is as of.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The blind spots. Cost: the first time about 1 µs a vertex.
    pub fn spots(&self) -> &Spots {
        self.spots.get_or_init(|| Spots::of(self))
    }
}

/// Components that the last revisions have changed.
#[derive(Debug, Default)]
struct Changes {
    batches: VecDeque<(i64, Vec<u64>)>,
    held: usize,
    /// The newest revision whose changes are not here.
    floor: i64,
}

/// Ids of changed components that are held.
const MAX_HELD: usize = 100_000;
/// Outcomes that are kept.
const MAX_KEPT: usize = 24;
/// Those of the past.
const MAX_PAST: usize = 4;

/// A question's place: whoever asks while it is being worked out waits for the same.
#[derive(Debug)]
struct Place {
    question: Question,
    newest: Mutex<Option<Arc<Outcome>>>,
}

#[derive(Debug, Default)]
struct Inner {
    lands: Lands,
    changes: Mutex<Changes>,
    /// The last one asked for is the last.
    places: Mutex<Vec<Arc<Place>>>,
    past: Mutex<Vec<Arc<Outcome>>>,
}

/// The outcomes that are kept. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Coverages {
    inner: Arc<Inner>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Coverages {
    /// Notes what a revision has changed. For `feed` alone, before memory is published.
    pub fn changed(&self, revision: i64, ids: &[u64]) {
        let mut changes = lock(&self.inner.changes);
        changes.held += ids.len() + 1;
        changes.batches.push_back((revision, ids.to_vec()));
        while changes.held > MAX_HELD {
            let Some((oldest, ids)) = changes.batches.pop_front() else {
                break;
            };
            changes.held -= ids.len() + 1;
            changes.floor = oldest;
        }
    }

    /// Memory was loaded anew. For `feed` alone.
    pub fn restart(&self, revision: i64) {
        *lock(&self.inner.changes) = Changes {
            floor: revision,
            ..Changes::default()
        };
        lock(&self.inner.places).clear();
    }

    /// What has changed after a revision and up to another one; none if that is not known any more.
    fn since(&self, from: i64, to: i64) -> Option<HashSet<u64>> {
        let changes = lock(&self.inner.changes);
        if from < changes.floor {
            return None;
        }
        let newer = changes
            .batches
            .iter()
            .filter(|(revision, _)| from < *revision && *revision <= to);
        Some(newer.flat_map(|(_, ids)| ids.iter().copied()).collect())
    }

    fn place(&self, question: &Question) -> (Arc<Place>, Option<Arc<Place>>) {
        let mut places = lock(&self.inner.places);
        let like = places
            .iter()
            .rev()
            .find(|p| p.question != *question && p.question.shares_sites(question))
            .cloned();
        if let Some(at) = places.iter().position(|p| p.question == *question) {
            let place = places.remove(at);
            places.push(place.clone());
            return (place, like);
        }
        if places.len() >= MAX_KEPT {
            places.remove(0);
        }
        let place = Arc::new(Place {
            question: question.clone(),
            newest: Mutex::default(),
        });
        places.push(place.clone());
        (place, like)
    }

    /// The land of a denominator; an error says that there is none.
    pub fn land(&self, memory: &Memory, of: &Denominator, within: Option<i32>) -> Result<Arc<Land>> {
        self.inner.lands.of(memory, of, within)?.ok_or_else(|| {
            let (zh, en) = (&of.title_zh, &of.title_en);
            Error::NotFound(Text::new(
                format!("登记簿中没有“{zh}”，无法计算覆盖率；请先导入用地"),
                format!("the register has no \"{en}\", so that there is no rate; import land first"),
            ))
        })
    }

    /// What a question comes to as of a memory or a newer one. Cost: O(pieces) the first time; after edits O(pieces within their reach).
    pub fn of(
        &self,
        memory: &Memory,
        matchers: &Matchers,
        question: &Question,
        stop: &dyn Fn() -> bool,
    ) -> Result<Arc<Outcome>> {
        let (place, like) = self.place(question);
        let mut newest = lock(&place.newest);
        let revision = memory.revision.as_ref().map_or(0, |r| r.number);
        if let Some(known) = newest
            .as_ref()
            .filter(|k| k.wording == memory.wording && k.lay == memory.lay)
        {
            if known.revision >= revision {
                return Ok(known.clone());
            }
            if let Some(changed) = self.since(known.revision, revision) {
                let next = Arc::new(known.after(memory, matchers, &changed)?);
                *newest = Some(next.clone());
                return Ok(next);
            }
        }
        let land = self.land(memory, &question.denominator, question.within)?;
        // Only if it is at hand: two that wait for each other would wait for ever.
        let like = like.and_then(|p| p.newest.try_lock().ok()?.clone());
        let like = like.filter(|o| o.revision == revision && o.wording == memory.wording && o.lay == memory.lay);
        let next = Arc::new(Outcome::new(
            memory,
            matchers,
            question.clone(),
            land,
            like.as_deref(),
            stop,
        )?);
        *newest = Some(next.clone());
        Ok(next)
    }

    /// A tile of what a question comes to, if both are at hand as of a memory.
    pub fn kept_tile(&self, memory: &Memory, question: &Question, tile: TileId, plane: Plane) -> Option<Arc<Body>> {
        let place = lock(&self.inner.places)
            .iter()
            .find(|p| p.question == *question)
            .cloned()?;
        let newest = place.newest.try_lock().ok()?;
        let revision = memory.revision.as_ref().map_or(0, |r| r.number);
        let fresh = |k: &&Arc<Outcome>| k.revision >= revision && k.wording == memory.wording && k.lay == memory.lay;
        newest.as_ref().filter(fresh)?.kept(tile, plane)
    }

    /// What a question comes to as of a memory of the past. A few are kept.
    pub fn then(
        &self,
        memory: &Memory,
        matchers: &Matchers,
        question: &Question,
        stop: &dyn Fn() -> bool,
    ) -> Result<Arc<Outcome>> {
        let revision = memory.revision.as_ref().map_or(0, |r| r.number);
        let same = |o: &&Arc<Outcome>| o.question == *question && o.revision == revision && o.lay == memory.lay;
        if let Some(known) = lock(&self.inner.past).iter().find(same) {
            return Ok(known.clone());
        }
        let land = self.land(memory, &question.denominator, question.within)?;
        let found = Arc::new(Outcome::new(memory, matchers, question.clone(), land, None, stop)?);
        let mut past = lock(&self.inner.past);
        if past.len() >= MAX_PAST {
            past.remove(0);
        }
        past.push(found.clone());
        Ok(found)
    }
}
