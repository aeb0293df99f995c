//! The facilities that count by a question, out of memory.

use std::sync::Arc;

use geo::{Geometry, LineString};

use hashbrown::HashSet;

use super::{Outcome, Question, Small, land, rules};
use crate::domain::rule::From;
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::index::components::window;
use crate::index::points::Point;
use crate::index::row::Found;
use crate::query::matcher::{Matcher, Matchers};
use crate::spatial::local::Local;
use crate::spatial::overlay::{Dot, Overlay, Ring, grown, twice_all};
use crate::spatial::site::{Site, Sites};
use crate::tile::layer;

/// More facilities than these are too many for one analysis.
const MAX_SITES: usize = 500_000;

/// What counts as an entrance by a question's rule; none where distance is measured from something else.
fn entrances(memory: &Memory, matchers: &Matchers, question: &Question) -> Result<Option<Arc<Matcher>>> {
    let Some(of) = &question.rule.entrances else {
        return Ok(None);
    };
    let id = &question.rule.id;
    let layer =
        layer::get(&of.layer).ok_or_else(|| Error::internal(format!("rule {id} names no layer: {}", of.layer)))?;
    let filter = of.filter.as_deref().map(|text| rules::filter(id, text)).transpose()?;
    Ok(Some(matchers.of(memory, layer, filter.as_ref(), &question.rights)))
}

/// Whether one of some components is an entrance, or may have been one.
pub(super) fn has_entrance(
    memory: &Memory,
    matchers: &Matchers,
    question: &Question,
    changed: &HashSet<u64>,
    known: &Outcome,
) -> Result<bool> {
    let Some(matcher) = entrances(memory, matchers, question)? else {
        return Ok(false);
    };
    let now = |id: &u64| memory.components.get(*id).is_none_or(|f| matcher.class(f.class));
    let maybe = |id: &u64| known.doors.contains(id) || now(id);
    Ok(changed.iter().any(maybe))
}

/// A geometry of degrees as a site has it: a point, a line there and back, or what polygons enclose.
pub fn rings_of(local: &Local, overlay: &mut Overlay, shape: Geometry<f64>) -> Result<Vec<Ring>, Text> {
    let line = |line: &LineString<f64>| -> Result<Ring, Text> {
        let there = line
            .0
            .iter()
            .map(|c| local.to(c.x, c.y))
            .collect::<Result<Ring, Text>>()?;
        let back = there.iter().rev().skip(1).take(there.len().saturating_sub(2));
        Ok(there.iter().chain(back).copied().collect())
    };
    match shape {
        Geometry::Point(p) => Ok(vec![vec![local.to(p.x(), p.y())?]]),
        Geometry::LineString(l) => Ok(vec![line(&l)?]),
        Geometry::MultiLineString(m) => m.0.iter().map(line).collect(),
        geometry => {
            let polygons = land::polygons(geometry);
            let lines = polygons
                .iter()
                .flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()));
            let rings = lines.map(|l| local.ring(l)).collect::<Result<Vec<Ring>, Text>>()?;
            Ok(overlay.clean(&rings))
        }
    }
}

/// Facilities as memory has them.
pub(super) struct Gathering<'a> {
    memory: &'a Memory,
    question: &'a Question,
    matcher: Arc<Matcher>,
    entrances: Option<Arc<Matcher>>,
    /// The entrances that were found.
    pub(super) used: imbl::HashSet<u64>,
    local: Local,
    overlay: Overlay,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(
        memory: &'a Memory,
        matchers: &Matchers,
        question: &'a Question,
        local: Local,
    ) -> Result<Gathering<'a>> {
        let layer = layer::get(&question.rule.layer).ok_or_else(|| {
            let layer = &question.rule.layer;
            Error::internal(format!("rule {} names no layer: {layer}", question.rule.id))
        })?;
        Ok(Gathering {
            memory,
            question,
            entrances: entrances(memory, matchers, question)?,
            used: imbl::HashSet::new(),
            matcher: matchers.of(memory, layer, question.filter.as_ref(), &question.rights),
            local,
            overlay: Overlay::default(),
        })
    }

    /// The facility that a component is; none if it does not count. A size too small has no radius.
    pub(super) fn site(&mut self, found: &Found<'_>) -> Option<(Arc<Site>, bool)> {
        if !self.matcher.shows(found) || !self.question.states.contains(&found.state()) {
            return None;
        }
        let mut rings = self.rings(found)?;
        let any = *rings.first()?.first()?;
        let size = self.local.ground(twice_all(&rings).max(0), any);
        let reach = self.question.reach(size);
        if let Some(doors) = self.doors(found, &rings) {
            rings = doors;
        }
        let site = Site::new(found.id, rings, size, self.local.steps(reach.unwrap_or(0.0), any))?;
        Some((Arc::new(site), reach.is_some()))
    }

    /// The entrances of a facility; none where none are known.
    fn doors(&mut self, found: &Found<'_>, rings: &[Ring]) -> Option<Vec<Ring>> {
        let (matcher, of) = (self.entrances.clone()?, self.question.rule.entrances.as_ref()?);
        let own = Site::new(found.id, rings.to_vec(), 0.0, 0.0)?;
        let within = self.local.steps(of.within, own.middle());
        let around = grown(own.reached(), within.ceil() as i32);
        let (low, high) = (Dot::new(around[0], around[1]), Dot::new(around[2], around[3]));
        let ((w, s), (e, n)) = (self.local.back(low).ok()?, self.local.back(high).ok()?);
        let (mut doors, mut used) = (Vec::new(), Vec::new());
        let components = &self.memory.components;
        let mut look = |p: &Point| {
            let door = components
                .get(p.id)
                .filter(|f| matcher.shows(f) && self.question.states.contains(&f.state()));
            let at = door.and_then(|f| self.local.to(f.lon, f.lat).ok());
            if let Some(at) = at.filter(|at| own.away(*at) <= within) {
                doors.push(vec![at]);
                used.push(p.id);
            }
        };
        components
            .live
            .points
            .visit(window([w, s, e, n]), |class| matcher.class(class), &mut look);
        self.used.extend(used);
        (!doors.is_empty()).then_some(doors)
    }

    fn rings(&mut self, found: &Found<'_>) -> Option<Vec<Ring>> {
        let point = |g: &Gathering<'_>| Some(vec![vec![g.local.to(found.lon, found.lat).ok()?]]);
        let shape = (found.shaped() && self.question.rule.measured_from != From::Point)
            .then(|| self.memory.components.shape(found.id))
            .flatten();
        let Some(shape) = shape else { return point(self) };
        let rings = rings_of(&self.local, &mut self.overlay, shape.unpack()).ok()?;
        Some(rings).filter(|r| !r.is_empty()).or_else(|| point(self))
    }

    /// All facilities in a box of degrees.
    pub(super) fn all(&mut self, around: [f64; 4]) -> Result<(Sites, Small)> {
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
        let (mut sites, mut small) = (Vec::with_capacity(ids.len()), Small::new());
        for id in ids {
            match components.get(id).and_then(|found| self.site(&found)) {
                Some((site, true)) => sites.push(site),
                Some((site, false)) => drop(small.insert(id, site)),
                None => {}
            }
        }
        Ok((sites.into_iter().collect(), small))
    }
}
