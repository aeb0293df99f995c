//! The mapping: a TOML file that says what each column of a delivery means. `docs/import.md` is its reference.

use std::collections::BTreeMap;

use encoding_rs::Encoding;

use super::pick::{Pick, string, unknown};
use super::read::Format;
use super::read::source::{by_label, unknown_encoding};
use super::record::Column;
pub use super::target::Target;
use crate::domain::class::Class;
use crate::domain::delivery::CLASS_COLUMNS;
use crate::domain::text::{Fault, Text};
use crate::error::{Error, Result};
use crate::spatial::crs::Crs;
use crate::spatial::position::{Bbox, LonLat};
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
    /// The scheme of cells.
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

const KEYS: [&str; 30] = [
    "into",
    "source",
    "key",
    "scheme",
    "crs",
    "x",
    "y",
    "wkt",
    "axis",
    "encoding",
    "delimiter",
    "sheet",
    "null",
    "ignore",
    "drop",
    "keep_rest",
    "merge",
    "inside",
    "allow_duplicates",
    "bounds",
    "class",
    "state",
    "owner",
    "authority",
    "maintainer",
    "fields",
    "attributes",
    "description",
    "licence",
    "url",
];

impl Mapping {
    /// Reads a mapping, every fault at once. `into` is what the command line says; it may also stand in the mapping.
    pub fn parse(text: &str, into: Option<Target>) -> Result<Mapping> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            let e = e.to_string();
            let e = e.trim();
            Error::syntax("mapping", text!("不是有效的 TOML:{e}", "not valid TOML: {e}"))
        })?;
        let mut faults = Vec::new();
        let mapping = read(&table, into, &mut faults);
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

fn read(table: &toml::Table, into: Option<Target>, faults: &mut Vec<Fault>) -> Mapping {
    for key in table.keys().filter(|k| !KEYS.contains(&k.as_str())) {
        faults.push(unknown(key, key, &KEYS));
    }
    let text = |key: &str, faults: &mut Vec<Fault>| table.get(key).and_then(|v| string(v, key, faults));
    let flag = |key: &str, faults: &mut Vec<Fault>| {
        let value = table.get(key)?;
        if value.as_bool().is_none() {
            faults.push(Fault::new(
                key,
                Text::new("应为 true 或 false", "it should be true or false"),
            ));
        }
        value.as_bool()
    };
    let target = read_target(text("into", faults), into, faults);
    let key = strings(table, "key", faults).into_iter().map(Column::named).collect();
    let crs = text("crs", faults).and_then(|s| Crs::parse(&s).map_err(|e| faults.push(Fault::new("crs", e))).ok());
    let place = match (text("x", faults), text("y", faults), text("wkt", faults)) {
        (Some(x), Some(y), None) => Place::Columns(Column::named(x), Column::named(y)),
        (None, None, Some(wkt)) => Place::Wkt(Column::named(wkt)),
        (None, None, None) => Place::Feature,
        _ => {
            let detail = Text::new(
                "应同时给出 x 与 y，或只给出 wkt",
                "x and y belong together, and not with wkt",
            );
            faults.push(Fault::new("x", detail));
            Place::Feature
        }
    };
    let encoding = text("encoding", faults).and_then(|s| {
        let known = by_label(&s);
        if known.is_none() {
            faults.push(Fault::new("encoding", unknown_encoding(&s)));
        }
        known
    });
    let mut delimiter = None;
    if let Some(s) = text("delimiter", faults) {
        match s.as_bytes() {
            [one] => delimiter = Some(*one),
            _ => faults.push(Fault::new(
                "delimiter",
                Text::new("应为一个字符", "it should be one character"),
            )),
        }
    }
    let axis = text("axis", faults);
    if !matches!(axis.as_deref(), None | Some("xy" | "yx")) {
        let detail = Text::new(
            "应为 xy（东、北）或 yx（北、东）",
            "it should be xy (east, north) or yx (north, east)",
        );
        faults.push(Fault::new("axis", detail));
    }
    let nulls = strings(table, "null", faults);
    let ignore = strings(table, "ignore", faults);
    let drop = strings(table, "drop", faults);
    let fields = read_fields(table, target, faults);
    let mut attributes = Vec::new();
    if let Some(list) = table.get("attributes") {
        for (name, value) in list.as_table().into_iter().flatten() {
            attributes.push((name.clone(), Pick::parse(value, &format!("attributes.{name}"), faults)));
        }
    }
    let source = text("source", faults);
    if source.is_none() && matches!(target, Target::Components | Target::Roads | Target::Land) {
        let detail = Text::new(
            "缺少 source:来源的名称，各次交付保持不变",
            "source is missing: the name of the source, the same for each of its deliveries",
        );
        faults.push(Fault::new("source", detail));
    }
    let scheme = text("scheme", faults);
    if target == Target::Cells {
        match &scheme {
            None => {
                let detail = Text::new(
                    "缺少 scheme:网格编码体系，如 GBT30428.1-2013",
                    "scheme is missing: that of the cells, such as GBT30428.1-2013",
                );
                faults.push(Fault::new("scheme", detail));
            }
            Some(s) => faults.extend(
                crate::domain::code::Scheme::parse(s)
                    .err()
                    .map(|e| Fault::new("scheme", e)),
            ),
        }
    }
    Mapping {
        into: target,
        source: source.unwrap_or_default(),
        key,
        scheme,
        crs,
        place,
        north_first: axis.as_deref() == Some("yx"),
        encoding,
        delimiter,
        sheet: text("sheet", faults),
        ignore,
        drop,
        nulls,
        keep_rest: flag("keep_rest", faults).unwrap_or(false),
        merge: flag("merge", faults).unwrap_or(false),
        inside: flag("inside", faults).unwrap_or(false),
        allow_duplicates: flag("allow_duplicates", faults).unwrap_or(false),
        bounds: table.get("bounds").and_then(|v| read_bounds(v, faults)),
        fields,
        attributes,
    }
}

