//! A record into an area, cell, road, piece of land, party or class.

use std::borrow::Cow;

use geo::Geometry;

use super::key::{Keys, MAX_KEY};
use super::mapping::{Mapping, Target};
use super::place;
use super::record::Record;
use super::value::number;
use crate::domain::code::{AreaCode, CellCode, Scheme};
use crate::domain::component::{MAX_VERTICES, geometry_kind};
use crate::domain::delivery::{CLASS_COLUMNS, ClassRow, PartyRow, Reason, RowFault, ShapeRow};
use crate::domain::text::Text;
use crate::domain::word::{AreaLevel, GeometryKind, RoadClass};
use crate::error::Result;
use crate::spatial::crs::Crs;
use crate::spatial::position::check_geometry;
use crate::text;

/// Turns records into everything but components.
#[derive(Debug)]
pub struct Shapes {
    mapping: Mapping,
    crs: Crs,
    keys: Keys,
}

impl Shapes {
    /// For a mapping whose columns have been found.
    pub fn new(mapping: Mapping, crs: Crs) -> Shapes {
        Shapes {
            mapping,
            crs,
            keys: Keys::default(),
        }
    }

    /// Maps and checks one area, cell, road or piece of land; every fault at once.
    pub fn shape(&mut self, record: &Record) -> Result<ShapeRow, Vec<RowFault>> {
        let mut faults = Vec::new();
        let geometry = place::read(record, &self.mapping, self.crs).and_then(|g| self.check(g));
        let geometry = geometry.map_err(|f| faults.push(f)).ok();
        let mut text = |field: &str| self.text(record, field).map_err(|f| faults.push(f)).ok().flatten();
        let (name, code) = (text("name"), text("code"));
        let (level, class, kind, population) = (text("level"), text("class"), text("kind"), text("population"));
        let column = |field: &str| self.mapping.column_of(field).to_owned();
        let missing = |field: &str| {
            RowFault::new(
                Reason::Missing,
                column(field),
                Text::new("缺少此项", "it is missing"),
                Text::new("", ""),
            )
        };
        let word = |field: &str, e: Text| RowFault::of(Reason::Value, column(field), e);
        let kind: Result<String, RowFault> = match self.mapping.into {
            Target::Cells => {
                let stated = self
                    .mapping
                    .scheme_of(record)
                    .or(self.mapping.scheme.as_deref().map(Cow::Borrowed));
                let scheme = Scheme::parse(&stated.unwrap_or_default());
                code.as_deref()
                    .ok_or_else(|| missing("code"))
                    .and_then(|c| scheme.and_then(|s| CellCode::parse(s, c)).map_err(|e| word("code", e)))
                    .map(|c| c.scheme().as_str().to_owned())
            }
            Target::Areas => code.as_deref().ok_or_else(|| missing("code")).and_then(|c| {
                let code = AreaCode::parse(c).map_err(|e| word("code", e))?;
                let level = match level.as_deref() {
                    Some(level) => AreaLevel::parse(level).map_err(|e| word("level", e))?,
                    None => code.level().ok_or_else(|| missing("level"))?,
                };
                if name.is_none() {
                    return Err(missing("name"));
                }
                Ok(level.key().to_owned())
            }),
            Target::Roads => class
                .ok_or_else(|| missing("class"))
                .and_then(|c| RoadClass::parse(&c).map_err(|e| word("class", e)))
                .map(|c| c.key().to_owned()),
            _ => kind
                .ok_or_else(|| missing("kind"))
                .and_then(|k| land_kind(k).map_err(|e| word("kind", e))),
        };
        let population = population.map(|p| {
            // Statistics spread people over squares; a half of one is rounded.
            number(&p)
                .map(|n| n.round() as i64)
                .and_then(|n| i32::try_from(n).ok())
                .filter(|n| *n >= 0)
                .ok_or_else(|| {
                    word(
                        "population",
                        text!("“{p}”应为人数", "\"{p}\" should be a number of people"),
                    )
                })
        });
        let by_code = matches!(self.mapping.into, Target::Cells | Target::Areas);
        let (key_column, key) = match &code {
            Some(code) if by_code => (column("code"), Ok(code.clone())),
            _ => {
                let column = self.mapping.key.first().map_or(String::new(), |c| c.name.clone());
                (column, self.keys.key(record, &self.mapping, ""))
            }
        };
        let kind = kind.map_err(|f| faults.push(f)).unwrap_or_default();
        let population = population.transpose().map_err(|f| faults.push(f)).unwrap_or_default();
        let key = key.map_err(|f| faults.push(f)).ok();
        if let Some(key) = key.as_deref().filter(|_| !self.mapping.merge) {
            // Two schemes may have one code.
            let whole = match self.mapping.into {
                Target::Cells => Cow::Owned(format!("{kind}/{key}")),
                _ => Cow::Borrowed(key),
            };
            faults.extend(
                self.keys
                    .give(&whole, record.row, &key_column, !faults.is_empty())
                    .err(),
            );
        }
        match (geometry, key) {
            (Some(geometry), Some(key)) if faults.is_empty() => Ok(ShapeRow {
                row: record.row,
                key,
                kind,
                name,
                code,
                population,
                geometry,
            }),
            _ => Err(faults),
        }
    }

