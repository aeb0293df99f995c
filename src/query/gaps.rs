//! Stretches of streets along which nothing stands: unlit ones, those without a bin.

use std::collections::BTreeMap;

use geo::{Coord, CoordsIter, Geometry, LineString};

use super::matcher::Matcher;
use crate::domain::word::{RoadClass, State};
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::spatial::local::Local;
use crate::spatial::overlay::Dot;
use crate::spatial::position::LonLat;

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// In these states; any but retired, if none is given.
    pub states: Vec<State>,
    /// Along streets of these classes; any, if none is given.
    pub classes: Vec<RoadClass>,
    /// Metres; what is not longer is no gap.
    pub longer: f64,
}

/// A stretch along which nothing stands.
#[derive(Clone, Debug)]
pub struct Gap {
    /// The road.
    pub road: i32,
    /// Metres.
    pub length: f64,
    /// Where it runs, in degrees.
    pub line: LineString<f64>,
    /// What stands at its beginning; none where the street begins there.
    pub before: Option<u64>,
    /// What stands at its end.
    pub after: Option<u64>,
}

/// Metres of streets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Streets {
    /// All of them.
    pub length: f64,
    /// In gaps.
    pub in_gaps: f64,
    /// How many gaps.
    pub gaps: u64,
}

/// The gaps, the longest first, and the streets that were looked at.
#[derive(Debug)]
pub struct Gaps {
    /// The gaps.
    pub gaps: Vec<Gap>,
    /// Metres by class of road.
    pub by_class: BTreeMap<RoadClass, Streets>,
    /// Components that are assigned to no road, and were not looked at.
    pub astray: u64,
    /// The city's plane; none without a road.
    pub local: Option<Local>,
}

impl Gaps {
    /// All streets together.
    pub fn total(&self) -> Streets {
        self.by_class.values().fold(Streets::default(), |sum, own| Streets {
            length: sum.length + own.length,
            in_gaps: sum.in_gaps + own.in_gaps,
            gaps: sum.gaps + own.gaps,
        })
    }
}

/// Finds them. Each component is looked at where it stands nearest to the line of its road. Metres are those of the ground, along that line.
/// Cost: O(components, and for each road its components × its vertices).
pub fn gaps(memory: &Memory, matcher: &Matcher, wanted: &Wanted) -> Result<Gaps> {
    let mut on: BTreeMap<u32, Vec<(u64, f64, f64)>> = BTreeMap::new();
    let mut astray = 0;
    for found in memory.components.rows().iter() {
        let counts = wanted.states.is_empty() || wanted.states.contains(&found.state());
        if counts && matcher.shows(&found) {
            match found.road {
                0 => astray += 1,
                road => on.entry(road).or_default().push((found.id, found.lon, found.lat)),
            }
        }
    }
    let asked = |class| wanted.classes.is_empty() || wanted.classes.contains(&class);
    let mut out = Gaps {
        gaps: Vec::new(),
        by_class: BTreeMap::new(),
        astray,
        local: None,
    };
    let mut around: Option<[f64; 4]> = None;
    let mut shapes = Vec::new();
    for road in memory.roads.iter().filter(|r| r.shown && asked(r.what.class)) {
        let shape = road.geometry.unpack();
        for c in shape.coords_iter() {
            let [w, s, e, n] = around.unwrap_or([c.x, c.y, c.x, c.y]);
            around = Some([w.min(c.x), s.min(c.y), e.max(c.x), n.max(c.y)]);
        }
        shapes.push((road, shape));
    }
    let Some([w, s, e, n]) = around else {
        return Ok(out);
    };
    let middle = LonLat::new((w + e) / 2.0, (s + n) / 2.0).and_then(Local::about);
    let local = middle.map_err(|t| Error::internal(t.en))?;
    out.local = Some(local);
    for (road, shape) in shapes {
        let lines = match shape {
            Geometry::LineString(l) => vec![l],
            Geometry::MultiLineString(m) => m.0,
            _ => continue,
        };
        let lines: Vec<Line> = lines.iter().map(|l| Line::new(&local, l)).collect::<Result<_>>()?;
        // Each component on the line that it is nearest to.
        let mut along: Vec<Vec<(f64, u64)>> = vec![Vec::new(); lines.len()];
        let here = u32::try_from(road.id).ok().and_then(|id| on.get(&id));
        for (id, lon, lat) in here.into_iter().flatten() {
            let Ok(p) = local.to(*lon, *lat) else { continue };
            let near = lines.iter().enumerate().map(|(n, line)| (n, line.nearest(p)));
            let near = near.min_by(|(_, a), (_, b)| a.0.total_cmp(&b.0));
            if let Some((n, (_, at))) = near {
                along[n].push((at, *id));
            }
        }
        let streets = out.by_class.entry(road.what.class).or_default();
        for (line, mut along) in lines.iter().zip(along) {
            along.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let length = line.length();
            streets.length += length;
            let begins = std::iter::once((0.0, None)).chain(along.iter().map(|(at, id)| (*at, Some(*id))));
            let ends = along.iter().map(|(at, id)| (*at, Some(*id))).chain([(length, None)]);
            for ((from, before), (to, after)) in begins.zip(ends) {
                if to - from > wanted.longer {
                    streets.gaps += 1;
                    streets.in_gaps += to - from;
                    out.gaps.push(Gap {
                        road: road.what.id,
                        length: to - from,
                        line: line.between(&local, from, to)?,
                        before,
                        after,
                    });
                }
            }
        }
    }
    out.gaps.sort_by(|a, b| b.length.total_cmp(&a.length));
    Ok(out)
}

