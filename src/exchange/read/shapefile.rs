//! Shapefiles: .shp and .dbf side by side, .prj for the coordinate system, .cpg for the encoding.

use std::io::{BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::shapefile::record::ReadableShape;
use ::shapefile::record::traits::HasXY;
use ::shapefile::{PolygonRing, Shape};
use encoding_rs::Encoding;
use geo::{Area, BoundingRect, Contains, Coord, Geometry, Intersects, LineString, MultiPolygon, Polygon, Rect};

use super::super::record::{Body, Record, Values};
use super::source::{Counted, Done, cannot};
use super::{Each, Facts, Format, Reader, archive, dbf, unreadable};
use crate::domain::component::MAX_VERTICES;
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::text;

/// The most bytes of one shape.
const MAX_SHAPE: u64 = 64 << 20;

/// A shapefile, or a .dbf alone.
pub(super) struct Shapes {
    table: Option<dbf::Table>,
    shapes: Option<Outlines>,
    prj: Option<String>,
    row: u64,
}

impl Shapes {
    pub(super) fn open(path: &Path, stated: Option<&'static Encoding>, done: &Done) -> Result<Shapes> {
        let beside = |ending: &str| companion(path, ending);
        let read = |p: PathBuf| std::fs::read(p).ok().filter(|b| b.len() < 1 << 16);
        let cpg = beside("cpg")
            .and_then(read)
            .map(|b| String::from_utf8_lossy(&b).into_owned());
        let prj = beside("prj")
            .and_then(read)
            .map(|b| String::from_utf8_lossy(&b).trim().to_owned());
        let alone = archive::extension(path) == "dbf";
        let table = if alone { Some(path.to_owned()) } else { beside("dbf") };
        let table = table
            .map(|p| dbf::Table::open(&p, stated, cpg.as_deref(), done))
            .transpose()?;
        let shapes = if alone { None } else { Some(Outlines::open(path, done)?) };
        Ok(Shapes {
            table,
            shapes,
            prj: prj.filter(|p| !p.is_empty()),
            row: 0,
        })
    }
}

/// A file of the same name with another ending, in whatever case.
fn companion(path: &Path, ending: &str) -> Option<PathBuf> {
    let upper = ending.to_ascii_uppercase();
    [ending, &upper]
        .into_iter()
        .map(|e| path.with_extension(e))
        .find(|p| p.exists())
}

/// All files that are read for one.
pub(super) fn companions(path: &Path, format: Format) -> Vec<PathBuf> {
    let own = Some(path.to_owned());
    match format {
        Format::Shapefile if archive::extension(path) != "dbf" => {
            own.into_iter().chain(companion(path, "dbf")).collect()
        }
        _ => own.into_iter().collect(),
    }
}

impl Reader for Shapes {
    fn facts(&self) -> Facts {
        let table = self.table.as_ref();
        let mut notes = table.map_or_else(Vec::new, |t| t.notes.clone());
        if table.is_none() {
            notes.push(Text::new("没有 .dbf，只有图形", "there is no .dbf, only shapes"));
        }
        Facts {
            header: table.map_or_else(Vec::new, |t| t.header.to_vec()),
            crs: self.prj.clone(),
            encoding: table.map(|t| t.encoding),
            notes,
        }
    }

    fn rows(&mut self, each: Each<'_>) -> bool {
        let header = self
            .table
            .as_ref()
            .map_or_else(|| Arc::from([]), |t| Arc::clone(&t.header));
        loop {
            self.row += 1;
            let shape = self.shapes.as_mut().map(Outlines::next);
            let values = self.table.as_mut().map(dbf::Table::row);
            let (values, deleted) = match values {
                Some(dbf::Next::Values(values)) => (values, false),
                Some(dbf::Next::Deleted) => (Vec::new(), true),
                Some(dbf::Next::Short) => {
                    let detail = Text::new(".dbf 比其文件头所述的短", "the .dbf is shorter than its header says");
                    return each(self.short(detail, "完整的 .dbf", "a complete .dbf"));
                }
                Some(dbf::Next::End) => match &shape {
                    None | Some(Outline::End) => return true,
                    _ => {
                        let detail = Text::new("图形多于 .dbf 的行", "there are more shapes than rows in the .dbf");
                        return each(self.short(
                            detail,
                            "一一对应的 .shp 与 .dbf",
                            "a .shp and a .dbf that belong together",
                        ));
                    }
                },
                None => match &shape {
                    None | Some(Outline::End) => return true,
                    _ => (Vec::new(), false),
                },
            };
            let shape = match shape {
                None | Some(Outline::Null) => Ok(None),
                Some(Outline::Shape(shape)) => Ok(Some(shape)),
                Some(Outline::Fault(detail)) => Err(detail),
                Some(Outline::End) => {
                    let detail = Text::new(".dbf 的行多于图形", "there are more rows in the .dbf than shapes");
                    return each(self.short(
                        detail,
                        "一一对应的 .shp 与 .dbf",
                        "a .shp and a .dbf that belong together",
                    ));
                }
                Some(Outline::Broken(detail)) => {
                    return each(self.short(detail, "完整的 .shp", "a complete .shp"));
                }
            };
            if deleted {
                continue;
            }
            let record = |geometry| {
                let header = Arc::clone(&header);
                let body = Values {
                    header,
                    values,
                    geometry,
                };
                Record::new(self.row, Body::Values(Box::new(body)))
            };
            let go_on = match shape {
                Ok(geometry) => each(Ok(record(geometry))),
                Err(detail) => each(unreadable(
                    record(None),
                    detail,
                    Text::new("有效的图形", "a valid shape"),
                )),
            };
            if !go_on {
                return false;
            }
        }
    }
}

impl Shapes {
    fn short(&self, detail: Text, zh: &str, en: &str) -> super::Row {
        unreadable(
            Record::new(self.row, Body::Broken(String::new())),
            detail,
            Text::new(zh, en),
        )
    }
}

/// The shapes of a .shp file, one record at a time: a record that is wrong costs only itself.
struct Outlines {
    reader: BufReader<Counted>,
    at: u64,
    end: u64,
}

enum Outline {
    Shape(Geometry<f64>),
    Null,
    /// This shape cannot be read.
    Fault(Text),
    /// Nor can anything behind it.
    Broken(Text),
    End,
}

impl Outlines {
    fn open(path: &Path, done: &Done) -> Result<Outlines> {
        let fault = |e: std::io::Error| cannot(path, &e);
        let end = std::fs::metadata(path).map_err(fault)?.len();
        let mut reader = BufReader::with_capacity(1 << 16, Counted::open(path, done).map_err(fault)?);
        let mut head = [0; 100];
        reader.read_exact(&mut head).map_err(fault)?;
        if head[..4] != [0, 0, 0x27, 0x0a] {
            let detail = Text::new("不是 .shp 文件", "it is no .shp file");
            return Err(Error::syntax("file", detail));
        }
        Ok(Outlines { reader, at: 100, end })
    }

    fn next(&mut self) -> Outline {
        let mut head = [0; 8];
        // Some writers leave fewer than eight bytes behind the last record.
        if self.at + 8 > self.end {
            return Outline::End;
        }
        if let Err(e) = self.reader.read_exact(&mut head) {
            return Outline::Broken(text!(".shp 无法读取：{e}", "the .shp cannot be read: {e}"));
        }
        let words = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let bytes = u64::from(words) * 2;
        self.at += 8 + bytes;
        if self.at > self.end || bytes > MAX_SHAPE {
            let left = self.end.saturating_sub(self.at - bytes);
            self.at = self.end;
            return Outline::Broken(text!(
                "图形声称有 {bytes} 字节，文件只剩 {left} 字节",
                "a shape claims {bytes} bytes, but the file has {left} left"
            ));
        }
        let mut content = vec![0; bytes as usize];
        if let Err(e) = self.reader.read_exact(&mut content) {
            return Outline::Broken(text!(".shp 无法读取：{e}", "the .shp cannot be read: {e}"));
        }
        // What claims more points than it has bytes for is not even tried.
        if !plausible(&content) {
            return Outline::Fault(Text::new(
                "图形的点数与其长度不符",
                "the number of points of a shape does not fit its length",
            ));
        }
        let read = Shape::read_from(&mut Cursor::new(&content), content.len() as i32);
        match read.map_err(|e| e.to_string()) {
            Ok(Shape::NullShape) => Outline::Null,
            Ok(Shape::Multipatch(_)) => {
                Outline::Fault(Text::new("三维面片不能作为部件", "a multipatch cannot be a component"))
            }
            Ok(Shape::Polygon(shape)) => polygons(shape.rings()),
            Ok(Shape::PolygonM(shape)) => polygons(shape.rings()),
            Ok(Shape::PolygonZ(shape)) => polygons(shape.rings()),
            Ok(shape) => match Geometry::try_from(shape) {
                Ok(geometry) => Outline::Shape(single(geometry)),
                Err(e) => Outline::Fault(text!("图形无法读取：{e}", "the shape cannot be read: {e}")),
            },
            Err(e) => Outline::Fault(text!("图形无法读取：{e}", "the shape cannot be read: {e}")),
        }
    }
}

/// Whether a shape has bytes for the parts and points that it counts.
fn plausible(content: &[u8]) -> bool {
    let int = |at: usize| {
        content
            .get(at..at + 4)
            .and_then(|b| b.try_into().ok())
            .map(i32::from_le_bytes)
    };
    let (parts, points) = match int(0) {
        Some(3 | 5 | 13 | 15 | 23 | 25 | 31) => (int(36), int(40)),
        Some(8 | 18 | 28) => (Some(0), int(36)),
        _ => return true,
    };
    match (parts, points) {
        (Some(parts), Some(points)) if parts >= 0 && points >= 0 => {
            i64::from(parts) * 4 + i64::from(points) * 16 <= content.len() as i64
        }
        _ => false,
    }
}

/// Rings come in any order and only their direction tells holes: each goes to the smallest ring around it, and one that has none
/// around it was drawn the wrong way round.
fn polygons<P: HasXY>(rings: &[PolygonRing<P>]) -> Outline {
    let points: usize = rings.iter().map(|r| r.points().len()).sum();
    if points > MAX_VERTICES {
        return Outline::Fault(text!(
            "图形有{points}个顶点，最多{MAX_VERTICES}个",
            "the shape has {points} vertices; at most {MAX_VERTICES} are taken"
        ));
    }
    let (mut outer, mut holes): (Vec<Polygon<f64>>, Vec<LineString<f64>>) = (Vec::new(), Vec::new());
    for ring in rings {
        let line: LineString<f64> = ring.points().iter().map(|p| Coord { x: p.x(), y: p.y() }).collect();
        match ring {
            PolygonRing::Outer(_) => outer.push(Polygon::new(line, Vec::new())),
            PolygonRing::Inner(_) => holes.push(line),
        }
    }
    let boxes: Vec<_> = outer.iter().map(|p| (p.bounding_rect(), p.unsigned_area())).collect();
    let mut lost = Vec::new();
    for hole in holes {
        let own = hole.bounding_rect();
        let around = |(i, (bounds, _)): &(usize, &(Option<Rect<f64>>, f64))| match (bounds, own) {
            (Some(b), Some(own)) => b.contains(&own) && hole.0.iter().all(|c| outer[*i].intersects(c)),
            _ => false,
        };
        let found = boxes
            .iter()
            .enumerate()
            .filter(around)
            .min_by(|a, b| a.1.1.total_cmp(&b.1.1));
        match found.map(|(i, _)| i) {
            Some(i) => outer[i].interiors_push(hole),
            None => lost.push(Polygon::new(hole, Vec::new())),
        }
    }
    outer.append(&mut lost);
    Outline::Shape(single(Geometry::MultiPolygon(MultiPolygon(outer))))
}

/// A shapefile has only multi-part lines and polygons; one of one part is what it is.
fn single(geometry: Geometry<f64>) -> Geometry<f64> {
    match geometry {
        Geometry::MultiLineString(mut lines) if lines.0.len() == 1 => Geometry::LineString(lines.0.remove(0)),
        Geometry::MultiPolygon(mut polygons) if polygons.0.len() == 1 => Geometry::Polygon(polygons.0.remove(0)),
        Geometry::MultiPoint(points) if points.0.len() == 1 => Geometry::Point(points.0[0]),
        other => other,
    }
}
