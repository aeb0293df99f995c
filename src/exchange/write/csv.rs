//! CSV that Excel and WPS open as it is meant: a BOM, or GB18030; codes kept text by a tab, which every reader here takes off again.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use encoding_rs::Encoding;
use geo::Geometry;
use serde_json::Value;

use super::{Kind, Plan, Writer, cannot, plain};
use crate::error::Result;

pub(super) struct Csv {
    path: PathBuf,
    out: BufWriter<File>,
    kinds: Vec<Kind>,
    encoding: &'static Encoding,
}

impl Csv {
    pub(super) fn create(path: &Path, plan: &Plan) -> Result<Csv> {
        let file = File::create(path).map_err(|e| cannot(path, &e))?;
        let mut own = Csv {
            path: path.to_owned(),
            out: BufWriter::new(file),
            kinds: plan.fields.iter().map(|f| f.kind).collect(),
            encoding: plan.encoding,
        };
        if own.encoding == encoding_rs::UTF_8 {
            own.out.write_all("\u{feff}".as_bytes()).map_err(|e| cannot(path, &e))?;
        }
        own.line(plan.fields.iter().map(|f| f.name.clone()))?;
        Ok(own)
    }

    fn line(&mut self, cells: impl Iterator<Item = String>) -> Result<()> {
        let mut line = ::csv::WriterBuilder::new()
            .terminator(::csv::Terminator::CRLF)
            .from_writer(Vec::new());
        let fault = |e: &dyn std::fmt::Display| cannot(&self.path, e);
        line.write_record(cells.collect::<Vec<_>>()).map_err(|e| fault(&e))?;
        let bytes = line.into_inner().map_err(|e| fault(&e))?;
        if self.encoding == encoding_rs::UTF_8 {
            return self.out.write_all(&bytes).map_err(|e| fault(&e));
        }
        let text = String::from_utf8(bytes).map_err(|e| fault(&e))?;
        self.out
            .write_all(&self.encoding.encode(&text).0)
            .map_err(|e| fault(&e))
    }
}

/// What a spreadsheet would count or calculate.
fn guarded(kind: Kind, text: String) -> String {
    let digits = text.len() > 11 && text.bytes().all(|b| b.is_ascii_digit());
    let code = kind == Kind::Code && text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty();
    let formula = matches!(kind, Kind::Text | Kind::Code) && text.starts_with(['=', '+', '-', '@']);
    if digits || code || formula {
        format!("\t{text}")
    } else {
        text
    }
}

impl Writer for Csv {
    fn row(&mut self, values: &[Value], _: &Geometry<f64>) -> Result<()> {
        let cells: Vec<String> = values
            .iter()
            .zip(&self.kinds)
            .map(|(v, k)| guarded(*k, plain(v)))
            .collect();
        self.line(cells.into_iter())
    }

    fn finish(mut self: Box<Self>, _: u64) -> Result<()> {
        self.out.flush().map_err(|e| cannot(&self.path, &e))
    }
}
