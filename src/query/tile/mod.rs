//! A vector tile of some layers, made from memory.

mod bins;
pub mod figures;
mod tags;

use std::cell::Cell;
use std::sync::Arc;

use self::bins::{Bins, Shown, Writer};
use self::figures::Sums;
use self::tags::Tags;
use super::matcher::{Matcher, Matchers};
use crate::domain::word::State;
use crate::index::Memory;
use crate::index::pyramid::{FINEST, Mark};
use crate::index::row::Row;
use crate::index::shapes::{Shape, Shapes};
use crate::spatial::plane::Plane;
use crate::spatial::tile_id::{BINS_BITS, BUFFER, MAX_ZOOM, POINT_BUFFER, TileId, World, meet};
use crate::tile::cache::Selection;
use crate::tile::layer::{Layer, Source};
use crate::tile::mvt::{self, Value};
use crate::tile::shape::{Drawn, draw};

/// No tile is larger. What does not fit is drawn as bins, and these as coarser ones.
const MAX_BYTES: usize = 500_000;

/// The tile's bytes; empty if nothing of the layers lies in it. Each layer gets an equal part of the bytes that a tile may have, and
/// then those that were cut get what the others have left. Cost: about 20 ns a point drawn, 1 µs a shape, 5 ns a member binned one by
/// one, 3 ns a counter.
pub fn build(memory: &Memory, matchers: &Matchers, selection: &Selection, tile: TileId) -> Vec<u8> {
    let matcher = |layer: &Layer| matchers.of(memory, layer, selection.filter.as_ref(), &selection.rights);
    let wanted: Vec<(&Layer, Arc<Matcher>)> = selection.layers.iter().map(|l| (&**l, matcher(l))).collect();
    let sums = selection
        .figures
        .then(|| Sums::new(memory, matchers, &selection.rights));
    let draw = |(layer, matcher): &(&'_ Layer, Arc<Matcher>), budget: usize| {
        let painter = Painter {
            memory,
            sums: sums.as_ref(),
            layer,
            matcher,
            tile,
            plane: selection.plane,
            budget,
            cut: Cell::new(false),
        };
        painter.draw()
    };
    let share = MAX_BYTES / wanted.len().max(1);
    let mut parts: Vec<Part> = wanted.iter().map(|layer| draw(layer, share)).collect();
    let spare = MAX_BYTES.saturating_sub(parts.iter().map(|p| p.bytes.len()).sum());
    let spare = spare / parts.iter().filter(|p| p.cut).count().max(1);
    for (part, layer) in parts.iter_mut().zip(&wanted).filter(|(part, _)| part.cut) {
        let budget = part.bytes.len() + spare;
        if budget > share + share / 2 {
            *part = draw(layer, budget);
        }
    }
    match parts.len() {
        1 => parts.swap_remove(0).bytes,
        _ => parts.iter().map(|p| &*p.bytes).collect::<Vec<_>>().concat(),
    }
}

/// A layer in a tile.
struct Part {
    bytes: Vec<u8>,
    /// Whether more would have been drawn if there had been more room.
    cut: bool,
}

/// Points that are drawn in about 0.2 ms: waking another thread would cost half of that again.
const AT_ONCE: usize = 4000;

/// Whether a tile is quickly built: few points, and no shapes. With a filter, for which tables may have to be made first, or in a
/// shifted plane, where each point is looked up, it is not.
pub fn is_quick(memory: &Memory, matchers: &Matchers, selection: &Selection, tile: TileId) -> bool {
    if selection.filter.is_some() || selection.plane.0.is_some() {
        return false;
    }
    let components = &memory.components;
    let mut points = 0;
    selection.layers.iter().all(|layer| {
        if layer.source != Source::Component || tile.z() < layer.detail_zoom {
            return false;
        }
        let matcher = matchers.of(memory, layer, None, &selection.rights);
        if components.live.shapes.may_have(|mark| matcher.mark(mark)) {
            return false;
        }
        let level = tile.z().min(FINEST);
        components.pyramid.visit(level, tile.window(0), &mut |_, counters| {
            let drawn = counters.iter().filter(|c| matcher.mark(c.mark));
            points += drawn.map(|c| c.count as usize).sum::<usize>();
        });
        points <= AT_ONCE
    })
}

/// Draws one layer.
struct Painter<'a> {
    memory: &'a Memory,
    /// The figures of cells and areas, where they are asked for.
    sums: Option<&'a Sums>,
    layer: &'a Layer,
    matcher: &'a Matcher,
    tile: TileId,
    plane: Plane,
    /// Bytes that the layer may have.
    budget: usize,
    cut: Cell<bool>,
}

/// A level of more shapes than this is drawn on trial before it is drawn.
const MANY: usize = 256;
/// So many of them, evenly.
const TRIAL: usize = 32;

