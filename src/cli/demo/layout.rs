//! How a district is cut: river, avenue, arterials, then blocks by ever smaller streets, then cells of about a hectare.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::group::{group, merge_small, whole_streets};
use super::mesh::{Loop, Mesh};
use super::plane::{HEIGHT, P, WIDTH, Warp, left, norm, rng, unit};
use crate::domain::word::RoadClass;

/// What a stretch of land between streets is, before its use is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// The river.
    River,
    /// The green belt on its bank.
    Belt,
    /// Set aside for a park.
    Park,
    /// Everything else.
    Built,
}

/// A unit grid before it has a number.
pub(super) struct Face {
    /// Its corners, with the neighbours' (expanded).
    pub(super) corners: Loop,
    /// Its community, counted from 0 within the district.
    pub(super) community: usize,
    /// Its block.
    pub(super) block: usize,
}

/// A stretch of land without a street through it.
pub(super) struct Block {
    /// Its corners (expanded).
    pub(super) corners: Loop,
    /// What it is.
    pub(super) zone: Zone,
}

/// A street before it has a name.
pub(super) struct Street {
    /// Its rank.
    pub(super) class: RoadClass,
    /// Its pieces, each the ends of a straight cut.
    pub(super) chords: Vec<(u32, u32)>,
    /// Whether it runs along the river bank.
    pub(super) bank: bool,
}

/// A district cut into cells.
pub(super) struct Layout {
    pub(super) mesh: Mesh,
    /// The district's border.
    pub(super) frame: Loop,
    pub(super) faces: Vec<Face>,
    pub(super) blocks: Vec<Block>,
    pub(super) streets: Vec<Street>,
    /// For each community, its street 街道, counted from 0.
    pub(super) communities: Vec<usize>,
    /// The river's banks: the chords of the west and the east one.
    pub(super) banks: [Vec<(u32, u32)>; 2],
}

/// Where a district stands among its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) column: i64,
    pub(super) row: i64,
    /// Whether no district lies to the east.
    pub(super) last_column: bool,
    /// Whether no district lies to the south.
    pub(super) last_row: bool,
}

/// What a cell should measure, m².
const CELL: f64 = 10_000.0;
/// What large parks may take of a district at most, m²; with the belts along the river it stays below [`super::land::PARK_AREA`].
const MOST_PARKS: f64 = 8_000_000.0;
/// How many 街道 a district has.
pub(super) const STREETS: usize = 13;

struct Piece {
    face: Loop,
    zone: Zone,
    cells: usize,
    subdistrict: usize,
    community: Option<usize>,
    block: Option<usize>,
}

/// A district under the knife.
pub(super) struct Cutter {
    pub(super) mesh: Mesh,
    pub(super) rng: ChaCha8Rng,
    faces: Vec<Face>,
    blocks: Vec<Block>,
    pub(super) streets: Vec<Street>,
    communities: Vec<usize>,
    park_area: f64,
}

/// Cuts a district.
pub(super) fn cut(seed: u64, slot: Slot) -> Layout {
    let mut c = Cutter {
        mesh: Mesh::new(Warp::new(seed)),
        rng: rng(seed, "layout", slot.column, slot.row),
        faces: Vec::new(),
        blocks: Vec::new(),
        streets: Vec::new(),
        communities: Vec::new(),
        park_area: 0.0,
    };
    let origin = P {
        x: slot.column as f64 * WIDTH,
        y: -(slot.row as f64) * HEIGHT,
    };
    let frame = c.frame(origin);
    c.border_streets(&frame, slot);
    let mut pieces = vec![(frame.clone(), Zone::Built)];
    let banks = c.river(&mut pieces, origin);
    c.avenue(&mut pieces, origin);
    c.arterials(&mut pieces, seed, slot, origin);
    let subdistricts = group(&c.mesh, &pieces);
    for ((face, zone), subdistrict) in pieces.into_iter().zip(subdistricts) {
        let area = c.mesh.ground_area(&c.mesh.ring_uv(&face));
        c.divide(Piece {
            face,
            zone,
            cells: ((area / CELL).round() as usize).max(1),
            subdistrict,
            community: None,
            block: None,
        });
    }
    for i in 0..c.faces.len() {
        c.faces[i].corners = c.mesh.expand(&c.faces[i].corners);
    }
    for i in 0..c.blocks.len() {
        c.blocks[i].corners = c.mesh.expand(&c.blocks[i].corners);
    }
    merge_small(&c.mesh, &mut c.faces, &mut c.communities);
    whole_streets(&c.mesh, &c.faces, &mut c.communities);
    Layout {
        mesh: c.mesh,
        frame,
        faces: c.faces,
        blocks: c.blocks,
        streets: c.streets,
        communities: c.communities,
        banks,
    }
}

