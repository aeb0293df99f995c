//! PostgreSQL's binary COPY format, as far as the register's columns need it.

use chrono::NaiveDate;
use geo::{Coord, Geometry, LineString, MultiLineString, MultiPolygon, Polygon};
use sqlx::PgConnection;

use crate::error::{Error, Result};

/// Rows under construction.
#[derive(Debug)]
pub(super) struct Rows {
    bytes: Vec<u8>,
}

impl Default for Rows {
    fn default() -> Rows {
        let mut bytes = b"PGCOPY\n\xff\r\n\0".to_vec();
        bytes.extend([0; 8]);
        Rows { bytes }
    }
}

impl Rows {
    /// Begins a row of `n` columns.
    pub(super) fn row(&mut self, n: i16) {
        self.bytes.extend(n.to_be_bytes());
    }

    fn field(&mut self, value: &[u8]) {
        self.bytes.extend((value.len() as i32).to_be_bytes());
        self.bytes.extend(value);
    }

    /// NULL, or the value by the given writer.
    pub(super) fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Rows, T)) {
        match value {
            Some(v) => write(self, v),
            None => self.bytes.extend((-1_i32).to_be_bytes()),
        }
    }

    pub(super) fn int4(&mut self, v: i32) {
        self.field(&v.to_be_bytes());
    }

    pub(super) fn int8(&mut self, v: i64) {
        self.field(&v.to_be_bytes());
    }

    pub(super) fn text(&mut self, v: &str) {
        self.field(v.as_bytes());
    }

    /// A one-dimensional `text[]`.
    pub(super) fn texts(&mut self, v: &[String]) {
        const TEXT_OID: i32 = 25;
        let mut out = Vec::new();
        let dimensions = i32::from(!v.is_empty());
        for n in [dimensions, 0, TEXT_OID] {
            out.extend(n.to_be_bytes());
        }
        if !v.is_empty() {
            out.extend((v.len() as i32).to_be_bytes());
            out.extend(1_i32.to_be_bytes());
        }
        for s in v {
            out.extend((s.len() as i32).to_be_bytes());
            out.extend(s.as_bytes());
        }
        self.field(&out);
    }

    /// A day, counted from 2000-01-01.
    pub(super) fn date(&mut self, v: NaiveDate) {
        const UNIX_TO_PG: i32 = 10_957;
        self.int4(v.to_epoch_days() - UNIX_TO_PG);
    }

    /// A JSON text; the first byte is the format's version.
    pub(super) fn jsonb(&mut self, v: &str) {
        self.bytes.extend((v.len() as i32 + 1).to_be_bytes());
        self.bytes.push(1);
        self.bytes.extend(v.as_bytes());
    }

    /// A geometry that a component may have.
    pub(super) fn geometry(&mut self, g: &Geometry<f64>) -> Result<()> {
        let mut out = Vec::new();
        match g {
            Geometry::Point(p) => {
                head(&mut out, 1, true);
                coord(&mut out, p.0);
            }
            Geometry::LineString(l) => {
                head(&mut out, 2, true);
                coords(&mut out, l);
            }
            Geometry::Polygon(p) => polygon(&mut out, p, true),
            _ => return Err(Error::internal("a geometry that no demo component has")),
        }
        self.field(&out);
        Ok(())
    }

    pub(super) fn multi_polygon(&mut self, g: &MultiPolygon<f64>) {
        let mut out = Vec::new();
        head(&mut out, 6, true);
        count(&mut out, g.0.len());
        for p in &g.0 {
            polygon(&mut out, p, false);
        }
        self.field(&out);
    }

    pub(super) fn multi_line(&mut self, g: &MultiLineString<f64>) {
        let mut out = Vec::new();
        head(&mut out, 5, true);
        count(&mut out, g.0.len());
        for l in &g.0 {
            head(&mut out, 2, false);
            coords(&mut out, l);
        }
        self.field(&out);
    }
}

/// Byte order and type of EWKB, with SRID 4326 on the outermost geometry.
fn head(out: &mut Vec<u8>, kind: u32, outermost: bool) {
    out.push(1);
    let flag = if outermost { 0x2000_0000 } else { 0 };
    out.extend((kind | flag).to_le_bytes());
    if outermost {
        out.extend(4326_u32.to_le_bytes());
    }
}

fn count(out: &mut Vec<u8>, n: usize) {
    out.extend((n as u32).to_le_bytes());
}

fn coord(out: &mut Vec<u8>, c: Coord<f64>) {
    out.extend(c.x.to_le_bytes());
    out.extend(c.y.to_le_bytes());
}

fn coords(out: &mut Vec<u8>, line: &LineString<f64>) {
    count(out, line.0.len());
    for c in &line.0 {
        coord(out, *c);
    }
}

fn polygon(out: &mut Vec<u8>, p: &Polygon<f64>, outermost: bool) {
    head(out, 3, outermost);
    count(out, 1 + p.interiors().len());
    coords(out, p.exterior());
    for ring in p.interiors() {
        coords(out, ring);
    }
}

/// Sends the rows by a `copy … from stdin (format binary)` statement.
pub(super) async fn copy(conn: &mut PgConnection, statement: &'static str, rows: Rows) -> Result<()> {
    let mut bytes = rows.bytes;
    bytes.extend((-1_i16).to_be_bytes());
    let mut to = conn.copy_in_raw(statement).await?;
    for part in bytes.chunks(1 << 20) {
        to.send(part).await?;
    }
    to.finish().await?;
    Ok(())
}
