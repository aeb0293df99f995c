//! What of some land lies within reach of some sites, exactly.
//!
//! Land is cut into pieces of about a block. Most pieces lie within reach of a single site, or of none, which a distance tells. For the few on the border of
//! what is reached, the reach of each site near is cut to the piece's box, and what is left of the piece is computed. So an edit
//! changes the pieces within its reach and no other.

use std::sync::Arc;

use super::local::Local;
use super::overlay::{self, Dot, Overlay, Ring, Window, clip, meet, twice, twice_all};
use super::site::{Circles, Site, Sites};

/// Pieces of land larger than this in either direction are cut: 160 m.
pub(super) const LARGE: i32 = 1_600_000;
/// Into squares of this side, as a power of two: 105 m.
const SQUARE: u32 = 20;
/// The side of the squares in which plots are looked up, as a power of two: 419 m.
const LOOKED_UP: u32 = 22;

/// A piece of land.
#[derive(Clone, Debug)]
pub struct Piece {
    /// What it covers.
    pub rings: Vec<Ring>,
    /// Its box.
    pub window: Window,
    /// The place of its plot among those that the ground was made of.
    pub plot: u32,
    /// Square metres on the ground.
    pub area: f64,
    /// Whether its plot was cut.
    pub cut: bool,
}

impl Piece {
    fn new(rings: Vec<Ring>, plot: u32, cut: bool, local: &Local) -> Option<Piece> {
        let window = overlay::window(&rings)?;
        let area = local.ground(twice_all(&rings), middle(window));
        (area > 0.0).then_some(Piece {
            rings,
            window,
            plot,
            area,
            cut,
        })
    }

    /// The middle of its box.
    pub fn middle(&self) -> Dot {
        middle(self.window)
    }
}

/// Half of a box's diagonal.
fn half(w: Window) -> f64 {
    let [x0, y0, x1, y1] = w.map(f64::from);
    ((x1 - x0).powi(2) + (y1 - y0).powi(2)).sqrt() / 2.0
}

pub(super) fn middle(w: Window) -> Dot {
    Dot::new(w[0] + (w[2] - w[0]) / 2, w[1] + (w[3] - w[1]) / 2)
}

/// A plot of land as it was delivered.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    /// Its rings, whichever way they run.
    pub rings: Vec<Ring>,
    /// Who lives there, where that is known.
    pub people: Option<f64>,
}

/// Land whose cover is asked for: no place of it counts twice.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Its plane.
    pub local: Local,
    /// Its pieces, those of a plot side by side.
    pub pieces: Vec<Piece>,
    /// Square metres.
    pub area: f64,
    /// People to a square metre of each plot; none where nothing is known of them.
    pub density: Vec<Option<f64>>,
    /// Square metres that plots had in common; each place is the first plot's.
    pub shared: f64,
}

