//! GeoPackage 1.3: one table of features.

use std::path::{Path, PathBuf};

use geo::{BoundingRect, Geometry};
use geozero::{CoordDimensions, ToWkb};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params, params_from_iter};
use serde_json::Value;

use super::{Format, Kind, Plan, Writer, cannot, epsg, plain};
use crate::error::{Error, Result};

/// Rows of one transaction.
const BATCH: u64 = 10_000;

pub(super) struct Layer {
    path: PathBuf,
    db: Connection,
    plan: Plan,
    insert: String,
    srs: i32,
    rows: u64,
    bounds: Option<[f64; 4]>,
}

const SCHEMA: &str = "
pragma application_id = 1196444487;
pragma user_version = 10300;
pragma journal_mode = off;
pragma synchronous = off;
create table gpkg_spatial_ref_sys (
  srs_name text not null, srs_id integer primary key, organization text not null, organization_coordsys_id integer not null,
  definition text not null, description text);
insert into gpkg_spatial_ref_sys values
  ('Undefined Cartesian SRS', -1, 'NONE', -1, 'undefined', null),
  ('Undefined geographic SRS', 0, 'NONE', 0, 'undefined', null);
create table gpkg_contents (
  table_name text not null primary key, data_type text not null, identifier text unique, description text default '',
  last_change datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), min_x double, min_y double, max_x double, max_y double,
  srs_id integer references gpkg_spatial_ref_sys (srs_id));
create table gpkg_geometry_columns (
  table_name text not null, column_name text not null, geometry_type_name text not null, srs_id integer not null,
  z tinyint not null, m tinyint not null, primary key (table_name, column_name),
  foreign key (table_name) references gpkg_contents (table_name), foreign key (srs_id) references gpkg_spatial_ref_sys (srs_id));";

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Layer {
    pub(super) fn create(path: &Path, plan: Plan) -> Result<Layer> {
        // SQLite would go on in a file that is there.
        let _ = std::fs::remove_file(path);
        let code = epsg(&plan, Format::GeoPackage)?;
        let wkt = plan.crs.wkt().map_err(|e| Error::syntax("crs", e))?;
        let fault = |e: rusqlite::Error| cannot(path, &e);
        let db = Connection::open(path).map_err(fault)?;
        db.execute_batch(SCHEMA).map_err(fault)?;
        let srs = i32::try_from(code).unwrap_or_default();
        db.execute(
            "insert into gpkg_spatial_ref_sys values (?1, ?2, 'EPSG', ?2, ?3, null)",
            params![plan.crs.key(), srs, wkt],
        )
        .map_err(fault)?;
        let columns: Vec<String> = plan
            .fields
            .iter()
            .map(|f| {
                let kind = match f.kind {
                    Kind::Text | Kind::Code => "text",
                    Kind::Integer => "integer",
                    Kind::Number => "double",
                    Kind::Boolean => "boolean",
                };
                // A column of its own is the table's key.
                let name = if f.name == "fid" { "fid_" } else { &f.name };
                format!("{} {kind}", quoted(name))
            })
            .collect();
        let table = quoted(&plan.name);
        db.execute_batch(&format!(
            "create table {table} (fid integer primary key, geom blob, {}); begin",
            columns.join(", ")
        ))
        .map_err(fault)?;
        let marks = vec!["?"; plan.fields.len() + 1].join(", ");
        let insert = format!("insert into {table} values (null, {marks})");
        Ok(Layer {
            path: path.to_owned(),
            db,
            insert,
            srs,
            rows: 0,
            bounds: None,
            plan,
        })
    }

    fn write(&mut self, values: &[Value], geometry: &Geometry<f64>) -> Result<(), Box<dyn std::error::Error>> {
        let mut blob = vec![b'G', b'P', 0, 1];
        blob.extend(self.srs.to_le_bytes());
        blob.extend(geometry.to_wkb(CoordDimensions::xy())?);
        if let Some(b) = geometry.bounding_rect() {
            let [w, s, e, n] = self.bounds.unwrap_or([f64::MAX, f64::MAX, f64::MIN, f64::MIN]);
            self.bounds = Some([w.min(b.min().x), s.min(b.min().y), e.max(b.max().x), n.max(b.max().y)]);
        }
        let cells = values.iter().map(|v| match v {
            Value::Null => Sql::Null,
            Value::Bool(b) => Sql::Integer(i64::from(*b)),
            Value::Number(n) => n
                .as_i64()
                .map_or_else(|| Sql::Real(n.as_f64().unwrap_or_default()), Sql::Integer),
            other => Sql::Text(plain(other)),
        });
        let all = std::iter::once(Sql::Blob(blob)).chain(cells);
        self.db.prepare_cached(&self.insert)?.execute(params_from_iter(all))?;
        self.rows += 1;
        if self.rows.is_multiple_of(BATCH) {
            self.db.execute_batch("commit; begin")?;
        }
        Ok(())
    }

    fn close(&self) -> rusqlite::Result<()> {
        let [w, s, e, n] = self.bounds.unwrap_or_default();
        let name = &self.plan.name;
        self.db.execute(
            "insert into gpkg_contents (table_name, data_type, identifier, description, min_x, min_y, max_x, max_y, srs_id)
             values (?1, 'features', ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![name, self.plan.title, w, s, e, n, self.srs],
        )?;
        self.db.execute(
            "insert into gpkg_geometry_columns values (?1, 'geom', 'GEOMETRY', ?2, 0, 0)",
            params![name, self.srs],
        )?;
        self.db.execute_batch("commit")
    }
}

impl Writer for Layer {
    fn row(&mut self, values: &[Value], geometry: &Geometry<f64>) -> Result<()> {
        self.write(values, geometry).map_err(|e| cannot(&self.path, &e))
    }

    fn finish(self: Box<Self>, _: u64) -> Result<()> {
        self.close().map_err(|e| cannot(&self.path, &e))
    }
}
