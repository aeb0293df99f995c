//! A vector tile of some layers, made from memory.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::domain::word::{OwnershipStatus, State};
use crate::index::Memory;
use crate::index::shapes::Shapes;
use crate::spatial::tile_id::{BUFFER, EXTENT, POINT_BUFFER, TileId, World};
use crate::tile::layer::{Layer, Source};
use crate::tile::mvt::{self, Tile, Value};
use crate::tile::shape::{Drawn, draw};

/// A tile larger than this falls back to bins.
const MAX_BYTES: usize = 500_000;
/// Bins along a tile's edge, as a power of two.
const BINS_BITS: u8 = 6;
/// A shape smaller than this in both directions, in tile units (one pixel of a 512-pixel tile), is binned.
const PIXEL: f64 = (EXTENT / 512) as f64;

/// The tile's bytes; empty if nothing of the layers lies in it. Cost: about 100 ns a feature drawn, 10 ns a member binned.
pub fn build(memory: &Memory, layers: &[Arc<Layer>], tile: TileId) -> Vec<u8> {
    let mut out = Tile::default();
    for layer in layers {
        let detailed = tile.z() >= layer.detail_zoom;
        let mut drawing = draw_layer(memory, layer, tile, detailed);
        if detailed && out.len() + drawing.len() > MAX_BYTES {
            drawing = draw_layer(memory, layer, tile, false);
        }
        out.push(drawing);
    }
    out.finish()
}

fn draw_layer<'a>(memory: &'a Memory, layer: &'a Layer, tile: TileId, detailed: bool) -> mvt::Layer<'a> {
    let mut drawing = mvt::Layer::new(&layer.id);
    match layer.source {
        Source::Component => components(&mut drawing, memory, layer, tile, detailed),
        Source::Area => shapes(&mut drawing, &memory.area_shapes, tile, |id, drawing| {
            let Some(area) = memory.areas.get(&id) else {
                return;
            };
            drawing.tag("code", Value::Text(&area.code));
            drawing.tag("name", Value::Text(&area.name));
            drawing.tag("level", Value::Text(area.level.key()));
        }),
        Source::Cell => shapes(&mut drawing, &memory.cell_shapes, tile, |id, drawing| {
            let Some(cell) = memory.cells.get(&id) else {
                return;
            };
            drawing.tag("code", Value::Text(&cell.code));
        }),
        Source::Road => shapes(&mut drawing, &memory.road_shapes, tile, |id, drawing| {
            let Some(road) = memory.roads.get(&id) else {
                return;
            };
            drawing.tag("class", Value::Text(road.class.key()));
            if let Some(name) = &road.name {
                drawing.tag("name", Value::Text(name));
            }
        }),
        Source::Land => {
            let shown = |id: &i32| memory.lands.get(id).filter(|l| layer.kinds.contains(&l.kind));
            let wanted = |id: i32| shown(&id).is_some();
            shapes_where(&mut drawing, &memory.land_shapes, tile, wanted, |id, drawing| {
                let Some(land) = shown(&id) else { return };
                drawing.tag("kind", Value::Text(&land.kind));
                if let Some(name) = &land.name {
                    drawing.tag("name", Value::Text(name));
                }
            });
        }
    }
    drawing
}

/// Whether a box in degrees is smaller than a pixel of the tile.
fn tiny(b: [f64; 4], tile: TileId) -> bool {
    let ((x0, y0), (x1, y1)) = (tile.project(b[0], b[3]), tile.project(b[2], b[1]));
    x1 - x0 < PIXEL && y1 - y0 < PIXEL
}

fn put(drawing: &mut mvt::Layer<'_>, id: u64, drawn: &Drawn) {
    match drawn {
        Drawn::Lines(lines) => drawing.lines(Some(id), lines),
        Drawn::Rings(rings) => drawing.rings(Some(id), rings),
    }
}

fn shapes<'a>(drawing: &mut mvt::Layer<'a>, shapes: &Shapes, tile: TileId, tag: impl Fn(i32, &mut mvt::Layer<'a>)) {
    shapes_where(drawing, shapes, tile, |_| true, tag);
}

