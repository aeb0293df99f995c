//! PostgreSQL's binary COPY format, as far as the register's columns need it.

use chrono::NaiveDate;
use geo::{Geometry, MultiLineString, MultiPolygon};
use geozero::{CoordDimensions, ToWkb};
use sqlx::PgConnection;

use crate::error::{Error, Result};

/// Rows in the binary COPY format. Every column takes a value or none.
#[derive(Debug)]
pub(super) struct Rows {
    bytes: Vec<u8>,
}

impl Rows {
    /// Room for about so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Rows {
        let mut buffer = Vec::with_capacity(bytes);
        // Signature, flags, length of the header's extension.
        buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        Rows { bytes: buffer }
    }

    /// Begins a row of so many columns.
    pub(super) fn row(&mut self, columns: i16) {
        self.bytes.extend_from_slice(&columns.to_be_bytes());
    }

    /// No value larger than 64 MB comes this far, so that a length always fits.
    fn value(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.bytes.extend_from_slice(&(-1i32).to_be_bytes()),
            Some(v) => {
                self.bytes.extend_from_slice(&(v.len() as i32).to_be_bytes());
                self.bytes.extend_from_slice(v);
            }
        }
    }

    pub(super) fn text<'a>(&mut self, value: impl Into<Option<&'a str>>) {
        self.value(value.into().map(str::as_bytes));
    }

    pub(super) fn int4(&mut self, value: impl Into<Option<i32>>) {
        self.value(value.into().map(i32::to_be_bytes).as_ref().map(|b| b.as_slice()));
    }

    pub(super) fn int8(&mut self, value: impl Into<Option<i64>>) {
        self.value(value.into().map(i64::to_be_bytes).as_ref().map(|b| b.as_slice()));
    }

    pub(super) fn date(&mut self, value: impl Into<Option<NaiveDate>>) {
        // Days since 2000-01-01; chrono counts from the year 1.
        self.int4(value.into().map(|d| chrono::Datelike::num_days_from_ce(&d) - 730_120));
    }

    /// A one-dimensional `text[]`.
    pub(super) fn texts(&mut self, values: &[String]) {
        const TEXT_OID: i32 = 25;
        let mut out = Vec::new();
        for n in [i32::from(!values.is_empty()), 0, TEXT_OID] {
            out.extend_from_slice(&n.to_be_bytes());
        }
        if !values.is_empty() {
            out.extend_from_slice(&(values.len() as i32).to_be_bytes());
            out.extend_from_slice(&1i32.to_be_bytes());
        }
        for s in values {
            out.extend_from_slice(&(s.len() as i32).to_be_bytes());
            out.extend_from_slice(s.as_bytes());
        }
        self.value(Some(&out));
    }

    /// `jsonb` is its version, 1, and the text.
    pub(super) fn jsonb(&mut self, json: &str) {
        self.bytes.extend_from_slice(&(json.len() as i32 + 1).to_be_bytes());
        self.bytes.push(1);
        self.bytes.extend_from_slice(json.as_bytes());
    }

    pub(super) fn geometry(&mut self, geometry: &Geometry<f64>) -> Result<()> {
        if let Geometry::Point(p) = geometry {
            // By far the most frequent: little-endian, a point with an SRID, 4326.
            let mut ewkb = [0u8; 25];
            ewkb[..9].copy_from_slice(&[1, 1, 0, 0, 0x20, 0xe6, 0x10, 0, 0]);
            ewkb[9..17].copy_from_slice(&p.x().to_le_bytes());
            ewkb[17..].copy_from_slice(&p.y().to_le_bytes());
            self.value(Some(&ewkb));
            return Ok(());
        }
        let ewkb = geometry
            .to_ewkb(CoordDimensions::xy(), Some(4326))
            .map_err(Error::internal)?;
        self.value(Some(&ewkb));
        Ok(())
    }

    pub(super) fn multi_polygon(&mut self, geometry: &MultiPolygon<f64>) -> Result<()> {
        self.geometry(&Geometry::MultiPolygon(geometry.clone()))
    }

    pub(super) fn multi_line(&mut self, geometry: &MultiLineString<f64>) -> Result<()> {
        self.geometry(&Geometry::MultiLineString(geometry.clone()))
    }

    /// Sends the rows; `statement` is `copy … from stdin (format binary)`.
    pub(super) async fn send(mut self, conn: &mut PgConnection, statement: &'static str) -> Result<()> {
        self.bytes.extend_from_slice(&(-1i16).to_be_bytes());
        let mut copy = conn.copy_in_raw(statement).await?;
        for part in self.bytes.chunks(1 << 20) {
            if let Err(e) = copy.send(part).await {
                copy.abort("the rows could not be sent").await?;
                return Err(e.into());
            }
        }
        copy.finish().await?;
        Ok(())
    }
}
