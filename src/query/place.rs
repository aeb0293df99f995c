//! Lists of what is not a component: cells, areas, roads, land.

use std::sync::Arc;

use super::list::touches;
use super::matcher::Matchers;
use crate::domain::filter::Filter as Cql;
use crate::index::Memory;
use crate::index::components::window;
use crate::index::shapes::{Shape, Shapes};
use crate::spatial::plane::Plane;
use crate::spatial::position::Bbox;
use crate::tile::layer::{Layer, Source};

/// What such a list asks for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Passes this filter.
    pub cql: Option<Arc<Cql>>,
    /// Touches this box of `plane`.
    pub bbox: Option<Bbox>,
    /// The coordinates of the box.
    pub plane: Plane,
    /// Has this code.
    pub code: Option<String>,
    /// Code or name contains this text.
    pub q: Option<String>,
}

fn shapes<'a>(memory: &'a Memory, layer: &Layer) -> &'a Shapes {
    match layer.source {
        Source::Area => &memory.area_shapes,
        Source::Road => &memory.road_shapes,
        Source::Land => &memory.land_shapes,
        Source::Cell | Source::Component => &memory.cell_shapes,
    }
}

/// Code and name of one thing of a layer; none if the layer does not show it.
fn said<'a>(memory: &'a Memory, layer: &Layer, id: i32) -> Option<(Option<&'a str>, Option<&'a str>)> {
    match layer.source {
        Source::Component => None,
        Source::Area => memory
            .areas
            .get(&id)
            .map(|a| (Some(a.code.as_str()), Some(a.name.as_str()))),
        Source::Cell => memory.cells.get(&id).map(|c| (Some(&*c.code), c.name.as_deref())),
        Source::Road => memory.roads.get(&id).map(|r| (None, r.name.as_deref())),
        Source::Land => memory
            .lands
            .get(&id)
            .filter(|l| layer.kinds.iter().any(|k| **k == *l.kind))
            .map(|l| (None, l.name.as_deref())),
    }
}

/// The ids that match, lowest first.
pub fn list(memory: &Memory, matchers: &Matchers, layer: &Layer, filter: &Filter) -> Vec<i32> {
    let matcher = matchers.of(memory, layer, filter.cql.as_ref());
    let boxes = match filter.bbox {
        None => vec![[-180.0, -90.0, 180.0, 90.0]],
        Some(bbox) => bbox.parts().into_iter().map(|b| filter.plane.box_back(b)).collect(),
    };
    let q = filter.q.as_deref().map(str::to_ascii_lowercase);
    let has =
        |s: Option<&str>| s.is_some_and(|s| q.as_ref().is_none_or(|q| s.to_ascii_lowercase().contains(q.as_str())));
    let near = boxes.iter().flat_map(|b| shapes(memory, layer).touching(window(*b)));
    let inside = |shape: &&Shape| {
        matcher.entity(shape.id)
            && filter
                .bbox
                .is_none_or(|b| touches(&shape.geometry.unpack(), b, filter.plane))
    };
    let mut ids: Vec<i32> = near
        .filter(inside)
        .filter_map(|shape| i32::try_from(shape.id).ok())
        .filter(|id| {
            said(memory, layer, *id).is_some_and(|(code, name)| {
                filter.code.as_deref().is_none_or(|c| code == Some(c)) && (q.is_none() || has(code) || has(name))
            })
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
