//! Blind spots: what no facility reaches, as polygons.

use geo::{Coord, LineString, Polygon};
use hashbrown::HashMap;

use super::Outcome;
use crate::spatial::overlay::{Dot, Overlay, Ring, contains, twice, twice_all, window};

/// A place that no facility reaches.
#[derive(Clone, Debug)]
pub struct Spot {
    /// Its outline and holes.
    pub rings: Vec<Ring>,
    /// Square metres.
    pub area: f64,
    /// People, if they live evenly on their plots; 0 where nothing is known of them.
    pub people: f64,
    /// A place within it.
    pub at: Dot,
    /// The nearest facility to that place, and how many metres away it is.
    pub nearest: Option<(u64, f64)>,
}

/// The blind spots of an outcome, the largest first.
#[derive(Clone, Debug, Default)]
pub struct Spots {
    /// Those of at least the rule's size.
    pub listed: Vec<Spot>,
    /// How many are smaller.
    pub slivers: usize,
    /// Square metres of those.
    pub sliver_area: f64,
    /// People there.
    pub sliver_people: f64,
}

/// Finds the squares of a look-up by place: 419 m.
const SIDE: u32 = 22;

impl Spots {
    /// Unites what is left of the pieces.
    pub(super) fn of(outcome: &Outcome) -> Spots {
        let ground = &outcome.land.ground;
        let pieces = || ground.pieces.iter().zip(&outcome.blind);
        let polygons = Overlay::default().polygons(pieces().flat_map(|(piece, blind)| blind.rings(piece)));
        let mut all: Vec<Spot> = polygons.into_iter().filter_map(|rings| spot(outcome, rings)).collect();
        let mut near: HashMap<(i32, i32), Vec<usize>> = HashMap::new();
        for (n, spot) in all.iter().enumerate() {
            let Some(w) = window(&spot.rings) else { continue };
            for x in w[0] >> SIDE..=w[2] >> SIDE {
                for y in w[1] >> SIDE..=w[3] >> SIDE {
                    near.entry((x, y)).or_default().push(n);
                }
            }
        }
        // Whose people live where: what is left of a piece lies in a spot as a whole, ring by ring.
        let mut lost = 0.0;
        for (piece, blind) in pieces() {
            let people = blind.area(piece) * ground.density(piece);
            let outlines = || blind.rings(piece).iter().filter(|r| twice(r) > 0);
            let whole: i64 = outlines().map(|r| twice(r)).sum();
            if people <= 0.0 || whole == 0 {
                continue;
            }
            for ring in outlines() {
                let own = people * twice(ring) as f64 / whole as f64;
                let at = inside(ring);
                let here = near.get(&(at.x >> SIDE, at.y >> SIDE)).into_iter().flatten();
                match here.copied().find(|n| contains(&all[*n].rings, at)) {
                    Some(n) => all[n].people += own,
                    None => lost += own,
                }
            }
        }
        let (mut listed, slivers): (Vec<Spot>, Vec<Spot>) = all
            .into_iter()
            .partition(|s| s.area >= outcome.question.rule.least_blind_m2);
        listed.sort_by(|a, b| b.area.total_cmp(&a.area));
        for spot in &mut listed {
            spot.nearest = nearest(outcome, spot.at);
        }
        Spots {
            listed,
            slivers: slivers.len(),
            sliver_area: slivers.iter().map(|s| s.area).sum(),
            sliver_people: slivers.iter().map(|s| s.people).sum::<f64>() + lost,
        }
    }
}

fn spot(outcome: &Outcome, rings: Vec<Ring>) -> Option<Spot> {
    let at = inside(rings.first()?);
    let area = outcome.land.ground.local.ground(twice_all(&rings), at);
    Some(Spot {
        // A place within the outline may lie in a hole; what is asked of it, the nearest facility, is much the same.
        at: if contains(&rings, at) {
            at
        } else {
            within(&rings).unwrap_or(at)
        },
        rings,
        area,
        people: 0.0,
        nearest: None,
    })
}

/// A place within a polygon with holes.
fn within(rings: &[Ring]) -> Option<Dot> {
    use geo::InteriorPoint;
    let line = |r: &Ring| {
        LineString(
            r.iter()
                .map(|p| Coord {
                    x: f64::from(p.x),
                    y: f64::from(p.y),
                })
                .collect(),
        )
    };
    let polygon = Polygon::new(line(rings.first()?), rings[1..].iter().map(line).collect());
    let p = polygon.interior_point()?;
    Some(Dot::new(p.x().round() as i32, p.y().round() as i32))
}

/// A place within a ring that does not cross itself: near its lowest corner, inside the triangle there.
pub fn inside(ring: &[Dot]) -> Dot {
    let n = ring.len();
    let Some(low) = (0..n).min_by_key(|i| (ring[*i].y, ring[*i].x)) else {
        return Dot::new(0, 0);
    };
    let (a, v, b) = (ring[(low + n - 1) % n], ring[low], ring[(low + 1) % n]);
    let cross = |p: Dot, q: Dot, r: Dot| {
        (i64::from(q.x) - i64::from(p.x)) * (i64::from(r.y) - i64::from(p.y))
            - (i64::from(q.y) - i64::from(p.y)) * (i64::from(r.x) - i64::from(p.x))
    };
    let in_triangle = |p: &Dot| cross(v, b, *p) >= 0 && cross(b, a, *p) >= 0 && cross(a, v, *p) >= 0;
    let others = ring
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != low && *i != (low + 1) % n && *i != (low + n - 1) % n);
    // The corner within the triangle that is farthest from its base is seen from the lowest one.
    let seen = others
        .map(|(_, p)| *p)
        .filter(in_triangle)
        .max_by_key(|p| cross(b, a, *p));
    let mean = |values: &[i32]| {
        let sum: i64 = values.iter().map(|v| i64::from(*v)).sum();
        (sum as f64 / values.len() as f64).round() as i32
    };
    match seen {
        Some(p) => Dot::new(mean(&[v.x, p.x]), mean(&[v.y, p.y])),
        None => Dot::new(mean(&[a.x, v.x, b.x]), mean(&[a.y, v.y, b.y])),
    }
}

fn nearest(outcome: &Outcome, at: Dot) -> Option<(u64, f64)> {
    let mut best: Option<(u64, f64)> = None;
    for site in outcome.sites.iter() {
        if best.is_none_or(|(_, away)| site.at_least(at) < away) {
            let away = site.away(at);
            if best.is_none_or(|(id, old)| (away, site.id) < (old, id)) {
                best = Some((site.id, away));
            }
        }
    }
    let local = &outcome.land.ground.local;
    best.map(|(id, away)| (id, local.metres(away, at)))
}