    /// Maps and checks one party.
    pub fn party(&mut self, record: &Record) -> Result<PartyRow, Vec<RowFault>> {
        let text = |field: &str| self.text(record, field).map_err(|f| vec![f]);
        let (code, name, aliases) = (text("code")?, text("name")?, text("aliases")?.unwrap_or_default());
        let column = |field: &str| self.mapping.column_of(field);
        let fits = |s: &String| s.chars().count() <= MAX_KEY;
        let Some(name) = name.filter(fits) else {
            let fault = RowFault::new(
                Reason::Missing,
                column("name"),
                Text::new("没有名称", "there is no name"),
                Text::new("单位名称，最多200个字符", "the party's name, at most 200 characters"),
            );
            return Err(vec![fault]);
        };
        let aliases = aliases
            .split([';', '\u{ff1b}', '、', '|'])
            .map(str::trim)
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect();
        let column = column(if code.is_some() { "code" } else { "name" });
        self.keys
            .give(code.as_deref().unwrap_or(&name), record.row, column, false)
            .map_err(|f| vec![f])?;
        Ok(PartyRow {
            row: record.row,
            code,
            name,
            aliases,
        })
    }

    /// Reads and checks one class.
    pub fn class(&mut self, record: &Record) -> Result<ClassRow, Vec<RowFault>> {
        let mut values = Vec::with_capacity(CLASS_COLUMNS.len());
        for name in CLASS_COLUMNS {
            values.push(self.text(record, name).map_err(|f| vec![f])?.unwrap_or_default());
        }
        let value = |name: &str| {
            CLASS_COLUMNS
                .iter()
                .position(|c| *c == name)
                .map_or("", |i| values[i].as_str())
        };
        let row = ClassRow::read(record.row, value)?;
        let key = format!("{}/{}", row.class.scheme, row.class.code);
        self.keys.give(&key, record.row, "code", false).map_err(|f| vec![f])?;
        Ok(row)
    }

    fn text(&self, record: &Record, field: &str) -> Result<Option<String>, RowFault> {
        match self.mapping.fields.get(field) {
            Some(pick) => Ok(pick.get(record, &self.mapping.nulls)?.map(Cow::into_owned)),
            None => Ok(None),
        }
    }

    fn check(&self, geometry: Geometry<f64>) -> Result<Geometry<f64>, RowFault> {
        let (want, zh, en) = match self.mapping.into {
            Target::Roads => (GeometryKind::Line, "线", "a line"),
            _ => (GeometryKind::Polygon, "面", "a polygon"),
        };
        let expected = Text::new(zh, en);
        if geometry_kind(&geometry) != Some(want) {
            let detail = text!("几何不是{zh}", "the geometry is not {en}");
            return Err(RowFault::new(Reason::Geometry, "geometry", detail, expected));
        }
        check_geometry(&geometry, MAX_VERTICES).map_err(|e| {
            RowFault::new(
                Reason::Geometry,
                "geometry",
                e,
                Text::new("有效的几何", "a valid geometry"),
            )
        })?;
        Ok(geometry)
    }
}

fn land_kind(kind: String) -> Result<String, Text> {
    let ok = (2..=32).contains(&kind.len())
        && kind.starts_with(|c: char| c.is_ascii_lowercase())
        && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if ok {
        return Ok(kind);
    }
    Err(text!(
        "用地类别“{kind}”应为小写英文词，如 residential、green",
        "land kind \"{kind}\" should be a lower-case word such as residential or green"
    ))
}
