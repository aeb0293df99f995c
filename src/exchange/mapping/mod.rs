//! The mapping: a TOML file that says what each column of a delivery means. `docs/import.md` is its reference.

mod parse;

use std::borrow::Cow;
use std::collections::BTreeMap;

use encoding_rs::Encoding;

use super::pick::Pick;
use super::read::Format;
use super::record::{Column, Record};
pub use super::target::Target;
use crate::domain::class::Class;
use crate::domain::delivery::CLASS_COLUMNS;
use crate::domain::text::Fault;
use crate::error::{Error, Result};
use crate::spatial::crs::Crs;
use crate::spatial::position::Bbox;
use crate::text;

/// Where a row's position stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Easting or longitude, and northing or latitude, each in its column.
    Columns(Column, Column),
    /// Well-known text in a column.
    Wkt(Column),
    /// The geometry of the feature.
    Feature,
}

/// A mapping that has been read; its columns are found once a file is open.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// What rows become.
    pub into: Target,
    /// The name of the delivery's source, kept with every component.
    pub source: String,
    /// The columns that make the key.
    pub key: Vec<Column>,
    /// The scheme of cells, unless a column says it.
    pub scheme: Option<String>,
    /// The coordinate system; none for that which a GeoJSON file states, or WGS84.
    pub crs: Option<Crs>,
    /// Where positions stand.
    pub place: Place,
    /// Whether geometries of WKT or GeoJSON have y (north) first.
    pub north_first: bool,
    /// The stated encoding.
    pub encoding: Option<&'static Encoding>,
    /// The stated delimiter.
    pub delimiter: Option<u8>,
    /// The sheet of a workbook, or the layer of a GeoPackage.
    pub sheet: Option<String>,
    /// Columns that are left out of what `keep_rest` keeps.
    pub drop: Vec<String>,
    /// Columns whose values are taken when a row is new and are no change afterwards.
    pub ignore: Vec<String>,
    /// Values that mean that there is none.
    pub nulls: Vec<String>,
    /// Whether unmapped columns are kept as attributes.
    pub keep_rest: bool,
    /// Whether rows of the same code are parts of one shape (areas and cells).
    pub merge: bool,
    /// Whether every position must lie in an area or cell of the register.
    pub inside: bool,
    /// Whether a component may stand where another of its class does.
    pub allow_duplicates: bool,
    /// The box outside of which no position can be right.
    pub bounds: Option<Bbox>,
    /// `class`, `state`, `owner`, `authority`, `maintainer` and the fields of the target.
    pub fields: BTreeMap<String, Pick>,
    /// Attributes, in the order of the file.
    pub attributes: Vec<(String, Pick)>,
}

