//! One row of a delivery, whatever the format, as its source wrote it.

use std::borrow::Cow;
use std::sync::Arc;

use ::csv::StringRecord;
use ::geojson::Feature;
use geo::Geometry;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The columns that a reject file adds and a reader ignores: a corrected reject file is imported as it is.
pub const ADDED: [&str; 4] = ["_row", "_column", "_reason", "_expected"];

/// The column that every row of an archive has: the name of the file in it.
pub const FILE: &str = "_file";

/// A column named by a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the source.
    pub name: String,
    /// Its place in the header, once the file is open.
    pub index: Option<usize>,
}

impl Column {
    /// A column that no file has been opened for.
    pub fn named(name: impl Into<String>) -> Column {
        Column {
            name: name.into(),
            index: None,
        }
    }
}

/// A row as its source wrote it.
#[derive(Clone, Debug)]
pub struct Record {
    /// Row of the spreadsheet (where a CSV's header is row 1), or number of the feature from 1.
    pub row: u64,
    /// The file in an archive that it comes from.
    pub file: Option<Arc<str>>,
    /// What stands in it.
    pub body: Body,
}

/// The source's own form of a row.
#[derive(Clone, Debug)]
pub enum Body {
    /// A CSV row under its header.
    Cells(Arc<[String]>, StringRecord),
    /// A GeoJSON feature.
    Feature(Box<Feature>),
    /// A row of typed values: a spreadsheet, a shapefile, a GeoPackage, a FlatGeobuf, plain JSON.
    Values(Box<Values>),
    /// Something that is not a row.
    Broken(String),
}

/// A row of typed values under its header.
#[derive(Clone, Debug)]
pub struct Values {
    /// The names of the columns.
    pub header: Arc<[String]>,
    /// A value for each; those that are missing at the end are null.
    pub values: Vec<Value>,
    /// The shape, in the file's own coordinates.
    pub geometry: Option<Geometry<f64>>,
}

impl Values {
    fn at(&self, index: usize) -> Option<&Value> {
        self.values.get(index).filter(|v| !v.is_null())
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &Value)> {
        let values = self.values.iter().chain(std::iter::repeat(&Value::Null));
        self.header.iter().map(String::as_str).zip(values)
    }
}

impl Record {
    /// A row of a file that is no archive.
    pub fn new(row: u64, body: Body) -> Record {
        Record { row, file: None, body }
    }

    /// The trimmed text of a column; none where the row has no such column or a JSON null.
    pub fn get(&self, column: &Column) -> Option<Cow<'_, str>> {
        if column.name == FILE {
            return self.file.as_deref().map(Cow::Borrowed);
        }
        match &self.body {
            Body::Cells(_, cells) => cells.get(column.index?).map(|s| Cow::Borrowed(s.trim())),
            Body::Values(row) => row.at(column.index?).map(text_of),
            Body::Feature(feature) => {
                let own = feature.properties.as_ref().and_then(|p| p.get(&column.name));
                match own {
                    Some(Value::Null) => None,
                    Some(value) => Some(text_of(value)),
                    None if column.name == "id" => feature.id.as_ref().map(|id| match id {
                        ::geojson::feature::Id::String(s) => Cow::Borrowed(s.as_str()),
                        ::geojson::feature::Id::Number(n) => Cow::Owned(n.to_string()),
                    }),
                    None => None,
                }
            }
            Body::Broken(_) => None,
        }
    }

    /// The value of a column as the source typed it; none where it is absent.
    pub fn value(&self, column: &Column) -> Option<Value> {
        match &self.body {
            Body::Feature(feature) => match feature.properties.as_ref()?.get(&column.name)? {
                Value::Null => None,
                value => Some(value.clone()),
            },
            Body::Values(row) => row.at(column.index?).cloned(),
            _ => self.get(column).map(|s| Value::String(s.into_owned())),
        }
    }

    /// Every column with its value as JSON, except those that a reject file adds.
    pub fn columns(&self) -> Vec<(&str, Cow<'_, Value>)> {
        let own = |name: &str| !ADDED.contains(&name);
        match &self.body {
            Body::Cells(header, cells) => header
                .iter()
                .zip(cells)
                .filter(|(name, _)| own(name))
                .map(|(name, value)| (name.as_str(), Cow::Owned(Value::String(value.trim().to_owned()))))
                .collect(),
            Body::Values(row) => row
                .pairs()
                .filter(|(name, _)| own(name))
                .map(|(name, value)| (name, Cow::Borrowed(value)))
                .collect(),
            Body::Feature(feature) => feature
                .properties
                .iter()
                .flatten()
                .filter(|(name, _)| own(name))
                .map(|(name, value)| (name.as_str(), Cow::Borrowed(value)))
                .collect(),
            Body::Broken(_) => Vec::new(),
        }
    }

    /// Whether it has a shape of its own.
    pub fn has_shape(&self) -> bool {
        match &self.body {
            Body::Feature(feature) => feature.geometry.is_some(),
            Body::Values(row) => row.geometry.is_some(),
            Body::Cells(..) | Body::Broken(_) => false,
        }
    }

    /// Whether some text in it holds a character.
    pub fn has(&self, mark: char) -> bool {
        match &self.body {
            Body::Cells(_, cells) => cells.as_slice().contains(mark),
            Body::Feature(_) | Body::Values(_) => self
                .columns()
                .iter()
                .any(|(name, v)| name.contains(mark) || v.as_str().is_some_and(|s| s.contains(mark))),
            Body::Broken(raw) => raw.contains(mark),
        }
    }

    /// A digest of everything in the row but the columns that a reject file adds. Equal rows have equal digests.
    pub fn digest(&self, salt: &str) -> u128 {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(salt.as_bytes());
        match &self.body {
            Body::Cells(header, cells) => {
                for (name, value) in header.iter().zip(cells) {
                    if !ADDED.contains(&name.as_str()) {
                        part(value.as_bytes());
                    }
                }
            }
            Body::Feature(feature) => {
                for (name, value) in self.columns() {
                    part(name.as_bytes());
                    part(value.to_string().as_bytes());
                }
                part(
                    feature
                        .geometry
                        .as_ref()
                        .map(ToString::to_string)
                        .unwrap_or_default()
                        .as_bytes(),
                );
            }
            Body::Values(row) => {
                for (name, value) in self.columns() {
                    part(name.as_bytes());
                    part(value.to_string().as_bytes());
                }
                for c in row.geometry.iter().flat_map(geo::CoordsIter::coords_iter) {
                    part(&c.x.to_bits().to_le_bytes());
                    part(&c.y.to_bits().to_le_bytes());
                }
            }
            Body::Broken(raw) => part(raw.as_bytes()),
        }
        digest(hash)
    }
}

/// A value as text. A whole number that came as a float is written as one, up to fifteen digits: beyond them it has been rounded.
fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(s) => Cow::Borrowed(s.trim()),
        Value::Number(n) if n.is_f64() => match n.as_f64() {
            Some(f) if f.fract() == 0.0 && f.abs() < 1e15 => Cow::Owned(format!("{f:.0}")),
            _ => Cow::Owned(n.to_string()),
        },
        other => Cow::Owned(other.to_string()),
    }
}

/// The first 128 bits of a SHA-256: two of ten million keys are equal by chance with a probability of 10^-25.
pub fn digest(hash: Sha256) -> u128 {
    let bytes = hash.finalize();
    bytes.iter().take(16).fold(0, |n, b| n << 8 | u128::from(*b))
}