impl Ground {
    /// Of some plots. Cost: O(points), and a Boolean operation for each plot and for each that meets others.
    pub fn new(local: Local, plots: &[Plot]) -> Ground {
        let (mut overlay, mut spare) = (Overlay::default(), (Ring::new(), Ring::new()));
        let mut ground = Ground {
            local,
            pieces: Vec::new(),
            area: 0.0,
            density: Vec::with_capacity(plots.len()),
            shared: 0.0,
        };
        let mut seen: std::collections::HashMap<(i32, i32), Vec<usize>> = std::collections::HashMap::new();
        let mut cleaned: Vec<(Vec<Ring>, Window)> = Vec::with_capacity(plots.len());
        for (n, plot) in plots.iter().enumerate() {
            let mut rings = overlay.clean(&plot.rings);
            let Some(window) = overlay::window(&rings) else {
                ground.density.push(None);
                cleaned.push((Vec::new(), [0; 4]));
                continue;
            };
            let mut near: Vec<usize> = Vec::new();
            for square in squares(window, LOOKED_UP) {
                let there = seen.entry(square).or_default();
                near.extend(there.iter().filter(|i| meet(cleaned[**i].1, window)));
                there.push(n);
            }
            near.sort_unstable();
            near.dedup();
            let before = twice_all(&rings);
            let mut others = Vec::new();
            for ring in near.iter().flat_map(|i| &cleaned[*i].0) {
                clip(ring, window, &mut spare.0, &mut spare.1);
                if spare.0.len() > 2 {
                    others.push(spare.0.clone());
                }
            }
            if !others.is_empty() {
                let left = overlay.difference(&rings, &others);
                // Neighbours that meet along a line that was drawn twice share a strip of it.
                if before - twice_all(&left) > 200_000_000 {
                    ground.shared += local.ground(before - twice_all(&left), middle(window));
                    rings = left;
                }
            }
            let number = u32::try_from(n).unwrap_or(u32::MAX);
            let from = ground.pieces.len();
            match overlay::window(&rings) {
                Some(w)
                    if i64::from(w[2]) - i64::from(w[0]) > i64::from(LARGE)
                        || i64::from(w[3]) - i64::from(w[1]) > i64::from(LARGE) =>
                {
                    let put = &mut |rings| ground.pieces.extend(Piece::new(rings, number, true, &local));
                    cut(rings.clone(), w.map(|v| v >> SQUARE), put);
                }
                _ => ground.pieces.extend(Piece::new(rings.clone(), number, false, &local)),
            }
            let area: f64 = ground.pieces[from..].iter().map(|p| p.area).sum();
            ground.area += area;
            ground
                .density
                .push(plot.people.filter(|_| area > 0.0).map(|people| people / area));
            cleaned.push((rings, window));
        }
        ground
    }

    /// People to a square metre of a piece; 0 where nothing is known of them.
    pub fn density(&self, piece: &Piece) -> f64 {
        self.density.get(piece.plot as usize).copied().flatten().unwrap_or(0.0)
    }

    /// Its box; none of no land.
    pub fn window(&self) -> Option<Window> {
        self.pieces
            .iter()
            .map(|p| p.window)
            .reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])])
    }
}

/// Cuts a region along the lines of a grid until each part lies in one square of some `[first_x, first_y, last_x, last_y]`, and hands
/// over the parts.
fn cut(rings: Vec<Ring>, squares: Window, each: &mut impl FnMut(Vec<Ring>)) {
    let wide = [squares[2] - squares[0], squares[3] - squares[1]];
    if rings.is_empty() || wide[0].max(wide[1]) == 0 {
        return each(rings);
    }
    let side = usize::from(wide[1] > wide[0]);
    let at = squares[side] + (wide[side] + 1) / 2;
    let (mut low, mut high) = (squares, squares);
    (low[side + 2], high[side]) = (at - 1, at);
    let line = at << SQUARE;
    let (mut below, mut above) = (
        [i32::MIN, i32::MIN, i32::MAX, i32::MAX],
        [i32::MIN, i32::MIN, i32::MAX, i32::MAX],
    );
    (below[side + 2], above[side]) = (line, line);
    cut(parts(&rings, below), low, each);
    cut(parts(&rings, above), high, each);
}

/// What of a region lies in a box.
pub fn parts(rings: &[Ring], w: Window) -> Vec<Ring> {
    let mut spare = Ring::new();
    let part = |ring: &Ring| {
        let mut part = Ring::with_capacity(ring.len() + 2);
        clip(ring, w, &mut part, &mut spare);
        (part.len() > 2 && twice(&part) != 0).then_some(part)
    };
    rings.iter().filter_map(part).collect()
}

/// The squares that a box touches.
pub fn squares(w: Window, bits: u32) -> impl Iterator<Item = (i32, i32)> {
    (w[0] >> bits..=w[2] >> bits).flat_map(move |x| (w[1] >> bits..=w[3] >> bits).map(move |y| (x, y)))
}

/// What of a piece no site reaches.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Blind {
    /// Nothing.
    #[default]
    None,
    /// All of it.
    All,
    /// These rings, so many square metres.
    Part(Arc<Vec<Ring>>, f64),
}

impl Blind {
    /// Square metres.
    pub fn area(&self, piece: &Piece) -> f64 {
        match self {
            Blind::None => 0.0,
            Blind::All => piece.area,
            Blind::Part(_, area) => *area,
        }
    }

