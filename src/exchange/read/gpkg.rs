//! GeoPackages: one table of features of an SQLite database, opened so that nothing in it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row as SqlRow};
use serde_json::{Number, Value};

use super::super::record::{Body, Record, Values};
use super::source::{Done, cannot};
use super::{Each, Facts, Reader, check_header, unreadable};
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::spatial::wkb;
use crate::text;

/// The most bytes of one value.
const MAX_VALUE: i32 = 64 << 20;

/// A table of features.
pub(super) struct Layer {
    path: PathBuf,
    db: Connection,
    table: String,
    header: Arc<[String]>,
    /// Which columns hold yes or no.
    booleans: Vec<bool>,
    /// The place of the geometry among the columns.
    shape: Option<usize>,
    crs: Option<String>,
    notes: Vec<Text>,
    count: u64,
    done: Done,
}

impl Layer {
    /// Opens the named layer, or the first.
    pub(super) fn open(path: &Path, name: Option<&str>, done: &Done) -> Result<Layer> {
        let fault = |e: rusqlite::Error| cannot(path, &e);
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(fault)?;
        db.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE).map_err(fault)?;
        db.execute_batch(
            "pragma trusted_schema = off; pragma query_only = on; pragma cell_size_check = on; pragma mmap_size = 0;",
        )
        .map_err(fault)?;
        let layers = layers(&db).map_err(fault)?;
        let list = || layers.iter().map(|l| l.0.as_str()).collect::<Vec<_>>().join(", ");
        let found = match name {
            Some(name) => layers.iter().find(|l| l.0 == name),
            None => layers.first(),
        };
        let Some((table, column, srs)) = found else {
            let (list, name) = (list(), name.unwrap_or_default());
            let detail = if layers.is_empty() {
                Text::new("GeoPackage 中没有图层", "the GeoPackage has no layer")
            } else {
                text!(
                    "没有图层“{name}”；现有：{list}",
                    "there is no layer \"{name}\"; it has {list}"
                )
            };
            return Err(Error::syntax("sheet", detail));
        };
        let mut notes = Vec::new();
        if name.is_none() && layers.len() > 1 {
            let list = list();
            notes.push(text!(
                "GeoPackage 有几个图层（{list}），读取了 {table}；可用 --sheet 指定",
                "the GeoPackage has several layers ({list}); {table} was read, --sheet names another"
            ));
        }
        // A view could run for ever; what is read is a table.
        let kind: Option<String> = db
            .query_row("select type from sqlite_schema where name = ?1", [table], |r| r.get(0))
            .optional()
            .map_err(fault)?;
        if kind.as_deref() != Some("table") {
            let detail = text!("图层 {table} 不是数据表", "the layer {table} is not a table");
            return Err(Error::syntax("file", detail));
        }
        let (header, booleans) = names(&db, table).map_err(fault)?;
        check_header(&header)?;
        let shape = column
            .as_ref()
            .and_then(|c| header.iter().position(|h| h.eq_ignore_ascii_case(c)));
        let crs = srs.map(|id| system(&db, id)).transpose().map_err(fault)?.flatten();
        let count: i64 = db
            .query_row(&format!("select count(*) from {}", quoted(table)), [], |r| r.get(0))
            .map_err(fault)?;
        Ok(Layer {
            path: path.to_owned(),
            table: table.clone(),
            header: header.into(),
            booleans,
            shape,
            crs,
            notes,
            count: count.unsigned_abs(),
            done: Arc::clone(done),
            db,
        })
    }
}

/// Name, geometry column and coordinate system of each layer; tables without geometry come last.
type Named = (String, Option<String>, Option<i64>);

fn layers(db: &Connection) -> rusqlite::Result<Vec<Named>> {
    let mut statement = db.prepare(
        "select c.table_name, g.column_name, g.srs_id from gpkg_contents c
         left join gpkg_geometry_columns g on g.table_name = c.table_name
         where c.data_type in ('features', 'attributes') order by c.data_type = 'attributes', c.rowid limit 1000",
    )?;
    statement
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
        .collect()
}

/// `EPSG:n`, or the definition.
fn system(db: &Connection, id: i64) -> rusqlite::Result<Option<String>> {
    let sql = "select organization, organization_coordsys_id, definition from gpkg_spatial_ref_sys where srs_id = ?1";
    let row = db
        .query_row(sql, [id], |r| {
            Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?, r.get::<_, String>(2)?))
        })
        .optional()?;
    Ok(row.and_then(|(organisation, number, definition)| {
        if organisation.eq_ignore_ascii_case("epsg") && number > 0 {
            Some(format!("EPSG:{number}"))
        } else if number <= 0 {
            None
        } else {
            Some(definition)
        }
    }))
}