impl Mapping {
    /// Reads a mapping, every fault at once. `into` is what the command line says; it may also stand in the mapping.
    pub fn parse(text: &str, into: Option<Target>) -> Result<Mapping> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            let e = e.to_string();
            let e = e.trim();
            Error::syntax("mapping", text!("不是有效的 TOML:{e}", "not valid TOML: {e}"))
        })?;
        let mut faults = Vec::new();
        let mapping = parse::read(&table, into, &mut faults);
        if faults.is_empty() {
            Ok(mapping)
        } else {
            Err(Error::Syntax(faults))
        }
    }

    /// Whether rows stand where their own shapes are.
    pub fn uses_shapes(&self) -> bool {
        !matches!(self.into, Target::Parties | Target::Classes) && self.place == Place::Feature
    }

    /// Whether it has a column for any of the three roles.
    pub fn names_parties(&self) -> bool {
        ["authority", "owner", "maintainer"]
            .iter()
            .any(|r| self.fields.contains_key(*r))
    }

    /// Whether it is known how accurate positions are, of some classes at least.
    pub fn tells_accuracy(&self, classes: &[Class]) -> bool {
        self.fields.contains_key("accuracy") || classes.iter().any(|c| c.accuracy.is_some())
    }

    /// The column of a field, for a fault; empty where it has none.
    pub fn column_of(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", Pick::column_name)
    }

    /// The scheme that a row's code is of, where a column says it.
    pub fn scheme_of<'a>(&self, record: &'a Record) -> Option<Cow<'a, str>> {
        let column = self.fields.get("code").and_then(|p| p.scheme_column.as_ref())?;
        record.get(column).filter(|s| !s.is_empty())
    }

    /// Every column that the mapping names.
    pub fn columns_mut(&mut self) -> impl Iterator<Item = &mut Column> {
        let place = match &mut self.place {
            Place::Columns(x, y) => vec![x, y],
            Place::Wkt(column) => vec![column],
            Place::Feature => vec![],
        };
        let picks = self
            .fields
            .values_mut()
            .chain(self.attributes.iter_mut().map(|(_, p)| p));
        self.key.iter_mut().chain(place).chain(picks.flat_map(|p| {
            p.column
                .iter_mut()
                .chain(p.code.iter_mut())
                .chain(p.scheme_column.iter_mut())
        }))
    }

    /// Fills what may stay unsaid once the header is known: a class dictionary in our own layout needs no mapping.
    pub fn complete(&mut self, header: &[String], format: Format) -> Result<()> {
        if self.into == Target::Classes {
            for name in CLASS_COLUMNS {
                let optional = matches!(
                    name,
                    "major" | "accuracy" | "attributes" | "restricted" | "base_scheme" | "base_code"
                );
                if !self.fields.contains_key(name) && (!optional || header.iter().any(|h| h == name)) {
                    let pick = Pick {
                        column: Some(Column::named(name)),
                        ..Pick::default()
                    };
                    self.fields.insert(name.to_owned(), pick);
                }
            }
        }
        // A mapping for lists of any format: where the columns of the position are not, there may be shapes or WKT.
        let has = |name: &str| header.iter().any(|h| h == name);
        if let Place::Columns(x, y) = &self.place
            && !has(&x.name)
            && !has(&y.name)
        {
            if format.has_shapes() {
                self.place = Place::Feature;
            } else if has("wkt") {
                self.place = Place::Wkt(Column::named("wkt"));
            }
        }
        if !format.has_shapes() && self.uses_shapes() {
            let name = format.name();
            let detail = text!(
                "{name} 须在映射中写明 x 与 y，或 wkt",
                "{name} needs x and y, or wkt, in the mapping"
            );
            return Err(Error::syntax("x", detail));
        }
        Ok(())
    }

    /// Finds the columns in a file's header. Every column that is not there is a fault with the nearest that is.
    pub fn resolve(&mut self, header: &[String], format: Format) -> Result<()> {
        // A .dbf keeps ten bytes of a name.
        let cut = |h: &str, name: &str| format == Format::Shapefile && h.len() == 10 && name.starts_with(h);
        let find = |name: &str| {
            let exact = header.iter().position(|h| h == name);
            exact.or_else(|| header.iter().position(|h| cut(h, name)))
        };
        for name in self.drop.iter_mut().chain(&mut self.ignore) {
            if let Some(i) = find(name) {
                name.clone_from(&header[i]);
            }
        }
        let mut faults: Vec<Fault> = Vec::new();
        for column in self.columns_mut() {
            column.index = find(&column.name);
            if let Some(i) = column.index {
                column.name.clone_from(&header[i]);
            }
            if column.index.is_none() && !(column.name == "id" && header.is_empty()) {
                let near = super::nearest::hint(&column.name, header.iter().map(String::as_str));
                let list = header.join(", ");
                let (name, zh, en) = (&column.name, near.zh, near.en);
                let detail = text!(
                    "文件没有列“{name}”{zh}；现有：{list}",
                    "the file has no column \"{name}\"{en}; it has {list}"
                );
                faults.push(Fault::new(name.as_str(), detail));
            }
        }
        faults.dedup();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Error::Syntax(faults))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_of_a_mapping_are_told_at_once_with_the_nearest_word() {
        let text = r#"
            sorce = "x"
            crs = "EPSG:4214"
            x = "lon"
            [class]
            colum = "kind"
            [fields]
            adress = "a"
            [attributes]
            height = { column = "h", kind = "float" }
        "#;
        let Err(Error::Syntax(faults)) = Mapping::parse(text, None) else {
            panic!()
        };
        let at: Vec<&str> = faults.iter().map(|f| f.pointer.as_str()).collect();
        for place in [
            "sorce",
            "crs",
            "x",
            "class.colum",
            "class",
            "fields.adress",
            "attributes.height.kind",
            "source",
        ] {
            assert!(at.contains(&place), "{place}: {at:?}");
        }
        let told = faults
            .iter()
            .map(|f| f.detail.en.clone())
            .collect::<Vec<_>>()
            .join("\n");
        for near in ["\"source\"", "\"address\"", "\"column\"", "Beijing 1954"] {
            assert!(told.contains(near), "{near}: {told}");
        }
    }

    #[test]
    fn a_column_that_the_file_does_not_have_is_told_with_the_nearest() {
        let text = "source = 's'\nkey = 'TreeId'\nx = 'Lon'\ny = 'Lat'\n[class]\nvalue = '0402'";
        let mut mapping = Mapping::parse(text, None).unwrap();
        let header: Vec<String> = ["TreeID", "Lon", "Lat"].map(Into::into).into();
        let Err(Error::Syntax(faults)) = mapping.resolve(&header, Format::Csv) else {
            panic!()
        };
        assert!(faults[0].detail.en.contains("do you mean \"TreeID\""), "{faults:?}");
    }
}
