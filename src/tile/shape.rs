//! Lines and polygons in a tile: projected, clipped to the tile and its buffer, floored to tile units, thinned.

use geo::{Geometry, LineString, Polygon};

use crate::spatial::plane::Plane;
use crate::spatial::tile_id::{BUFFER, EXTENT, TileId};

type Pixel = (i32, i32);

/// A shape as the writer takes it.
#[derive(Debug, PartialEq, Eq)]
pub enum Drawn {
    /// Lines.
    Lines(Vec<Vec<Pixel>>),
    /// Rings: exteriors with positive area (y down), each followed by its holes.
    Rings(Vec<Vec<Pixel>>),
}

const MIN: f64 = -(BUFFER as f64);
const MAX: f64 = (EXTENT + BUFFER) as f64;

/// Draws a geometry in lon,lat degrees of the register in a tile of a plane; none if nothing of it is left.
pub fn draw(geometry: &Geometry<f64>, tile: TileId, plane: Plane) -> Option<Drawn> {
    let sheet = &Sheet { tile, plane };
    match geometry {
        Geometry::LineString(l) => lines(std::slice::from_ref(l), sheet),
        Geometry::MultiLineString(m) => lines(&m.0, sheet),
        Geometry::Polygon(p) => rings(std::slice::from_ref(p), sheet),
        Geometry::MultiPolygon(m) => rings(&m.0, sheet),
        _ => None,
    }
}

/// A tile of a plane.
struct Sheet {
    tile: TileId,
    plane: Plane,
}

impl Sheet {
    fn project(&self, line: &LineString<f64>) -> Vec<(f64, f64)> {
        let place = |c: &geo::Coord<f64>| {
            let (lon, lat) = self.plane.forward(c.x, c.y);
            self.tile.project(lon, lat)
        };
        line.0.iter().map(place).collect()
    }
}

fn lines(lines: &[LineString<f64>], sheet: &Sheet) -> Option<Drawn> {
    let mut out = Vec::new();
    for line in lines {
        clip_line(&sheet.project(line), &mut out);
    }
    (!out.is_empty()).then_some(Drawn::Lines(out))
}

fn rings(polygons: &[Polygon<f64>], sheet: &Sheet) -> Option<Drawn> {
    let mut out = Vec::new();
    for polygon in polygons {
        let Some(exterior) = ring(polygon.exterior(), sheet, true) else {
            continue;
        };
        let holes: Vec<_> = polygon
            .interiors()
            .iter()
            .filter_map(|h| ring(h, sheet, false))
            .collect();
        // A tile that lies in a hole is all hole.
        if doubled(&exterior) + holes.iter().map(|h| doubled(h)).sum::<i64>() > 0 {
            out.push(exterior);
            out.extend(holes);
        }
    }
    (!out.is_empty()).then_some(Drawn::Rings(out))
}

/// A closed ring without its repeated last point, wound as an exterior or a hole; none if it has no area left.
fn ring(line: &LineString<f64>, sheet: &Sheet, exterior: bool) -> Option<Vec<Pixel>> {
    let mut points = sheet.project(line);
    points.pop();
    if points.iter().any(|p| outside(*p)) {
        for edge in [Edge::Left, Edge::Right, Edge::Top, Edge::Bottom] {
            points = clip_ring(&points, edge);
        }
    }
    let mut pixels = thin(points.into_iter().map(floor), true);
    let area = doubled(&pixels);
    if pixels.len() < 3 || area == 0 {
        return None;
    }
    if (area > 0) != exterior {
        pixels.reverse();
    }
    Some(pixels)
}

/// Twice the area of a ring, positive if it turns clockwise on the screen.
fn doubled(ring: &[Pixel]) -> i64 {
    let next = ring.iter().cycle().skip(1);
    ring.iter()
        .zip(next)
        .map(|(a, b)| i64::from(a.0) * i64::from(b.1) - i64::from(b.0) * i64::from(a.1))
        .sum()
}

fn outside(p: (f64, f64)) -> bool {
    !(MIN..=MAX).contains(&p.0) || !(MIN..=MAX).contains(&p.1)
}

/// The tile unit of a clipped position, which may lie beyond the edge by the last bit of a crossing.
fn floor(p: (f64, f64)) -> Pixel {
    let unit = |v: f64| v.clamp(MIN, MAX).floor() as i32;
    (unit(p.0), unit(p.1))
}

/// Drops points that repeat or lie on the straight line between their neighbours, to the pixel.
fn thin(pixels: impl Iterator<Item = Pixel>, closed: bool) -> Vec<Pixel> {
    let mut out: Vec<Pixel> = Vec::new();
    let straight = |a: Pixel, b: Pixel, c: Pixel| {
        let (ax, ay) = (i64::from(b.0 - a.0), i64::from(b.1 - a.1));
        let (bx, by) = (i64::from(c.0 - b.0), i64::from(c.1 - b.1));
        ax * by == ay * bx && (closed || ax * bx + ay * by >= 0)
    };
    for p in pixels {
        if out.last() == Some(&p) {
            continue;
        }
        while let [.., a, b] = out[..] {
            if !straight(a, b, p) {
                break;
            }
            out.pop();
        }
        if out.last() != Some(&p) {
            out.push(p);
        }
    }
    while closed && out.len() > 2 && out.first() == out.last() {
        out.pop();
    }
    out
}

#[derive(Clone, Copy)]
enum Edge {
    Left,
    Right,
    Top,
    Bottom,
}

impl Edge {
    fn holds(self, p: (f64, f64)) -> bool {
        match self {
            Edge::Left => p.0 >= MIN,
            Edge::Right => p.0 <= MAX,
            Edge::Top => p.1 >= MIN,
            Edge::Bottom => p.1 <= MAX,
        }
    }

