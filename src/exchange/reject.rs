//! The file of refused rows: the source's own columns and what is wrong, to be corrected and imported as it is.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use ::geojson::Feature;
use serde_json::{Map, Value};

use super::record::{ADDED, Body, Record};
use super::source::Format;
use crate::domain::delivery::RowFault;
use crate::domain::text::Lang;
use crate::error::{Error, Result};
use crate::text;

/// Writes refused rows; the file is made with the first.
#[derive(Debug)]
pub struct Rejects {
    path: PathBuf,
    format: Format,
    delimiter: u8,
    crs: Option<String>,
    lang: Lang,
    out: Option<Out>,
}

#[derive(Debug)]
enum Out {
    Csv(Box<::csv::Writer<File>>, bool),
    GeoJson(BufWriter<File>, bool),
}

impl Rejects {
    /// `crs` is the file's own `crs` member: without it the refused features would be read as WGS84.
    pub fn new(path: PathBuf, format: Format, delimiter: Option<u8>, crs: Option<String>, lang: Lang) -> Rejects {
        Rejects {
            path,
            format,
            delimiter: delimiter.unwrap_or(b','),
            crs,
            lang,
            out: None,
        }
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a row.
    pub fn add(&mut self, record: &Record, faults: &[RowFault]) -> Result<()> {
        let added = self.added(record.row, faults);
        let path = self.path.clone();
        let written = match self.out()? {
            Out::Csv(out, first) => csv_row(out, std::mem::take(first), record, &added).map_err(std::io::Error::other),
            Out::GeoJson(out, first) => geojson_row(out, std::mem::take(first), record, &added),
        };
        written.map_err(|e| cannot(&path, &e))
    }

    /// Finishes the file; whether there is one.
    pub fn finish(mut self) -> Result<bool> {
        let done = match &mut self.out {
            None => return Ok(false),
            Some(Out::Csv(out, _)) => out.flush(),
            Some(Out::GeoJson(out, _)) => out.write_all(b"\n]}\n").and_then(|()| out.flush()),
        };
        done.map(|()| true).map_err(|e| cannot(&self.path, &e))
    }

    fn added(&self, row: u64, faults: &[RowFault]) -> [String; 4] {
        let join = |of: fn(&RowFault, Lang) -> &str| {
            let parts: Vec<&str> = faults.iter().map(|f| of(f, self.lang)).collect();
            parts.join("; ")
        };
        let column = join(|f, _| &f.column);
        [
            row.to_string(),
            column,
            join(|f, lang| f.detail.get(lang)),
            join(|f, lang| f.expected.get(lang)),
        ]
    }

    fn out(&mut self) -> Result<&mut Out> {
        if self.out.is_none() {
            let fault = |e| cannot(&self.path, &e);
            let mut file = File::create(&self.path).map_err(fault)?;
            self.out = Some(match self.format {
                Format::Csv => {
                    // Spreadsheets take a CSV without this mark for the system's old encoding.
                    file.write_all("\u{feff}".as_bytes()).map_err(fault)?;
                    let mut writer = ::csv::WriterBuilder::new();
                    writer.delimiter(self.delimiter).flexible(true);
                    Out::Csv(Box::new(writer.from_writer(file)), true)
                }
                Format::GeoJson => {
                    let mut out = BufWriter::new(file);
                    let crs = self.crs.as_ref().map_or(String::new(), |name| {
                        let member = serde_json::json!({"type": "name", "properties": {"name": name}});
                        format!("\"crs\":{member},")
                    });
                    write!(out, "{{\"type\":\"FeatureCollection\",{crs}\"features\":[").map_err(fault)?;
                    Out::GeoJson(out, true)
                }
            });
        }
        self.out.as_mut().ok_or_else(|| Error::internal("no reject file"))
    }
}

fn cannot(path: &Path, e: &std::io::Error) -> Error {
    let path = path.display();
    Error::Setup(text!("无法写入 {path}:{e}", "{path} cannot be written: {e}"))
}

fn csv_row(
    out: &mut ::csv::Writer<File>,
    first: bool,
    record: &Record,
    added: &[String; 4],
) -> Result<(), ::csv::Error> {
    let Body::Cells(header, cells) = &record.body else {
        return Ok(());
    };
    let own: Vec<usize> = (0..header.len())
        .filter(|i| !ADDED.contains(&header[*i].as_str()))
        .collect();
    if first {
        let names = own.iter().map(|i| header[*i].as_str());
        out.write_record(names.chain(ADDED))?;
    }
    // A row with too few cells is filled up, one with too many keeps the rest in its last column.
    let mut row: Vec<String> = own
        .iter()
        .map(|i| cells.get(*i).unwrap_or_default().to_owned())
        .collect();
    if let Some(last) = row.last_mut() {
        for rest in cells.iter().skip(header.len()) {
            last.push(',');
            last.push_str(rest);
        }
    }
    out.write_record(row.iter().chain(added))
}

fn geojson_row(out: &mut BufWriter<File>, first: bool, record: &Record, added: &[String; 4]) -> std::io::Result<()> {
    let mut feature = match &record.body {
        Body::Feature(feature) => (**feature).clone(),
        Body::Broken(raw) => Feature {
            properties: Some(Map::from_iter([("_raw".to_owned(), Value::from(raw.as_str()))])),
            ..Feature::default()
        },
        Body::Cells(..) => return Ok(()),
    };
    let properties = feature.properties.get_or_insert_default();
    for (name, value) in ADDED.iter().zip(added) {
        properties.insert((*name).to_owned(), Value::from(value.as_str()));
    }
    write!(out, "{}\n{feature}", if first { "" } else { "," })
}
