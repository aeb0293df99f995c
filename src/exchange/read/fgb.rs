//! FlatGeobuf: each feature is verified before it is looked at, and its size is bounded before it is read.

use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use flatgeobuf::{ColumnType, Feature, Geometry as Outline, GeometryType};
use geo::{Coord, Geometry, LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon};
use serde_json::{Number, Value};

use super::super::record::{Body, Record, Values};
use super::source::{Counted, Done, cannot};
use super::{Each, Facts, Reader, check_header, unreadable};
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::text;

/// The most bytes of a header, and of one feature.
const MAX_HEADER: usize = 10 << 20;
const MAX_FEATURE: usize = 64 << 20;
/// How deep parts may stand in parts.
const DEPTH: usize = 3;

/// The features of a file.
pub(super) struct Features {
    reader: BufReader<Counted>,
    header: Arc<[String]>,
    kinds: Vec<ColumnType>,
    shape: GeometryType,
    crs: Option<String>,
}

impl Features {
    pub(super) fn open(path: &Path, done: &Done) -> Result<Features> {
        let fault = |e: std::io::Error| cannot(path, &e);
        let bad = || {
            let detail = Text::new("不是有效的 FlatGeobuf", "it is not a valid FlatGeobuf");
            Error::syntax("file", detail)
        };
        let mut reader = BufReader::with_capacity(1 << 16, Counted::open(path, done).map_err(fault)?);
        let mut magic = [0; 8];
        reader.read_exact(&mut magic).map_err(fault)?;
        let buffer = sized(&mut reader, MAX_HEADER).map_err(fault)?.ok_or_else(bad)?;
        let head = flatgeobuf::size_prefixed_root_as_header(&buffer).map_err(|_| bad())?;
        let columns = head.columns();
        let columns: Vec<(String, ColumnType)> = columns
            .iter()
            .flatten()
            .map(|c| (c.name().to_owned(), c.type_()))
            .collect();
        let crs = head.crs().and_then(|crs| match (crs.org(), crs.code(), crs.wkt()) {
            (Some(org), code, _) if org.eq_ignore_ascii_case("epsg") && code > 0 => Some(format!("EPSG:{code}")),
            (None, code, _) if code > 0 => Some(format!("EPSG:{code}")),
            (_, _, wkt) => wkt.map(str::to_owned),
        });
        let skip = index_size(head.features_count(), head.index_node_size()).ok_or_else(bad)?;
        let shape = head.geometry_type();
        let skipped = std::io::copy(&mut reader.by_ref().take(skip), &mut std::io::sink()).map_err(fault)?;
        if skipped < skip {
            return Err(bad());
        }
        let (header, kinds): (Vec<String>, Vec<ColumnType>) = columns.into_iter().unzip();
        if !header.is_empty() {
            check_header(&header)?;
        }
        Ok(Features {
            reader,
            header: header.into(),
            kinds,
            shape,
            crs,
        })
    }

    fn read(&self, row: u64, buffer: &[u8]) -> super::Row {
        let bad = |detail: Text| {
            let record = Record::new(row, Body::Broken(String::new()));
            unreadable(
                record,
                detail,
                Text::new("有效的 FlatGeobuf 要素", "a valid FlatGeobuf feature"),
            )
        };
        let feature = match flatgeobuf::size_prefixed_root_as_feature(buffer) {
            Ok(feature) => feature,
            Err(e) => return bad(text!("要素无法读取：{e}", "the feature cannot be read: {e}")),
        };
        let Some(values) = self.values(&feature) else {
            return bad(Text::new(
                "要素的属性不完整",
                "the properties of the feature are cut short",
            ));
        };
        let outline = feature.geometry();
        let geometry = outline.map(|g| geometry(&g, self.shape, DEPTH));
        if let Some(None) = geometry {
            return bad(Text::new(
                "要素的几何无法读取",
                "the geometry of the feature cannot be read",
            ));
        }
        let body = Values {
            header: Arc::clone(&self.header),
            values,
            geometry: geometry.flatten(),
        };
        Ok(Record::new(row, Body::Values(Box::new(body))))
    }

