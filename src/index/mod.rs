//! The copy of the register in memory. It can be rebuilt from the store at any time, and only `feed` writes it.
pub mod components;
pub mod points;
pub mod row;
pub mod shapes;
pub mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use components::{Components, Touch, window};
use shapes::Shapes;

use crate::domain::class::Class;
use crate::domain::record::{Area, Cell, Land, Party, Record, Revision, Road};

/// Everything that memory holds, as of one revision.
#[derive(Debug, Default)]
pub struct Memory {
    /// The newest revision applied; none before the first.
    pub revision: Option<Revision>,
    /// Components.
    pub components: Components,
    /// Classes by number.
    pub classes: BTreeMap<i32, Arc<Class>>,
    /// Parties by number.
    pub parties: BTreeMap<i32, Party>,
    /// Areas by number.
    pub areas: BTreeMap<i32, Area>,
    /// Cells by number.
    pub cells: BTreeMap<i32, Cell>,
    /// Roads by number.
    pub roads: BTreeMap<i32, Road>,
    /// Land by number.
    pub lands: BTreeMap<i32, Land>,
    /// Outlines of valid areas.
    pub area_shapes: Shapes,
    /// Outlines of valid cells.
    pub cell_shapes: Shapes,
    /// Centre lines.
    pub road_shapes: Shapes,
    /// Outlines of land.
    pub land_shapes: Shapes,
}

/// What a record changed on the map, for the cache to drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// Components of a class inside a window.
    Component(Touch),
    /// Areas inside a window.
    Area([u32; 4]),
    /// Cells inside a window.
    Cell([u32; 4]),
    /// Roads inside a window.
    Road([u32; 4]),
    /// Land inside a window.
    Land([u32; 4]),
    /// Something that any tile may show: a class or a party.
    Everything,
}

impl Memory {
    /// Takes one record in; applying it twice does nothing. Answers what it touched on the map.
    pub fn apply(&mut self, record: &Record) -> Vec<Touched> {
        match record {
            Record::Component(new) => self
                .components
                .apply(new)
                .into_iter()
                .flatten()
                .map(Touched::Component)
                .collect(),
            Record::Area(new) => {
                let old = self.areas.insert(new.id, (**new).clone());
                if old.as_ref() == Some(new) {
                    return Vec::new();
                }
                redraw(
                    &mut self.area_shapes,
                    new.id,
                    new.valid.then(|| new.geometry.clone()),
                    Touched::Area,
                )
            }
            Record::Cell(new) => {
                let old = self.cells.insert(new.id, (**new).clone());
                if old.as_ref() == Some(new) {
                    return Vec::new();
                }
                redraw(
                    &mut self.cell_shapes,
                    new.id,
                    new.valid.then(|| new.geometry.clone()),
                    Touched::Cell,
                )
            }
            Record::Road(new) => {
                let old = self.roads.insert(new.id, (**new).clone());
                if old.as_ref() == Some(new) {
                    return Vec::new();
                }
                redraw(&mut self.road_shapes, new.id, Some(new.geometry.clone()), Touched::Road)
            }
            Record::Land(new) => {
                let old = self.lands.insert(new.id, (**new).clone());
                if old.as_ref() == Some(new) {
                    return Vec::new();
                }
                redraw(&mut self.land_shapes, new.id, Some(new.geometry.clone()), Touched::Land)
            }
            Record::Party(new) => {
                let old = self.parties.insert(new.id, new.clone());
                if old.is_none_or(|old| old == *new) {
                    Vec::new()
                } else {
                    vec![Touched::Everything]
                }
            }
            Record::Class(new) => {
                let old = self.classes.insert(new.id, new.clone());
                if old.is_some_and(|old| old == *new) {
                    Vec::new()
                } else {
                    vec![Touched::Everything]
                }
            }
        }
    }

    /// The area of a code.
    pub fn area(&self, code: &str) -> Option<&Area> {
        self.areas.values().find(|a| a.valid && a.code == code)
    }

    /// The community, street and district that a cell lies in, by the code of its community or by place.
    pub fn areas_of_cell(&self, cell: u32) -> Vec<&Area> {
        let community = i32::try_from(cell)
            .ok()
            .and_then(|c| self.cells.get(&c))
            .and_then(|c| c.area);
        let Some(community) = community.and_then(|a| self.areas.get(&a)) else {
            return Vec::new();
        };
        let mut found: Vec<&Area> = self
            .areas_at(community.at)
            .filter(|a| a.level != community.level)
            .collect();
        found.push(community);
        found
    }

    /// The valid areas that cover a position in degrees.
    pub fn areas_at(&self, (lon, lat): (f64, f64)) -> impl Iterator<Item = &Area> {
        use geo::Intersects;
        let point = geo::Point::new(lon, lat);
        let near = self.area_shapes.touching([lon, lat, lon, lat]);
        near.filter(move |(_, s)| s.geometry.intersects(&point))
            .filter_map(|(id, _)| self.areas.get(&i32::try_from(id).ok()?))
    }
}

fn redraw(
    shapes: &mut Shapes,
    id: i32,
    geometry: Option<Arc<geo::Geometry<f64>>>,
    touched: fn([u32; 4]) -> Touched,
) -> Vec<Touched> {
    let Ok(key) = u32::try_from(id) else {
        return Vec::new();
    };
    let old = shapes.take(key).map(|s| s.bounds);
    let new = geometry.and_then(|g| {
        shapes.set(key, g);
        shapes.get(key).map(|s| s.bounds)
    });
    [old, new].into_iter().flatten().map(|b| touched(window(b))).collect()
}

/// The shared handle. Readers hold it for the time of one answer; the feed holds it for one small batch of changes.
#[derive(Clone, Debug, Default)]
pub struct Index {
    memory: Arc<RwLock<Memory>>,
}

impl Index {
    /// Memory as it is now. Never hold it across an await.
    pub fn read(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For `feed` alone.
    pub fn write(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }
}
