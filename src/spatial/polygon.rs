//! Rings and polygons out of edges that have the inside on their left: valid as OGC has it, so that every client draws them alike.
//!
//! Edges are walked face by face: at a point where several begin, the next one is that which keeps to the same face. What is walked
//! twice through one point is taken apart there, into an outline and holes that touch it. Whatever the edges are, the walk comes to an end.

use std::collections::HashMap;

use super::overlay::{Dot, Ring, Window, contains, meet, twice, window};

/// From a point to another, the inside on the left.
pub type Edge = (Dot, Dot);

/// The rings of some edges, none of which passes a point twice: outlines anticlockwise, holes clockwise. No edge may cross another one or
/// come twice. Cost: O(edges × log edges).
pub fn rings(edges: Vec<Edge>) -> Vec<Ring> {
    let mut out = Vec::new();
    for (walked, forked) in faces(edges) {
        if forked {
            apart(walked, &mut out);
        } else {
            out.push(walked);
        }
    }
    out.retain(|ring| ring.len() > 2 && twice(ring) != 0);
    out
}

/// The polygons of such rings, each its outline first and then its holes. Cost: for each hole a look at the outlines around it.
pub fn polygons(rings: Vec<Ring>) -> Vec<Vec<Ring>> {
    let (shells, holes): (Vec<Ring>, Vec<Ring>) = rings.into_iter().partition(|ring| twice(ring) > 0);
    let mut out: Vec<(Window, Vec<Ring>)> = shells.into_iter().filter_map(|s| Some((one(&s)?, vec![s]))).collect();
    // The smallest that holds it is the one.
    out.sort_by_key(|(_, polygon)| twice(&polygon[0]));
    for hole in holes {
        let Some(w) = one(&hole) else { continue };
        let around = out
            .iter_mut()
            .find(|(s, polygon)| meet(*s, w) && holds(&polygon[0], &hole));
        if let Some((_, polygon)) = around {
            polygon.push(hole);
        }
    }
    out.into_iter().map(|(_, polygon)| polygon).collect()
}

fn one(ring: &Ring) -> Option<Window> {
    window(std::slice::from_ref(ring))
}

/// Whether a ring lies in an outline, which it may touch in points.
fn holds(shell: &Ring, hole: &Ring) -> bool {
    let free = hole.iter().find(|p| !shell.contains(p));
    let inside = |p: Dot| contains(std::slice::from_ref(shell), p);
    match free {
        Some(p) => inside(*p),
        None => {
            let (a, b) = (hole[0], hole[1 % hole.len()]);
            inside(Dot::new(a.x + (b.x - a.x) / 2, a.y + (b.y - a.y) / 2))
        }
    }
}

/// Edges by where they begin, and which of them were walked.
struct Edges {
    sorted: Vec<Edge>,
    walked: Vec<bool>,
}

impl Edges {
    /// The places of those that begin at a point.
    fn from(&self, at: Dot) -> std::ops::Range<usize> {
        let key = |p: Dot| (p.x, p.y);
        let first = self.sorted.partition_point(|(a, _)| key(*a) < key(at));
        let more = self.sorted[first..].iter().take_while(|(a, _)| *a == at).count();
        first..first + more
    }

    /// The edge that keeps to the face on the left of the one from `last` to `at`: the first one clockwise from the way back.
    fn next(&self, last: Dot, at: Dot) -> Option<usize> {
        let range = self.from(at);
        if range.len() == 1 {
            return Some(range.start).filter(|i| !self.walked[*i]);
        }
        let left = range.filter(|i| !self.walked[*i]);
        left.min_by(|a, b| {
            let turn = |i: usize| clockwise(last, at, self.sorted[i].1);
            turn(*a).total_cmp(&turn(*b))
        })
    }
}

/// The boundaries of the faces on the left of the edges, and whether a point is passed at which several begin.
fn faces(mut edges: Vec<Edge>) -> Vec<(Ring, bool)> {
    edges.retain(|(a, b)| a != b);
    edges.sort_unstable_by_key(|(a, b)| (a.x, a.y, b.x, b.y));
    let mut all = Edges {
        walked: vec![false; edges.len()],
        sorted: edges,
    };
    let mut out = Vec::new();
    for start in 0..all.sorted.len() {
        if all.walked[start] {
            continue;
        }
        let (begun, _) = all.sorted[start];
        let (mut ring, mut forked, mut edge) = (Ring::new(), false, start);
        loop {
            all.walked[edge] = true;
            let (last, at) = all.sorted[edge];
            ring.push(last);
            forked |= all.from(at).len() > 1;
            let next = all.next(last, at);
            // Back where it began, the walk goes on if another edge keeps to the face and not the first one.
            let first = all.sorted[start].1;
            let ends =
                at == begun && next.is_none_or(|i| clockwise(last, at, first) <= clockwise(last, at, all.sorted[i].1));
            match next.filter(|_| !ends) {
                Some(next) => edge = next,
                None => break,
            }
        }
        out.push((ring, forked));
    }
    out
}

