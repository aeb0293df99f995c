//! All components: one row each, found by id, by code, by place.

use std::hash::BuildHasher;
use std::sync::Arc;

use geo::Geometry;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::points::{Entry, Points};
use super::row::{CodeKey, CodeText, Row};
use super::shapes::Shapes;
use super::text::Texts;
use crate::domain::record::Component;
use crate::domain::word::State;
use crate::spatial::tile_id::World;

/// Where components stand: points in buckets, lines and polygons in a tree, keyed by slot.
#[derive(Debug, Default)]
pub struct Places {
    /// Points.
    pub points: Points,
    /// Lines and polygons.
    pub shapes: Shapes,
}

/// What an edit touched on the map: the box of the component before or after it, if it is drawn at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// `[min_x, min_y, max_x, max_y]` of [`World`] positions, inclusive.
    pub window: [u32; 4],
    /// Its class.
    pub class: u16,
}

/// Every component, retired ones included.
#[derive(Debug, Default)]
pub struct Components {
    rows: Vec<Row>,
    by_id: HashTable<u32>,
    by_code: HashTable<u32>,
    hasher: DefaultHashBuilder,
    names: Texts,
    codes: Texts,
    schemes: Texts,
    /// What is drawn, listed and counted.
    pub live: Places,
    /// What only `state=retired` shows.
    pub retired: Places,
}

impl Components {
    /// Makes room for so many components at once.
    pub fn reserve(&mut self, n: usize) {
        let (rows, hasher) = (&self.rows, &self.hasher);
        self.by_id.reserve(n, |s| hasher.hash_one(rows[*s as usize].id));
        self.by_code.reserve(n, |s| hasher.hash_one(rows[*s as usize].code));
        self.rows.reserve(n);
    }

    /// All rows; the position in this slice is the slot.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of a slot.
    pub fn row(&self, slot: u32) -> Option<&Row> {
        self.rows.get(slot as usize)
    }

    /// The slot of an id. Cost: O(1).
    pub fn slot(&self, id: i64) -> Option<u32> {
        let id = u64::try_from(id).ok()?;
        self.by_id
            .find(self.hasher.hash_one(id), |s| self.rows[*s as usize].id == id)
            .copied()
    }

    /// The slots of a code under any scheme. Cost: O(1).
    pub fn slots_of_code(&self, code: &str) -> Vec<u32> {
        let text = self.codes.find(code).map(CodeKey::text);
        let keys = [CodeKey::digits(code), text];
        let slots = keys.into_iter().flatten().flat_map(|key| {
            self.by_code
                .iter_hash(self.hasher.hash_one(key))
                .filter(move |s| self.rows[**s as usize].code == key)
        });
        slots.copied().collect()
    }

    /// Scheme and code of a row.
    pub fn code(&self, row: &Row) -> Option<(&str, String)> {
        let code = match row.code.read() {
            CodeText::None => return None,
            CodeText::Digits(n) => format!("{n:016}"),
            CodeText::Text(n) => self.codes.get(n)?.to_owned(),
        };
        Some((self.schemes.get(u32::from(row.scheme))?, code))
    }

    /// The name of a row.
    pub fn name(&self, row: &Row) -> Option<&str> {
        self.names.get(row.name)
    }

    /// The kept names that contain a text.
    pub fn names_containing(&self, part: &str) -> hashbrown::HashSet<u32> {
        self.names.containing(part)
    }

    /// The line or polygon of a slot.
    pub fn shape(&self, slot: u32) -> Option<&Arc<Geometry<f64>>> {
        let shape = self.live.shapes.get(slot).or_else(|| self.retired.shapes.get(slot))?;
        Some(&shape.geometry)
    }

