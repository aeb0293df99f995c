//! Opening a delivery: its file, its mapping, and whether the two fit.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::Batch;
use crate::domain::delivery::{Reason, RowFault};
use crate::domain::text::{Fault, Text};
use crate::error::{Error, Result};
use crate::exchange::mapping::{Mapping, Target};
use crate::exchange::record::{ADDED, Record};
use crate::exchange::source::{self, Format};
use crate::exchange::{csv, geojson};
use crate::spatial::crs::Crs;
use crate::text;

/// Features looked at to learn what columns a GeoJSON has: it has no header, and a feature may leave a property out.
const PEEK: usize = 1000;

type Row = Result<Record, (Record, RowFault)>;

/// A file and its mapping, ready to be read.
pub(super) struct Opened {
    pub(super) mapping: Mapping,
    pub(super) crs: Crs,
    pub(super) format: Format,
    pub(super) encoding: String,
    pub(super) size: u64,
    pub(super) done: Arc<AtomicU64>,
    /// The file's own `crs` member.
    pub(super) crs_member: Option<String>,
    crs_stated: bool,
    lossy: bool,
    rows: Box<dyn Iterator<Item = Row> + Send>,
}

/// Opens a file and checks that the mapping's columns are in it.
pub(super) fn open(path: &Path, mapping: Option<&str>, into: Option<Target>) -> Result<Opened> {
    let mut mapping = match (mapping, into) {
        (Some(text), _) => Mapping::parse(text, into)?,
        (None, Some(Target::Classes)) => Mapping::parse("", into)?,
        (None, _) => {
            let detail = Text::new("缺少映射文件(--mapping)", "a mapping file is needed (--mapping)");
            return Err(Error::syntax("mapping", detail));
        }
    };
    let source = source::open(path, mapping.encoding)?;
    let (format, encoding, lossy, size, done) =
        (source.format, source.encoding, source.lossy, source.size, source.done);
    let (header, crs_member, rows): (Vec<String>, _, Box<dyn Iterator<Item = Row> + Send>) = match format {
        Format::Csv => {
            let rows = csv::Rows::open(source.reader, mapping.delimiter)?;
            (rows.header.to_vec(), None, Box::new(rows))
        }
        Format::GeoJson => {
            let mut features = geojson::Features::open(source.reader);
            let first: Vec<Row> = features.by_ref().take(PEEK).collect();
            let mut header: Vec<String> = Vec::new();
            for record in first.iter().flatten() {
                for (name, _) in record.columns() {
                    if !header.iter().any(|h| h == name) {
                        header.push(name.to_owned());
                    }
                }
            }
            // A feature's own id may be its key.
            header.push("id".to_owned());
            (
                header,
                features.crs.clone(),
                Box::new(first.into_iter().chain(features)),
            )
        }
    };
    mapping.complete(&header, format == Format::Csv)?;
    let own: Vec<String> = header.into_iter().filter(|h| !ADDED.contains(&h.as_str())).collect();
    mapping.resolve(&own)?;
    let stated = mapping.crs;
    let member = || {
        crs_member
            .as_deref()
            .map(|name| Crs::parse(name).map_err(|e| Error::Syntax(vec![Fault::new("crs", e)])))
    };
    let crs = match stated {
        Some(crs) => crs,
        None => member().transpose()?.unwrap_or(Crs::WGS84),
    };
    Ok(Opened {
        mapping,
        crs,
        format,
        encoding,
        size,
        done,
        crs_stated: stated.is_some(),
        crs_member,
        lossy,
        rows,
    })
}

impl Opened {
    /// Reads to the end, handing over batches of at most `size` rows; stops when `send` says so.
    pub(super) fn read<T>(
        self,
        size: usize,
        mut map: impl FnMut(&Record) -> Result<T, Vec<RowFault>>,
        mut send: impl FnMut(Batch<T>) -> bool,
    ) {
        let mut batch = Batch::default();
        for row in self.rows {
            batch.read += 1;
            match row {
                Err((record, fault)) => batch.refused.push((record, vec![fault])),
                Ok(record) if self.lossy && record.has('\u{fffd}') => {
                    batch.refused.push((record, vec![broken_text(&self.encoding)]));
                }
                // PostgreSQL keeps no NUL in text; one would fail its whole batch.
                Ok(record) if record.has('\0') => batch.refused.push((record, vec![nul()])),
                Ok(record) => match map(&record) {
                    Ok(row) => {
                        batch.records.push(record);
                        batch.rows.push(row);
                    }
                    Err(faults) => batch.refused.push((record, faults)),
                },
            }
            if batch.read as usize >= size && !send(std::mem::take(&mut batch)) {
                return;
            }
        }
        send(batch);
    }

    pub(super) fn format_name(&self) -> &'static str {
        match self.format {
            Format::Csv => "CSV",
            Format::GeoJson => "GeoJSON",
        }
    }

    pub(super) fn reject_extension(&self) -> &'static str {
        match self.format {
            Format::Csv => ".csv",
            Format::GeoJson => ".geojson",
        }
    }

    pub(super) fn crs_name(&self) -> String {
        let how = match (self.crs_stated, &self.crs_member) {
            (true, _) => "mapping",
            (false, Some(_)) => "file",
            (false, None) => "assumed",
        };
        // Which column is the easting or longitude the mapping says; in GeoJSON it comes first.
        format!("{} ({how})", self.crs.key())
    }
}

/// The fault of a row whose bytes are not in the encoding.
fn broken_text(encoding: &str) -> RowFault {
    let detail = text!(
        "本行有不属于 {encoding} 的字节",
        "the row has bytes that are not {encoding}"
    );
    let expected = Text::new("在映射中写明正确的 encoding", "the right encoding in the mapping");
    RowFault::new(Reason::Encoding, "", detail, expected)
}

fn nul() -> RowFault {
    let detail = Text::new("本行含空字符", "the row has a NUL character");
    RowFault::new(
        Reason::Encoding,
        "",
        detail,
        Text::new("不含空字符的文本", "text without it"),
    )
}
