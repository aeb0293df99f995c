//! Whether a tile is a vector tile: the Mapbox Vector Tile specification 2.1, read strictly. In brackets, its sections.

use std::collections::HashSet;

use super::wire::{Wire, fields, packed};

/// What is wrong with a tile.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// It breaks a MUST of the specification.
    Breach(String),
    /// It is allowed, or only a SHOULD speaks against it, but Lamppost never writes it.
    Habit(String),
}

use Fault::{Breach, Habit};

/// How far around the tile our coordinates may lie.
const BUFFER: i64 = 256;
const EXTENT: i64 = 4096;

/// Every fault of a tile, with the place where it is.
pub fn faults(tile: &[u8]) -> Vec<Fault> {
    let mut check = Check::default();
    if let Err(fault) = check.tile(tile) {
        check.faults.push(Breach(fault));
    }
    check.faults
}

#[derive(Default)]
struct Check {
    faults: Vec<Fault>,
}

/// Takes the only value of a field that may occur once.
fn once<T>(slot: &mut Option<T>, value: T, what: &str) -> Result<(), String> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{what} occurs twice")),
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|e| e.to_string())
}

impl Check {
    fn breach(&mut self, broken: bool, fault: impl FnOnce() -> String) {
        if broken {
            self.faults.push(Breach(fault()));
        }
    }

    fn habit(&mut self, broken: bool, fault: impl FnOnce() -> String) {
        if broken {
            self.faults.push(Habit(fault()));
        }
    }

    fn tile(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut names = HashSet::new();
        for (number, value) in fields(bytes)? {
            match (number, value) {
                (3, Wire::Bytes(layer)) => {
                    let name = self.layer(layer)?;
                    // [4.1]
                    self.breach(!names.insert(name), || format!("two layers are named {name}"));
                }
                (3, other) => return Err(format!("a layer is {other:?}")),
                // [3.2] Extensions may be there.
                (other, _) => self.habit(true, || format!("the tile has a field {other}")),
            }
        }
        Ok(())
    }

