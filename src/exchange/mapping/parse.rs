//! A mapping out of its TOML, every fault at once.

use std::collections::BTreeMap;

use super::{Mapping, Place, Target};
use crate::domain::code::Scheme;
use crate::domain::text::{Fault, Text};
use crate::exchange::pick::{Pick, string, unknown};
use crate::exchange::read::source::{by_label, unknown_encoding};
use crate::exchange::record::Column;
use crate::spatial::crs::Crs;
use crate::spatial::position::{Bbox, LonLat};
use crate::text;

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

/// Reads a mapping; what cannot be read stays out of it and is a fault.
pub(super) fn read(table: &toml::Table, into: Option<Target>, faults: &mut Vec<Fault>) -> Mapping {
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
            "缺少 source：来源的名称，各次交付保持不变",
            "source is missing: the name of the source, the same for each of its deliveries",
        );
        faults.push(Fault::new("source", detail));
    }
    let scheme = text("scheme", faults);
    let by_column = fields.get("code").is_some_and(|p| p.scheme_column.is_some());
    match &scheme {
        None if target == Target::Cells && !by_column => {
            let detail = Text::new(
                "缺少 scheme：网格编码体系，如 GBT30428.1-2013；有多种时，由 fields.code 的 scheme_column 指明所在列",
                "scheme is missing: that of the cells, such as GBT30428.1-2013; where there are several, fields.code names their column as scheme_column",
            );
            faults.push(Fault::new("scheme", detail));
        }
        Some(s) if target == Target::Cells => faults.extend(Scheme::parse(s).err().map(|e| Fault::new("scheme", e))),
        _ => {}
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
            let detail = Text::new("缺少 [class]：小类的列或值", "[class] is missing: its column or value");
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
