//! The land that a rate is asked of, out of memory: cut into pieces, and by cells.

use std::sync::{Arc, OnceLock};

use geo::{Geometry, Polygon};
use hashbrown::HashMap;

use crate::domain::rule::Denominator;
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::index::components::window;
use crate::spatial::cover::{Ground, Piece, Plot};
use crate::spatial::local::{Lattice, Local};
use crate::spatial::overlay::{Overlay, Ring, clip, grown, meet, twice, twice_all, window as boxed};
use crate::spatial::position::LonLat;
use crate::text;

/// More vertices than these are too much for one analysis.
const MAX_VERTICES: usize = 4_000_000;
/// And so many of one plot: a Boolean operation on as many at random takes some ten seconds.
const MAX_IN_ONE: usize = 200_000;

/// Land, and what lies in which cell once somebody asks.
#[derive(Debug)]
pub struct Land {
    /// Its pieces.
    pub ground: Ground,
    by_cell: OnceLock<Vec<Vec<Part>>>,
    lattice: OnceLock<Lattice>,
}

/// What of a piece lies in a cell.
#[derive(Clone, Debug)]
pub struct Part {
    /// The cell's number, 0 outside of all.
    pub cell: u32,
    /// Square metres.
    pub area: f64,
    /// What it covers; nothing if it is all of the piece, or outside of all cells.
    pub rings: Vec<Ring>,
}

impl Land {
    /// The land of a denominator, within an area if one is given. None if there is no such land. Cost: O(vertices), each of which PROJ converts.
    pub fn new(memory: &Memory, of: &Denominator, within: Option<i32>) -> Result<Option<Land>> {
        let mut shapes: Vec<(Vec<Polygon<f64>>, Option<f64>)> = Vec::new();
        match of.level() {
            Some(level) => {
                let level = memory.areas.iter().filter(|a| a.shown && a.what.level == level);
                shapes.extend(level.map(|a| (polygons(a.geometry.unpack()), None)));
            }
            None => {
                let held = memory
                    .lands
                    .iter()
                    .filter(|l| l.shown && of.holds(&l.what.kind, l.what.code.as_deref()));
                shapes.extend(held.map(|l| (polygons(l.geometry.unpack()), l.what.population.map(f64::from))));
            }
        }
        let outline = |id: u64| {
            memory
                .areas
                .get(id)
                .map(|a| polygons(a.geometry.unpack()))
                .unwrap_or_default()
        };
        let bounds = within.and_then(|id| u64::try_from(id).ok()).map(outline);
        Land::of_shapes(shapes, bounds)
    }

