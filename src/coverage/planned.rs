//! Sites of scenarios: what is not built yet, and serves as if it were.

use std::sync::{Arc, Mutex, PoisonError};

use geo::Geometry;

use super::facility::rings_of;
use super::spots::inside;
use super::{Question, Small};
use crate::domain::rule::From;
use crate::domain::text::Fault;
use crate::error::{Error, Result};
use crate::spatial::local::Local;
use crate::spatial::overlay::{Overlay, twice, twice_all};
use crate::spatial::site::Site;

/// The numbers of the sites of a scenario: beyond those of components, and short of those of candidates.
pub const PLANNED: u64 = 1 << 63;

/// Sites of a scenario: they serve as if they were built. A point reaches as far as anything does, since nobody knows how large it will be.
#[derive(Debug)]
pub struct Planned {
    /// The scenario's number: what it holds never changes.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The layer of the rule that it was made for.
    pub layer: String,
    /// Where they are to stand, in degrees.
    pub shapes: Vec<Geometry<f64>>,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Planned) -> bool {
        self.id == other.id
    }
}

impl Planned {
    /// The sites by a question's radius, and those that are too small to count.
    pub(super) fn sites(&self, question: &Question, local: &Local) -> Result<(Vec<Arc<Site>>, Small)> {
        let mut overlay = Overlay::default();
        let (mut sites, mut small) = (Vec::new(), Small::new());
        for (id, shape) in (PLANNED..).zip(&self.shapes) {
            let point = matches!(shape, Geometry::Point(_));
            let bad = |t| Error::Invalid(vec![Fault::new("scenario", t)]);
            let mut rings = rings_of(local, &mut overlay, shape.clone()).map_err(bad)?;
            let Some(any) = rings.first().and_then(|r| r.first()).copied() else {
                continue;
            };
            let size = local.ground(twice_all(&rings).max(0), any);
            let reach = match point {
                true => Some(question.farthest()),
                false => question.reach(size),
            };
            // Where the rule takes the point that stands for a polygon, one within it does.
            if question.rule.measured_from == From::Point
                && let Some(largest) = rings.iter().max_by_key(|r| twice(r))
            {
                rings = vec![vec![inside(largest)]];
            }
            let Some(site) = Site::new(id, rings, size, local.steps(reach.unwrap_or(0.0), any)) else {
                continue;
            };
            match reach {
                Some(_) => sites.push(Arc::new(site)),
                None => drop(small.insert(id, Arc::new(site))),
            }
        }
        Ok((sites, small))
    }
}

/// Scenarios whose sites are kept at hand.
const MOST: usize = 64;

/// Scenarios that were asked for: what they hold never changes.
#[derive(Debug, Default)]
pub struct Known(Mutex<Vec<Arc<Planned>>>);

impl Known {
    /// The one of a number.
    pub fn get(&self, id: i64) -> Option<Arc<Planned>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|p| p.id == id).cloned()
    }

    /// Keeps one; beyond some, the first that was kept goes.
    pub fn put(&self, planned: Arc<Planned>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.remove(0);
        }
        known.push(planned);
    }
}