impl<'a> Painter<'a> {
    /// Bytes of what is drawn one by one: an eighth is left to bins.
    fn room(&self) -> usize {
        self.budget - self.budget / 8
    }

    fn draw(self) -> Part {
        let mut drawing = mvt::Layer::new(&self.layer.id);
        let memory = self.memory;
        match self.layer.source {
            Source::Component => self.components(&mut drawing),
            Source::Area => self.entities(&mut drawing, &memory.areas, |area, drawing| {
                drawing.tag("code", Value::Text(&area.code));
                drawing.tag("name", Value::Text(&area.name));
                drawing.tag("level", Value::Text(area.level.key()));
                self.sums.inspect(|sums| sums.of_area(area.id, drawing));
            }),
            Source::Cell => self.entities(&mut drawing, &memory.cells, |cell, drawing| {
                drawing.tag("code", Value::Text(&cell.code));
                self.sums.inspect(|sums| sums.of_cell(cell.id, drawing));
            }),
            Source::Road => self.entities(&mut drawing, &memory.roads, |road, drawing| {
                drawing.tag("class", Value::Text(road.class.key()));
                if let Some(name) = &road.name {
                    drawing.tag("name", Value::Text(name));
                }
            }),
            Source::Land => self.entities(&mut drawing, &memory.lands, |land, drawing| {
                drawing.tag("kind", Value::Text(&land.kind));
                if let Some(name) = &land.name {
                    drawing.tag("name", Value::Text(name));
                }
            }),
        }
        Part {
            bytes: drawing.finish(),
            cut: self.cut.get(),
        }
    }

    /// Draws shapes, the largest first as long as they fit, and bins those that are smaller than a pixel or do not fit.
    fn shapes<T>(
        &self,
        drawing: &mut mvt::Layer<'a>,
        bins: &mut Bins,
        shapes: &'a Shapes<T>,
        shown: &dyn Fn(&Shape<T>) -> bool,
        by_mark: Option<&dyn Fn(Mark) -> bool>,
        put: &mut dyn FnMut(&mut mvt::Layer<'a>, &'a Shape<T>, &Drawn),
    ) {
        let z = self.tile.z();
        let area = self.tile.window(BUFFER);
        let window = self.plane.window_back(area);
        let mut fits = true;
        for from in 0..=z {
            fits = fits && {
                let mut near = shapes.drawn(window, from..=from);
                near.retain(|s| {
                    shown(s) && (self.plane.0.is_none() || meet(self.plane.window_forward(s.window), area))
                });
                near.sort_unstable_by_key(|s| s.id);
                self.all_fit(drawing, &near, put)
            };
            if !fits {
                self.cut.set(true);
                // The tile of a shape's bin is not always one that shows the shape.
                let binned = shapes.drawn(bins.window(), from..=from).into_iter();
                binned.filter(|s| shown(s)).for_each(|s| bins.add(s.at, s.id, s.mark));
            }
        }
        let level = z + BINS_BITS;
        match by_mark.filter(|_| level <= FINEST) {
            Some(shown) => shapes.tiny.visit(level, bins.window(), &mut |key, counters| {
                let corner = World::corner(key, level);
                counters
                    .iter()
                    .filter(|c| shown(c.mark))
                    .for_each(|c| bins.join(corner, c));
            }),
            None => {
                let tiny = shapes.drawn(bins.window(), z + 1..=MAX_ZOOM + 1).into_iter();
                tiny.filter(|s| shown(s)).for_each(|s| bins.add(s.at, s.id, s.mark));
            }
        }
    }

    /// Draws some shapes; if they do not fit, none. Whether they did.
    fn all_fit<T>(
        &self,
        drawing: &mut mvt::Layer<'a>,
        shapes: &[&'a Shape<T>],
        put: &mut dyn FnMut(&mut mvt::Layer<'a>, &'a Shape<T>, &Drawn),
    ) -> bool {
        let before = drawing.mark();
        let mut one_in = |drawing: &mut mvt::Layer<'a>, step: usize| {
            let fit = shapes.iter().step_by(step).all(|shape| {
                if let Some(drawn) = draw(&shape.geometry.unpack(), self.tile, self.plane) {
                    put(drawing, shape, &drawn);
                }
                drawing.len() <= self.room()
            });
            if step > 1 || !fit {
                let len = drawing.len();
                drawing.rewind(before);
                return fit && drawing.len() + (len - drawing.len()) * step <= self.room();
            }
            true
        };
        (shapes.len() <= MANY || one_in(drawing, shapes.len() / TRIAL)) && one_in(drawing, 1)
    }