fn shapes_where<'a>(
    drawing: &mut mvt::Layer<'a>,
    shapes: &Shapes,
    tile: TileId,
    wanted: impl Fn(i32) -> bool,
    tag: impl Fn(i32, &mut mvt::Layer<'a>),
) {
    let mut bins = Bins::new(tile);
    let mut near: Vec<_> = shapes
        .touching(tile.bounds(BUFFER))
        .filter(|(id, _)| wanted(*id as i32))
        .collect();
    near.sort_unstable_by_key(|(id, _)| *id);
    for (id, shape) in near {
        if tiny(shape.bounds, tile) {
            let b = shape.bounds;
            bins.add(World::at((b[0] + b[2]) / 2.0, (b[1] + b[3]) / 2.0), u64::from(id), None);
        } else if let Some(drawn) = draw(&shape.geometry, tile) {
            tag(id as i32, drawing);
            put(drawing, u64::from(id), &drawn);
        }
    }
    for (p, bin) in bins.finish() {
        if bin.count > 1 {
            drawing.tag("point_count", Value::Number(bin.count));
            drawing.point(None, p);
        } else {
            tag(bin.first as i32, drawing);
            drawing.point(Some(bin.first), p);
        }
    }
}

/// The property numbers of one layer's components, looked up once a tile instead of once a feature.
struct Tags<'a> {
    memory: &'a Memory,
    keys: [u32; 4],
    classes: HashMap<u16, u32>,
    states: [Option<u32>; State::ALL.len()],
    ownership: [Option<u32>; OwnershipStatus::ALL.len()],
    owners: HashMap<u32, u32>,
}

impl<'a> Tags<'a> {
    fn new(memory: &'a Memory, drawing: &mut mvt::Layer<'a>) -> Tags<'a> {
        Tags {
            memory,
            keys: ["class", "state", "ownership_status", "owner"].map(|k| drawing.key(k)),
            classes: HashMap::new(),
            states: Default::default(),
            ownership: Default::default(),
            owners: HashMap::new(),
        }
    }

    fn set(&mut self, drawing: &mut mvt::Layer<'a>, slot: u32) -> Option<u64> {
        let memory = self.memory;
        let row = memory.components.row(slot)?;
        let class = *self.classes.entry(row.class).or_insert_with(|| {
            let code = memory
                .classes
                .get(&i32::from(row.class))
                .map_or("", |c| c.code.as_str());
            drawing.value(Value::Text(code))
        });
        drawing.tag_numbers(self.keys[0], class);
        let state = *self.states[row.state as usize].get_or_insert_with(|| drawing.value(Value::Text(row.state.key())));
        drawing.tag_numbers(self.keys[1], state);
        let ownership = &mut self.ownership[row.ownership as usize];
        let ownership = *ownership.get_or_insert_with(|| drawing.value(Value::Text(row.ownership.key())));
        drawing.tag_numbers(self.keys[2], ownership);
        if row.owner != 0 {
            let owner = *self.owners.entry(row.owner).or_insert_with(|| {
                let party = i32::try_from(row.owner).ok().and_then(|id| memory.parties.get(&id));
                drawing.value(Value::Text(party.map_or("", |p| p.code.as_str())))
            });
            drawing.tag_numbers(self.keys[3], owner);
        }
        Some(row.id)
    }
}