    fn cross(self, a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
        let at_x = |x: f64| (x, a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0));
        let at_y = |y: f64| (a.0 + (b.0 - a.0) * (y - a.1) / (b.1 - a.1), y);
        match self {
            Edge::Left => at_x(MIN),
            Edge::Right => at_x(MAX),
            Edge::Top => at_y(MIN),
            Edge::Bottom => at_y(MAX),
        }
    }
}

/// One step of Sutherland and Hodgman's polygon clipping (1974).
fn clip_ring(points: &[(f64, f64)], edge: Edge) -> Vec<(f64, f64)> {
    let mut out = Vec::with_capacity(points.len() + 4);
    let before = points.iter().cycle().skip(points.len().saturating_sub(1));
    for (a, b) in before.zip(points) {
        match (edge.holds(*a), edge.holds(*b)) {
            (true, true) => out.push(*b),
            (true, false) => out.push(edge.cross(*a, *b)),
            (false, true) => out.extend([edge.cross(*a, *b), *b]),
            (false, false) => {}
        }
    }
    out
}

/// Clips a line to the tile, segment by segment (Liang and Barsky 1984), into as many lines as are inside.
fn clip_line(points: &[(f64, f64)], out: &mut Vec<Vec<Pixel>>) {
    let mut part: Vec<Pixel> = Vec::new();
    let mut end = |part: &mut Vec<Pixel>| {
        let line = thin(std::mem::take(part).into_iter(), false);
        if line.len() > 1 {
            out.push(line);
        }
    };
    for pair in points.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let Some((from, to)) = clip_segment(a, b) else {
            end(&mut part);
            continue;
        };
        if part.is_empty() || from != a {
            end(&mut part);
            part.push(floor(from));
        }
        part.push(floor(to));
        if to != b {
            end(&mut part);
        }
    }
    end(&mut part);
}

fn clip_segment(a: (f64, f64), b: (f64, f64)) -> Option<((f64, f64), (f64, f64))> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (mut from, mut to) = (0.0f64, 1.0f64);
    for (p, q) in [(-dx, a.0 - MIN), (dx, MAX - a.0), (-dy, a.1 - MIN), (dy, MAX - a.1)] {
        if p == 0.0 {
            if q < 0.0 {
                return None;
            }
        } else if p < 0.0 {
            from = from.max(q / p);
        } else {
            to = to.min(q / p);
        }
    }
    let at = |t: f64| (a.0 + dx * t, a.1 + dy * t);
    (from <= to).then(|| (if from > 0.0 { at(from) } else { a }, if to < 1.0 { at(to) } else { b }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tile() -> TileId {
        TileId::new(14, 13526, 6255).unwrap()
    }

    fn degrees(p: (f64, f64)) -> (f64, f64) {
        let b = tile().bounds(0);
        // Straight enough over one tile for making test shapes.
        (b[0] + (b[2] - b[0]) * p.0 / 4096.0, b[3] + (b[1] - b[3]) * p.1 / 4096.0)
    }

    fn square(x0: f64, y0: f64, x1: f64, y1: f64) -> LineString<f64> {
        [(x0, y0), (x0, y1), (x1, y1), (x1, y0), (x0, y0)]
            .map(degrees)
            .to_vec()
            .into()
    }

    #[test]
    fn a_polygon_larger_than_the_tile_becomes_the_tile_and_its_hole_winds_the_other_way() {
        let p = Polygon::new(
            square(-9000.0, -9000.0, 9000.0, 9000.0),
            vec![square(1000.0, 1000.0, 2000.0, 2000.0)],
        );
        let Some(Drawn::Rings(rings)) = draw(&p.into(), tile(), Plane::default()) else {
            panic!("nothing drawn")
        };
        assert_eq!(doubled(&rings[0]), 2 * (4096 + 512) * (4096 + 512));
        assert!(doubled(&rings[1]) < -2 * 990 * 990);
    }

    #[test]
    fn a_tile_in_a_hole_shows_nothing() {
        let p = Polygon::new(
            square(-9000.0, -9000.0, 9000.0, 9000.0),
            vec![square(-5000.0, -5000.0, 8000.0, 8000.0)],
        );
        assert_eq!(draw(&p.into(), tile(), Plane::default()), None);
    }

    #[test]
    fn a_line_that_leaves_and_comes_back_is_two_lines() {
        let line: LineString<f64> = [(100.0, 100.0), (5000.0, 100.0), (5000.0, 900.0), (100.0, 900.0)]
            .map(degrees)
            .to_vec()
            .into();
        let Some(Drawn::Lines(lines)) = draw(&line.into(), tile(), Plane::default()) else {
            panic!("nothing drawn")
        };
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].last().map(|p| p.0), Some(4096 + 256));
    }

    proptest! {
        #[test]
        fn the_area_left_is_the_area_inside(x in -6000.0..6000.0f64, y in -6000.0..6000.0f64, w in 50.0..5000.0f64, h in 50.0..5000.0f64) {
            let p: Geometry<f64> = Polygon::new(square(x, y, x + w, y + h), vec![]).into();
            let cut = |a: f64, b: f64| (b.min(MAX) - a.max(MIN)).max(0.0);
            let expected = cut(x, x + w) * cut(y, y + h);
            let left = match draw(&p, tile(), Plane::default()) { Some(Drawn::Rings(r)) => r.iter().map(|r| doubled(r)).sum::<i64>() as f64 / 2.0, _ => 0.0 };
            prop_assert!((left - expected).abs() <= 3.0 * (w + h) + 8.0, "{} {}", left, expected);
        }
    }
}
