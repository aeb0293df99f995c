//! All components: one row each, found by id, by code, by place.

use std::sync::Arc;

use imbl::Vector;

use super::codes::Codes;
use super::points::{Loose, Point, Points};
use super::pyramid::{FINEST, Pyramid};
use super::row::{Found, Parties, Row, Rows};
use super::shapes::{Shape, Shapes};
use super::tally::{Tally, groups};
use crate::domain::record::Component;
use crate::domain::word::State;
use crate::spatial::packed::Packed;
use crate::spatial::tile_id::World;

/// Where components stand: points in buckets, lines and polygons in grids.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Points.
    pub points: Points,
    /// Lines and polygons.
    pub shapes: Shapes,
}

/// Every component, retired ones included. A copy shares everything with the original until one of them changes.
#[derive(Clone, Debug, Default)]
pub struct Components {
    rows: Rows,
    codes: Codes,
    schemes: Vector<Arc<str>>,
    /// What is drawn, listed and counted.
    pub live: Places,
    /// What only `state=retired` shows.
    pub retired: Places,
    /// Counts of the live points.
    pub pyramid: Pyramid,
    /// Counts of all that are live by what they lie in and belong to.
    pub tally: Tally,
}

/// Components that come all at once: cheaper than one by one, and without a gap in memory.
#[derive(Debug)]
pub struct Loading {
    all: Components,
    live: Vec<Loose>,
    retired: Vec<Loose>,
    codes: Vec<(u64, u64)>,
}

impl Loading {
    /// None yet, but about so many to come.
    pub fn with_capacity(n: usize) -> Loading {
        Loading {
            all: Components::default(),
            live: Vec::with_capacity(n),
            retired: Vec::new(),
            codes: Vec::with_capacity(n),
        }
    }

    /// Takes a component in that none before had the id of.
    pub fn add(&mut self, new: &Component) {
        let Ok(id) = u64::try_from(new.id) else { return };
        let (row, parties) = Components::row_of(new);
        self.all.set_row(id, &row, parties, new);
        let code = new.code.as_ref().map(|(_, code)| Codes::hash(code));
        self.codes.extend(code.map(|hash| (hash, id)));
        let point = Point::of(id, &row, parties.owner);
        match &new.shape {
            Some(shape) => {
                let shape = Shape::new(id, shape.clone(), Some(point.at), point.mark, ());
                self.all.places(row.state()).shapes.set(shape);
            }
            None if row.state() == State::Retired => self.retired.push(Loose::of(&point)),
            None => self.live.push(Loose::of(&point)),
        }
    }

    /// All of them, each where it belongs. Cost: about 0.2 µs a component, on two threads.
    pub fn finish(self) -> Components {
        let Loading {
            mut all,
            live,
            retired,
            codes,
        } = self;
        std::thread::scope(|scope| {
            let codes = scope.spawn(move || Codes::of(codes));
            all.tally = Tally::of(&all.rows);
            all.live.points = Points::of(live);
            all.retired.points = Points::of(retired);
            all.pyramid = Pyramid::of(&all.live.points);
            // It has panicked, as this thread does then.
            all.codes = codes.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        all
    }
}

impl Components {
    /// All rows, by id.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The component of an id.
    pub fn get(&self, id: u64) -> Option<Found<'_>> {
        self.rows.get(id)
    }

    /// The components that have a code, under whatever scheme. Cost: O(1).
    pub fn with_code(&self, code: &str) -> Vec<Found<'_>> {
        let found = self.codes.candidates(code).filter_map(|id| self.rows.get(id));
        found.filter(|f| f.has_code(code)).collect()
    }

    /// The scheme of a row's code.
    pub fn scheme(&self, row: &Row) -> Option<&str> {
        let kept = usize::from(row.scheme()).checked_sub(1)?;
        self.schemes.get(kept).map(|s| &**s)
    }

    /// The kept schemes, each with its number in [`Row::scheme`].
    pub fn schemes(&self) -> impl Iterator<Item = (u8, &str)> {
        (1u8..).zip(self.schemes.iter().map(|s| &**s))
    }

    /// The line or polygon of a component.
    pub fn shape(&self, id: u64) -> Option<&Packed> {
        self.shape_of(id).map(|shape| &shape.geometry)
    }

    fn shape_of(&self, id: u64) -> Option<&Arc<Shape>> {
        self.live.shapes.get(id).or_else(|| self.retired.shapes.get(id))
    }

    /// What a component covers on the map: an inclusive window `[min_x, min_y, max_x, max_y]` of [`World`] positions.
    pub fn window(&self, found: &Found<'_>) -> [u32; 4] {
        match found.shaped().then(|| self.shape_of(found.id)).flatten() {
            Some(shape) => shape.window,
            None => {
                let at = found.at();
                [at.x, at.y, at.x, at.y]
            }
        }
    }

    /// Takes a version in, unless it or a later one is here already. Whether it did.
    pub fn apply(&mut self, new: &Component) -> bool {
        let Ok(id) = u64::try_from(new.id) else {
            return false;
        };
        let version = u32::try_from(new.version).unwrap_or(u32::MAX);
        if self.rows.get(id).is_some_and(|old| old.version >= version) {
            return false;
        }
        self.put(id, new);
        true
    }

