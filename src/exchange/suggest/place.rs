//! Where positions stand and in which coordinate system, judged by their size and by the register's ground.

use geo::{CoordsIter, Geometry};

use super::super::doubt;
use super::super::record::{Body, Column, Record};
use super::super::value::angle;
use crate::domain::text::Text;
use crate::spatial::crs::Crs;
use crate::spatial::ground::Ground;
use crate::spatial::position::LonLat;
use crate::spatial::zone;
use crate::text;

/// What was found of positions.
pub(super) struct Found {
    /// Lines of the mapping.
    pub(super) lines: Vec<String>,
    /// Columns that hold coordinates.
    pub(super) columns: Vec<(usize, &'static str)>,
    pub(super) confidence: f64,
    /// What must be decided.
    pub(super) open: Vec<Text>,
}

/// A pair of columns, the eastward one first where the headings say so.
pub(super) struct Pair {
    pub(super) east: usize,
    pub(super) north: usize,
}

/// Positions in columns.
pub(super) fn columns(pair: &Pair, names: &[Column], sample: &[Record], ground: &Ground, stated: Option<Crs>) -> Found {
    let read = |i: usize| {
        let column = names[i].clone();
        move |r: &Record| r.get(&column).and_then(|s| angle(&s))
    };
    let (east, north) = (read(pair.east), read(pair.north));
    let pairs: Vec<(f64, f64)> = sample.iter().filter_map(|r| east(r).zip(north(r))).collect();
    let (mut own, mut pairs) = ((pair.east, pair.north), pairs);
    let middle = |of: fn(&(f64, f64)) -> f64, pairs: &[(f64, f64)]| {
        let mut all: Vec<f64> = pairs.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    let (mut x, mut y) = (middle(|p| p.0, &pairs), middle(|p| p.1, &pairs));
    // Surveyors call the northing X; which is which their size says.
    let degrees = x.abs() <= 180.0 && y.abs() <= 180.0;
    let turned = if degrees {
        y.abs() > 90.0 || turned_degrees(x, y)
    } else {
        is_northing(x) && !is_northing(y)
    };
    if turned {
        own = (own.1, own.0);
        std::mem::swap(&mut x, &mut y);
        pairs = pairs.into_iter().map(|(a, b)| (b, a)).collect();
    }
    let mut found = Found {
        lines: vec![
            format!("x = {}", super::write::quoted(&names[own.0].name)),
            format!("y = {}", super::write::quoted(&names[own.1].name)),
        ],
        columns: vec![(own.0, "x"), (own.1, "y")],
        confidence: 0.9,
        open: Vec::new(),
    };
    system(&mut found, &pairs, x, stated, ground);
    found
}

/// Positions as the file's own shapes.
pub(super) fn shapes(sample: &[Record], ground: &Ground, stated: Option<Crs>) -> Found {
    let first = |r: &Record| match &r.body {
        Body::Values(row) => row.geometry.as_ref().and_then(|g| g.coords_iter().next()),
        Body::Feature(f) => {
            let own = f.geometry.as_ref().and_then(|g| Geometry::try_from(&g.value).ok());
            own.and_then(|g: Geometry<f64>| g.coords_iter().next())
        }
        _ => None,
    };
    let pairs: Vec<(f64, f64)> = sample.iter().filter_map(first).map(|c| (c.x, c.y)).collect();
    let mut found = Found {
        lines: Vec::new(),
        columns: Vec::new(),
        confidence: 0.95,
        open: Vec::new(),
    };
    let x = pairs.first().map_or(0.0, |p| p.0);
    system(&mut found, &pairs, x, stated, ground);
    found
}

fn is_northing(n: f64) -> bool {
    (1.7e6..6.1e6).contains(&n)
}

/// A latitude of China in the place of the longitude.
fn turned_degrees(x: f64, y: f64) -> bool {
    (3.0..54.0).contains(&x) && (73.0..136.0).contains(&y)
}

/// The coordinate system of pairs, eastward first.
fn system(found: &mut Found, pairs: &[(f64, f64)], x: f64, stated: Option<Crs>, ground: &Ground) {
    let inside = |crs: Crs| share(pairs, crs, ground);
    let crs = match stated {
        Some(crs) => Some(crs),
        None if x.abs() <= 180.0 => Some(Crs::Geographic(4490)),
        // Without a zone only the ground tells.
        None => zone::of_prefixed(x).map(Crs::Epsg).or_else(|| {
            (4534..=4554)
                .map(Crs::Epsg)
                .find(|crs| inside(*crs).is_some_and(|s| s >= 0.5))
        }),
    };
    let Some(crs) = crs else {
        found.confidence = 0.0;
        found.open.push(text!(
            "坐标 {x} 没有带号，无法判断坐标系；请用 --crs 写明，例如 EPSG:4548",
            "the coordinates ({x} …) carry no zone; state their system with --crs, such as EPSG:4548"
        ));
        return;
    };
    if stated.is_none() {
        found.lines.push(format!("crs = \"{}\"", crs.key()));
    }
    let Some(share) = inside(crs) else { return };
    if share >= 0.5 {
        found.lines.push("inside = true".to_owned());
    }
    let positions: Vec<LonLat> = pairs.iter().filter_map(|(x, y)| crs.to_lonlat(*x, *y).ok()).collect();
    let shifted = if matches!(crs, Crs::Shifted(_)) {
        None
    } else {
        doubt::shifted(&positions, ground)
    };
    if let Some(datum) = shifted {
        let key = datum.key();
        found.confidence = 0.3;
        found.open.push(text!(
            "坐标疑为 {key}（互联网地图），未作声明；请核实后用 --crs 写明",
            "the coordinates look like {key}, the datum of internet maps, undeclared; check and state it with --crs"
        ));
    } else if share < 0.5 {
        found.confidence = 0.3;
        let outside = ((1.0 - share) * 100.0).round();
        let doubt = pairs
            .iter()
            .find_map(|(x, y)| doubt::explain(*x, *y, crs, |p| ground.covers(p)));
        let name = doubt.map_or_else(
            || Text::new("", ""),
            |d| {
                let (zh, en) = (d.name.zh, d.name.en);
                text!("：{zh}", ": {en}")
            },
        );
        let (zh, en, key) = (name.zh, name.en, crs.key());
        found.open.push(text!(
            "按 {key} 有 {outside}% 的位置在辖区之外{zh}；请用 --crs 写明坐标系",
            "as {key}, {outside} % of the positions are outside the register's areas{en}; state the system with --crs"
        ));
    }
}

/// The share of positions on the ground; none where there is no ground or nothing to ask.
fn share(pairs: &[(f64, f64)], crs: Crs, ground: &Ground) -> Option<f64> {
    if ground.is_empty() || pairs.is_empty() {
        return None;
    }
    let on = |(x, y): &&(f64, f64)| crs.to_lonlat(*x, *y).is_ok_and(|p| ground.covers(p));
    Some(pairs.iter().filter(on).count() as f64 / pairs.len() as f64)
}
