//! Streets as things stand along them: links between junctions, their two sides, and positions at a distance from the kerb.

use hashbrown::HashMap;

use super::layout::{Layout, Zone};
use super::mesh::Mesh;
use super::plane::{P, left, norm, unit};
use crate::domain::word::RoadClass;

/// Half the width between the building lines, metres.
pub(super) fn half_width(class: RoadClass) -> f64 {
    match class {
        RoadClass::Arterial => 22.0,
        RoadClass::Secondary => 15.0,
        RoadClass::Local => 9.5,
        RoadClass::Lane => 4.0,
    }
}

/// A stretch of street between two junctions.
pub(super) struct Link {
    /// The street, as numbered in the layout.
    pub(super) street: usize,
    pub(super) class: RoadClass,
    line: Vec<P>,
    /// Where things may stand: metres from the start, clear of the crossing streets at both ends.
    pub(super) from: f64,
    pub(super) to: f64,
    /// The block on the left and on the right; none outside the district.
    pub(super) blocks: [Option<usize>; 2],
    /// Whether it crosses the river.
    pub(super) bridge: bool,
    /// Metres from the beginning of the street to the start of this link.
    pub(super) offset: f64,
}

impl Link {
    /// Usable length, metres.
    pub(super) fn length(&self) -> f64 {
        (self.to - self.from).max(0.0)
    }

    /// The position `s` metres along, and the direction there.
    pub(super) fn at(&self, s: f64) -> (P, P) {
        let mut rest = s;
        for pair in self.line.windows(2) {
            let d = norm(pair[1] - pair[0]);
            if rest <= d || std::ptr::eq(pair, &self.line[self.line.len() - 2..]) {
                let dir = unit(pair[1] - pair[0]);
                return (pair[0] + dir * rest, dir);
            }
            rest -= d;
        }
        (self.line[0], P { x: 1.0, y: 0.0 })
    }

    /// The position `s` metres along and `side` metres to the left of the centre line (negative: to the right).
    pub(super) fn beside(&self, s: f64, side: f64) -> P {
        let (p, dir) = self.at(s);
        p + left(dir) * side
    }

    /// The part of the link between two distances, moved sideways.
    pub(super) fn stretch(&self, from: f64, to: f64, side: f64) -> Vec<P> {
        let n = ((to - from) / 25.0).ceil().max(1.0) as usize;
        (0..=n)
            .map(|i| self.beside(from + (to - from) * i as f64 / n as f64, side))
            .collect()
    }
}

/// The street network of a district.
pub(super) struct Network {
    pub(super) links: Vec<Link>,
    /// For each street its chains of nodes.
    pub(super) chains: Vec<Vec<Vec<u32>>>,
    /// The highest street on each edge, both directions.
    pub(super) on_edge: HashMap<(u32, u32), RoadClass>,
    /// Junctions of at least three streets' ends, with the ranks that meet there.
    pub(super) junctions: Vec<Junction>,
}

/// Where streets meet.
pub(super) struct Junction {
    pub(super) at: P,
    /// A direction and rank for each arm.
    pub(super) arms: Vec<(P, RoadClass, usize)>,
}