impl Cutter {
    fn divide(&mut self, mut piece: Piece) {
        if piece.community.is_none() && piece.cells <= 36 {
            self.communities.push(piece.subdistrict);
            piece.community = Some(self.communities.len() - 1);
        }
        self.maybe_park(&mut piece);
        let built = piece.zone == Zone::Built;
        if piece.block.is_none() && piece.community.is_some() && (!built || piece.cells <= 2) {
            let through = built && piece.cells == 2 && self.rng.random_bool(0.8);
            if !through {
                piece.block = Some(self.block(&piece));
            }
        }
        if piece.cells < 2 || !self.halve(&mut piece) {
            let block = match piece.block {
                Some(block) => block,
                None => self.block(&piece),
            };
            let community = piece.community.unwrap_or(0);
            self.faces.push(Face {
                corners: piece.face,
                community,
                block,
            });
        }
    }

    fn block(&mut self, piece: &Piece) -> usize {
        self.blocks.push(Block {
            corners: piece.face.clone(),
            zone: piece.zone,
        });
        self.blocks.len() - 1
    }

    /// Large parks are set aside before streets are cut through them; small ones are chosen among the blocks later.
    fn maybe_park(&mut self, piece: &mut Piece) {
        if piece.zone != Zone::Built || piece.block.is_some() || piece.community.is_none() {
            return;
        }
        let chance = match piece.cells {
            28..=36 => 0.05,
            14..=20 => 0.065,
            7..=10 => 0.08,
            4..=5 => 0.09,
            _ => 0.0,
        };
        let area = piece.cells as f64 * CELL;
        if self.park_area + area < MOST_PARKS && self.rng.random_bool(chance) {
            self.park_area += area;
            piece.zone = Zone::Park;
        }
    }

    /// Cuts a piece in two, in the proportion of whole cells, and goes on with both. False where no cut fits.
    fn halve(&mut self, piece: &mut Piece) -> bool {
        let ring = self.mesh.ring_uv(&self.mesh.expand(&piece.face));
        let ring: Vec<P> = ring;
        let first = self.share(piece.cells);
        let want = first as f64 / piece.cells as f64;
        for attempt in 0..6 {
            let across = self.cut_direction(&ring, piece, attempt);
            let at = self.place(&ring, across, want);
            let Some(cut) = self.mesh.cut(&piece.face, at, across, 7.0) else {
                continue;
            };
            let class = match piece.cells {
                _ if piece.block.is_some() || piece.zone != Zone::Built => None,
                26.. => Some(RoadClass::Secondary),
                6..26 => Some(RoadClass::Local),
                _ => Some(RoadClass::Lane),
            };
            if let Some(class) = class {
                if piece.cells > 12 {
                    self.mesh.soften(cut.chord.0, cut.chord.1, 160.0);
                }
                self.streets.push(Street {
                    class,
                    chords: vec![cut.chord],
                    bank: false,
                });
            }
            for (face, cells) in [(cut.left, first), (cut.right, piece.cells - first)] {
                self.divide(Piece { face, cells, ..*piece });
            }
            return true;
        }
        false
    }

    fn share(&mut self, cells: usize) -> usize {
        let middle = cells as f64 * self.rng.random_range(0.40..0.60);
        (middle.round() as usize).clamp(1, cells - 1)
    }

    /// Mostly across the longer side and a little askew, as if built over older field paths.
    fn cut_direction(&mut self, ring: &[P], piece: &Piece, attempt: usize) -> P {
        let n = ring.len();
        let axis = (0..n)
            .map(|i| ring[(i + 1) % n] - ring[i])
            .max_by(|a, b| norm(*a).total_cmp(&norm(*b)))
            .map_or(P { x: 1.0, y: 0.0 }, unit);
        let axis = if piece.zone == Zone::River || piece.zone == Zone::Belt {
            P { x: 0.0, y: 1.0 }
        } else {
            axis
        };
        let extent = |d: P| {
            let along = ring.iter().map(|p| p.x * d.x + p.y * d.y);
            let (low, high) = along.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
            high - low
        };
        let (long, wide) = (extent(axis), extent(left(axis)));
        let mut across = if long > wide { left(axis) } else { axis };
        let ratio = long.max(wide) / long.min(wide).max(1.0);
        if (ratio < 1.25 && self.rng.random_bool(0.4)) || attempt > 3 {
            across = left(across);
        }
        let tilt: f64 = if piece.cells > 2 { 0.10 } else { 0.05 };
        let angle = self.rng.random_range(-tilt..tilt);
        let (sin, cos) = angle.sin_cos();
        P {
            x: across.x * cos - across.y * sin,
            y: across.x * sin + across.y * cos,
        }
    }

    /// A point of the line in direction `dir` that leaves the share `want` of the ground on its left.
    fn place(&self, ring: &[P], dir: P, want: f64) -> P {
        let normal = left(dir);
        let along = ring.iter().map(|p| p.x * normal.x + p.y * normal.y);
        let (mut low, mut high) = along.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        let whole = self.mesh.ground_area(ring);
        for _ in 0..18 {
            let at = (low + high) / 2.0;
            let rest = super::plane::clip(ring, normal * at, dir);
            if self.mesh.ground_area(&rest) / whole > want {
                low = at;
            } else {
                high = at;
            }
        }
        normal * ((low + high) / 2.0)
    }
}
