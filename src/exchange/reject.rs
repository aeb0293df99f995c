//! The file of refused rows: the source's own columns and what is wrong, to be corrected and imported as it is.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use ::geojson::{Feature, GeometryValue};
use rust_xlsxwriter::{Color, Format as Look, Workbook, Worksheet, XlsxError};
use serde_json::{Map, Value};

use super::read::Format;
use super::record::{ADDED, Body, Record};
use super::write::cannot;
use crate::domain::delivery::RowFault;
use crate::domain::text::Lang;
use crate::error::{Error, Result};

/// The most rows of a sheet, below its heading.
const MAX_SHEET: u32 = 1_048_575;

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

enum Out {
    Csv(Box<::csv::Writer<File>>, bool),
    GeoJson(BufWriter<File>, bool),
    Xlsx(Box<Sheet>),
}

impl std::fmt::Debug for Out {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Out::Csv(..) => "Csv",
            Out::GeoJson(..) => "GeoJson",
            Out::Xlsx(_) => "Xlsx",
        })
    }
}

/// The extension of a format's reject file: what has shapes becomes GeoJSON, which every desktop GIS edits.
pub fn extension(format: Format) -> &'static str {
    match format {
        Format::Csv => ".csv",
        Format::Xlsx => ".xlsx",
        _ => ".geojson",
    }
}

impl Rejects {
    /// `crs` is the name or definition that a GeoJSON needs, as without it the refused features would be read as WGS84.
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
        match self.out()? {
            Out::Csv(out, first) => csv_row(out, std::mem::take(first), record, &added).map_err(|e| cannot(&path, &e)),
            Out::GeoJson(out, first) => {
                geojson_row(out, std::mem::take(first), record, &added).map_err(|e| cannot(&path, &e))
            }
            Out::Xlsx(sheet) => sheet.add(record, faults, &added).map_err(|e| cannot(&path, &e)),
        }
    }

    /// Finishes the file; whether there is one.
    pub fn finish(mut self) -> Result<bool> {
        let path = &self.path;
        match &mut self.out {
            None => return Ok(false),
            Some(Out::Csv(out, _)) => out.flush().map_err(|e| cannot(path, &e))?,
            Some(Out::GeoJson(out, _)) => {
                let done = out.write_all(b"\n]}\n").and_then(|()| out.flush());
                done.map_err(|e| cannot(path, &e))?;
            }
            Some(Out::Xlsx(sheet)) => sheet.book.save(path).map_err(|e| cannot(path, &e))?,
        }
        Ok(true)
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
            let fault = |e: std::io::Error| cannot(&self.path, &e);
            // Also a workbook, which is written at its end: that it cannot be is told before the rows go in.
            let mut file = File::create(&self.path).map_err(fault)?;
            self.out = Some(match self.format {
                Format::Csv => {
                    // Spreadsheets take a CSV without this mark for the system's old encoding.
                    file.write_all("\u{feff}".as_bytes()).map_err(fault)?;
                    let mut writer = ::csv::WriterBuilder::new();
                    writer.delimiter(self.delimiter).flexible(true);
                    Out::Csv(Box::new(writer.from_writer(file)), true)
                }
                Format::Xlsx => Out::Xlsx(Box::new(Sheet::new().map_err(|e| cannot(&self.path, &e))?)),
                _ => {
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
        Body::Values(row) => Feature {
            geometry: row
                .geometry
                .as_ref()
                .map(|g| ::geojson::Geometry::new(GeometryValue::from(g))),
            properties: Some(
                record
                    .columns()
                    .into_iter()
                    .map(|(name, v)| (name.to_owned(), v.into_owned()))
                    .collect(),
            ),
            ..Feature::default()
        },
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

/// A workbook of refused rows: texts stay texts, numbers stay numbers, the cells in question are red.
struct Sheet {
    book: Workbook,
    names: Vec<String>,
    row: u32,
    text: Look,
    wrong: Look,
    told: Look,
}

impl Sheet {
    fn new() -> Result<Sheet, XlsxError> {
        let mut book = Workbook::new();
        book.add_worksheet_with_constant_memory()?;
        let red = Color::RGB(0x00ff_c7ce);
        Ok(Sheet {
            book,
            names: Vec::new(),
            row: 0,
            // What a clerk types over it is text too: no code is rounded again.
            text: Look::new().set_num_format("@"),
            wrong: Look::new().set_num_format("@").set_background_color(red),
            told: Look::new().set_font_color(Color::RGB(0x009c_0006)),
        })
    }

    fn add(&mut self, record: &Record, faults: &[RowFault], added: &[String; 4]) -> Result<(), XlsxError> {
        if self.row > MAX_SHEET {
            return Ok(());
        }
        let columns = record.columns();
        let first = self.row == 0;
        if first {
            self.names = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        }
        let (names, row) = (self.names.clone(), self.row.max(1));
        let (text, wrong, told) = (self.text.clone(), self.wrong.clone(), self.told.clone());
        let sheet = self.book.worksheet_from_index(0)?;
        if first {
            heading(sheet, &names, &text)?;
        }
        for (i, (name, value)) in columns.iter().enumerate() {
            let column = u16::try_from(i).unwrap_or(u16::MAX);
            let look = if faults.iter().any(|f| *f.column == **name) {
                &wrong
            } else {
                &text
            };
            match value.as_ref() {
                Value::Null => sheet.write_blank(row, column, look)?,
                Value::Bool(b) => sheet.write_boolean_with_format(row, column, *b, look)?,
                Value::Number(n) => {
                    sheet.write_number_with_format(row, column, n.as_f64().unwrap_or_default(), look)?
                }
                Value::String(s) => sheet.write_string_with_format(row, column, s, look)?,
                other => sheet.write_string_with_format(row, column, other.to_string(), look)?,
            };
        }
        for (i, value) in added.iter().enumerate() {
            let column = u16::try_from(names.len() + i).unwrap_or(u16::MAX);
            sheet.write_string_with_format(row, column, value, &told)?;
        }
        self.row = row + 1;
        Ok(())
    }
}

fn heading(sheet: &mut Worksheet, names: &[String], text: &Look) -> Result<(), XlsxError> {
    let bold = Look::new().set_bold().set_background_color(Color::RGB(0x00d9_e1f2));
    sheet.set_freeze_panes(1, 0)?;
    for (i, name) in names.iter().map(String::as_str).chain(ADDED).enumerate() {
        let column = u16::try_from(i).unwrap_or(u16::MAX);
        let width = name.chars().map(|c| if c.is_ascii() { 1.0 } else { 2.0 }).sum::<f64>();
        sheet.set_column_format(column, text)?;
        sheet.set_column_width(column, if i < names.len() { width.clamp(10.0, 24.0) } else { 30.0 })?;
        sheet.write_string_with_format(0, column, name, &bold)?;
    }
    Ok(())
}