fn components<'a>(drawing: &mut mvt::Layer<'a>, memory: &'a Memory, layer: &Layer, tile: TileId, detailed: bool) {
    let shown = |class: u16| {
        memory
            .classes
            .get(&i32::from(class))
            .is_some_and(|c| layer.shows(c, &memory.classes))
    };
    let last = memory.classes.keys().next_back().map_or(0, |id| *id as usize);
    let classes: Vec<bool> = (0..=last).map(|c| shown(c as u16)).collect();
    let shows = |class: u16| classes.get(usize::from(class)).copied().unwrap_or(false);

    let live = &memory.components.live;
    let mut tags = Tags::new(memory, drawing);
    let mut bins = Bins::new(tile);

    let row_class = |slot: u32| memory.components.row(slot).map(|r| r.class);
    let mut near: Vec<_> = live.shapes.touching(tile.bounds(BUFFER)).collect();
    near.retain(|(slot, _)| row_class(*slot).is_some_and(shows));
    near.sort_unstable_by_key(|(slot, _)| *slot);
    for (slot, shape) in near {
        let Some(row) = memory.components.row(slot) else {
            continue;
        };
        if tiny(shape.bounds, tile) {
            bins.add(
                World::at(row.lon, row.lat),
                u64::from(slot),
                Some((row.state as u8, row.ownership as u8)),
            );
        } else if let Some(drawn) = draw(&shape.geometry, tile)
            && let Some(id) = tags.set(drawing, slot)
        {
            put(drawing, id, &drawn);
        }
    }

    if detailed {
        live.points.visit(tile.window(POINT_BUFFER), &mut |e| {
            if shows(e.class)
                && let Some(id) = tags.set(drawing, e.slot)
            {
                let (x, y) = tile.pixel(e.at);
                drawing.point(Some(id), (x as i32, y as i32));
            }
        });
    } else {
        live.points.visit(tile.window(0), &mut |e| {
            if shows(e.class) {
                bins.add(e.at, u64::from(e.slot), Some((e.state, e.ownership)));
            }
        });
    }
    for (p, bin) in bins.finish() {
        if bin.count > 1 {
            drawing.tag("point_count", Value::Number(bin.count));
            let states = State::ALL.iter().map(|s| s.key()).zip(bin.states);
            let ownership = OwnershipStatus::ALL.iter().map(|s| s.key()).zip(bin.ownership);
            for (key, n) in states.chain(ownership).filter(|(_, n)| *n > 0) {
                drawing.tag(key, Value::Number(u64::from(n)));
            }
            drawing.point(None, p);
        } else if let Some(id) = tags.set(drawing, bin.first as u32) {
            drawing.point(Some(id), p);
        }
    }
}

/// Members of one bin: how many, the sum of their positions, and how many of each state and ownership status.
#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    count: u64,
    first: u64,
    x: u64,
    y: u64,
    states: [u32; State::ALL.len()],
    ownership: [u32; OwnershipStatus::ALL.len()],
}

/// The bins of a tile: 64 × 64 quadkey cells. A member outside the tile itself is another tile's.
struct Bins {
    tile: TileId,
    bins: HashMap<u64, Bin>,
}

impl Bins {
    fn new(tile: TileId) -> Bins {
        Bins {
            tile,
            bins: HashMap::new(),
        }
    }

    fn add(&mut self, at: World, member: u64, words: Option<(u8, u8)>) {
        if at.tile(self.tile.z()) != self.tile {
            return;
        }
        let bin = self
            .bins
            .entry(at.quadkey((self.tile.z() + BINS_BITS).min(32)))
            .or_default();
        if bin.count == 0 {
            bin.first = member;
        }
        bin.count += 1;
        bin.x += u64::from(at.x);
        bin.y += u64::from(at.y);
        if let Some((state, ownership)) = words {
            bin.states[usize::from(state)] += 1;
            bin.ownership[usize::from(ownership)] += 1;
        }
    }

    /// Each bin with the mean of its members in tile units, in quadkey order.
    fn finish(self) -> Vec<((i32, i32), Bin)> {
        let mut bins: Vec<(u64, Bin)> = self.bins.into_iter().collect();
        bins.sort_unstable_by_key(|(key, _)| *key);
        let place = |bin: &Bin| {
            let mean = World {
                x: (bin.x / bin.count) as u32,
                y: (bin.y / bin.count) as u32,
            };
            let (x, y) = self.tile.pixel(mean);
            (x as i32, y as i32)
        };
        bins.into_iter().map(|(_, bin)| (place(&bin), bin)).collect()
    }
}
