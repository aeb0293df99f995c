//! A planar subdivision into convex faces that share their corners exactly.
//!
//! Faces are loops of node numbers. A cut may put a node in the middle of an edge that a neighbour also has; the mesh remembers
//! the split, and [`Mesh::expand`] gives the neighbour the node too. So there is never a gap, whatever the order of cuts.

use geo::{LineString, MultiPolygon, Polygon};
use hashbrown::HashMap;

use super::plane::{P, Warp, cross, lon_lat, norm, ring_area};

/// A face: node numbers counter-clockwise, not closed.
pub(super) type Loop = Vec<u32>;

/// What a cut leaves.
pub(super) struct Cut {
    /// The face on the left of the cut's direction.
    pub(super) left: Loop,
    /// The face on its right.
    pub(super) right: Loop,
    /// The two ends of the new edge.
    pub(super) chord: (u32, u32),
}

/// The nodes and the splits between them.
pub(super) struct Mesh {
    warp: Warp,
    uv: Vec<P>,
    xy: Vec<P>,
    border: Vec<bool>,
    splits: HashMap<(u32, u32), u32>,
}

fn key(a: u32, b: u32) -> (u32, u32) {
    (a.min(b), a.max(b))
}

impl Mesh {
    /// An empty mesh.
    pub(super) fn new(warp: Warp) -> Mesh {
        Mesh {
            warp,
            uv: Vec::new(),
            xy: Vec::new(),
            border: Vec::new(),
            splits: HashMap::new(),
        }
    }

    /// Adds a node. No cut puts a node between two border nodes: the neighbour district does not know of it.
    pub(super) fn add(&mut self, uv: P, border: bool) -> u32 {
        self.uv.push(uv);
        self.xy.push(self.warp.apply(uv));
        self.border.push(border);
        self.uv.len() as u32 - 1
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.uv.len()
    }

    /// Whether a node lies on the district's border.
    pub(super) fn on_border(&self, node: u32) -> bool {
        self.border[node as usize]
    }

    /// Pattern position of a node.
    pub(super) fn uv(&self, node: u32) -> P {
        self.uv[node as usize]
    }

    /// Ground position of a node.
    pub(super) fn xy(&self, node: u32) -> P {
        self.xy[node as usize]
    }

    /// The warp.
    pub(super) fn warp(&self) -> &Warp {
        &self.warp
    }

    /// Ground area of a pattern ring, m².
    pub(super) fn ground_area(&self, uv: &[P]) -> f64 {
        let xy: Vec<P> = uv.iter().map(|p| self.warp.apply(*p)).collect();
        ring_area(&xy)
    }

    /// Pattern positions of a loop.
    pub(super) fn ring_uv(&self, face: &[u32]) -> Vec<P> {
        face.iter().map(|n| self.uv(*n)).collect()
    }

    /// Ground positions of a loop.
    pub(super) fn ring_xy(&self, face: &[u32]) -> Vec<P> {
        face.iter().map(|n| self.xy(*n)).collect()
    }

    fn push_split(&self, a: u32, b: u32, out: &mut Loop) {
        if let Some(&m) = self.splits.get(&key(a, b)) {
            self.push_split(a, m, out);
            out.push(m);
            self.push_split(m, b, out);
        }
    }

    /// The loop with every node that has been put on its edges since.
    pub(super) fn expand(&self, face: &[u32]) -> Loop {
        let mut out = Loop::with_capacity(face.len() + 4);
        for (i, &a) in face.iter().enumerate() {
            out.push(a);
            self.push_split(a, face[(i + 1) % face.len()], &mut out);
        }
        out
    }

    /// The chain from `a` to `b` with every node that has been put on it since.
    pub(super) fn chain(&self, a: u32, b: u32) -> Loop {
        let mut out = vec![a];
        self.push_split(a, b, &mut out);
        out.push(b);
        out
    }

    /// Puts nodes on an edge, at most `step` apart, so that the warp bends it smoothly.
    pub(super) fn soften(&mut self, a: u32, b: u32, step: f64) {
        let (p, q) = (self.uv(a), self.uv(b));
        if norm(q - p) > step && !self.splits.contains_key(&key(a, b)) {
            let m = self.add((p + q) / 2.0, false);
            self.splits.insert(key(a, b), m);
            self.soften(a, m, step);
            self.soften(m, b, step);
        }
    }

