//! A delivery's file, whatever its format: recognised by its bytes, its columns known, its rows read as often as needed.
//!
//! Each format has a reader that holds nothing but the row under way. An archive (.zip) is read as all of its files of one format, one
//! after another.
mod archive;
mod csv;
mod dbf;
mod fgb;
mod gpkg;
mod json;
mod shapefile;
pub mod source;
mod xlsx;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use encoding_rs::Encoding;
use tempfile::TempDir;

use super::record::{ADDED, Column, FILE, Record};
use crate::domain::delivery::{Reason, RowFault};
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::text;
use source::{Done, Found};

/// Rows looked at to learn what a file has: JSON has no header, and a heading says less than the values below it.
pub const PEEK: usize = 1000;

/// A row that could be cut out of its file, or what is left of one that could not.
pub type Row = Result<Record, Box<(Record, RowFault)>>;

/// Takes rows; `false` when it wants no more.
pub type Each<'a> = &'a mut dyn FnMut(Row) -> bool;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Rows and columns as text, the first row naming the columns.
    Csv,
    /// Features, or plain objects and arrays.
    Json,
    /// A sheet of a workbook.
    Xlsx,
    /// .shp and .dbf, or a .dbf alone.
    Shapefile,
    /// A table of features in SQLite.
    GeoPackage,
    /// A stream of features.
    FlatGeobuf,
}

impl Format {
    /// The name in a report.
    pub fn name(self) -> &'static str {
        match self {
            Format::Csv => "CSV",
            Format::Json => "GeoJSON",
            Format::Xlsx => "XLSX",
            Format::Shapefile => "Shapefile",
            Format::GeoPackage => "GeoPackage",
            Format::FlatGeobuf => "FlatGeobuf",
        }
    }

    /// Whether its rows may have shapes of their own.
    pub fn has_shapes(self) -> bool {
        !matches!(self, Format::Csv | Format::Xlsx)
    }

    /// Whether it is a format of projected coordinates, so that WGS84 may not be assumed.
    pub fn must_state_crs(self) -> bool {
        matches!(self, Format::Shapefile | Format::GeoPackage | Format::FlatGeobuf)
    }
}

/// How to read a file, where it does not say so itself.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// The encoding of text.
    pub encoding: Option<&'static Encoding>,
    /// The delimiter of a CSV.
    pub delimiter: Option<u8>,
    /// The sheet of a workbook, or the layer of a GeoPackage.
    pub sheet: Option<String>,
}

/// What a file says of itself.
#[derive(Clone, Debug, Default)]
struct Facts {
    /// The names of its columns; a JSON has none before its rows have been seen.
    header: Vec<String>,
    /// Its coordinate system, as a name, `EPSG:n` or WKT.
    crs: Option<String>,
    /// Its encoding, where it is text.
    encoding: Option<Found>,
    /// What people should know of it.
    notes: Vec<Text>,
}

/// One format's reader of one file.
trait Reader {
    fn facts(&self) -> Facts;
    /// Hands over every row; whether it came to the end.
    fn rows(&mut self, each: Each<'_>) -> bool;
}

/// One file of a delivery.
#[derive(Clone, Debug)]
struct Part {
    path: PathBuf,
    /// Its name in the archive.
    name: Option<Arc<str>>,
    /// Found once, so that text is not read through at each pass.
    encoding: Option<Found>,
}

/// A file that has been recognised and looked into.
#[derive(Debug)]
pub struct Table {
    /// What it holds.
    pub format: Format,
    /// The names of its columns.
    pub header: Vec<String>,
    /// Its first rows.
    pub sample: Vec<Record>,
    /// The coordinate system that it states: a name, `EPSG:n` or WKT.
    pub crs: Option<String>,
    /// Its encoding and how it was found.
    pub encoding: Option<Found>,
    /// What people should know of it.
    pub notes: Vec<Text>,
    /// Bytes to read.
    pub size: u64,
    /// Bytes read in the pass under way.
    pub done: Done,
    hints: Hints,
    parts: Vec<Part>,
    /// What an archive has been unpacked into; goes with it.
    _unpacked: Option<TempDir>,
}

impl Table {
    /// Recognises a file by its bytes and looks into it. Text is read through once to tell UTF-8 from GB18030 unless the encoding is
    /// stated or marked.
    pub fn open(path: &Path, hints: Hints) -> Result<Table> {
        let (format, parts, unpacked) = match recognise(path)? {
            Some(format) => (format, vec![(None, path.to_owned())], None),
            None => {
                let archive = archive::unpack(path)?;
                (archive.format, archive.files, Some(archive.dir))
            }
        };
        let mut size = 0;
        let mut table = Table {
            format,
            header: Vec::new(),
            sample: Vec::new(),
            crs: None,
            encoding: None,
            notes: Vec::new(),
            size: 0,
            done: Done::default(),
            hints,
            parts: Vec::new(),
            _unpacked: unpacked,
        };
        for (name, path) in parts {
            size += shapefile::companions(&path, format)
                .iter()
                .filter_map(|p| std::fs::metadata(p).ok())
                .map(|m| m.len())
                .sum::<u64>();
            let encoding = match format {
                Format::Csv | Format::Json => Some(source::encoding(&path, table.hints.encoding)?),
                _ => None,
            };
            let name = name.map(Arc::from);
            table.look(Part { path, name, encoding })?;
        }
        table.size = size;
        if table.parts.len() > 1 || table.parts.iter().any(|p| p.name.is_some()) {
            table.header.push(FILE.to_owned());
        }
        table.header.retain(|h| !ADDED.contains(&h.as_str()));
        Ok(table)
    }