/// The names of a table's columns, and whether each holds yes or no, which SQLite keeps as 1 or 0. Asked for as bytes: a damaged file has
/// names that are no text, on which the library would stop.
fn names(db: &Connection, table: &str) -> rusqlite::Result<(Vec<String>, Vec<bool>)> {
    let mut statement = db.prepare("select name, type from pragma_table_info(?1) order by cid")?;
    let name = |row: &SqlRow<'_>| {
        let text = |i| Ok::<_, rusqlite::Error>(String::from_utf8_lossy(row.get_ref(i)?.as_bytes()?).into_owned());
        Ok((text(0)?, text(1)?.eq_ignore_ascii_case("boolean")))
    };
    statement.query_map([table], name)?.collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn select(table: &str) -> String {
    format!("select * from {}", quoted(table))
}

impl Reader for Layer {
    fn facts(&self) -> Facts {
        let own = self.header.iter().enumerate().filter(|(i, _)| Some(*i) != self.shape);
        Facts {
            header: own.map(|(_, name)| name.clone()).collect(),
            crs: self.crs.clone(),
            encoding: None,
            notes: self.notes.clone(),
        }
    }

    fn rows(&mut self, each: Each<'_>) -> bool {
        let header: Arc<[String]> = self.facts().header.into();
        let size = std::fs::metadata(&self.path).map_or(0, |m| m.len());
        let mut row = 0;
        let mut read = || -> rusqlite::Result<bool> {
            let mut statement = self.db.prepare(&select(&self.table))?;
            let mut rows = statement.query([])?;
            while let Some(values) = rows.next()? {
                row += 1;
                // SQLite does not say which bytes it has read.
                self.done
                    .store(size * row.min(self.count) / self.count.max(1), Ordering::Relaxed);
                if !each(record(row, values, &header, self.shape, &self.booleans)?) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        match read() {
            Ok(ended) => ended,
            Err(e) => {
                let record = Record::new(row + 1, Body::Broken(String::new()));
                let detail = text!("GeoPackage 无法读取：{e}", "the GeoPackage cannot be read: {e}");
                each(unreadable(
                    record,
                    detail,
                    Text::new("完整的 GeoPackage", "a complete GeoPackage"),
                ))
            }
        }
    }
}

fn record(
    row: u64,
    sql: &SqlRow<'_>,
    header: &Arc<[String]>,
    shape: Option<usize>,
    booleans: &[bool],
) -> rusqlite::Result<super::Row> {
    let mut values = Vec::with_capacity(header.len());
    let mut geometry = Ok(None);
    for i in 0..header.len() + usize::from(shape.is_some()) {
        let value = sql.get_ref(i)?;
        if Some(i) == shape {
            geometry = match value {
                ValueRef::Blob(blob) => outline(blob),
                _ => Ok(None),
            };
            continue;
        }
        values.push(match value {
            ValueRef::Null | ValueRef::Blob(_) => Value::Null,
            ValueRef::Integer(n @ 0..=1) if booleans.get(i) == Some(&true) => Value::Bool(n == 1),
            ValueRef::Integer(n) => Value::from(n),
            ValueRef::Real(n) => Number::from_f64(n).map_or(Value::Null, Value::Number),
            ValueRef::Text(text) => Value::from(String::from_utf8_lossy(text)),
        });
    }
    let (geometry, fault) = match geometry {
        Ok(geometry) => (geometry, None),
        Err(e) => (None, Some(e)),
    };
    let body = Values {
        header: Arc::clone(header),
        values,
        geometry,
    };
    let record = Record::new(row, Body::Values(Box::new(body)));
    Ok(match fault {
        None => Ok(record),
        Some(detail) => unreadable(record, detail, Text::new("GeoPackage 几何", "a GeoPackage geometry")),
    })
}

/// A GeoPackage's geometry: `GP`, version, flags, number of the system, an envelope, well-known binary.
fn outline(blob: &[u8]) -> Result<Option<geo::Geometry<f64>>, Text> {
    let bad = || Text::new("不是 GeoPackage 几何", "it is no GeoPackage geometry");
    let flags = match blob {
        [b'G', b'P', _, flags, ..] => *flags,
        _ => return Err(bad()),
    };
    let envelope = match flags >> 1 & 7 {
        0 => 0,
        1 => 32,
        2 | 3 => 48,
        4 => 64,
        _ => return Err(bad()),
    };
    if flags & 0x10 != 0 {
        return Ok(None);
    }
    wkb::read(blob.get(8 + envelope..).ok_or_else(bad)?).map(Some)
}