    /// What it covers.
    pub fn rings<'a>(&'a self, piece: &'a Piece) -> &'a [Ring] {
        match self {
            Blind::None => &[],
            Blind::All => &piece.rings,
            Blind::Part(rings, _) => rings,
        }
    }
}

/// More sites than this are looked at quarter by quarter.
const MANY: usize = 3;
/// Boxes of this side are not quartered: 8 m.
const SMALL: i32 = 80_000;

/// Is told now and then how much is done, from 0 to 1, and says whether to stop.
pub type Watch<'a> = &'a dyn Fn(f64) -> bool;

/// Looks at pieces one after the other. Keeps its buffers: use one for many.
#[derive(Debug, Default)]
pub struct Solver {
    overlay: Overlay,
    circles: Circles,
    spare: (Ring, Ring),
    reaches: Vec<Ring>,
    last: Option<Arc<Site>>,
}

impl Solver {
    /// What of a piece no site reaches. Cost: under a microsecond for a piece within reach of one site or of none, else about 5 to 30 µs.
    fn blind(&mut self, ground: &Ground, piece: &Piece, sites: &Sites) -> Blind {
        let left = match self.left(&piece.rings, piece.window, sites.near(piece.middle())) {
            None => return Blind::All,
            Some(left) if left.is_empty() => return Blind::None,
            Some(left) => left,
        };
        let area = ground.local.ground(twice_all(&left), piece.middle());
        Blind::Part(Arc::new(left), area)
    }

    /// What of a region in a box is left by the reach of some sites; none if it is all of it.
    fn left(&mut self, rings: &[Ring], w: Window, near: &[Arc<Site>]) -> Option<Vec<Ring>> {
        let (middle, half) = (middle(w), half(w));
        let covers = |s: &Site| s.at_least(middle) + half <= s.radius && s.away(middle) + half <= s.radius;
        // Neighbours are mostly reached by the same one.
        if self.last.as_ref().is_some_and(|s| covers(s)) {
            return Some(Vec::new());
        }
        let mut meeting = Vec::new();
        for site in near {
            if site.at_least(middle) > site.radius + half {
                continue;
            }
            let away = site.away(middle);
            if away + half <= site.radius {
                self.last = Some(site.clone());
                return Some(Vec::new());
            }
            if away <= site.radius + half {
                meeting.push(site.clone());
            }
        }
        if meeting.len() > MANY && w[2] - w[0] > SMALL && w[3] - w[1] > SMALL {
            return Some(self.by_quarters(rings, w, &meeting));
        }
        self.reaches.clear();
        for site in &meeting {
            site.reach_in(w, &mut self.circles, &mut self.spare, &mut self.reaches);
        }
        (!self.reaches.is_empty()).then(|| self.overlay.difference(rings, &self.reaches))
    }

    /// The same, quarter by quarter: fewer sites meet a smaller box, and the work grows with more than their number.
    fn by_quarters(&mut self, rings: &[Ring], w: Window, near: &[Arc<Site>]) -> Vec<Ring> {
        let m = middle(w);
        let quarters = [
            [w[0], w[1], m.x, m.y],
            [m.x, w[1], w[2], m.y],
            [w[0], m.y, m.x, w[3]],
            [m.x, m.y, w[2], w[3]],
        ];
        let mut left = Vec::new();
        for quarter in quarters {
            let own = parts(rings, quarter);
            if !own.is_empty() {
                left.extend(self.left(&own, quarter, near).unwrap_or(own));
            }
        }
        left
    }

    /// What of each of some pieces no site reaches; none once `watch` says to stop.
    pub fn each<'g>(
        &mut self,
        ground: &Ground,
        pieces: impl Iterator<Item = &'g Piece>,
        sites: &Sites,
        watch: Watch<'_>,
    ) -> Option<Vec<Blind>> {
        self.last = None;
        let count = pieces.size_hint().0;
        let mut all = Vec::with_capacity(count);
        for (n, piece) in pieces.enumerate() {
            if n % 64 == 0 && watch(n as f64 / count.max(1) as f64) {
                return None;
            }
            all.push(self.blind(ground, piece, sites));
        }
        Some(all)
    }
}
