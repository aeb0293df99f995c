//! One row of a delivery, whatever the format, as its source wrote it.

use std::borrow::Cow;
use std::sync::Arc;

use ::csv::StringRecord;
use ::geojson::Feature;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The columns that a reject file adds and a reader ignores: a corrected reject file is imported as it is.
pub const ADDED: [&str; 4] = ["_row", "_column", "_reason", "_expected"];

/// A column named by a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the source.
    pub name: String,
    /// Its place in a CSV header, once the file is open.
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
    /// Spreadsheet row (the header is row 1) of a CSV, or number of the feature from 1.
    pub row: u64,
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
    /// Something that is not a feature.
    Broken(String),
}

impl Record {
    /// The trimmed text of a column; none where the row has no such column or a JSON null.
    pub fn get(&self, column: &Column) -> Option<Cow<'_, str>> {
        match &self.body {
            Body::Cells(_, cells) => cells.get(column.index?).map(|s| Cow::Borrowed(s.trim())),
            Body::Feature(feature) => {
                let own = feature.properties.as_ref().and_then(|p| p.get(&column.name));
                match own {
                    Some(Value::Null) => None,
                    Some(Value::String(s)) => Some(Cow::Borrowed(s.trim())),
                    Some(other) => Some(Cow::Owned(other.to_string())),
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

    /// Whether some text in it holds a character.
    pub fn has(&self, mark: char) -> bool {
        match &self.body {
            Body::Cells(_, cells) => cells.as_slice().contains(mark),
            Body::Feature(_) => self
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
            Body::Broken(raw) => part(raw.as_bytes()),
        }
        digest(hash)
    }
}

/// The first 128 bits of a SHA-256: two of ten million keys are equal by chance with a probability of 10^-25.
pub fn digest(hash: Sha256) -> u128 {
    let bytes = hash.finalize();
    bytes.iter().take(16).fold(0, |n, b| n << 8 | u128::from(*b))
}
