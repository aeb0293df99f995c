//! Lists out: rows of typed values with a shape, into a file of any format, at constant memory.
mod csv;
mod fgb;
mod geojson;
mod gpkg;
mod shapefile;
pub mod tables;
mod xlsx;

use std::path::Path;

use encoding_rs::Encoding;
use geo::Geometry;
use serde_json::Value;

use crate::domain::text::{Lang, Text};
use crate::error::{Error, Result};
use crate::spatial::crs::Crs;
use crate::text;

/// What a list is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// UTF-8 with BOM, or GB18030.
    Csv,
    /// A workbook.
    Xlsx,
    /// RFC 7946, or with a `crs` member in other coordinates.
    GeoJson,
    /// SQLite.
    GeoPackage,
    /// With a packed index.
    FlatGeobuf,
    /// Zipped, with .prj and .cpg.
    Shapefile,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 6] = [
        Format::Csv,
        Format::Xlsx,
        Format::GeoJson,
        Format::GeoPackage,
        Format::FlatGeobuf,
        Format::Shapefile,
    ];

    /// The word in `f=` and `--format`.
    pub fn key(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Xlsx => "xlsx",
            Format::GeoJson => "geojson",
            Format::GeoPackage => "gpkg",
            Format::FlatGeobuf => "fgb",
            Format::Shapefile => "shp",
        }
    }

    /// What people call it.
    fn name(self) -> &'static str {
        match self {
            Format::Csv => "CSV",
            Format::Xlsx => "XLSX",
            Format::GeoJson => "GeoJSON",
            Format::GeoPackage => "GeoPackage",
            Format::FlatGeobuf => "FlatGeobuf",
            Format::Shapefile => "Shapefile",
        }
    }

    /// The extension of its file.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Shapefile => "zip",
            other => other.key(),
        }
    }

    /// What it is over HTTP.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv",
            Format::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Format::GeoJson => "application/geo+json",
            Format::GeoPackage => "application/geopackage+sqlite3",
            Format::FlatGeobuf => "application/flatgeobuf",
            Format::Shapefile => "application/zip",
        }
    }

    /// Reads the word or an extension.
    pub fn parse(s: &str) -> Result<Format, Text> {
        let known = Format::ALL.into_iter().find(|f| f.key() == s || f.extension() == s);
        known
            .or(if s == "json" { Some(Format::GeoJson) } else { None })
            .ok_or_else(|| {
                let list = Format::ALL.map(Format::key).join(", ");
                text!(
                    "没有格式“{s}”，应为其中之一：{list}",
                    "there is no format \"{s}\"; it should be one of {list}"
                )
            })
    }

    /// Whether rows carry their shapes themselves, rather than in columns.
    pub fn has_shapes(self) -> bool {
        !matches!(self, Format::Csv | Format::Xlsx)
    }
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Text of digits that a spreadsheet must not take for a number.
    Code,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Yes or no.
    Boolean,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its heading.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
}

/// What is written.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The name of the list: of the sheet, the table, the files.
    pub name: String,
    /// The title above a printed list.
    pub title: String,
    /// The columns, in order.
    pub fields: Vec<Field>,
    /// The coordinate system that shapes come in.
    pub crs: Crs,
    /// The encoding of a CSV.
    pub encoding: &'static Encoding,
    /// The language of what is written around the rows.
    pub lang: Lang,
    /// Lines below a printed list: 统计时间, 统计口径.
    pub foot: Vec<(String, String)>,
}

/// Takes rows, in the order of the fields, with their shapes in the plan's coordinates.
pub trait Writer: Send {
    /// Writes one row.
    fn row(&mut self, values: &[Value], geometry: &Geometry<f64>) -> Result<()>;
    /// Completes the file.
    fn finish(self: Box<Self>, count: u64) -> Result<()>;
}

/// Begins a file. What its format cannot hold is refused here.
pub fn open(format: Format, path: &Path, plan: Plan) -> Result<Box<dyn Writer>> {
    Ok(match format {
        Format::Csv => Box::new(csv::Csv::create(path, &plan)?),
        Format::Xlsx => Box::new(xlsx::Sheet::create(path, plan)?),
        Format::GeoJson => Box::new(geojson::Features::create(path, plan)?),
        Format::GeoPackage => Box::new(gpkg::Layer::create(path, plan)?),
        Format::FlatGeobuf => Box::new(fgb::Features::create(path, plan)?),
        Format::Shapefile => Box::new(shapefile::Shapes::create(path, plan)?),
    })
}

/// The fault of a file that cannot be written.
pub fn cannot(path: &Path, e: &dyn std::fmt::Display) -> Error {
    let path = path.display();
    Error::Setup(text!("无法写入 {path}：{e}", "{path} cannot be written: {e}"))
}

/// The number of a plan's coordinate system, without which a format cannot say what it is.
fn epsg(plan: &Plan, format: Format) -> Result<u32> {
    plan.crs.epsg().ok_or_else(|| {
        let name = format.name();
        let detail = text!(
            "{name} 须用 EPSG 坐标系",
            "a {name} needs a coordinate system of the EPSG registry"
        );
        Error::syntax("crs", detail)
    })
}

/// A value as text; nothing for none.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}
