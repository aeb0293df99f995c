//! CSV into records.

use std::io::BufRead;
use std::sync::Arc;

use ::csv::{ReaderBuilder, StringRecord};

use super::super::record::{Body, Record};
use super::{Each, Facts, Reader, Row, check_header, refused};
use crate::domain::delivery::{Reason, RowFault};
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::text;

/// The rows of a CSV file.
pub(super) struct Rows {
    reader: ::csv::Reader<Box<dyn BufRead + Send>>,
    /// The header's names.
    pub(super) header: Arc<[String]>,
    row: u64,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl Rows {
    /// Reads the header. The delimiter is the stated one, or whichever of comma, semicolon and tab its first line has most of.
    pub(super) fn open(mut reader: Box<dyn BufRead + Send>, delimiter: Option<u8>) -> Result<Rows> {
        let delimiter = match delimiter {
            Some(d) => d,
            None => {
                let start = reader.fill_buf().map_err(Error::internal)?;
                let line = start.split(|b| *b == b'\n').next().unwrap_or_default();
                let count = |d: u8| line.iter().filter(|b| **b == d).count();
                [b',', b';', b'\t']
                    .into_iter()
                    .rev()
                    .max_by_key(|d| count(*d))
                    .unwrap_or(b',')
            }
        };
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(reader);
        let header = reader
            .headers()
            .map_err(|e| Error::syntax("", text!("表头无法读取：{e}", "the header cannot be read: {e}")))?;
        let header: Arc<[String]> = header.iter().map(|s| s.trim().to_owned()).collect();
        check_header(&header)?;
        Ok(Rows { reader, header, row: 1 })
    }
}

impl Iterator for Rows {
    type Item = Row;

    fn next(&mut self) -> Option<Self::Item> {
        let mut cells = StringRecord::new();
        self.row += 1;
        let row = self.row;
        match self.reader.read_record(&mut cells) {
            Ok(false) => None,
            Ok(true) => {
                let (have, want) = (cells.len(), self.header.len());
                let record = Record::new(row, Body::Cells(Arc::clone(&self.header), cells));
                if have == want {
                    return Some(Ok(record));
                }
                let detail = text!(
                    "本行有{have}列，表头有{want}列",
                    "the row has {have} columns, the header {want}"
                );
                let expected = text!(
                    "{want}列；文本内的分隔符须加引号",
                    "{want} columns; quote text that contains the delimiter"
                );
                Some(refused(record, RowFault::new(Reason::Columns, "", detail, expected)))
            }
            Err(e) => {
                let record = Record::new(row, Body::Cells(Arc::clone(&self.header), StringRecord::new()));
                let end = matches!(e.kind(), ::csv::ErrorKind::Io(_));
                let detail = text!("本行无法读取：{e}", "the row cannot be read: {e}");
                let fault = RowFault::new(Reason::Unreadable, "", detail, Text::new("", ""));
                if end {
                    // The rest of the file cannot be read either: an empty reader ends the next call.
                    self.reader = ReaderBuilder::new().from_reader(Box::new(std::io::empty()));
                }
                Some(refused(record, fault))
            }
        }
    }
}

impl Reader for Rows {
    fn facts(&self) -> Facts {
        Facts {
            header: self.header.to_vec(),
            ..Facts::default()
        }
    }

    fn rows(&mut self, each: Each<'_>) -> bool {
        Iterator::by_ref(self).all(each)
    }
}
