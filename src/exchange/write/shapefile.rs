//! Shapefiles, zipped: one of points, one of lines, one of polygons, as far as there are any, each with .dbf, .prj and .cpg.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ::shapefile::writer::ShapeWriter;
use ::shapefile::{Point, Polygon, Polyline};
use geo::{Geometry, MultiLineString, MultiPolygon, Orient, orient::Direction};
use serde_json::Value;
use tempfile::TempDir;

use super::{Kind, Plan, Writer, cannot, plain};
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::spatial::crs::Crs;

/// The most bytes of a text, of a column's name, and the most columns.
const MAX_TEXT: usize = 254;
const MAX_NAME: usize = 10;
const MAX_FIELDS: usize = 255;

pub(super) struct Shapes {
    path: PathBuf,
    plan: Plan,
    names: Vec<String>,
    dir: TempDir,
    parts: Vec<(&'static str, Part)>,
    prj: String,
}

/// The files of one kind of shape.
struct Part {
    shapes: ShapeWriter<BufWriter<File>>,
    table: BufWriter<File>,
    rows: u32,
}

impl Shapes {
    pub(super) fn create(path: &Path, plan: Plan) -> Result<Shapes> {
        if matches!(plan.crs, Crs::Shifted(_)) {
            let detail = Text::new(
                "互联网地图坐标没有 .prj，不能写为 Shapefile",
                "the datum of internet maps has no .prj; it cannot be a shapefile",
            );
            return Err(Error::syntax("crs", detail));
        }
        let prj = plan.crs.esri_wkt().map_err(|e| Error::syntax("crs", e))?;
        let names = short(&plan);
        let dir = tempfile::tempdir().map_err(|e| cannot(path, &e))?;
        Ok(Shapes {
            path: path.to_owned(),
            names,
            dir,
            parts: Vec::new(),
            prj,
            plan,
        })
    }

    fn part(&mut self, kind: &'static str) -> std::io::Result<&mut Part> {
        if let Some(i) = self.parts.iter().position(|(k, _)| *k == kind) {
            return Ok(&mut self.parts[i].1);
        }
        let file = |ending: &str| File::create(self.dir.path().join(format!("{kind}.{ending}"))).map(BufWriter::new);
        let mut part = Part {
            shapes: ShapeWriter::with_shx(file("shp")?, file("shx")?),
            table: file("dbf")?,
            rows: 0,
        };
        part.table.write_all(&self.head(0))?;
        self.parts.push((kind, part));
        let last = self.parts.len() - 1;
        Ok(&mut self.parts[last].1)
    }

    /// The header of a .dbf.
    fn head(&self, rows: u32) -> Vec<u8> {
        let widths = || self.plan.fields.iter().map(|f| width(f.kind));
        let len: usize = 1 + widths().sum::<usize>();
        let mut out = vec![3, 126, 1, 1];
        out.extend(rows.to_le_bytes());
        out.extend((33 + 32 * self.names.len() as u16).to_le_bytes());
        out.extend((len as u16).to_le_bytes());
        out.resize(32, 0);
        for (name, field) in self.names.iter().zip(&self.plan.fields) {
            let mut own = name.as_bytes().to_vec();
            own.resize(11, 0);
            let (kind, decimals) = match field.kind {
                Kind::Text | Kind::Code => (b'C', 0),
                Kind::Integer => (b'N', 0),
                Kind::Number => (b'N', 8),
                Kind::Boolean => (b'L', 0),
            };
            own.push(kind);
            own.extend([0, 0, 0, 0, width(field.kind) as u8, decimals]);
            own.resize(32, 0);
            out.extend(own);
        }
        out.push(0x0d);
        out
    }

