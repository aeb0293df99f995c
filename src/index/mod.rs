//! The copy of the register in memory. It can be rebuilt from the store at any time, and only `feed` writes it.
//!
//! Every structure here is persistent: a copy of [`Memory`] costs nothing and shares all with the original until one of them
//! changes. So the feed changes a copy and puts it in place of the old one, and readers keep what they began with: nobody waits.
pub mod codes;
pub mod components;
pub mod paged;
pub mod points;
pub mod pyramid;
pub mod row;
pub mod shapes;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use imbl::{OrdMap, Vector};

use components::Components;
use pyramid::Mark;
use shapes::Shapes;

use crate::domain::class::Class;
use crate::domain::record::{Area, Cell, Land, Party, Record, Revision, Road};
use crate::spatial::packed::Packed;
use crate::spatial::tile_id::World;

/// Everything that memory holds, as of one revision.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The newest revision applied; none before the first.
    pub revision: Option<Revision>,
    /// Another number after every change of something other than a component, and never the same twice in a process: as long as it
    /// is the same, names mean the same.
    pub wording: u64,
    /// Components.
    pub components: Components,
    /// Classes by number.
    pub classes: OrdMap<i32, Arc<Class>>,
    /// Parties by number.
    pub parties: OrdMap<i32, Arc<Party>>,
    /// Areas by number.
    pub areas: OrdMap<i32, Arc<Area>>,
    /// Cells by number.
    pub cells: OrdMap<i32, Arc<Cell>>,
    /// Roads by number.
    pub roads: OrdMap<i32, Arc<Road>>,
    /// Land by number.
    pub lands: OrdMap<i32, Arc<Land>>,
    /// Outlines of valid areas; a mark's class is the number of the level.
    pub area_shapes: Shapes,
    /// Outlines of valid cells.
    pub cell_shapes: Shapes,
    /// Centre lines.
    pub road_shapes: Shapes,
    /// Outlines of land; a mark's class is the place of the kind among [`Memory::land_kinds`].
    pub land_shapes: Shapes,
    /// The kinds of land.
    pub land_kinds: Vector<Arc<str>>,
    /// Words that many things share, kept once.
    pub words: Vector<Arc<str>>,
}

/// What some records changed on the map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Touched {
    /// Components.
    pub components: Vec<u64>,
    /// Windows of areas.
    pub areas: Vec<[u32; 4]>,
    /// Windows of cells.
    pub cells: Vec<[u32; 4]>,
    /// Windows of roads.
    pub roads: Vec<[u32; 4]>,
    /// Windows of land.
    pub lands: Vec<[u32; 4]>,
    /// Something that any tile may show: a class or a party.
    pub everything: bool,
}

static WORDINGS: AtomicU64 = AtomicU64::new(1);

/// Grows a vector that is full by an eighth: half empty vectors would cost more than what is in them.
fn grow<T>(vec: &mut Vec<T>) {
    if vec.len() == vec.capacity() {
        vec.reserve_exact((vec.len() / 8).max(1));
    }
}

/// Puts a record in place of the one with its number. Whether it says something else.
fn replace<T: PartialEq>(all: &mut OrdMap<i32, Arc<T>>, id: i32, new: Arc<T>) -> bool
where
    Arc<T>: Clone,
{
    let old = all.insert(id, new.clone());
    old.is_none_or(|old| old != new)
}