/// A text or a list of texts.
fn strings(table: &toml::Table, key: &str, faults: &mut Vec<Fault>) -> Vec<String> {
    match table.get(key) {
        None => Vec::new(),
        Some(toml::Value::Array(list)) => list.iter().filter_map(|v| string(v, key, faults)).collect(),
        Some(one) => string(one, key, faults).into_iter().collect(),
    }
}

fn read_target(stated: Option<String>, into: Option<Target>, faults: &mut Vec<Fault>) -> Target {
    let own = stated.and_then(|s| Target::parse(&s).map_err(|e| faults.push(Fault::new("into", e))).ok());
    if let (Some(own), Some(into)) = (own, into)
        && own != into
    {
        let (own, into) = (own.key(), into.key());
        faults.push(Fault::new(
            "into",
            text!(
                "映射写明 {own}，命令行却为 {into}",
                "the mapping says {own}, the command line {into}"
            ),
        ));
    }
    into.or(own).unwrap_or(Target::Components)
}

fn read_fields(table: &toml::Table, target: Target, faults: &mut Vec<Fault>) -> BTreeMap<String, Pick> {
    let mut fields = BTreeMap::new();
    if target == Target::Components {
        for key in ["class", "state", "owner", "authority", "maintainer"] {
            if let Some(value) = table.get(key) {
                fields.insert(key.to_owned(), Pick::parse(value, key, faults));
            }
        }
        if !fields.contains_key("class") {
            let detail = Text::new("缺少 [class]:小类的列或值", "[class] is missing: its column or value");
            faults.push(Fault::new("class", detail));
        }
    }
    let known: Vec<&str> = target.fields().iter().map(|(name, _)| *name).collect();
    match table.get("fields") {
        None => {}
        Some(toml::Value::Table(list)) => {
            for (name, value) in list {
                let at = format!("fields.{name}");
                if known.contains(&name.as_str()) {
                    fields.insert(name.clone(), Pick::parse(value, &at, faults));
                } else {
                    faults.push(unknown(name, &at, &known));
                }
            }
        }
        Some(_) => faults.push(Fault::new("fields", Text::new("应为表", "it should be a table"))),
    }
    for (name, _) in target
        .fields()
        .iter()
        .filter(|(name, must)| *must && !fields.contains_key(*name))
    {
        faults.push(Fault::new(
            format!("fields.{name}"),
            Text::new("缺少此项", "it is missing"),
        ));
    }
    fields
}

fn read_bounds(value: &toml::Value, faults: &mut Vec<Fault>) -> Option<Bbox> {
    let number = |v: &toml::Value| v.as_float().or_else(|| v.as_integer().map(|n| n as f64));
    let numbers: Option<Vec<f64>> = value.as_array().and_then(|a| a.iter().map(number).collect());
    let bounds = match numbers.as_deref() {
        Some(&[a, b, c, d]) => LonLat::new(a, b).and_then(|min| Bbox::new(min, LonLat::new(c, d)?)),
        _ => Err(Text::new(
            "应为 [西, 南, 东, 北] 四个度数",
            "it should be four degrees [west, south, east, north]",
        )),
    };
    bounds.map_err(|e| faults.push(Fault::new("bounds", e))).ok()
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