    fn layer<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a str, String> {
        let (mut name, mut version, mut extent) = (None, None, None);
        let (mut features, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (number, value) in fields(bytes)? {
            match (number, value) {
                (15, Wire::Varint(n)) => once(&mut version, n, "the version")?,
                (1, Wire::Bytes(b)) => once(&mut name, text(b)?, "the name")?,
                (2, Wire::Bytes(b)) => features.push(b),
                (3, Wire::Bytes(b)) => keys.push(text(b)?),
                (4, Wire::Bytes(b)) => {
                    self.value(b)?;
                    values.push(b);
                }
                (5, Wire::Varint(n)) => once(&mut extent, n, "the extent")?,
                (1..=5 | 15, other) => return Err(format!("field {number} of a layer is {other:?}")),
                (other, _) => self.habit(true, || format!("a layer has a field {other}")),
            }
        }
        // [4.1] A layer has a name and a version; an extent is read as 4096 where there is none.
        let name = name.ok_or("a layer has no name")?;
        let version = version.ok_or("a layer has no version")?;
        self.breach(!(1..=2).contains(&version), || {
            format!("{name} is of version {version}")
        });
        self.habit(version != 2, || format!("{name} is of version {version}"));
        self.habit(extent != Some(EXTENT as u64), || {
            format!("{name} has the extent {extent:?}")
        });
        self.habit(features.is_empty(), || format!("{name} has no feature"));
        let different = keys.iter().collect::<HashSet<_>>().len();
        self.habit(different < keys.len(), || format!("{name} has a key twice"));
        let different = values.iter().collect::<HashSet<_>>().len();
        self.habit(different < values.len(), || format!("{name} has a value twice"));
        let (mut ids, mut used) = (HashSet::new(), vec![false; values.len()]);
        for feature in features {
            if let Some(id) = self.feature(feature, keys.len(), &mut used)? {
                // [4.2] The id SHOULD be unique.
                self.habit(!ids.insert(id), || format!("{name} has two features {id}"));
                self.habit(id > 1 << 53, || format!("{id} is too large for JavaScript"));
            }
        }
        self.habit(used.contains(&false), || {
            format!("{name} has a value that no feature has")
        });
        Ok(name)
    }

    /// [4.1] Exactly one value of a known kind.
    fn value(&mut self, bytes: &[u8]) -> Result<(), String> {
        match fields(bytes)?[..] {
            [(1, Wire::Bytes(b))] => text(b).map(|_| ()),
            [(2, Wire::Fixed32) | (3, Wire::Fixed64) | (4..=7, Wire::Varint(_))] => Ok(()),
            ref other => Err(format!("a value is {other:?}")),
        }
    }

    fn feature(&mut self, bytes: &[u8], keys: usize, used: &mut [bool]) -> Result<Option<u64>, String> {
        let (mut id, mut tags, mut kind, mut geometry) = (None, None, None, None);
        for (number, value) in fields(bytes)? {
            match (number, value) {
                (1, Wire::Varint(n)) => once(&mut id, n, "an id")?,
                (2, Wire::Bytes(b)) => once(&mut tags, packed(b)?, "tags")?,
                (3, Wire::Varint(n)) => once(&mut kind, n, "a type")?,
                (4, Wire::Bytes(b)) => once(&mut geometry, packed(b)?, "a geometry")?,
                (1..=4, other) => return Err(format!("field {number} of a feature is {other:?}")),
                (other, _) => self.habit(true, || format!("a feature has a field {other}")),
            }
        }
        // [4.2, 4.4]
        let mut seen = HashSet::new();
        for pair in tags.unwrap_or_default().chunks(2) {
            let [key, value] = pair else {
                return Err("tags are not pairs".to_owned());
            };
            self.breach(*key as usize >= keys, || format!("there is no key {key}"));
            self.breach(!seen.insert(*key), || format!("a feature has the key {key} twice"));
            match used.get_mut(*value as usize) {
                Some(used) => *used = true,
                None => self.breach(true, || format!("there is no value {value}")),
            }
        }
        let geometry = geometry.ok_or("a feature has no geometry")?;
        match kind.ok_or("a feature has no type")? {
            // [4.3.4] Whatever it is: nothing can be said of it.
            0 => self.habit(true, || "a feature is of unknown type".to_owned()),
            1 => self.points(&geometry)?,
            2 => self.lines(&geometry)?,
            3 => self.polygons(&geometry)?,
            other => return Err(format!("there is no type {other}")),
        }
        Ok(id)
    }

    /// [4.3.4.2] One MoveTo, which has all the points.
    fn points(&mut self, geometry: &[u32]) -> Result<(), String> {
        let mut pen = Pen::new(geometry);
        let points = pen.run(MOVE)?;
        self.breach(points.is_empty(), || "a point without a place".to_owned());
        self.breach(!pen.at_end(), || "something follows the points".to_owned());
        self.inside(&points);
        Ok(())
    }

    /// [4.3.4.3] Lines: a MoveTo of one, a LineTo of one or more.
    fn lines(&mut self, geometry: &[u32]) -> Result<(), String> {
        let mut pen = Pen::new(geometry);
        self.breach(pen.at_end(), || "a line without a point".to_owned());
        while !pen.at_end() {
            let line = self.path(&mut pen)?;
            self.breach(line.len() < 2, || "a line of one point".to_owned());
        }
        Ok(())
    }

    /// [4.3.4.4] Rings: a MoveTo of one, a LineTo of two or more, a ClosePath; exteriors turn clockwise on the screen, holes the
    /// other way.
    fn polygons(&mut self, geometry: &[u32]) -> Result<(), String> {
        let mut pen = Pen::new(geometry);
        self.breach(pen.at_end(), || "a polygon without a ring".to_owned());
        let mut first = true;
        while !pen.at_end() {
            let ring = self.path(&mut pen)?;
            pen.close()?;
            self.breach(ring.len() < 3, || "a ring of less than three points".to_owned());
            self.breach(ring.first() == ring.last(), || {
                "a ring repeats its first point".to_owned()
            });
            let next = ring.iter().cycle().skip(1);
            let doubled: i64 = ring.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum();
            self.breach(doubled == 0, || format!("a ring without area: {ring:?}"));
            self.breach(first && doubled < 0, || "a polygon begins with a hole".to_owned());
            first = false;
        }
        Ok(())
    }

    fn path(&mut self, pen: &mut Pen<'_>) -> Result<Vec<(i64, i64)>, String> {
        let mut path = pen.run(MOVE)?;
        self.breach(path.len() != 1, || format!("a MoveTo of {}", path.len()));
        let rest = pen.run(LINE)?;
        self.breach(rest.is_empty(), || "a LineTo of none".to_owned());
        path.extend(rest);
        // [4.3.3.2]
        self.breach(path.windows(2).any(|p| p[0] == p[1]), || {
            "a LineTo that stays where it is".to_owned()
        });
        self.inside(&path);
        Ok(path)
    }

    fn inside(&mut self, points: &[(i64, i64)]) {
        let range = -BUFFER..=EXTENT + BUFFER;
        let out = points.iter().find(|p| !range.contains(&p.0) || !range.contains(&p.1));
        self.habit(out.is_some(), || {
            format!("{out:?} lies outside of the tile and its buffer")
        });
    }
}

const MOVE: u32 = 1;
const LINE: u32 = 2;
const CLOSE: u32 = 7;

/// Reads commands; sums do not overflow.
struct Pen<'a> {
    left: &'a [u32],
    at: (i64, i64),
}

impl<'a> Pen<'a> {
    fn new(geometry: &'a [u32]) -> Pen<'a> {
        Pen {
            left: geometry,
            at: (0, 0),
        }
    }

    fn at_end(&self) -> bool {
        self.left.is_empty()
    }

    fn command(&mut self, wanted: u32) -> Result<usize, String> {
        let (first, rest) = self.left.split_first().ok_or_else(|| format!("no command {wanted}"))?;
        self.left = rest;
        match (first & 7, first >> 3) {
            (command, count) if command == wanted => Ok(count as usize),
            (command, _) => Err(format!("a command {command} in place of {wanted}")),
        }
    }

    fn run(&mut self, wanted: u32) -> Result<Vec<(i64, i64)>, String> {
        let count = self.command(wanted)?;
        let (steps, rest) = self
            .left
            .split_at_checked(count * 2)
            .ok_or_else(|| format!("{count} steps are announced, {} numbers are there", self.left.len()))?;
        self.left = rest;
        let zigzag = |n: u32| i64::from((n >> 1) as i32 ^ -((n & 1) as i32));
        let step = |pair: &[u32]| {
            self.at = (self.at.0 + zigzag(pair[0]), self.at.1 + zigzag(pair[1]));
            self.at
        };
        Ok(steps.chunks(2).map(step).collect())
    }

    fn close(&mut self) -> Result<(), String> {
        match self.command(CLOSE)? {
            1 => Ok(()),
            n => Err(format!("a ClosePath of {n}")),
        }
    }
}
