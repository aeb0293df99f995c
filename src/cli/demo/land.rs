//! What each block is used for, who lives there, and which blocks are parks.

use geo::{GeodesicArea, LineString, Polygon};
use rand::Rng;
use rand::seq::SliceRandom;

use super::layout::{Layout, Zone};
use super::plane::{HEIGHT, P, WIDTH, clip, left, lon_lat, middle, norm, ring_area, rng, unit};
use super::street::{Network, apportion, half_width};
use crate::domain::word::RoadClass;

/// Hexi's park area, m².
pub(super) const PARK_AREA: f64 = 8_660_000.0;
/// Inhabitants of a district.
pub(super) const POPULATION: usize = 800_000;

/// What a block is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Residential,
    Commercial,
    Industrial,
    Public,
    Green,
    Water,
    Other,
}

impl Use {
    /// The word in `land.kind`.
    pub(super) fn key(self) -> &'static str {
        match self {
            Use::Residential => "residential",
            Use::Commercial => "commercial",
            Use::Industrial => "industrial",
            Use::Public => "public",
            Use::Green => "green",
            Use::Water => "water",
            Use::Other => "other",
        }
    }

    /// The code of GB 50137's main classes, as land-use plans print it.
    pub(super) fn code(self) -> &'static str {
        match self {
            Use::Residential => "R",
            Use::Commercial => "B",
            Use::Industrial => "M",
            Use::Public => "A",
            Use::Green => "G",
            Use::Water => "E1",
            Use::Other => "U",
        }
    }
}

/// A block with its use.
pub(super) struct Plot {
    pub(super) using: Use,
    /// Convex in the pattern space: inside the building lines.
    pub(super) uv: Vec<P>,
    /// The same on the ground, with the warp's bends.
    pub(super) xy: Vec<P>,
    pub(super) center: P,
    pub(super) population: usize,
    /// For a park: its geodesic area, m².
    pub(super) park: Option<f64>,
}

/// The ring in degrees, closed.
pub(super) fn polygon(ring: &[P]) -> Polygon<f64> {
    let mut line: Vec<P> = ring.iter().map(|p| lon_lat(*p)).collect();
    line.extend(line.first().copied());
    Polygon::new(LineString(line), vec![])
}

/// The plots of a layout, one for each block.
pub(super) fn plots(seed: u64, d: i64, layout: &Layout, net: &Network) -> Vec<Plot> {
    let mut rng = rng(seed, "land", d, 0);
    let phase: [f64; 4] = std::array::from_fn(|_| rng.random_range(0.0..std::f64::consts::TAU));
    let all: Vec<P> = layout
        .blocks
        .iter()
        .map(|b| middle(&layout.mesh.ring_xy(&b.corners)))
        .collect();
    let center = middle(&all);
    let noise =
        |at: P, i: usize, scale: f64| ((at.x / scale + phase[i]).sin() + (at.y / scale + phase[i + 1]).sin()) / 2.0;
    let away = |at: P| {
        norm(
            at - center
                - P {
                    x: -0.04 * WIDTH,
                    y: 0.03 * HEIGHT,
                },
        )
    };
    // Works lie together and away from the centre: the most suitable twentieth of the blocks.
    let works = |at: P| 0.6 * noise(at, 2, 1000.0) + away(at) / 4600.0 + 0.15 * noise(at, 1, 200.0);
    let mut suitable: Vec<f64> = all.iter().map(|at| works(*at)).collect();
    suitable.sort_by(f64::total_cmp);
    let enough = suitable.get(suitable.len() * 19 / 20).copied().unwrap_or_default();
    let mut plots: Vec<Plot> = Vec::with_capacity(layout.blocks.len());
    for (block, at) in layout.blocks.iter().zip(&all) {
        let (uv, busiest) = inset(layout, net, &block.corners);
        let heart = (-(away(*at) / 1100.0).powi(2)).exp();
        let shops = 0.85 * heart
            + 0.30 * noise(*at, 0, 330.0)
            + if busiest == Some(RoadClass::Arterial) {
                0.22
            } else {
                0.0
            };
        let using = match block.zone {
            Zone::River => Use::Water,
            Zone::Belt | Zone::Park => Use::Green,
            Zone::Built if works(*at) > enough => Use::Industrial,
            Zone::Built if shops + rng.random_range(-0.12..0.12) > 0.50 => Use::Commercial,
            Zone::Built => match rng.random_range(0..100) {
                0..9 => Use::Public,
                9..11 => Use::Other,
                _ => Use::Residential,
            },
        };
        let xy = on_ground(layout, &uv);
        plots.push(Plot {
            using,
            uv,
            xy,
            center: *at,
            population: 0,
            park: None,
        });
    }
    choose_parks(&mut rng, layout, &mut plots);
    let weights: Vec<f64> = plots
        .iter()
        .map(|p| match p.using {
            Use::Residential => ring_area(&p.xy) * rng.random_range(0.55..1.6),
            _ => 0.0,
        })
        .collect();
    for (plot, n) in plots.iter_mut().zip(apportion(&weights, POPULATION)) {
        plot.population = n;
    }
    plots
}

