//! A row's position or shape, brought to lon,lat degrees.

use geo::{Geometry, MapCoords, Point};
use geozero::ToGeo;

use super::mapping::{Mapping, Place};
use super::nearest::shown;
use super::record::{Body, Column, Record};
use super::value::{angle, number};
use crate::domain::delivery::{Reason, RowFault};
use crate::domain::text::Text;
use crate::spatial::crs::Crs;
use crate::spatial::position::{LonLat, bounds};
use crate::text;

/// Reads where a row stands. `crs` is what the mapping or the file says.
pub fn read(record: &Record, mapping: &Mapping, crs: Crs) -> Result<Geometry<f64>, RowFault> {
    let (geometry, column) = match &mapping.place {
        Place::Columns(x, y) => (columns(record, mapping, crs, x, y)?, x.name.as_str()),
        Place::Wkt(column) => (
            convert(wkt(record, mapping, column)?, mapping, crs, &column.name)?,
            column.name.as_str(),
        ),
        Place::Feature => (convert(feature(record)?, mapping, crs, "geometry")?, "geometry"),
    };
    if let (Some(limit), Some(own)) = (mapping.bounds, bounds(&geometry)) {
        let ([w, s, e, n], (min, max)) = (own, (limit.min(), limit.max()));
        if !(limit.contains(w, s) && limit.contains(e, n)) {
            let (lon, lat) = ((w + e) / 2.0, (s + n) / 2.0);
            let detail = text!(
                "位置 {lon:.5},{lat:.5} 在城市范围之外",
                "position {lon:.5},{lat:.5} is outside the city's bounds"
            );
            let [w, s, e, n] = [min.lon(), min.lat(), max.lon(), max.lat()];
            let expected = text!(
                "经度 {w} 至 {e}，纬度 {s} 至 {n}",
                "longitude {w} to {e}, latitude {s} to {n}"
            );
            return Err(RowFault::new(Reason::OutOfBounds, column, detail, expected));
        }
    }
    Ok(geometry)
}

/// The first pair of numbers of a row as it stands in the file, east first as the mapping says.
pub fn raw(record: &Record, mapping: &Mapping) -> Option<(f64, f64)> {
    use geo::CoordsIter;
    let geometry = match &mapping.place {
        Place::Columns(x, y) => {
            let read = |c: &Column| record.get(c).and_then(|s| angle(&s));
            return read(x).zip(read(y));
        }
        Place::Wkt(column) => wkt(record, mapping, column).ok()?,
        Place::Feature => feature(record).ok()?,
    };
    let c = geometry.coords_iter().next()?;
    Some(if mapping.north_first { (c.y, c.x) } else { (c.x, c.y) })
}

fn missing(column: &str) -> RowFault {
    RowFault::new(
        Reason::PositionMissing,
        column,
        Text::new("没有位置", "there is no position"),
        Text::new("坐标", "coordinates"),
    )
}

fn columns(record: &Record, mapping: &Mapping, crs: Crs, x: &Column, y: &Column) -> Result<Geometry<f64>, RowFault> {
    let read = |column: &Column| {
        let text = record
            .get(column)
            .filter(|s| !s.is_empty() && !mapping.nulls.iter().any(|n| n == s));
        let text = text.ok_or_else(|| missing(&column.name))?;
        let read = if crs.in_degrees() { angle } else { number };
        read(&text).ok_or_else(|| {
            let text = shown(&text);
            let detail = text!("“{text}”不是坐标", "\"{text}\" is not a coordinate");
            RowFault::new(
                Reason::PositionWrong,
                &column.name,
                detail,
                Text::new("数字", "a number"),
            )
        })
    };
    let (east, north) = (read(x)?, read(y)?);
    let p = at(crs, east, north, &x.name)?;
    Ok(Geometry::Point(Point::new(p.lon(), p.lat())))
}

fn at(crs: Crs, x: f64, y: f64, column: &str) -> Result<LonLat, RowFault> {
    crs.to_lonlat(x, y).map_err(|detail| {
        let (key, axes) = (crs.key(), crs.axes());
        let expected = text!(
            "{key} 的坐标（定义的轴序：{axes}）",
            "coordinates of {key} (axis order of its definition: {axes})"
        );
        RowFault::new(Reason::PositionWrong, column, detail, expected)
    })
}

fn wkt(record: &Record, mapping: &Mapping, column: &Column) -> Result<Geometry<f64>, RowFault> {
    let text = record
        .get(column)
        .filter(|s| !s.is_empty() && !mapping.nulls.iter().any(|n| n == s));
    let text = text.ok_or_else(|| missing(&column.name))?;
    geozero::wkt::Wkt(text.as_bytes()).to_geo().map_err(|e| {
        let detail = text!("不是 WKT:{e}", "not well-known text: {e}");
        RowFault::new(
            Reason::Geometry,
            &column.name,
            detail,
            Text::new("如 POINT (117.2 39.1)", "such as POINT (117.2 39.1)"),
        )
    })
}

fn feature(record: &Record) -> Result<Geometry<f64>, RowFault> {
    match &record.body {
        Body::Values(row) => row.geometry.clone().ok_or_else(|| missing("geometry")),
        Body::Feature(feature) => {
            let geometry = feature.geometry.as_ref().ok_or_else(|| missing("geometry"))?;
            Geometry::try_from(&geometry.value).map_err(|e| {
                let detail = text!("几何无法读取：{e}", "the geometry cannot be read: {e}");
                let expected = Text::new("RFC 7946 几何", "a geometry of RFC 7946");
                RowFault::new(Reason::Geometry, "geometry", detail, expected)
            })
        }
        Body::Cells(..) | Body::Broken(_) => {
            let detail = Text::new("CSV 没有几何", "a CSV row has no geometry");
            let expected = Text::new("映射中写明 x 与 y，或 wkt", "x and y, or wkt, in the mapping");
            Err(RowFault::new(Reason::PositionMissing, "", detail, expected))
        }
    }
}

fn convert(geometry: Geometry<f64>, mapping: &Mapping, crs: Crs, column: &str) -> Result<Geometry<f64>, RowFault> {
    // Some exports write every point as a multipoint of one.
    let geometry = match geometry {
        Geometry::MultiPoint(points) if points.0.len() == 1 => Geometry::Point(points.0[0]),
        other => other,
    };
    geometry.try_map_coords(|c| {
        let (x, y) = if mapping.north_first { (c.y, c.x) } else { (c.x, c.y) };
        let p = at(crs, x, y, column)?;
        Ok(geo::Coord { x: p.lon(), y: p.lat() })
    })
}