    /// Pairs of a column's number and its value, one behind the other.
    fn values(&self, feature: &Feature<'_>) -> Option<Vec<Value>> {
        let mut values = vec![Value::Null; self.kinds.len()];
        let mut bytes = feature.properties().map_or(&[][..], |p| p.bytes());
        while bytes.len() > 1 {
            let column = usize::from(u16::from_le_bytes(take(&mut bytes)?));
            let number = |n: f64| Number::from_f64(n).map_or(Value::Null, Value::Number);
            let value = match *self.kinds.get(column)? {
                ColumnType::Byte => Value::from(i8::from_le_bytes(take(&mut bytes)?)),
                ColumnType::UByte => Value::from(u8::from_le_bytes(take(&mut bytes)?)),
                ColumnType::Bool => Value::from(take::<1>(&mut bytes)? != [0]),
                ColumnType::Short => Value::from(i16::from_le_bytes(take(&mut bytes)?)),
                ColumnType::UShort => Value::from(u16::from_le_bytes(take(&mut bytes)?)),
                ColumnType::Int => Value::from(i32::from_le_bytes(take(&mut bytes)?)),
                ColumnType::UInt => Value::from(u32::from_le_bytes(take(&mut bytes)?)),
                ColumnType::Long => Value::from(i64::from_le_bytes(take(&mut bytes)?)),
                ColumnType::ULong => Value::from(u64::from_le_bytes(take(&mut bytes)?)),
                ColumnType::Float => number(f64::from(f32::from_le_bytes(take(&mut bytes)?))),
                ColumnType::Double => number(f64::from_le_bytes(take(&mut bytes)?)),
                kind => {
                    let n = u32::from_le_bytes(take(&mut bytes)?) as usize;
                    let (own, rest) = bytes.split_at_checked(n)?;
                    bytes = rest;
                    match kind {
                        ColumnType::String | ColumnType::DateTime | ColumnType::Json => {
                            Value::from(String::from_utf8_lossy(own))
                        }
                        _ => Value::Null,
                    }
                }
            };
            values[column] = value;
        }
        Some(values)
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

/// A buffer with its size before it, which it keeps; none where the size cannot be.
fn sized(reader: &mut impl Read, most: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut size = [0; 4];
    reader.read_exact(&mut size)?;
    let n = u32::from_le_bytes(size) as usize;
    if !(8..=most).contains(&n) {
        return Ok(None);
    }
    let mut buffer = size.to_vec();
    reader.by_ref().take(n as u64).read_to_end(&mut buffer)?;
    Ok((buffer.len() == n + 4).then_some(buffer))
}

/// Bytes of the packed R-tree: 40 for each node.
fn index_size(items: u64, node: u16) -> Option<u64> {
    if node < 2 || items == 0 {
        return Some(0);
    }
    let (mut level, mut nodes) = (items, items);
    while level > 1 {
        level = level.div_ceil(u64::from(node));
        nodes = nodes.checked_add(level)?;
    }
    // A tree of one has its root besides.
    nodes.checked_add(u64::from(items == 1))?.checked_mul(40)
}

impl Reader for Features {
    fn facts(&self) -> Facts {
        Facts {
            header: self.header.to_vec(),
            crs: self.crs.clone(),
            ..Facts::default()
        }
    }

    fn rows(&mut self, each: Each<'_>) -> bool {
        for row in 1.. {
            match std::io::BufRead::fill_buf(&mut self.reader) {
                Ok([]) => return true,
                Ok(_) => {}
                Err(_) => break,
            }
            match sized(&mut self.reader, MAX_FEATURE) {
                Ok(Some(buffer)) => {
                    if !each(self.read(row, &buffer)) {
                        return false;
                    }
                }
                Ok(None) | Err(_) => {
                    let record = Record::new(row, Body::Broken(String::new()));
                    let detail = Text::new("文件在要素中途结束", "the file ends inside a feature");
                    return each(unreadable(
                        record,
                        detail,
                        Text::new("完整的 FlatGeobuf", "a complete FlatGeobuf"),
                    ));
                }
            }
        }
        true
    }
}

fn coords(g: &Outline<'_>) -> Option<Vec<Coord<f64>>> {
    let xy = g.xy()?;
    let n = xy.len() / 2;
    Some(
        (0..n)
            .map(|i| Coord {
                x: xy.get(2 * i),
                y: xy.get(2 * i + 1),
            })
            .collect(),
    )
}

/// The coordinates cut where `ends` says.
fn lines(g: &Outline<'_>) -> Option<Vec<LineString<f64>>> {
    let all = coords(g)?;
    let Some(ends) = g.ends().filter(|e| !e.is_empty()) else {
        return Some(vec![LineString(all)]);
    };
    let mut from = 0;
    let mut cut = |end: u32| {
        let line = all.get(from..end as usize)?.to_vec();
        from = end as usize;
        Some(LineString(line))
    };
    ends.iter().map(&mut cut).collect()
}

fn polygon(g: &Outline<'_>) -> Option<Polygon<f64>> {
    let mut rings = lines(g)?.into_iter();
    Some(Polygon::new(rings.next()?, rings.collect()))
}

fn geometry(g: &Outline<'_>, stated: GeometryType, depth: usize) -> Option<Geometry<f64>> {
    let kind = if stated == GeometryType::Unknown {
        g.type_()
    } else {
        stated
    };
    Some(match kind {
        GeometryType::Point => Geometry::Point(Point(*coords(g)?.first()?)),
        GeometryType::MultiPoint => Geometry::MultiPoint(MultiPoint(coords(g)?.into_iter().map(Point).collect())),
        GeometryType::LineString => Geometry::LineString(LineString(coords(g)?)),
        GeometryType::MultiLineString => Geometry::MultiLineString(MultiLineString(lines(g)?)),
        GeometryType::Polygon => Geometry::Polygon(polygon(g)?),
        GeometryType::MultiPolygon => match g.parts() {
            None => Geometry::MultiPolygon(MultiPolygon(vec![polygon(g)?])),
            Some(parts) => {
                let parts: Option<Vec<Polygon<f64>>> = parts.iter().map(|p| polygon(&p)).collect();
                Geometry::MultiPolygon(MultiPolygon(parts?))
            }
        },
        // A collection of one is that one.
        GeometryType::GeometryCollection => {
            let parts = g.parts().filter(|p| p.len() == 1)?;
            geometry(&parts.get(0), GeometryType::Unknown, depth.checked_sub(1)?)?
        }
        _ => return None,
    })
}