    fn entities<T>(
        &self,
        drawing: &mut mvt::Layer<'a>,
        shapes: &'a Shapes<T>,
        tag: impl Fn(&'a T, &mut mvt::Layer<'a>),
    ) {
        let mut bins = Bins::new(self.tile, self.plane);
        let of_kind = |mark: Mark| self.matcher.mark(mark);
        let shown = |s: &Shape<T>| of_kind(s.mark) && self.matcher.entity(s.id);
        let by_mark: Option<&dyn Fn(Mark) -> bool> = self.matcher.by_mark().then_some(&of_kind);
        self.shapes(
            drawing,
            &mut bins,
            shapes,
            &shown,
            by_mark,
            &mut |drawing, shape, drawn| {
                tag(&shape.what, drawing);
                put_shape(drawing, shape.id, drawn);
            },
        );
        self.bins(drawing, bins, false, &mut |drawing, alone| {
            let sole = match alone.bin.member {
                Some(id) => shapes.get(id).map(|s| &**s),
                None => self.tiny_in(shapes, alone.square, &shown),
            };
            sole.inspect(|shape| {
                tag(&shape.what, drawing);
                drawing.point(Some(shape.id), alone.p);
            })
            .is_some()
        });
    }

    /// Writes bins, as fine as there is room for. `sole` writes the one member of a bin of one, if it finds it; `words` says
    /// whether members have a state and an ownership status.
    fn bins(
        &self,
        drawing: &mut mvt::Layer<'a>,
        mut bins: Bins,
        words: bool,
        sole: &mut dyn FnMut(&mut mvt::Layer<'a>, &Shown<'_>) -> bool,
    ) {
        let before = drawing.mark();
        loop {
            let mut writer = Writer::new(words);
            for shown in bins.shown() {
                if shown.bin.count > 1 || !sole(drawing, &shown) {
                    writer.write(drawing, &shown);
                }
            }
            if drawing.len() <= self.budget || !bins.halve() {
                return;
            }
            self.cut.set(true);
            drawing.rewind(before);
        }
    }