    /// Takes a version in, unless it or a later one is here already. Answers what it touched on the map:
    /// before, and after; nothing if it draws the same.
    pub fn apply(&mut self, new: &Component) -> [Option<Touch>; 2] {
        let Ok(id) = u64::try_from(new.id) else {
            return [None, None];
        };
        let version = u32::try_from(new.version).unwrap_or(u32::MAX);
        let known = self.slot(new.id);
        let before = known.and_then(|slot| {
            let row = self.rows[slot as usize];
            if row.version >= version {
                None
            } else {
                Some(self.withdraw(slot, &row))
            }
        });
        if known.is_some() && before.is_none() {
            return [None, None];
        }
        let drawn = known.and_then(|slot| self.rows.get(slot as usize)).map(Row::drawn);
        let row = self.row_of(id, version, new);
        let slot = match known {
            Some(slot) => {
                self.rows[slot as usize] = row;
                slot
            }
            None => {
                let slot = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
                self.rows.push(row);
                let (rows, hasher) = (&self.rows, &self.hasher);
                self.by_id
                    .insert_unique(hasher.hash_one(id), slot, |s| hasher.hash_one(rows[*s as usize].id));
                slot
            }
        };
        let after = self.place(slot, &row, new.shape.clone());
        if drawn == Some(row.drawn()) && !row.shaped {
            return [None, None];
        }
        [before.flatten(), after]
    }

    fn row_of(&mut self, id: u64, version: u32, new: &Component) -> Row {
        let number = |n: Option<i32>| n.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let (scheme, code) = match &new.code {
            None => (0, CodeKey::default()),
            Some((scheme, code)) => {
                let key = CodeKey::digits(code).unwrap_or_else(|| CodeKey::text(self.codes.keep(Some(code))));
                (u8::try_from(self.schemes.keep(Some(scheme))).unwrap_or(0), key)
            }
        };
        Row {
            lon: new.at.0,
            lat: new.at.1,
            id,
            code,
            name: self.names.keep(new.name.as_deref()),
            road: number(new.road),
            cell: number(new.cell),
            authority: number(new.authority),
            owner: number(new.owner),
            maintainer: number(new.maintainer),
            version,
            class: u16::try_from(new.class).unwrap_or(0),
            scheme,
            state: new.state,
            ownership: new.ownership_status,
            property: new.property_kind,
            management: new.management_kind,
            shaped: new.shape.is_some(),
        }
    }

    fn places(&mut self, state: State) -> &mut Places {
        if state == State::Retired {
            &mut self.retired
        } else {
            &mut self.live
        }
    }

    fn place(&mut self, slot: u32, row: &Row, shape: Option<Arc<Geometry<f64>>>) -> Option<Touch> {
        if row.code != CodeKey::default() {
            let (rows, hasher) = (&self.rows, &self.hasher);
            self.by_code.insert_unique(hasher.hash_one(row.code), slot, |s| {
                hasher.hash_one(rows[*s as usize].code)
            });
        }
        let at = World::at(row.lon, row.lat);
        let (class, state, ownership) = (row.class, row.state as u8, row.ownership as u8);
        let places = self.places(row.state);
        let window = match shape {
            None => {
                places.points.add(Entry {
                    slot,
                    at,
                    class,
                    state,
                    ownership,
                });
                [at.x, at.y, at.x, at.y]
            }
            Some(shape) => {
                places.shapes.set(slot, shape);
                window(places.shapes.get(slot)?.bounds)
            }
        };
        (row.state != State::Retired).then_some(Touch { window, class })
    }

    /// Takes a row out of every structure but the rows. Answers what it had covered on the map.
    fn withdraw(&mut self, slot: u32, row: &Row) -> Option<Touch> {
        let hash = self.hasher.hash_one(row.code);
        if let Ok(found) = self.by_code.find_entry(hash, |s| *s == slot) {
            found.remove();
        }
        let at = World::at(row.lon, row.lat);
        let places = self.places(row.state);
        let window = if row.shaped {
            window(places.shapes.take(slot)?.bounds)
        } else {
            places.points.take(slot, at);
            [at.x, at.y, at.x, at.y]
        };
        (row.state != State::Retired).then_some(Touch {
            window,
            class: row.class,
        })
    }
}

/// The window of a box in degrees.
pub fn window(b: [f64; 4]) -> [u32; 4] {
    let (nw, se) = (World::at(b[0], b[3]), World::at(b[2], b[1]));
    [nw.x, nw.y, se.x, se.y]
}
