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
pub mod tally;

use std::num::NonZeroI32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use imbl::{OrdMap, Vector};

use components::Components;
use pyramid::Mark;
use shapes::{Shape, Shapes};

use crate::domain::class::Class;
use crate::domain::record::{Area, Cell, Component, Land, Party, Record, Revision, Road};
use crate::spatial::tile_id::World;

/// Everything that memory holds, as of one revision.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The newest revision applied; none before the first.
    pub revision: Option<Revision>,
    /// Another number after every change of something other than a component, and never the same twice in a process: as long as it
    /// is the same, names mean the same, and no component has become one of a restricted class.
    pub wording: u64,
    /// Another number after every change of land, areas or cells, and never the same twice in a process.
    pub lay: u64,
    /// Components.
    pub components: Components,
    /// Classes by number.
    pub classes: OrdMap<i32, Arc<Class>>,
    /// Parties by number.
    pub parties: OrdMap<i32, Arc<Party>>,
    /// Areas by number; superseded ones are not shown. A mark's class is the number of the level.
    pub areas: Shapes<Area>,
    /// Cells by number; superseded ones are not shown.
    pub cells: Shapes<Cell>,
    /// Roads by number.
    pub roads: Shapes<Road>,
    /// Land by number; a mark's class is the place of the kind among [`Memory::land_kinds`].
    pub lands: Shapes<Land>,
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
    /// What somebody may do.
    pub grants: bool,
}

static WORDINGS: AtomicU64 = AtomicU64::new(1);

/// Grows a vector that is full by an eighth: half empty vectors would cost more than what is in them.
fn grow<T>(vec: &mut Vec<T>) {
    if vec.len() == vec.capacity() {
        vec.reserve_exact((vec.len() / 8).max(1));
    }
}

impl Memory {
    /// Takes one record in; applying it twice does nothing. Notes what it changed on the map.
    pub fn apply(&mut self, record: Record, touched: &mut Touched) {
        let lies = matches!(record, Record::Area(..) | Record::Cell(..) | Record::Land(..));
        let changed = match record {
            Record::Component(new) => {
                let schemes = self.components.schemes().count();
                let hidden = self.hides(&new);
                let applied = self.components.apply(&new);
                if applied {
                    touched.components.push(new.id.unsigned_abs());
                }
                self.components.schemes().count() != schemes || hidden && applied
            }
            Record::Area(new, outline) => {
                let shape = Shape::new(number(new.id), outline, None, kind(new.level as u16), new);
                redraw(&mut self.areas, shape, &mut touched.areas)
            }
            Record::Cell(mut new, outline) => {
                new.scheme = self.keep_word(&new.scheme);
                let shape = Shape::new(number(new.id), outline, None, kind(0), new);
                redraw(&mut self.cells, shape, &mut touched.cells)
            }
            Record::Road(new, line) => {
                let shape = Shape::new(number(new.id), line, None, kind(0), new);
                redraw(&mut self.roads, shape, &mut touched.roads)
            }
            Record::Land(mut new, outline) => {
                let class = self.land_kind(&new.kind);
                if let Some(kept) = self.land_kinds.get(usize::from(class)) {
                    new.kind = kept.clone();
                }
                let shape = Shape::new(number(new.id), outline, None, kind(class), new);
                redraw(&mut self.lands, shape, &mut touched.lands)
            }
            Record::Party(new) => {
                let new = Arc::new(new);
                let old = self.parties.insert(new.id, new.clone());
                let changed = old.as_ref() != Some(&new);
                touched.everything |= changed && old.is_some();
                changed
            }
            Record::Class(new) => {
                let changed = self.classes.insert(new.id, new.clone()) != Some(new);
                touched.everything |= changed;
                changed
            }
            // Memory holds none; whoever does looks again.
            Record::Grants => {
                touched.grants = true;
                false
            }
        };
        if changed {
            self.wording = WORDINGS.fetch_add(1, Ordering::Relaxed);
            if lies {
                self.lay = self.wording;
            }
        }
    }

    /// Makes a component what it was before: of some version, or not there yet.
    pub fn revert(&mut self, id: u64, then: Option<&Component>) {
        let schemes = self.components.schemes().count();
        self.components.revert(id, then);
        if self.components.schemes().count() != schemes {
            self.wording = WORDINGS.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a version makes one that everybody could see one of a restricted class.
    fn hides(&self, new: &Component) -> bool {
        let old = self.components.get(new.id.unsigned_abs());
        old.is_some_and(|old| i32::from(old.class) != new.class) && self.restricts(new.class)
    }

    /// Whether a class is a restricted one.
    pub fn restricts(&self, class: i32) -> bool {
        self.classes.get(&class).is_some_and(|c| c.restricted)
    }

    /// The versions that memory holds of some components, each with its id.
    pub fn versions(&self, ids: &[i64]) -> Vec<(i64, i64)> {
        let version = |id: &i64| Some((*id, i64::from(self.components.get(id.unsigned_abs())?.version)));
        ids.iter().filter_map(version).collect()
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
    pub fn area(&self, code: &str) -> Option<&Shape<Area>> {
        self.areas.iter().find(|a| a.shown && a.what.code == code).map(|a| &**a)
    }

    /// The community, street and district that a cell lies in, by the code of its community or by place.
    pub fn areas_of_cell(&self, cell: u32) -> Vec<&Area> {
        let community = i32::try_from(cell)
            .ok()
            .and_then(|c| self.cells.what(c)?.area)
            .map(NonZeroI32::get);
        let Some(community) = community.and_then(|a| self.areas.what(a)) else {
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
        let near = self.areas.touching([at.x, at.y, at.x, at.y]).into_iter();
        near.filter(move |s| s.geometry.unpack().intersects(&point))
            .map(|s| &s.what)
    }
}

/// The number of a thing that is no component; they begin at 1.
fn number(id: i32) -> u64 {
    u64::try_from(id).unwrap_or(0)
}

/// The mark of a thing that is no component.
fn kind(class: u16) -> Mark {
    Mark {
        class,
        ..Mark::default()
    }
}

/// Puts a shape in place of the one with its number. Whether that changed anything, and where on the map.
fn redraw<T: PartialEq>(all: &mut Shapes<T>, new: Shape<T>, touched: &mut Vec<[u32; 4]>) -> bool {
    if all.get(new.id).is_some_and(|old| **old == new) {
        return false;
    }
    touched.extend(all.take(new.id).filter(|s| s.shown).map(|s| s.window));
    touched.extend(Some(new.window).filter(|_| new.shown));
    all.set(new);
    true
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
    pub fn publish(&self, new: Arc<Memory>) -> Arc<Memory> {
        self.memory.swap(new)
    }
}