/// The block inside its building lines, in the pattern space, and the busiest street around it.
fn inset(layout: &Layout, net: &Network, corners: &[u32]) -> (Vec<P>, Option<RoadClass>) {
    let mesh = &layout.mesh;
    let mut ring = mesh.ring_uv(corners);
    let mut busiest: Option<RoadClass> = None;
    for (i, &a) in corners.iter().enumerate() {
        let b = corners[(i + 1) % corners.len()];
        let class = net.on_edge.get(&(a, b)).copied();
        if let Some(class) = class {
            busiest = Some(busiest.map_or(class, |c| c.min(class)));
        }
        let dir = unit(mesh.uv(b) - mesh.uv(a));
        // A metre of embankment where there is no street: plots bend in finer steps than the river's outline.
        ring = clip(&ring, mesh.uv(a) + left(dir) * class.map_or(1.0, half_width), dir);
    }
    (ring, busiest)
}

/// A pattern ring on the ground; long edges get corners in between so that they bend with the streets.
fn on_ground(layout: &Layout, uv: &[P]) -> Vec<P> {
    let mut out = Vec::new();
    for (i, &a) in uv.iter().enumerate() {
        let b = uv[(i + 1) % uv.len()];
        let n = (norm(b - a) / 60.0).ceil().max(1.0) as usize;
        out.extend((0..n).map(|k| layout.mesh.warp().apply(a + (b - a) * (k as f64 / n as f64))));
    }
    out
}

/// Makes blocks into parks until the district has exactly its park area; the last one is trimmed to fit.
fn choose_parks(rng: &mut rand_chacha::ChaCha8Rng, layout: &Layout, plots: &mut [Plot]) {
    let area = |p: &Plot| polygon(&p.xy).geodesic_area_signed().abs();
    let mut sum = 0.0;
    let mut candidates = Vec::new();
    for (i, block) in layout.blocks.iter().enumerate() {
        match block.zone {
            Zone::Park | Zone::Belt if plots[i].xy.len() > 2 => {
                let a = area(&plots[i]);
                plots[i].park = Some(a);
                sum += a;
            }
            Zone::Built if matches!(plots[i].using, Use::Residential | Use::Commercial) => candidates.push(i),
            _ => {}
        }
    }
    candidates.shuffle(rng);
    for i in candidates {
        let a = area(&plots[i]);
        if a < 1500.0 {
            continue;
        }
        plots[i].using = Use::Green;
        if sum < PARK_AREA && sum + a >= PARK_AREA {
            let factor = ((PARK_AREA - sum) / a).sqrt();
            let c = middle(&plots[i].uv);
            for p in &mut plots[i].uv {
                *p = c + (*p - c) * factor;
            }
            plots[i].xy = on_ground(layout, &plots[i].uv);
            plots[i].park = Some(area(&plots[i]));
            return;
        }
        plots[i].park = Some(a);
        sum += a;
    }
}