impl Memory {
    /// Takes one record in; applying it twice does nothing. Notes what it changed on the map.
    pub fn apply(&mut self, record: &Record, touched: &mut Touched) {
        match record {
            Record::Component(new) => {
                let schemes = self.components.schemes().count();
                if self.components.apply(new) {
                    touched.components.push(new.id.unsigned_abs());
                }
                if self.components.schemes().count() != schemes {
                    self.wording = WORDINGS.fetch_add(1, Ordering::Relaxed);
                }
            }
            Record::Area(new) => {
                if replace(&mut self.areas, new.id, Arc::new((**new).clone())) {
                    self.wording = WORDINGS.fetch_add(1, Ordering::Relaxed);
                    let shape = new.valid.then(|| new.geometry.clone());
                    let class = new.level as u16;
                    redraw(&mut self.area_shapes, new.id, shape, class, &mut touched.areas);
                }
            }
            Record::Cell(new) => {
                let new = Cell {
                    scheme: self.keep_word(&new.scheme),
                    ..(**new).clone()
                };
                if replace(&mut self.cells, new.id, Arc::new(new.clone())) {
                    self.wording = WORDINGS.fetch_add(1, Ordering::Relaxed);
                    let shape = new.valid.then(|| new.geometry.clone());
                    redraw(&mut self.cell_shapes, new.id, shape, 0, &mut touched.cells);
                }
            }
            Record::Road(new) => {
                if replace(&mut self.roads, new.id, Arc::new((**new).clone())) {
                    self.wording = WORDINGS.fetch_add(1, Ordering::Relaxed);
                    let shape = Some(new.geometry.clone());
                    redraw(&mut self.road_shapes, new.id, shape, 0, &mut touched.roads);
                }
            }
            Record::Land(new) => {
                let class = self.land_kind(&new.kind);
                let new = Land {
                    kind: self.land_kinds.get(usize::from(class)).unwrap_or(&new.kind).clone(),
                    ..(**new).clone()
                };
                if replace(&mut self.lands, new.id, Arc::new(new.clone())) {
                    self.wording = WORDINGS.fetch_add(1, Ordering::Relaxed);
                    let shape = Some(new.geometry.clone());
                    redraw(&mut self.land_shapes, new.id, shape, class, &mut touched.lands);
                }
            }
            Record::Party(new) => {
                let known = self.parties.contains_key(&new.id);
                if replace(&mut self.parties, new.id, Arc::new(new.clone())) {
                    self.wording = WORDINGS.fetch_add(1, Ordering::Relaxed);
                    touched.everything |= known;
                }
            }
            Record::Class(new) => {
                if replace(&mut self.classes, new.id, new.clone()) {
                    self.wording = WORDINGS.fetch_add(1, Ordering::Relaxed);
                    touched.everything = true;
                }
            }
        }
    }

    /// A word that many things share, kept once.
    fn keep_word(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.words.iter().find(|w| &***w == word) {
            return known.clone();
        }
        let word: Arc<str> = word.into();
        self.words.push_back(word.clone());
        word
    }

    fn land_kind(&mut self, kind: &str) -> u16 {
        let known = self.land_kinds.iter().position(|k| &**k == kind);
        let place = known.unwrap_or_else(|| {
            self.land_kinds.push_back(kind.into());
            self.land_kinds.len() - 1
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// The area of a code.
    pub fn area(&self, code: &str) -> Option<&Area> {
        self.areas.values().find(|a| a.valid && a.code == code).map(|a| &**a)
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
        let at = World::at(lon, lat);
        let near = self.area_shapes.touching([at.x, at.y, at.x, at.y]).into_iter();
        near.filter(move |s| s.geometry.unpack().intersects(&point))
            .filter_map(|s| self.areas.get(&i32::try_from(s.id).ok()?))
            .map(|a| &**a)
    }
}

fn redraw(shapes: &mut Shapes, id: i32, new: Option<Packed>, class: u16, touched: &mut Vec<[u32; 4]>) {
    let Ok(id) = u64::try_from(id) else { return };
    let old = shapes.take(id).map(|s| s.window);
    let new = new.and_then(|geometry| {
        let w = shapes::window(&geometry)?;
        let at = World {
            x: w[0] + (w[2] - w[0]) / 2,
            y: w[1] + (w[3] - w[1]) / 2,
        };
        let mark = Mark {
            class,
            ..Mark::default()
        };
        shapes.set(id, geometry, at, mark);
        Some(w)
    });
    touched.extend([old, new].into_iter().flatten());
}

/// The shared handle.
#[derive(Clone, Debug, Default)]
pub struct Index {
    memory: Arc<ArcSwap<Memory>>,
}

impl Index {
    /// Memory as it is now; it stays as it is for as long as it is held. Never waits.
    pub fn read(&self) -> Arc<Memory> {
        self.memory.load_full()
    }

    /// Puts a new memory in place of the old one, and answers that. For `feed` alone.
    pub fn publish(&self, new: Memory) -> Arc<Memory> {
        self.memory.swap(Arc::new(new))
    }
}
