//! A sketch of what lies about a component: roads, other components, and itself, in metres from it.

use geo::{CoordsIter, Geometry, LinesIter};

use super::matcher::Matcher;
use crate::index::Memory;
use crate::index::components::window;
use crate::spatial::measure::around;
use crate::spatial::position::LonLat;

/// Metres shown to each side.
pub const REACH: f64 = 60.0;
/// Other components that are drawn.
const MAX_OTHERS: usize = 500;

/// A position in metres to the east and the south of the middle.
pub type Spot = (f64, f64);

/// What a sketch shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sketch {
    /// Pieces of roads.
    pub roads: Vec<(Spot, Spot)>,
    /// Names of roads, each at a place on it.
    pub names: Vec<(Spot, String)>,
    /// Other components.
    pub others: Vec<Spot>,
    /// The outline of the component, where it is no point.
    pub outline: Vec<Vec<Spot>>,
}

/// What lies about a component as far as a reader sees it. Cost: O(what stands there).
pub fn sketch(memory: &Memory, matcher: &Matcher, id: u64) -> Option<Sketch> {
    let found = memory.components.get(id)?;
    let middle = LonLat::new(found.lon, found.lat).ok()?;
    // Metres of a degree, as a mean: good to half a metre at the edge, which a sketch does not show.
    let north = 111_132.0;
    let east = 111_320.0 * middle.lat().to_radians().cos();
    let spot = |lon: f64, lat: f64| ((lon - middle.lon()) * east, (middle.lat() - lat) * north);
    let mut out = Sketch::default();
    for b in around(middle, REACH * 1.5) {
        for road in memory.roads.touching(window(b)) {
            let before = out.roads.len();
            let line = road.geometry.unpack();
            for piece in lines(&line) {
                let (a, b) = (spot(piece.0.0, piece.0.1), spot(piece.1.0, piece.1.1));
                let (low, high) = ((a.0.min(b.0), a.1.min(b.1)), (a.0.max(b.0), a.1.max(b.1)));
                if low.0 <= REACH && low.1 <= REACH && high.0 >= -REACH && high.1 >= -REACH {
                    out.roads.push((a, b));
                }
            }
            // Its name stands where it comes nearest.
            let own = out.roads.get(before..).unwrap_or_default();
            let nearest = own.iter().map(|(a, b)| nearest(*a, *b));
            let at = nearest.min_by(|a, b| a.0.hypot(a.1).total_cmp(&b.0.hypot(b.1)));
            let at = at.filter(|p| p.0.abs() <= REACH * 0.9 && p.1.abs() <= REACH * 0.9);
            if let (Some(at), Some(name)) = (at, &road.what.name)
                && !out.names.iter().any(|(_, known)| **known == **name)
            {
                out.names.push((at, name.to_string()));
            }
        }
        memory.components.live.points.visit(window(b), |_| true, &mut |p| {
            let shown = memory.components.get(p.id).filter(|f| p.id != id && matcher.shows(f));
            if let Some(other) = shown.filter(|_| out.others.len() < MAX_OTHERS) {
                let at = spot(other.lon, other.lat);
                out.others
                    .extend(Some(at).filter(|p| p.0.abs() <= REACH && p.1.abs() <= REACH));
            }
        });
    }
    if let Some(shape) = memory.components.shape(id).filter(|_| found.shaped()) {
        let parts = shape.unpack();
        let ring = |g: &dyn Fn() -> Vec<(f64, f64)>| g().into_iter().map(|(x, y)| spot(x, y)).collect();
        let mut add = |coords: Vec<(f64, f64)>| out.outline.push(ring(&|| coords.clone()));
        match &parts {
            Geometry::MultiPolygon(all) => all.iter().for_each(|p| add(corners(p.exterior()))),
            Geometry::MultiLineString(all) => all.iter().for_each(|l| add(corners(l))),
            Geometry::Polygon(p) => add(corners(p.exterior())),
            other => add(other.coords_iter().map(|c| c.x_y()).collect()),
        }
    }
    Some(out)
}

/// The place on a line that is nearest to the middle.
fn nearest(a: Spot, b: Spot) -> Spot {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx * dx + dy * dy;
    let part = if length > 0.0 {
        -(a.0 * dx + a.1 * dy) / length
    } else {
        0.0
    };
    let part = part.clamp(0.0, 1.0);
    (a.0 + part * dx, a.1 + part * dy)
}

fn corners(line: &geo::LineString<f64>) -> Vec<(f64, f64)> {
    line.coords().map(|c| c.x_y()).collect()
}

fn lines(geometry: &Geometry<f64>) -> Vec<((f64, f64), (f64, f64))> {
    let ends = |l: geo::Line<f64>| (l.start.x_y(), l.end.x_y());
    match geometry {
        Geometry::LineString(l) => l.lines_iter().map(ends).collect(),
        Geometry::MultiLineString(all) => all.lines_iter().map(ends).collect(),
        _ => Vec::new(),
    }
}