    /// Looks into one more file.
    fn look(&mut self, part: Part) -> Result<()> {
        let mut reader = self.reader(&part, &Done::default())?;
        let mut names: Vec<String> = Vec::new();
        let (mut seen, mut sample) = (0, Vec::new());
        reader.rows(&mut |row| {
            seen += 1;
            if let Ok(record) = row {
                if self.format == Format::Json {
                    for (name, _) in record.columns() {
                        if !names.iter().any(|n| n == name) {
                            names.push(name.to_owned());
                        }
                    }
                }
                sample.push(record);
            }
            seen < PEEK
        });
        // What a reader knows only after its first row, it says now.
        let facts = reader.facts();
        if self.format == Format::Json {
            // A feature's own id may be its key.
            names.push("id".to_owned());
        }
        for name in facts.header.into_iter().chain(names) {
            if !self.header.contains(&name) {
                self.header.push(name);
            }
        }
        if !self.parts.is_empty() && self.crs != facts.crs {
            let name = part.name.as_deref().unwrap_or_default();
            let detail = text!(
                "压缩包内 {name} 的坐标系与前面的文件不同；请分开交付",
                "{name} in the archive has another coordinate system than the files before it; deliver them apart"
            );
            return Err(Error::syntax("file", detail));
        }
        self.crs = facts.crs;
        self.encoding = match (self.encoding, facts.encoding.or(part.encoding)) {
            // The one that tells more.
            (Some(a), Some(b)) if !a.lossy() => Some(b),
            (Some(a), _) => Some(a),
            (None, b) => b,
        };
        for note in facts.notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        let room = PEEK.saturating_sub(self.sample.len());
        self.sample.extend(sample.into_iter().take(room).map(|r| part.name(r)));
        self.parts.push(part);
        Ok(())
    }

    /// Its columns, in the order of the file.
    pub fn columns(&self) -> impl Iterator<Item = Column> {
        let found = |(i, name): (usize, &String)| Column {
            name: name.clone(),
            index: Some(i),
        };
        self.header.iter().enumerate().map(found)
    }

    /// The first column that has one of these names.
    pub fn column(&self, names: &[&str]) -> Option<Column> {
        self.columns().find(|c| names.contains(&c.name.trim()))
    }

    /// Reads every row from the first; stops when `each` wants no more.
    pub fn rows(&self, each: Each<'_>) -> Result<()> {
        self.done.store(0, Ordering::Relaxed);
        // Rows of an archive are numbered through: a number stands for one row of the delivery.
        let mut last = 0;
        for part in &self.parts {
            let mut reader = self.reader(part, &self.done)?;
            let before = last;
            let mut own = |record: Record| {
                let mut record = part.name(record);
                record.row += before;
                last = record.row;
                record
            };
            let go_on = reader.rows(&mut |row| match row {
                Ok(record) => each(Ok(own(record))),
                Err(bad) => {
                    let (record, fault) = *bad;
                    each(refused(own(record), fault))
                }
            });
            if !go_on {
                break;
            }
        }
        Ok(())
    }