    /// Cuts a convex face along the line through `p` in direction `dir` (a unit vector). An end that falls within `snap` metres
    /// of a corner, or on the border, moves to the nearest corner. None where that leaves nothing sensible on a side.
    pub(super) fn cut(&mut self, face: &[u32], p: P, dir: P, snap: f64) -> Option<Cut> {
        let face = self.expand(face);
        let n = face.len();
        let side: Vec<f64> = face
            .iter()
            .map(|f| {
                let s = cross(dir, self.uv(*f) - p);
                if s.abs() < 0.01 { 0.0 } else { s }
            })
            .collect();
        let mut hits: Vec<(usize, Option<P>)> = Vec::new();
        for i in 0..n {
            let j = (i + 1) % n;
            if side[i] == 0.0 {
                hits.push((i, None));
            } else if side[i] * side[j] < 0.0 {
                let (a, b) = (self.uv(face[i]), self.uv(face[j]));
                let t = side[i] / (side[i] - side[j]);
                let length = norm(b - a);
                let fixed = self.border[face[i] as usize] && self.border[face[j] as usize];
                let nearest = if t < 0.5 { i } else { j };
                if fixed || t.min(1.0 - t) * length < snap {
                    hits.push((nearest, None));
                } else {
                    hits.push((i, Some(a + (b - a) * t)));
                }
            }
        }
        hits.dedup();
        if hits.len() > 1 && hits.first() == hits.last() {
            hits.pop();
        }
        let [(i, at_i), (j, at_j)] = hits[..] else {
            return None;
        };
        // A node at index i stands before the edge's new node at the same index.
        let ((i, at_i), (j, at_j)) = if (i, at_i.is_some()) <= (j, at_j.is_some()) {
            ((i, at_i), (j, at_j))
        } else {
            ((j, at_j), (i, at_i))
        };
        let preview = |from: (usize, Option<P>), to: (usize, Option<P>)| -> Vec<P> {
            let mut ring = vec![from.1.unwrap_or_else(|| self.uv(face[from.0]))];
            let mut k = from.0 + 1;
            let last = if to.0 <= from.0 { to.0 + n } else { to.0 };
            while k <= last {
                ring.push(self.uv(face[k % n]));
                k += 1;
            }
            ring.extend(to.1);
            ring
        };
        let (first, second) = (preview((i, at_i), (j, at_j)), preview((j, at_j), (i, at_i)));
        if ring_area(&first) < 400.0 || ring_area(&second) < 400.0 {
            return None;
        }
        let node = |mesh: &mut Mesh, k: usize, at: Option<P>| match at {
            None => face[k],
            Some(p) => {
                let m = mesh.add(p, false);
                mesh.splits.insert(key(face[k], face[(k + 1) % n]), m);
                m
            }
        };
        let a = node(self, i, at_i);
        let b = node(self, j, at_j);
        let mut one = vec![a];
        one.extend_from_slice(&face[i + 1..=j]);
        if at_j.is_some() {
            one.push(b);
        }
        let mut two = vec![b];
        two.extend(face[j + 1..].iter().chain(&face[..=i]));
        if at_i.is_some() {
            two.push(a);
        }
        let one_is_left = self.lies_left(&one, p, dir);
        let (left, right) = if one_is_left { (one, two) } else { (two, one) };
        Some(Cut {
            left,
            right,
            chord: (a, b),
        })
    }

    fn lies_left(&self, face: &[u32], p: P, dir: P) -> bool {
        face.iter().map(|f| cross(dir, self.uv(*f) - p)).sum::<f64>() > 0.0
    }

    /// The outline of a union of expanded faces, in degrees. Edges that two of them share cancel.
    pub(super) fn outline<'a>(&self, faces: impl Iterator<Item = &'a Loop> + Clone) -> MultiPolygon<f64> {
        let edges = |f: &'a Loop| (0..f.len()).map(move |i| (f[i], f[(i + 1) % f.len()]));
        let all: hashbrown::HashSet<(u32, u32)> = faces.clone().flat_map(edges).collect();
        let mut next: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut starts = Vec::new();
        for (a, b) in faces.flat_map(edges).filter(|(a, b)| !all.contains(&(*b, *a))) {
            next.entry(a).or_default().push(b);
            starts.push(a);
        }
        let mut shells: Vec<Polygon<f64>> = Vec::new();
        let mut holes: Vec<Loop> = Vec::new();
        for start in starts {
            while let Some(first) = next.get_mut(&start).and_then(Vec::pop) {
                let mut ring = vec![start];
                let (mut from, mut at) = (start, first);
                while at != start {
                    ring.push(at);
                    let Some(to) = self.turn(&mut next, from, at) else {
                        break;
                    };
                    (from, at) = (at, to);
                }
                if ring_area(&self.ring_xy(&ring)) > 0.0 {
                    shells.push(Polygon::new(self.line(&ring), vec![]));
                } else {
                    holes.push(ring);
                }
            }
        }
        for hole in holes {
            let line = self.line(&hole);
            let holder = shells.iter_mut().find(|s| {
                use geo::Contains;
                line.0.first().is_some_and(|c| s.contains(c))
            });
            if let Some(shell) = holder {
                shell.interiors_push(line);
            }
        }
        MultiPolygon::new(shells)
    }

    /// The inside lies on the left of every edge, so where two parts touch in a corner the leftmost turn stays on its own part.
    fn turn(&self, next: &mut HashMap<u32, Vec<u32>>, from: u32, at: u32) -> Option<u32> {
        let choices = next.get_mut(&at)?;
        let came = self.xy(at) - self.xy(from);
        let angle = |to: u32| {
            let go = self.xy[to as usize] - self.xy[at as usize];
            cross(came, go).atan2(came.x * go.x + came.y * go.y)
        };
        let best = (0..choices.len()).max_by(|a, b| angle(choices[*a]).total_cmp(&angle(choices[*b])))?;
        Some(choices.swap_remove(best))
    }

    fn line(&self, ring: &[u32]) -> LineString<f64> {
        let mut line: Vec<P> = ring.iter().map(|n| lon_lat(self.xy(*n))).collect();
        line.extend(line.first().copied());
        LineString(line)
    }

    /// An expanded face as a polygon in degrees.
    pub(super) fn polygon(&self, face: &[u32]) -> Polygon<f64> {
        Polygon::new(self.line(face), vec![])
    }
}