    fn write(&mut self, values: &[Value], geometry: &Geometry<f64>) -> Result<(), Box<dyn std::error::Error>> {
        let mut row = vec![b' '];
        for (value, field) in values.iter().zip(&self.plan.fields) {
            cell(&mut row, value, field.kind);
        }
        let kind = match geometry {
            Geometry::Point(_) => "point",
            Geometry::LineString(_) | Geometry::MultiLineString(_) => "line",
            _ => "polygon",
        };
        let part = self.part(kind)?;
        match geometry {
            Geometry::Point(p) => part.shapes.write_shape(&Point::new(p.x(), p.y()))?,
            Geometry::LineString(l) => part
                .shapes
                .write_shape(&Polyline::from(MultiLineString(vec![l.clone()])))?,
            Geometry::MultiLineString(l) => part.shapes.write_shape(&Polyline::from(l.clone()))?,
            // The outer ring of a shapefile runs clockwise.
            Geometry::Polygon(p) => part
                .shapes
                .write_shape(&Polygon::from(MultiPolygon(vec![p.orient(Direction::Reversed)])))?,
            Geometry::MultiPolygon(p) => part.shapes.write_shape(&Polygon::from(p.orient(Direction::Reversed)))?,
            _ => return Err("no such shape in a shapefile".into()),
        }
        part.table.write_all(&row)?;
        part.rows += 1;
        Ok(())
    }

    fn close(mut self) -> Result<(), Box<dyn std::error::Error>> {
        let parts = std::mem::take(&mut self.parts);
        let mut kinds = Vec::new();
        for (kind, mut part) in parts {
            part.shapes.finalize()?;
            part.table.write_all(&[0x1a])?;
            part.table.seek(SeekFrom::Start(0))?;
            part.table.write_all(&self.head(part.rows))?;
            part.table.flush()?;
            kinds.push(kind);
        }
        let mut zip = zip::ZipWriter::new(BufWriter::new(File::create(&self.path)?));
        let options = zip::write::SimpleFileOptions::default().large_file(true);
        for kind in &kinds {
            let name = if kinds.len() == 1 {
                self.plan.name.clone()
            } else {
                format!("{}-{kind}", self.plan.name)
            };
            for ending in ["shp", "shx", "dbf"] {
                zip.start_file(format!("{name}.{ending}"), options)?;
                std::io::copy(
                    &mut File::open(self.dir.path().join(format!("{kind}.{ending}")))?,
                    &mut zip,
                )?;
            }
            zip.start_file(format!("{name}.prj"), options)?;
            zip.write_all(self.prj.as_bytes())?;
            zip.start_file(format!("{name}.cpg"), options)?;
            zip.write_all(b"UTF-8")?;
        }
        zip.finish()?.flush()?;
        Ok(())
    }
}

fn width(kind: Kind) -> usize {
    match kind {
        Kind::Text => MAX_TEXT,
        Kind::Code => 64,
        Kind::Integer => 18,
        Kind::Number => 24,
        Kind::Boolean => 1,
    }
}

/// A value in the width of its column; a text that is too long is cut between characters.
fn cell(row: &mut Vec<u8>, value: &Value, kind: Kind) {
    let width = width(kind);
    let text = match (value, kind) {
        (Value::Bool(b), _) => if *b { "T" } else { "F" }.to_owned(),
        (Value::Number(n), Kind::Number) => n.as_f64().map_or_else(String::new, |n| format!("{n:.8}")),
        (other, _) => plain(other),
    };
    let mut end = text.len().min(width);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let own = &text.as_bytes()[..end];
    let space = vec![b' '; width - own.len()];
    match kind {
        Kind::Integer | Kind::Number => row.extend(space.iter().chain(own)),
        _ => row.extend(own.iter().chain(&space)),
    }
}

/// Names of at most ten bytes, no two alike.
fn short(plan: &Plan) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for field in plan.fields.iter().take(MAX_FIELDS) {
        let cut = |most: usize| {
            let mut end = field.name.len().min(most);
            while !field.name.is_char_boundary(end) {
                end -= 1;
            }
            field.name[..end].to_owned()
        };
        let mut name = cut(MAX_NAME);
        let mut n = 1;
        while names.contains(&name) {
            n += 1;
            name = format!("{}{n}", cut(MAX_NAME - n.to_string().len()));
        }
        names.push(name);
    }
    names
}

impl Writer for Shapes {
    fn row(&mut self, values: &[Value], geometry: &Geometry<f64>) -> Result<()> {
        self.write(values, geometry).map_err(|e| cannot(&self.path, &e))
    }

    fn finish(self: Box<Self>, _: u64) -> Result<()> {
        let path = self.path.clone();
        self.close().map_err(|e| cannot(&path, &e))
    }
}