    /// Whether a U+FFFD in a row stands for bytes that could not be read.
    pub fn lossy(&self) -> bool {
        self.encoding.is_some_and(Found::lossy)
    }

    fn reader(&self, part: &Part, done: &Done) -> Result<Box<dyn Reader>> {
        let path = &part.path;
        let text = || match part.encoding {
            Some(found) => source::text(path, found.encoding, done),
            None => Err(Error::internal("text without an encoding")),
        };
        Ok(match self.format {
            Format::Csv => Box::new(csv::Rows::open(text()?, self.hints.delimiter)?),
            Format::Json => Box::new(json::Features::open(text()?)),
            Format::Xlsx => Box::new(xlsx::Sheet::open(path, self.hints.sheet.as_deref(), done)?),
            Format::Shapefile => Box::new(shapefile::Shapes::open(path, self.hints.encoding, done)?),
            Format::GeoPackage => Box::new(gpkg::Layer::open(path, self.hints.sheet.as_deref(), done)?),
            Format::FlatGeobuf => Box::new(fgb::Features::open(path, done)?),
        })
    }
}

impl Part {
    fn name(&self, mut record: Record) -> Record {
        record.file.clone_from(&self.name);
        record
    }
}

/// The format of a file by its first bytes; none for an archive.
fn recognise(path: &Path) -> Result<Option<Format>> {
    let head = source::head(path)?;
    let ends = |ending: &str| archive::extension(path) == ending;
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Ok(archive::is_workbook(path)?.then_some(Format::Xlsx));
    }
    if head.starts_with(b"SQLite format 3\0") {
        return Ok(Some(Format::GeoPackage));
    }
    if head.starts_with(b"fgb") && head.get(4..7) == Some(b"fgb") {
        return Ok(Some(Format::FlatGeobuf));
    }
    if head.starts_with(&[0, 0, 0x27, 0x0a]) || ends("dbf") {
        return Ok(Some(Format::Shapefile));
    }
    if head.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
        let detail = Text::new(
            "这是旧式 .xls 或加密的工作簿；请在 Excel 或 WPS 中另存为不加密的 .xlsx",
            "this is an old .xls or an encrypted workbook; save it as an .xlsx without a password",
        );
        return Err(Error::syntax("file", detail));
    }
    let found = Encoding::for_bom(&head).map_or(encoding_rs::UTF_8, |(e, _)| e);
    let start = found.decode(&head).0;
    let first = start.chars().find(|c| !c.is_whitespace() && *c != '\u{1e}');
    match first {
        Some('{' | '[') => Ok(Some(Format::Json)),
        None => {
            let detail = Text::new("文件是空的", "the file is empty");
            Err(Error::syntax("file", detail))
        }
        // What no text has, whatever its encoding.
        Some(_) if head.iter().take(512).filter(|b| **b < 9).count() > 4 && found == encoding_rs::UTF_8 => {
            let detail = Text::new(
                "文件格式无法识别；可读 CSV、XLSX、Shapefile（zip）、GeoPackage、FlatGeobuf、GeoJSON",
                "the format of the file is not known; CSV, XLSX, Shapefile (zip), GeoPackage, FlatGeobuf and GeoJSON are read",
            );
            Err(Error::syntax("file", detail))
        }
        Some(_) => Ok(Some(Format::Csv)),
    }
}

/// A row that could not be cut out of its file.
fn unreadable(record: Record, detail: Text, expected: Text) -> Row {
    refused(record, RowFault::new(Reason::Unreadable, "", detail, expected))
}

fn refused(record: Record, fault: RowFault) -> Row {
    Err(Box::new((record, fault)))
}

/// A header whose columns are named and named once.
fn check_header(header: &[String]) -> Result<()> {
    for (i, name) in header.iter().enumerate() {
        if !name.is_empty() && header[..i].contains(name) {
            return Err(Error::syntax(
                name,
                text!("列“{name}”在表头中重复", "the column \"{name}\" is twice in the header"),
            ));
        }
    }
    if header.iter().any(|h| h.contains('\0')) || header.iter().all(String::is_empty) {
        return Err(Error::syntax("", Text::new("文件没有表头", "the file has no header")));
    }
    Ok(())
}