    /// Makes a component what it was before: of some version, or not there yet.
    pub fn revert(&mut self, id: u64, then: Option<&Component>) {
        match then {
            Some(then) => self.put(id, then),
            None => {
                self.clear(id, None);
                self.rows.remove(id);
            }
        }
    }

    /// Takes a component from its place, its counters and, where it is not to have it any more, its code.
    fn clear(&mut self, id: u64, code: Option<&str>) {
        let Some(old) = self.rows.get(id) else {
            self.note_code(id, code);
            return;
        };
        let (before, parties, old_code) = (*old.row(), old.parties(), old.code().map(|c| c.into_owned()));
        self.withdraw(&Point::of(id, &before, parties.owner), &before);
        if before.state() != State::Retired {
            self.tally.take(&before, parties);
        }
        if old_code.as_deref() != code {
            if let Some(old_code) = old_code {
                self.codes.remove(&old_code, id);
            }
            self.note_code(id, code);
        }
    }

    /// Whether a component is in the places, the counters and the codes that it has already.
    fn stays(&self, id: u64, row: &Row, parties: Parties, new: &Component) -> bool {
        let code = new.code.as_ref().map(|(_, code)| code.as_str());
        self.rows.get(id).is_some_and(|old| {
            Point::of(id, old.row(), old.parties().owner) == Point::of(id, row, parties.owner)
                && groups(old.row(), old.parties()) == groups(row, parties)
                && old.shaped() == row.shaped()
                && (!row.shaped() || self.shape(id) == new.shape.as_ref())
                && old.code().as_deref() == code
        })
    }

    fn put(&mut self, id: u64, new: &Component) {
        let (row, parties) = Components::row_of(new);
        if self.stays(id, &row, parties, new) {
            self.set_row(id, &row, parties, new);
            return;
        }
        self.clear(id, new.code.as_ref().map(|(_, code)| code.as_str()));
        self.set_row(id, &row, parties, new);
        self.place(&Point::of(id, &row, parties.owner), &row, new.shape.clone());
        if row.state() != State::Retired {
            self.tally.add(&row, parties);
        }
    }

    fn note_code(&mut self, id: u64, code: Option<&str>) {
        let rows = &self.rows;
        let hash_of = |id: u64| rows.get(id)?.code().map(|c| Codes::hash(&c));
        if let Some(code) = code {
            self.codes.add(code, id, hash_of);
        }
    }

    fn row_of(new: &Component) -> (Row, Parties) {
        let number = |n: Option<i32>| n.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let mut row = Row::new(new.at.0, new.at.1);
        row.road = number(new.road);
        row.cell = number(new.cell);
        row.class = u16::try_from(new.class).unwrap_or(0);
        row.version = u32::try_from(new.version).unwrap_or(u32::MAX);
        let row = row.in_condition(new.state, new.ownership_status).of_kind(
            new.property_kind,
            new.management_kind,
            new.shape.is_some(),
        );
        let parties = Parties {
            authority: number(new.authority),
            owner: number(new.owner),
            maintainer: number(new.maintainer),
        };
        (row, parties)
    }

    fn set_row(&mut self, id: u64, row: &Row, parties: Parties, new: &Component) {
        let code = new
            .code
            .as_ref()
            .map(|(scheme, code)| (self.keep_scheme(scheme), code.as_str()));
        self.rows.set(id, row, parties, new.name.as_deref(), code);
    }

    fn keep_scheme(&mut self, scheme: &str) -> u8 {
        let known = self.schemes.iter().position(|s| &**s == scheme);
        let place = known.unwrap_or_else(|| {
            self.schemes.push_back(scheme.into());
            self.schemes.len() - 1
        });
        u8::try_from(place + 1).unwrap_or(0)
    }

    fn places(&mut self, state: State) -> &mut Places {
        match state {
            State::Retired => &mut self.retired,
            _ => &mut self.live,
        }
    }

    fn place(&mut self, point: &Point, row: &Row, shape: Option<Packed>) {
        let places = self.places(row.state());
        match shape {
            Some(shape) => {
                let shape = Shape::new(point.id, shape, Some(point.at), point.mark, ());
                places.shapes.set(shape);
            }
            None => {
                places.points.add(point);
                if row.state() != State::Retired {
                    self.pyramid.add(point.at, point.mark, FINEST);
                }
            }
        }
    }

    fn withdraw(&mut self, point: &Point, row: &Row) {
        let places = self.places(row.state());
        if row.shaped() {
            places.shapes.take(point.id);
        } else {
            places.points.take(point);
            if row.state() != State::Retired {
                self.pyramid.take(point.at, point.mark, FINEST);
            }
        }
    }
}

/// The window of a box in degrees.
pub fn window(b: [f64; 4]) -> [u32; 4] {
    let (nw, se) = (World::at(b[0], b[3]), World::at(b[2], b[1]));
    [nw.x, nw.y, se.x, se.y]
}
