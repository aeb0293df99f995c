//! An outcome as vector tiles: what is covered, what is blind, and the facilities. Tiles are kept with the outcome that they show, so that an edit
//! leaves those standing that it does not touch, and none is ever of another moment.

use std::sync::{Arc, Mutex, PoisonError};

use geo::{Coord, LineString, MultiPolygon, Polygon};
use hashbrown::HashMap;

use super::Outcome;
use crate::spatial::local::{Lattice, Local};
use crate::spatial::overlay::{Overlay, Ring, Window, grown, meet};
use crate::spatial::plane::Plane;
use crate::spatial::tile_id::{BUFFER, EXTENT, TileId};
use crate::tile::body::Body;
use crate::tile::mvt::{Layer, Value};
use crate::tile::shape::{Drawn, draw};

/// Below this zoom a block is about a pixel, and tiles are empty.
pub const MIN_ZOOM: u8 = 10;
/// No tile is larger.
const MAX_BYTES: usize = 500_000;
/// Facilities in a tile.
const MAX_FACILITIES: usize = 5_000;
/// Tiles that are kept with an outcome.
const MOST: usize = 1024;

/// The source layers, with their properties.
pub const LAYERS: [(&str, &[(&str, &str)]); 3] = [
    ("covered", &[]),
    ("blind", &[]),
    ("facilities", &[("radius_m", "Number")]),
];

type Kept = HashMap<(TileId, Plane), (Option<Window>, Arc<Body>)>;

/// The tiles of an outcome that were asked for.
#[derive(Debug, Default)]
pub struct Tiles(Mutex<Kept>);

impl Tiles {
    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that show nothing of some windows.
    pub(super) fn without(&self, touched: &[Window]) -> Tiles {
        let apart = |w: &Option<Window>| w.is_some_and(|w| !touched.iter().any(|t| meet(*t, w)));
        let kept = self.lock();
        let left = kept.iter().filter(|(_, (w, _))| apart(w));
        Tiles(Mutex::new(left.map(|(key, kept)| (*key, kept.clone())).collect()))
    }
}

impl Outcome {
    /// A tile of it, if it was asked for before.
    pub fn kept(&self, tile: TileId, plane: Plane) -> Option<Arc<Body>> {
        self.tiles.lock().get(&(tile, plane)).map(|(_, body)| body.clone())
    }

    /// A tile of it: the kept one, or a new one. Cost: 2 to 3 ms for a tile of all of the demo city, at z11.
    pub fn tile(&self, tile: TileId, plane: Plane) -> Arc<Body> {
        if let Some(kept) = self.kept(tile, plane) {
            return kept;
        }
        let window = window_of(&self.land.ground.local, tile, plane);
        let bytes = match tile.z() < MIN_ZOOM {
            true => Vec::new(),
            false => self.draw(tile, plane, window),
        };
        let body = Arc::new(Body::new(bytes));
        let mut kept = self.tiles.lock();
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert((tile, plane), (window, body.clone()));
        body
    }

    fn draw(&self, tile: TileId, plane: Plane, window: Option<Window>) -> Vec<u8> {
        let ground = &self.land.ground;
        let lattice = self.land.lattice();
        let shows = |w: Window| window.is_none_or(|own| meet(own, w));
        let mut overlay = Overlay::default();
        let mut layers = [
            Layer::new(LAYERS[0].0),
            Layer::new(LAYERS[1].0),
            Layer::new(LAYERS[2].0),
        ];
        for (piece, blind) in ground
            .pieces
            .iter()
            .zip(&self.blind)
            .filter(|(piece, _)| shows(piece.window))
        {
            let left = blind.rings(piece);
            put(&mut layers[1], left, tile, plane, lattice, &mut overlay);
            if left.is_empty() {
                put(&mut layers[0], &piece.rings, tile, plane, lattice, &mut overlay);
            } else if left.len() != piece.rings.len() || blind.area(piece) < piece.area {
                let covered = overlay.difference(&piece.rings, left);
                put(&mut layers[0], &covered, tile, plane, lattice, &mut overlay);
            }
        }
        let near = self
            .sites
            .iter()
            .filter(|s| shows(grown(s.reached(), -(s.radius as i32))));
        let mut near: Vec<_> = near.collect();
        near.sort_unstable_by_key(|s| s.id);
        for site in near.into_iter().take(MAX_FACILITIES) {
            let Some((lon, lat)) = lattice.degrees(site.middle()) else {
                continue;
            };
            let (lon, lat) = plane.forward(lon, lat);
            let (x, y) = tile.project(lon, lat);
            let inside = |v: f64| (0.0..f64::from(EXTENT)).contains(&v);
            if inside(x) && inside(y) {
                let metres = ground.local.metres(site.radius, site.middle()).round();
                layers[2].tag("radius_m", Value::Number(metres as u64));
                layers[2].point(Some(site.id), (x as i32, y as i32));
            }
        }
        let [covered, blind, facilities] = layers.map(Layer::finish);
        // What is blind is what was asked for: the rest gives way.
        match covered.len() + blind.len() + facilities.len() <= MAX_BYTES {
            true => [covered, blind, facilities].concat(),
            false => [blind, facilities].concat(),
        }
    }
}

/// The box that a tile and its buffer show; none if it is too large to say.
fn window_of(local: &Local, tile: TileId, plane: Plane) -> Option<Window> {
    let [west, south, east, north] = plane.box_back(tile.bounds(BUFFER));
    let middle = ((west + east) / 2.0, (south + north) / 2.0);
    let mut window: Option<Window> = None;
    for lon in [west, middle.0, east] {
        for lat in [south, middle.1, north] {
            let p = local.to(lon, lat).ok()?;
            let w = window.unwrap_or([p.x, p.y, p.x, p.y]);
            window = Some([w[0].min(p.x), w[1].min(p.y), w[2].max(p.x), w[3].max(p.y)]);
        }
    }
    // Between those places its border bends by less than a five-hundredth of its length, and 10 m for what is drawn by a lattice.
    window.map(|w| grown(w, (w[2] - w[0]) / 500 + 100_000))
}

fn put(layer: &mut Layer<'_>, rings: &[Ring], tile: TileId, plane: Plane, lattice: &Lattice, overlay: &mut Overlay) {
    if rings.is_empty() {
        return;
    }
    let line = |ring: &Ring| -> Option<LineString<f64>> {
        let degrees = |p: &_| lattice.degrees(*p).map(|(x, y)| Coord { x, y });
        ring.iter().chain(ring.first()).map(degrees).collect()
    };
    let polygon = |rings: Vec<Ring>| {
        let (outline, holes) = rings.split_first()?;
        Some(Polygon::new(
            line(outline)?,
            holes.iter().map(line).collect::<Option<_>>()?,
        ))
    };
    let polygons = match rings {
        [only] => vec![vec![only.clone()]],
        _ => overlay.polygons(rings),
    };
    let polygons: Option<Vec<Polygon<f64>>> = polygons.into_iter().map(polygon).collect();
    let shape = polygons.map(|p| MultiPolygon(p).into());
    if let Some(Drawn::Rings(drawn)) = shape.and_then(|shape| draw(&shape, tile, plane)) {
        layer.rings(None, &drawn);
    }
}