/// A line of the plane, with the metres of the ground from its beginning to each of its places.
struct Line {
    places: Vec<Dot>,
    metres: Vec<f64>,
}

impl Line {
    fn new(local: &Local, line: &LineString<f64>) -> Result<Line> {
        let place = |c: &Coord<f64>| local.to(c.x, c.y).map_err(|t| Error::syntax("road-class", t));
        let places: Vec<Dot> = line.0.iter().map(place).collect::<Result<_>>()?;
        let mut metres = vec![0.0];
        for (n, pair) in places.windows(2).enumerate() {
            metres.push(metres[n] + local.metres(apart(pair[0], pair[1]), pair[0]));
        }
        Ok(Line { places, metres })
    }

    fn length(&self) -> f64 {
        self.metres.last().copied().unwrap_or(0.0)
    }

    /// How far a place is off the line, in steps of the plane, and the metres along it to where it is nearest.
    fn nearest(&self, p: Dot) -> (f64, f64) {
        let mut best = (f64::INFINITY, 0.0);
        for (n, pair) in self.places.windows(2).enumerate() {
            let [a, b] = [pair[0], pair[1]];
            let (dx, dy) = (f64::from(b.x) - f64::from(a.x), f64::from(b.y) - f64::from(a.y));
            let (px, py) = (f64::from(p.x) - f64::from(a.x), f64::from(p.y) - f64::from(a.y));
            let whole = dx * dx + dy * dy;
            let share = if whole > 0.0 {
                ((px * dx + py * dy) / whole).clamp(0.0, 1.0)
            } else {
                0.0
            };
            let off = (px - share * dx).hypot(py - share * dy);
            if off < best.0 {
                best = (off, self.metres[n] + share * (self.metres[n + 1] - self.metres[n]));
            }
        }
        best
    }

    /// What of it lies between two distances from its beginning, in degrees.
    fn between(&self, local: &Local, from: f64, to: f64) -> Result<LineString<f64>> {
        let at = |metres: f64| {
            let n = self
                .metres
                .partition_point(|m| *m <= metres)
                .clamp(1, self.places.len() - 1);
            let (a, b) = (self.places[n - 1], self.places[n]);
            let whole = self.metres[n] - self.metres[n - 1];
            let share = if whole > 0.0 {
                (metres - self.metres[n - 1]) / whole
            } else {
                0.0
            };
            let mix = |a: i32, b: i32| (f64::from(a) + share * (f64::from(b) - f64::from(a))).round() as i32;
            Dot::new(mix(a.x, b.x), mix(a.y, b.y))
        };
        let inner = self
            .places
            .iter()
            .zip(&self.metres)
            .filter(|(_, m)| from < **m && **m < to);
        let places = std::iter::once(at(from)).chain(inner.map(|(p, _)| *p)).chain([at(to)]);
        let short = |v: f64| (v * 1e8).round() / 1e8;
        let degrees = places.map(|p| {
            local.back(p).map(|(x, y)| Coord {
                x: short(x),
                y: short(y),
            })
        });
        let line = degrees.collect::<Result<Vec<_>, crate::domain::text::Text>>();
        Ok(LineString(line.map_err(|t| Error::internal(t.en))?))
    }
}

fn apart(a: Dot, b: Dot) -> f64 {
    (f64::from(a.x) - f64::from(b.x)).hypot(f64::from(a.y) - f64::from(b.y))
}