/// The network of a layout.
pub(super) fn network(layout: &Layout) -> Network {
    let mesh = &layout.mesh;
    let chains: Vec<Vec<Vec<u32>>> = layout.streets.iter().map(|s| chains(mesh, &s.chords)).collect();
    let mut on_edge: HashMap<(u32, u32), RoadClass> = HashMap::new();
    let mut meets: Vec<Vec<(u32, usize)>> = vec![Vec::new(); mesh.len()];
    for (street, parts) in chains.iter().enumerate() {
        let class = layout.streets[street].class;
        for pair in parts.iter().flat_map(|c| c.windows(2)) {
            for (a, b) in [(pair[0], pair[1]), (pair[1], pair[0])] {
                let best = on_edge.entry((a, b)).or_insert(class);
                *best = (*best).min(class);
                meets[a as usize].push((b, street));
            }
        }
    }
    let mut sides: HashMap<(u32, u32), usize> = HashMap::new();
    for face in &layout.faces {
        let c = &face.corners;
        sides.extend((0..c.len()).map(|i| ((c[i], c[(i + 1) % c.len()]), face.block)));
    }
    let class_of = |s: usize| layout.streets[s].class;
    let mut links = Vec::new();
    for (street, parts) in chains.iter().enumerate() {
        let mut offset = 0.0;
        for chain in parts {
            let mut start = 0;
            for i in 1..chain.len() {
                let is_junction = meets[chain[i] as usize].iter().any(|m| m.1 != street);
                if i + 1 < chain.len() && !is_junction {
                    continue;
                }
                let nodes = &chain[start..=i];
                start = i;
                let line: Vec<P> = nodes.iter().map(|n| mesh.xy(*n)).collect();
                let length: f64 = line.windows(2).map(|w| norm(w[1] - w[0])).sum();
                let along_border = nodes.iter().all(|n| mesh.on_border(*n));
                let clear = |node: u32| {
                    let crossing = meets[node as usize].iter().filter(|m| m.1 != street);
                    let crossing = crossing.map(|m| half_width(class_of(m.1)));
                    // The street along the border may be the neighbour's.
                    let border = mesh.on_border(node) && !along_border;
                    let least = if border { half_width(RoadClass::Arterial) } else { 1.0 };
                    crossing.fold(least, f64::max) + 3.0
                };
                let (from, to) = (clear(nodes[0]), length - clear(nodes[nodes.len() - 1]));
                let mid = nodes.len() / 2;
                let (a, b) = (nodes[mid - 1], nodes[mid]);
                let blocks = [sides.get(&(a, b)).copied(), sides.get(&(b, a)).copied()];
                let in_river = |b: &Option<usize>| b.is_some_and(|b| layout.blocks[b].zone == Zone::River);
                links.push(Link {
                    street,
                    class: class_of(street),
                    bridge: blocks.iter().all(in_river),
                    line,
                    from,
                    to,
                    blocks,
                    offset,
                });
                offset += length;
            }
        }
    }
    let junctions = junctions(layout, &meets);
    Network {
        links,
        chains,
        on_edge,
        junctions,
    }
}

fn junctions(layout: &Layout, meets: &[Vec<(u32, usize)>]) -> Vec<Junction> {
    let mesh = &layout.mesh;
    let mut out = Vec::new();
    for (node, arms) in meets.iter().enumerate() {
        if arms.len() < 3 {
            continue;
        }
        let at = mesh.xy(node as u32);
        let arms = arms
            .iter()
            .map(|&(to, s)| (unit(mesh.xy(to) - at), layout.streets[s].class, s))
            .collect();
        out.push(Junction { at, arms });
    }
    out
}

/// Joins chords that share ends into as few chains as possible.
fn chains(mesh: &Mesh, chords: &[(u32, u32)]) -> Vec<Vec<u32>> {
    let mut next: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut order = Vec::new();
    for &(a, b) in chords {
        for w in mesh.chain(a, b).windows(2) {
            next.entry(w[0]).or_default().push(w[1]);
            next.entry(w[1]).or_default().push(w[0]);
            order.extend_from_slice(w);
        }
    }
    let ends = order.iter().copied().filter(|n| next[n].len() == 1);
    let starts: Vec<u32> = ends.chain(order.iter().copied()).collect();
    let mut out = Vec::new();
    for start in starts {
        let mut chain = vec![start];
        let mut at = start;
        while let Some(to) = next.get_mut(&at).and_then(Vec::pop) {
            if let Some(back) = next.get_mut(&to) {
                back.retain(|n| *n != at);
            }
            chain.push(to);
            at = to;
        }
        if chain.len() > 1 {
            out.push(chain);
        }
    }
    out
}

/// Whole numbers in proportion to the weights that sum to exactly `total` (largest remainder); all zero without weights.
pub(super) fn apportion(weights: &[f64], total: usize) -> Vec<usize> {
    let sum: f64 = weights.iter().sum();
    if sum <= 0.0 {
        return vec![0; weights.len()];
    }
    let exact: Vec<f64> = weights.iter().map(|w| w / sum * total as f64).collect();
    let mut out: Vec<usize> = exact.iter().map(|e| e.floor() as usize).collect();
    let mut order: Vec<usize> = (0..weights.len()).filter(|i| weights[*i] > 0.0).collect();
    order.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()).then(a.cmp(b)));
    let missing = total - out.iter().sum::<usize>().min(total);
    for i in order.into_iter().cycle().take(missing) {
        out[i] += 1;
    }
    out
}