/// The angle clockwise from the way back to the way on, above 0 and up to a full turn.
fn clockwise(last: Dot, at: Dot, next: Dot) -> f64 {
    let angle = |p: Dot| (f64::from(p.y) - f64::from(at.y)).atan2(f64::from(p.x) - f64::from(at.x));
    let turn = (angle(last) - angle(next)).rem_euclid(std::f64::consts::TAU);
    if turn > 0.0 { turn } else { std::f64::consts::TAU }
}

/// Takes a ring apart at the points that it passes more than once.
fn apart(ring: Ring, out: &mut Vec<Ring>) {
    let mut kept = Ring::with_capacity(ring.len());
    let mut places: HashMap<(i32, i32), usize> = HashMap::with_capacity(ring.len());
    for p in ring {
        if let Some(at) = places.get(&(p.x, p.y)).copied() {
            let own = kept.split_off(at);
            own.iter().for_each(|q: &Dot| {
                places.remove(&(q.x, q.y));
            });
            if own.len() > 2 {
                out.push(own);
            }
        }
        places.insert((p.x, p.y), kept.len());
        kept.push(p);
    }
    if kept.len() > 2 {
        out.push(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(points: &[(i32, i32)]) -> Ring {
        points.iter().map(|(x, y)| Dot::new(*x, *y)).collect()
    }

    fn walked(all: &[Ring]) -> Vec<Vec<Ring>> {
        let edges = |r: &Ring| (0..r.len()).map(|i| (r[i], r[(i + 1) % r.len()])).collect::<Vec<_>>();
        polygons(rings(all.iter().flat_map(edges).collect()))
    }

    fn shape(polygons: &[Vec<Ring>]) -> Vec<(i64, Vec<i64>)> {
        let areas = |p: &Vec<Ring>| (twice(&p[0]) / 2, p[1..].iter().map(|h| twice(h) / 2).collect());
        let mut all: Vec<_> = polygons.iter().map(areas).collect();
        all.sort();
        all
    }

    #[test]
    fn squares_that_meet_at_a_corner_are_two_and_a_hole_that_touches_the_outline_is_one() {
        // One ring through (10,10) twice.
        let eight = ring(&[
            (0, 0),
            (10, 0),
            (10, 10),
            (20, 10),
            (20, 20),
            (10, 20),
            (10, 10),
            (0, 10),
        ]);
        assert_eq!(shape(&walked(&[eight])), [(100, vec![]), (100, vec![])]);
        // A hole that touches the outline in one point, walked as one ring.
        let pinched = ring(&[
            (0, 0),
            (20, 0),
            (20, 20),
            (0, 20),
            (0, 10),
            (5, 15),
            (10, 10),
            (5, 5),
            (0, 10),
        ]);
        assert_eq!(shape(&walked(&[pinched])), [(400, vec![-50])]);
        // The same, delivered as two rings.
        let two = [
            ring(&[(0, 0), (20, 0), (20, 20), (0, 20), (0, 10)]),
            ring(&[(0, 10), (5, 15), (10, 10), (5, 5)]),
        ];
        assert_eq!(shape(&walked(&two)), [(400, vec![-50])]);
    }

    #[test]
    fn a_hole_that_touches_the_outline_twice_cuts_it_in_two_and_an_island_in_a_hole_is_its_own() {
        let outline = ring(&[(0, 0), (20, 0), (20, 10), (20, 20), (0, 20), (0, 10)]);
        let hole = ring(&[(0, 10), (10, 15), (20, 10), (10, 5)]);
        assert_eq!(shape(&walked(&[outline, hole])), [(150, vec![]), (150, vec![])]);
        let nested = [
            ring(&[(0, 0), (90, 0), (90, 90), (0, 90)]),
            ring(&[(10, 10), (10, 80), (80, 80), (80, 10)]),
            ring(&[(20, 20), (30, 20), (30, 30), (20, 30)]),
        ];
        assert_eq!(shape(&walked(&nested)), [(100, vec![]), (8100, vec![-4900])]);
    }
}
