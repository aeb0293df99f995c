//! Which cells make a community 社区 and which communities a street 街道.

use hashbrown::HashMap;

use super::layout::{Face, STREETS, Zone};
use super::mesh::{Loop, Mesh};
use super::plane::{P, middle, norm, ring_area};

fn edges(f: &Loop) -> Vec<(u32, u32)> {
    (0..f.len()).map(|i| (f[i], f[(i + 1) % f.len()])).collect()
}

/// The face on the left of each directed edge.
fn owners(faces: &[Face]) -> HashMap<(u32, u32), usize> {
    let mut owner = HashMap::new();
    for (i, f) in faces.iter().enumerate() {
        owner.extend(edges(&f.corners).into_iter().map(|e| (e, i)));
    }
    owner
}

/// Gives every piece one of [`STREETS`] subdistricts of about the same size, numbered north to south and west to east.
pub(super) fn group(mesh: &Mesh, pieces: &[(Loop, Zone)]) -> Vec<usize> {
    let at: Vec<(P, f64)> = pieces
        .iter()
        .map(|(f, _)| {
            let ring = mesh.ring_uv(f);
            (middle(&ring), ring_area(&ring))
        })
        .collect();
    let mut out = vec![0; pieces.len()];
    let mut open = vec![((0..pieces.len()).collect::<Vec<_>>(), 0, STREETS)];
    while let Some((mut set, first, parts)) = open.pop() {
        if parts == 1 {
            for i in set {
                out[i] = first;
            }
            continue;
        }
        let spread = |f: &dyn Fn(P) -> f64| {
            let v = set.iter().map(|i| f(at[*i].0));
            let (low, high) = v.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
            high - low
        };
        if spread(&|p| p.x) > spread(&|p| p.y) {
            set.sort_by(|a, b| at[*a].0.x.total_cmp(&at[*b].0.x));
        } else {
            set.sort_by(|a, b| at[*b].0.y.total_cmp(&at[*a].0.y));
        }
        let half = parts / 2;
        let whole: f64 = set.iter().map(|i| at[*i].1).sum();
        let (mut sum, mut k) = (0.0, 0);
        while k < set.len() && sum < whole * half as f64 / parts as f64 {
            sum += at[set[k]].1;
            k += 1;
        }
        let rest = set.split_off(k);
        open.push((set, first, half));
        open.push((rest, first + half, parts - half));
    }
    out
}

/// Communities of only a few cells (a strip of river, the point of a triangle) join the neighbour with the longest common border.
pub(super) fn merge_small(mesh: &Mesh, faces: &mut [Face], communities: &mut Vec<usize>) {
    const FEWEST: usize = 14;
    let owner = owners(faces);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); communities.len()];
    for (i, f) in faces.iter().enumerate() {
        members[f.community].push(i);
    }
    let mut left_alone = vec![false; communities.len()];
    loop {
        let small = (0..members.len())
            .filter(|c| !left_alone[*c] && !members[*c].is_empty() && members[*c].len() < FEWEST)
            .min_by_key(|c| (members[*c].len(), *c));
        let Some(small) = small else { break };
        let mut common: Vec<f64> = vec![0.0; members.len()];
        for &i in &members[small] {
            for (a, b) in edges(&faces[i].corners) {
                if let Some(&j) = owner.get(&(b, a)) {
                    common[faces[j].community] += norm(mesh.xy(a) - mesh.xy(b));
                }
            }
        }
        common[small] = 0.0;
        let same_street = |c: &usize| communities[*c] == communities[small];
        let best = (0..members.len())
            .filter(|c| common[*c] > 0.0 && members[*c].len() < 60)
            .max_by(|a, b| {
                same_street(a)
                    .cmp(&same_street(b))
                    .then(common[*a].total_cmp(&common[*b]))
            });
        let Some(best) = best else {
            left_alone[small] = true;
            continue;
        };
        for i in std::mem::take(&mut members[small]) {
            faces[i].community = best;
            members[best].push(i);
        }
    }
    // Numbers without members are closed up, so that every community has cells.
    let mut renumber = vec![0; members.len()];
    let mut kept = Vec::new();
    for (c, m) in members.iter().enumerate() {
        if !m.is_empty() {
            renumber[c] = kept.len();
            kept.push(communities[c]);
        }
    }
    for f in faces.iter_mut() {
        f.community = renumber[f.community];
    }
    *communities = kept;
}

/// Every street becomes one piece: parts that do not touch its largest part go to the neighbour with the longest common border.
pub(super) fn whole_streets(mesh: &Mesh, faces: &[Face], communities: &mut [usize]) {
    let owner = owners(faces);
    let n = communities.len();
    let mut common: Vec<HashMap<usize, f64>> = vec![HashMap::new(); n];
    let mut size = vec![0_usize; n];
    for f in faces {
        size[f.community] += 1;
        for (a, b) in edges(&f.corners) {
            if let Some(&j) = owner.get(&(b, a))
                && faces[j].community != f.community
            {
                *common[f.community].entry(faces[j].community).or_default() += norm(mesh.xy(a) - mesh.xy(b));
            }
        }
    }
    // Moving a part cannot break another street, but the part may touch its new street only through another stray part.
    for _ in 0..4 {
        let mut part = vec![usize::MAX; n];
        let mut sizes = Vec::new();
        for start in 0..n {
            if part[start] != usize::MAX {
                continue;
            }
            let (mut open, mut sum) = (vec![start], 0);
            part[start] = sizes.len();
            while let Some(c) = open.pop() {
                sum += size[c];
                for &to in common[c].keys() {
                    if part[to] == usize::MAX && communities[to] == communities[start] {
                        part[to] = sizes.len();
                        open.push(to);
                    }
                }
            }
            sizes.push((communities[start], sum));
        }
        let largest = |street: usize| sizes.iter().filter(|s| s.0 == street).map(|s| s.1).max();
        let stray: Vec<usize> = (0..n)
            .filter(|c| Some(sizes[part[*c]].1) < largest(communities[*c]))
            .collect();
        if stray.is_empty() {
            return;
        }
        for c in stray {
            let best = common[c]
                .iter()
                .filter(|(to, _)| part[**to] != part[c])
                .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(a.0)));
            if let Some((&to, _)) = best {
                communities[c] = communities[to];
            }
        }
    }
}
