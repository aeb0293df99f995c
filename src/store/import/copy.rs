//! PostgreSQL's binary COPY format.

use chrono::NaiveDate;
use geo::Geometry;
use geozero::{CoordDimensions, ToWkb};
use sqlx::PgConnection;

use crate::error::{Error, Result};

/// Rows in the binary COPY format.
#[derive(Debug)]
pub(super) struct CopyBuffer {
    bytes: Vec<u8>,
}

impl CopyBuffer {
    pub(super) fn with_capacity(bytes: usize) -> CopyBuffer {
        let mut buffer = Vec::with_capacity(bytes);
        // Signature, flags, length of the header's extension.
        buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        CopyBuffer { bytes: buffer }
    }

    pub(super) fn row(&mut self, columns: i16) {
        self.bytes.extend_from_slice(&columns.to_be_bytes());
    }

    /// No value larger than 64 MB comes this far, so that a length always fits.
    pub(super) fn value(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.bytes.extend_from_slice(&(-1i32).to_be_bytes()),
            Some(v) => {
                self.bytes.extend_from_slice(&(v.len() as i32).to_be_bytes());
                self.bytes.extend_from_slice(v);
            }
        }
    }

    pub(super) fn text(&mut self, value: Option<&str>) {
        self.value(value.map(str::as_bytes));
    }

    pub(super) fn int4(&mut self, value: Option<i32>) {
        self.value(value.map(i32::to_be_bytes).as_ref().map(|b| b.as_slice()));
    }

    pub(super) fn int8(&mut self, value: i64) {
        self.value(Some(&value.to_be_bytes()));
    }

    pub(super) fn date(&mut self, value: Option<NaiveDate>) {
        // Days since 2000-01-01; chrono counts from the year 1.
        self.int4(value.map(|d| chrono::Datelike::num_days_from_ce(&d) - 730_120));
    }

    /// `jsonb` is its version, 1, and the text.
    pub(super) fn jsonb(&mut self, json: &str) {
        self.bytes.extend_from_slice(&(json.len() as i32 + 1).to_be_bytes());
        self.bytes.push(1);
        self.bytes.extend_from_slice(json.as_bytes());
    }

    pub(super) fn geometry(&mut self, geometry: &Geometry<f64>) -> Result<()> {
        if let Geometry::Point(p) = geometry {
            let mut ewkb = [0u8; 25];
            ewkb[..9].copy_from_slice(&[1, 1, 0, 0, 0x20, 0xe6, 0x10, 0, 0]);
            ewkb[9..17].copy_from_slice(&p.x().to_le_bytes());
            ewkb[17..].copy_from_slice(&p.y().to_le_bytes());
            self.value(Some(&ewkb));
        } else {
            let ewkb = geometry
                .to_ewkb(CoordDimensions::xy(), Some(4326))
                .map_err(Error::internal)?;
            self.value(Some(&ewkb));
        }
        Ok(())
    }

    /// Sends the rows; `statement` is `copy … from stdin (format binary)`.
    pub(super) async fn send(mut self, conn: &mut PgConnection, statement: &'static str) -> Result<()> {
        self.bytes.extend_from_slice(&(-1i16).to_be_bytes());
        let mut copy = conn.copy_in_raw(statement).await?;
        if let Err(e) = copy.send(self.bytes).await {
            copy.abort("the rows could not be sent").await?;
            return Err(e.into());
        }
        copy.finish().await?;
        Ok(())
    }
}
