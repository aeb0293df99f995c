//! Opening a delivery: its file, its mapping, and whether the two fit.

use std::path::Path;

use super::Batch;
use crate::domain::delivery::{Reason, RowFault};
use crate::domain::text::{Fault, Text};
use crate::error::{Error, Result};
use crate::exchange::mapping::{Mapping, Target};
use crate::exchange::read::{Hints, Table};
use crate::exchange::record::Record;
use crate::spatial::crs::Crs;
use crate::text;

/// A file and its mapping, ready to be read.
pub(super) struct Opened {
    pub(super) mapping: Mapping,
    pub(super) crs: Crs,
    pub(super) table: Table,
    crs_from: &'static str,
}

/// Opens a file and checks that the mapping's columns are in it.
pub(super) fn open(path: &Path, options: &super::Options) -> Result<Opened> {
    let into = options.into;
    let mut mapping = match (options.mapping.as_deref(), into) {
        (Some(text), _) => Mapping::parse(text, into)?,
        (None, Some(Target::Classes)) => Mapping::parse("", into)?,
        (None, _) => {
            let detail = Text::new("缺少映射文件（--mapping）", "a mapping file is needed (--mapping)");
            return Err(Error::syntax("mapping", detail));
        }
    };
    let hints = Hints {
        encoding: mapping.encoding,
        delimiter: mapping.delimiter,
        sheet: options.sheet.clone().or_else(|| mapping.sheet.clone()),
    };
    let table = Table::open(path, hints)?;
    mapping.complete(&table.header, table.format)?;
    mapping.resolve(&table.header, table.format)?;
    let (crs, crs_from) = system(&mapping, &table, options.crs)?;
    Ok(Opened {
        mapping,
        crs,
        table,
        crs_from,
    })
}

/// The coordinate system: that of the command line, of the mapping, of the file, or WGS84 where a format has no other.
fn system(mapping: &Mapping, table: &Table, stated: Option<Crs>) -> Result<(Crs, &'static str)> {
    if let Some(crs) = stated {
        return Ok((crs, "stated"));
    }
    if let Some(crs) = mapping.crs {
        return Ok((crs, "mapping"));
    }
    if let Some(own) = &table.crs {
        let crs = Crs::of_file(own).map_err(|e| Error::Syntax(vec![Fault::new("crs", e)]))?;
        return Ok((crs, "file"));
    }
    if table.format.must_state_crs() && mapping.uses_shapes() {
        let detail = Text::new(
            "文件没有写明坐标系（无 .prj），请用 --crs 或在映射中写明，例如 EPSG:4548；不会猜测",
            "the file does not state its coordinate system (no .prj); state it with --crs or in the mapping, such as EPSG:4548: it is not guessed",
        );
        return Err(Error::syntax("crs", detail));
    }
    Ok((Crs::WGS84, "assumed"))
}

impl Opened {
    /// Reads to the end, handing over batches of at most `size` rows; stops when `send` says so.
    pub(super) fn read<T>(
        &self,
        size: usize,
        mut map: impl FnMut(&Record) -> Result<T, Vec<RowFault>>,
        mut send: impl FnMut(Batch<T>) -> bool,
    ) -> Result<()> {
        let mut batch = Batch::default();
        let mut stopped = false;
        let lossy = self.table.lossy();
        self.table.rows(&mut |row| {
            batch.read += 1;
            match row {
                Err(bad) => {
                    let (record, fault) = *bad;
                    batch.refused.push((record, vec![fault]));
                }
                Ok(record) if lossy && record.has('\u{fffd}') => {
                    let encoding = self.encoding();
                    batch.refused.push((record, vec![broken_text(&encoding)]));
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
            stopped = batch.read as usize >= size && !send(std::mem::take(&mut batch));
            !stopped
        })?;
        if !stopped {
            send(batch);
        }
        Ok(())
    }

    /// The encoding and how it was found, where the file has one.
    pub(super) fn encoding(&self) -> String {
        self.table.encoding.map_or_else(String::new, |e| e.name())
    }

    /// What a reject file with shapes must say of their coordinates; nothing where the mapping says it or nobody does.
    pub(super) fn crs_member(&self) -> Option<String> {
        matches!(self.crs_from, "stated" | "file").then(|| self.crs.member())
    }

    pub(super) fn crs_name(&self) -> String {
        // Which column is the easting or longitude the mapping says; in a shape it comes first.
        format!("{} ({})", self.crs.key(), self.crs_from)
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
