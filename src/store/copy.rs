//! PostgreSQL's binary COPY format, as far as the register's columns need it.

use chrono::NaiveDate;
use geo::{Geometry, MultiLineString, MultiPolygon, Point};
use geozero::{CoordDimensions, ToGeo, ToWkb};
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

/// Reads rows in the binary COPY format, however the bytes are cut.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// What is left of a row whose end has not come yet.
    rest: Vec<u8>,
    begun: bool,
    ended: bool,
}

/// Signature, flags, length of the header's extension: what [`Rows`] writes.
const HEADER: usize = 19;

impl Reader {
    /// Hands every row that is complete to `each`.
    pub(super) fn read(&mut self, bytes: &[u8], each: &mut impl FnMut(&mut Fields<'_>) -> Result<()>) -> Result<()> {
        if self.rest.is_empty() {
            let used = self.rows(bytes, each)?;
            self.rest.extend_from_slice(&bytes[used..]);
        } else {
            self.rest.extend_from_slice(bytes);
            let all = std::mem::take(&mut self.rest);
            let used = self.rows(&all, each)?;
            self.rest.extend_from_slice(&all[used..]);
        }
        Ok(())
    }

    fn rows(&mut self, bytes: &[u8], each: &mut impl FnMut(&mut Fields<'_>) -> Result<()>) -> Result<usize> {
        let mut used = 0;
        if !self.begun {
            if bytes.len() < HEADER {
                return Ok(0);
            }
            if !bytes.starts_with(b"PGCOPY\n\xff\r\n\0") {
                return Err(Error::internal("not the binary COPY format"));
            }
            self.begun = true;
            used = HEADER;
        }
        while let Some((columns, len)) = measure(&bytes[used..]) {
            if columns < 0 {
                self.ended = true;
                return Ok(used + len);
            }
            let mut fields = Fields {
                bytes: &bytes[used + 2..used + len],
            };
            each(&mut fields)?;
            used += len;
        }
        Ok(used)
    }

    /// Whether the end came where it should.
    pub(super) fn finish(self) -> Result<()> {
        if self.ended && self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::internal("the copy ended within a row"))
        }
    }
}

/// The columns and the length of the row that bytes begin with; none if it is not complete. -1 columns is the end.
fn measure(bytes: &[u8]) -> Option<(i16, usize)> {
    let (columns, mut rest) = bytes.split_first_chunk::<2>()?;
    let columns = i16::from_be_bytes(*columns);
    for _ in 0..columns {
        let (len, after) = rest.split_first_chunk::<4>()?;
        rest = after.get(usize::try_from(i32::from_be_bytes(*len)).unwrap_or(0)..)?;
    }
    Some((columns, bytes.len() - rest.len()))
}

/// The fields of one row, taken from left to right.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<&'a [u8]>> {
        let short = || Error::internal("a row has fewer columns than were asked for");
        let (len, rest) = self.bytes.split_first_chunk::<4>().ok_or_else(short)?;
        let len = i32::from_be_bytes(*len);
        let Ok(len) = usize::try_from(len) else {
            self.bytes = rest;
            return Ok(None);
        };
        let (value, rest) = rest.split_at_checked(len).ok_or_else(short)?;
        self.bytes = rest;
        Ok(Some(value))
    }

    fn number<const N: usize>(&mut self) -> Result<Option<[u8; N]>> {
        let value = self.next()?;
        let read = |v: &[u8]| <[u8; N]>::try_from(v).map_err(Error::internal);
        value.map(read).transpose()
    }

    /// A value that cannot be null.
    pub(super) fn need<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<Option<T>>) -> Result<T> {
        read(self)?.ok_or_else(|| Error::internal("null where none can be"))
    }

    pub(super) fn int4(&mut self) -> Result<Option<i32>> {
        Ok(self.number()?.map(i32::from_be_bytes))
    }

    pub(super) fn int8(&mut self) -> Result<Option<i64>> {
        Ok(self.number()?.map(i64::from_be_bytes))
    }

    pub(super) fn text(&mut self) -> Result<Option<&'a str>> {
        let value = self.next()?;
        value
            .map(|v| std::str::from_utf8(v).map_err(Error::internal))
            .transpose()
    }

    pub(super) fn ewkb(&mut self) -> Result<Option<Geometry<f64>>> {
        let Some(value) = self.next()? else {
            return Ok(None);
        };
        // By far the most frequent: what [`Rows::geometry`] writes for a point.
        if let (25, [1, 1, 0, 0, 0x20, ..]) = (value.len(), value) {
            let number = |at: usize| value[at..].first_chunk().map_or(f64::NAN, |b| f64::from_le_bytes(*b));
            return Ok(Some(Point::new(number(9), number(17)).into()));
        }
        let read = geozero::wkb::Ewkb(value).to_geo().map_err(Error::internal)?;
        Ok(Some(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Row = (i64, Option<i32>, Option<String>, f64);

    proptest! {
        #[test]
        fn what_was_written_is_read_however_it_is_cut(
            rows in prop::collection::vec((any::<i64>(), any::<Option<i32>>(), any::<Option<String>>(), -180.0..180.0f64), 0..20),
            cuts in prop::collection::vec(1usize..40, 1..50),
        ) {
            let mut out = Rows::with_capacity(0);
            for (a, b, c, lon) in &rows {
                out.row(4);
                out.int8(*a);
                out.int4(*b);
                out.text(c.as_deref());
                out.geometry(&Point::new(*lon, 1.5).into()).unwrap();
            }
            out.bytes.extend_from_slice(&(-1i16).to_be_bytes());
            let (mut reader, mut read) = (Reader::default(), Vec::<Row>::new());
            let (mut rest, mut cuts) = (&out.bytes[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (part, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                reader.read(part, &mut |row| {
                    let numbers = (row.need(Fields::int8)?, row.int4()?);
                    let text = row.text()?.map(str::to_owned);
                    let Geometry::Point(p) = row.need(Fields::ewkb)? else { panic!() };
                    read.push((numbers.0, numbers.1, text, p.x()));
                    Ok(())
                }).unwrap();
                rest = after;
            }
            reader.finish().unwrap();
            prop_assert_eq!(read, rows);
        }
    }

    #[test]
    fn a_copy_that_breaks_off_is_noticed() {
        let mut out = Rows::with_capacity(0);
        out.row(1);
        out.int8(1);
        let mut reader = Reader::default();
        reader.read(&out.bytes[..out.bytes.len() - 3], &mut |_| Ok(())).unwrap();
        assert!(reader.finish().is_err());
        assert!(
            Reader::default()
                .read(b"something else entirely", &mut |_| Ok(()))
                .is_err()
        );
    }
}