    /// The one shape of a bin that counters have counted.
    fn tiny_in<T>(
        &self,
        shapes: &'a Shapes<T>,
        square: [u32; 4],
        shown: &dyn Fn(&Shape<T>) -> bool,
    ) -> Option<&'a Shape<T>> {
        let mut tiny = shapes.drawn(square, self.tile.z() + 1..=MAX_ZOOM + 1).into_iter();
        tiny.find(|s| s.at.lies_in(square) && shown(s))
    }

    fn components(&self, drawing: &mut mvt::Layer<'a>) {
        let (memory, matcher, tile, plane) = (self.memory, self.matcher, self.tile, self.plane);
        let live = &memory.components.live;
        let mut tags = Tags::new(memory, drawing);
        let mut bins = Bins::new(tile, plane);

        let by_mark = |mark: Mark| matcher.mark(mark);
        let shown_id = |id: u64| memory.components.get(id).is_some_and(|f| matcher.shows(&f));
        let shown = |s: &Shape| by_mark(s.mark) && (matcher.by_mark() || shown_id(s.id));
        let all_by_mark: Option<&dyn Fn(Mark) -> bool> = matcher.by_mark().then_some(&by_mark);
        if live.shapes.may_have(by_mark) {
            self.shapes(
                drawing,
                &mut bins,
                &live.shapes,
                &shown,
                all_by_mark,
                &mut |drawing, shape, drawn| {
                    let owner = memory.components.get(shape.id).map_or(0, |f| f.parties().owner);
                    let tags = tags.of(drawing, shape.mark, owner);
                    drawing.tag_encoded(tags);
                    put_shape(drawing, shape.id, drawn);
                },
            );
        }

        if !(tile.z() >= self.layer.detail_zoom && self.points(drawing, &mut tags)) {
            self.bin_points(&mut bins);
        }
        self.bins(drawing, bins, true, &mut |drawing, alone| {
            let found = alone.bin.member.or_else(|| self.sole(alone.square, &shown));
            let found = found.and_then(|id| memory.components.get(id));
            found
                .inspect(|found| {
                    let tags = tags.of(drawing, Mark::of(found.row()), found.parties().owner);
                    drawing.tagged_point(Some(found.id), tags, alone.p);
                })
                .is_some()
        });
    }

    /// Draws every point of the tile and its buffer; if they do not fit, none. Whether they did.
    fn points(&self, drawing: &mut mvt::Layer<'a>, tags: &mut Tags<'a>) -> bool {
        let (memory, matcher, tile) = (self.memory, self.matcher, self.tile);
        let before = drawing.mark();
        let mut full = false;
        let drawn = tile.window(POINT_BUFFER);
        let (wanted, looked_up) = (matcher.points(), !matcher.by_point() || self.plane.0.is_some());
        memory.components.live.points.visit(
            self.plane.window_back(drawn),
            |class| matcher.class(class),
            &mut |point| {
                if full || !wanted.may_show(point) {
                    return;
                }
                let mut at = point.at;
                if looked_up {
                    let Some(found) = memory.components.get(point.id).filter(|f| matcher.shows(f)) else {
                        return;
                    };
                    at = self.exact(found.row());
                    if self.plane.0.is_some() && !at.lies_in(drawn) {
                        return;
                    }
                }
                let (x, y) = tile.pixel(at);
                let tags = tags.of(drawing, point.mark, point.owner);
                drawing.tagged_point(Some(point.id), tags, (x as i32, y as i32));
                full = drawing.len() > self.room();
            },
        );
        if full {
            self.cut.set(true);
            drawing.rewind(before);
        }
        !full
    }

    /// Where a component is drawn, from its position in degrees: shifting the step that holds it would lose a centimetre.
    fn exact(&self, row: &Row) -> World {
        if self.plane.0.is_none() {
            return row.at();
        }
        let (lon, lat) = self.plane.forward(row.lon, row.lat);
        World::at(lon, lat)
    }

    fn bin_points(&self, bins: &mut Bins) {
        let (memory, matcher) = (self.memory, self.matcher);
        let components = &memory.components;
        let (window, level) = (bins.window(), self.tile.z() + BINS_BITS);
        if matcher.by_mark() && level <= FINEST {
            components.pyramid.visit(level, window, &mut |key, counters| {
                let corner = World::corner(key, level);
                for counter in counters.iter().filter(|c| matcher.mark(c.mark)) {
                    bins.join(corner, counter);
                }
            });
            return;
        }
        if !matcher.by_point() && self.members(window) > components.rows().len() / FEW {
            // So many that reading all rows in a row is cheaper than finding each.
            components.rows().iter().for_each(|found| {
                let mark = Mark::of(found.row());
                if matcher.mark(mark) && mark.state != State::Retired as u8 && !found.shaped() && matcher.rest(&found) {
                    let at = found.at();
                    if at.lies_in(window) {
                        bins.add(at, found.id, mark);
                    }
                }
            });
            return;
        }
        let (wanted, points, of_layer) = (matcher.points(), &components.live.points, |class| matcher.class(class));
        if matcher.by_point() {
            points.visit(window, of_layer, &mut |p| {
                if wanted.may_show(p) {
                    bins.add(p.at, p.id, p.mark);
                }
            });
            return;
        }
        points.visit(window, of_layer, &mut |p| {
            if wanted.may_show(p) && components.get(p.id).is_some_and(|f| matcher.shows(&f)) {
                bins.add(p.at, p.id, p.mark);
            }
        });
    }

    /// How many points that a filter has to look at lie in a window, about.
    fn members(&self, window: [u32; 4]) -> usize {
        let level = (self.tile.z() + 3).min(FINEST);
        let mut members = 0;
        self.memory.components.pyramid.visit(level, window, &mut |_, counters| {
            let of_layer = counters.iter().filter(|c| self.matcher.mark(c.mark));
            members += of_layer.map(|c| c.count as usize).sum::<usize>();
        });
        members
    }

    /// The one component of a bin that counters have counted: down the pyramid, then in its bucket.
    fn sole(&self, square: [u32; 4], shown: &dyn Fn(&Shape) -> bool) -> Option<u64> {
        let components = &self.memory.components;
        let corner = World {
            x: square[0],
            y: square[1],
        };
        let mut level = 32 - (square[2] - square[0]).trailing_ones() as u8;
        let mut key = corner.quadkey(level);
        let has = |level: u8, key: u64| {
            let counters = components.pyramid.cell(level, key);
            counters.iter().any(|c| self.matcher.mark(c.mark))
        };
        if level <= FINEST && !has(level, key) {
            return self.tiny_in(&components.live.shapes, square, shown).map(|s| s.id);
        }
        while level < FINEST {
            level += 1;
            key = (key << 2..(key << 2) + 4).find(|k| has(level, *k))?;
        }
        let window = World::corner(key, level);
        let last = ((1u64 << (32 - level)) - 1) as u32;
        let mut found = None;
        let window = [window.x, window.y, window.x | last, window.y | last];
        components
            .live
            .points
            .visit(window, |class| self.matcher.class(class), &mut |p| {
                if self.matcher.mark(p.mark) {
                    found = Some(p.id);
                }
            });
        found
    }
}

/// A part of all rows, one in so many: more than that are read in a row. A look-up by id costs about as much as reading so many.
const FEW: usize = 8;

fn put_shape(drawing: &mut mvt::Layer<'_>, id: u64, drawn: &Drawn) {
    match drawn {
        Drawn::Lines(lines) => drawing.lines(Some(id), lines),
        Drawn::Rings(rings) => drawing.rings(Some(id), rings),
    }
}