    /// The land of some shapes, each with its people, within bounds if some are given. None if there is none.
    pub fn of_shapes(
        mut shapes: Vec<(Vec<Polygon<f64>>, Option<f64>)>,
        bounds: Option<Vec<Polygon<f64>>>,
    ) -> Result<Option<Land>> {
        if let Some(bounds) = &bounds {
            let near = box_of(bounds.iter());
            shapes.retain(|(s, _)| matches!((box_of(s.iter()), near), (Some(a), Some(b)) if a[0] <= b[2] && b[0] <= a[2] && a[1] <= b[3] && b[1] <= a[3]));
        }
        let counts: Vec<usize> = shapes.iter().map(|(s, _)| s.iter().map(vertices).sum()).collect();
        bounded(counts.iter().sum(), counts.iter().copied().max().unwrap_or(0))?;
        let all = bounds
            .as_ref()
            .map_or_else(|| box_of(shapes.iter().flat_map(|(s, _)| s)), |b| box_of(b.iter()));
        let Some([west, south, east, north]) = all.filter(|_| !shapes.is_empty()) else {
            return Ok(None);
        };
        let local = LonLat::new((west + east) / 2.0, (south + north) / 2.0).and_then(Local::about);
        let local = local.map_err(|t| Error::syntax("denominator", t))?;
        let rings = |polygons: &[Polygon<f64>]| -> Result<Vec<Ring>> {
            let lines = polygons
                .iter()
                .flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()));
            let rings: Result<Vec<Ring>, crate::domain::text::Text> = lines.map(|l| local.ring(l)).collect();
            rings.map_err(|t| Error::syntax("denominator", t))
        };
        let mut plots = Vec::with_capacity(shapes.len());
        for (shape, people) in &shapes {
            let rings = rings(shape)?;
            plots.push(Plot { rings, people: *people });
        }
        if let Some(bounds) = &bounds {
            let mut overlay = Overlay::default();
            let bounds = overlay.clean(&rings(bounds)?);
            for plot in &mut plots {
                let own = overlay.clean(&plot.rings);
                let inside = overlay.intersection(&own, &bounds);
                let share = twice_all(&inside) as f64 / twice_all(&own).max(1) as f64;
                plot.people = plot.people.map(|p| p * share);
                plot.rings = inside;
            }
        }
        let ground = Ground::new(local, &plots);
        Ok((!ground.pieces.is_empty()).then(|| Land {
            ground,
            by_cell: OnceLock::new(),
            lattice: OnceLock::new(),
        }))
    }

    /// The box of it grown by some metres, `[west, south, east, north]` degrees.
    pub fn around(&self, metres: f64) -> Option<[f64; 4]> {
        let w = self.ground.window()?;
        let corner = |x: i32, y: i32| self.ground.local.back(crate::spatial::overlay::Dot::new(x, y)).ok();
        let corners: Vec<(f64, f64)> = [(w[0], w[1]), (w[2], w[1]), (w[0], w[3]), (w[2], w[3])]
            .iter()
            .filter_map(|(x, y)| corner(*x, *y))
            .collect();
        let fold = |pick: fn(&(f64, f64)) -> f64, f: fn(f64, f64) -> f64| corners.iter().map(pick).reduce(f);
        let (west, east) = (fold(|c| c.0, f64::min)?, fold(|c| c.0, f64::max)?);
        let (south, north) = (fold(|c| c.1, f64::min)?, fold(|c| c.1, f64::max)?);
        let lat = metres / 110_000.0;
        let lon = metres / (110_000.0 * (north.abs().max(south.abs()) + lat).min(89.0).to_radians().cos());
        Some([
            west - lon,
            (south - lat).max(-90.0),
            east + lon,
            (north + lat).min(90.0),
        ])
    }

    /// Where its places are drawn, and those of what lies within 5 km of it.
    pub fn lattice(&self) -> &Lattice {
        let w = self.ground.window().unwrap_or_default();
        self.lattice
            .get_or_init(|| Lattice::new(&self.ground.local, grown(w, AROUND)))
    }

    /// What of each piece lies in which cell. Cost: the first time O(vertices of cells), and a Boolean operation for each piece on a border.
    pub fn by_cell(&self, memory: &Memory) -> &[Vec<Part>] {
        self.by_cell
            .get_or_init(|| parts(&self.ground, memory, self.around(0.0)))
    }
}

/// How far beyond the land facilities are drawn: 5 km.
const AROUND: i32 = 50_000_000;

/// Refuses land that is too much for one analysis: in all, or in one piece.
fn bounded(all: usize, largest: usize) -> Result<()> {
    if all > MAX_VERTICES {
        return Err(Error::TooLarge(text!(
            "用地共有 {all} 个顶点，一次分析至多 {MAX_VERTICES} 个；请用 within-area 缩小范围",
            "the land has {all} vertices, and an analysis takes {MAX_VERTICES} at most; narrow it by within-area"
        )));
    }
    if largest > MAX_IN_ONE {
        return Err(Error::TooLarge(text!(
            "有一块用地有 {largest} 个顶点，每块至多 {MAX_IN_ONE} 个；请先简化或分块",
            "one plot has {largest} vertices, and a plot may have {MAX_IN_ONE}; simplify or divide it first"
        )));
    }
    Ok(())
}

/// Finds the squares of a look-up by place: 210 m.
const SIDE: u32 = 21;

fn parts(ground: &Ground, memory: &Memory, around: Option<[f64; 4]>) -> Vec<Vec<Part>> {
    let Some(around) = around else {
        return Vec::new();
    };
    let mut overlay = Overlay::default();
    let mut cells = Vec::new();
    let mut near: HashMap<(i32, i32), Vec<usize>> = HashMap::new();
    for cell in memory.cells.touching(window(around)) {
        let shape = polygons(cell.geometry.unpack());
        let lines = shape
            .iter()
            .flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()));
        let rings: Vec<Ring> = lines.filter_map(|l| ground.local.ring(l).ok()).collect();
        let rings = overlay.clean(&rings);
        let Some(w) = boxed(&rings) else { continue };
        for x in w[0] >> SIDE..=w[2] >> SIDE {
            for y in w[1] >> SIDE..=w[3] >> SIDE {
                near.entry((x, y)).or_default().push(cells.len());
            }
        }
        cells.push((cell.id as u32, w, rings));
    }
    let mut spare = (Ring::new(), Ring::new());
    let mut of_piece = |piece: &Piece| {
        let w = piece.window;
        let mut found: Vec<usize> = Vec::new();
        for x in w[0] >> SIDE..=w[2] >> SIDE {
            for y in w[1] >> SIDE..=w[3] >> SIDE {
                found.extend(
                    near.get(&(x, y))
                        .into_iter()
                        .flatten()
                        .filter(|i| meet(cells[**i].1, w)),
                );
            }
        }
        found.sort_unstable();
        found.dedup();
        let (mut parts, mut left) = (Vec::new(), piece.area);
        for i in found {
            let (cell, _, rings) = &cells[i];
            let mut inside = Vec::new();
            for ring in rings {
                clip(ring, w, &mut spare.0, &mut spare.1);
                if spare.0.len() > 2 && twice(&spare.0) != 0 {
                    inside.push(spare.0.clone());
                }
            }
            let whole = 2 * (i64::from(w[2]) - i64::from(w[0])) * (i64::from(w[3]) - i64::from(w[1]));
            if let [only] = &*inside
                && only.len() == 4
                && twice(only) == whole
            {
                let part = |cell| Part {
                    cell,
                    area: piece.area,
                    rings: Vec::new(),
                };
                return vec![part(*cell)];
            }
            if inside.is_empty() {
                continue;
            }
            let shared = overlay.intersection(&piece.rings, &inside);
            let area = ground.local.ground(twice_all(&shared), piece.middle());
            if area > 0.0 {
                left -= area;
                parts.push(Part {
                    cell: *cell,
                    area,
                    rings: shared,
                });
            }
        }
        // What lies outside of all cells, and not only between two that were drawn apart.
        if left > 1.0 || parts.is_empty() {
            parts.push(Part {
                cell: 0,
                area: left,
                rings: Vec::new(),
            });
        } else if let [only] = &mut *parts {
            (only.area, only.rings) = (piece.area, Vec::new());
        }
        parts
    };
    ground.pieces.iter().map(&mut of_piece).collect()
}

/// The polygons of a geometry.
pub fn polygons(geometry: Geometry<f64>) -> Vec<Polygon<f64>> {
    match geometry {
        Geometry::Polygon(p) => vec![p],
        Geometry::MultiPolygon(m) => m.0,
        _ => Vec::new(),
    }
}

fn vertices(p: &Polygon<f64>) -> usize {
    p.exterior().0.len() + p.interiors().iter().map(|r| r.0.len()).sum::<usize>()
}

/// `[west, south, east, north]` of some polygons; none of none.
pub fn box_of<'p>(polygons: impl Iterator<Item = &'p Polygon<f64>>) -> Option<[f64; 4]> {
    let points = polygons.flat_map(|p| p.exterior().0.iter());
    points.fold(None, |b, c| {
        let [w, s, e, n] = b.unwrap_or([c.x, c.y, c.x, c.y]);
        Some([w.min(c.x), s.min(c.y), e.max(c.x), n.max(c.y)])
    })
}

/// Land that was cut once, for as long as it lies as it does. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Lands {
    known: Arc<std::sync::Mutex<Vec<Kept>>>,
}

#[derive(Debug)]
struct Kept {
    of: Denominator,
    within: Option<i32>,
    lay: u64,
    land: Option<Arc<Land>>,
}

/// Lands that are kept; one more, and the one that was longest not asked for is given up.
const MOST: usize = 12;

impl Lands {
    /// The land of a denominator within an area. Cost: O(kept), or as [`Land::new`] after a change of land, areas or cells.
    pub fn of(&self, memory: &Memory, of: &Denominator, within: Option<i32>) -> Result<Option<Arc<Land>>> {
        let lock = || self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let same = |k: &Kept| k.of == *of && k.within == within && k.lay == memory.lay;
        {
            let mut known = lock();
            if let Some(at) = known.iter().position(same) {
                let kept = known.remove(at);
                let land = kept.land.clone();
                known.push(kept);
                return Ok(land);
            }
        }
        let land = Land::new(memory, of, within)?.map(Arc::new);
        let mut known = lock();
        known.retain(|k| !(k.of == *of && k.within == within));
        if known.len() >= MOST {
            known.remove(0);
        }
        known.push(Kept {
            of: of.clone(),
            within,
            lay: memory.lay,
            land: land.clone(),
        });
        Ok(land)
    }
}
