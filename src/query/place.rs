//! Lists of what is not a component: cells, areas, roads, land.

use std::sync::Arc;

use super::list::touches;
use super::matcher::Matchers;
use crate::domain::filter::Filter as Cql;
use crate::domain::grant::Rights;
use crate::index::Memory;
use crate::index::components::window;
use crate::index::shapes::{Shape, Shapes};
use crate::spatial::packed::Packed;
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

/// Code and name.
type Said<'a> = (Option<&'a str>, Option<&'a str>);

/// The ids that match, lowest first.
pub fn list(memory: &Memory, matchers: &Matchers, layer: &Layer, filter: &Filter) -> Vec<i32> {
    // Nothing but components is of a restricted class.
    let matcher = matchers.of(memory, layer, filter.cql.as_ref(), &Rights::default());
    let boxes = match filter.bbox {
        None => vec![[-180.0, -90.0, 180.0, 90.0]],
        Some(bbox) => bbox.parts().into_iter().map(|b| filter.plane.box_back(b)).collect(),
    };
    let q = filter.q.as_deref().map(str::to_ascii_lowercase);
    let has =
        |s: Option<&str>| s.is_some_and(|s| q.as_ref().is_none_or(|q| s.to_ascii_lowercase().contains(q.as_str())));
    let wanted = |(code, name): Said<'_>| {
        filter.code.as_deref().is_none_or(|c| code == Some(c)) && (q.is_none() || has(code) || has(name))
    };
    let touched = |geometry: &Packed| filter.bbox.is_none_or(|b| touches(&geometry.unpack(), b, filter.plane));
    let mut ids = Vec::new();
    match layer.source {
        Source::Component => {}
        Source::Area => find(&memory.areas, &boxes, &mut ids, |s| {
            wanted((Some(&s.what.code), Some(&s.what.name))) && matcher.entity(s.id) && touched(&s.geometry)
        }),
        Source::Cell => find(&memory.cells, &boxes, &mut ids, |s| {
            wanted((Some(&s.what.code), s.what.name.as_deref())) && matcher.entity(s.id) && touched(&s.geometry)
        }),
        Source::Road => find(&memory.roads, &boxes, &mut ids, |s| {
            wanted((None, s.what.name.as_deref())) && matcher.entity(s.id) && touched(&s.geometry)
        }),
        Source::Land => find(&memory.lands, &boxes, &mut ids, |s| {
            layer.kinds.iter().any(|k| **k == *s.what.kind)
                && wanted((None, s.what.name.as_deref()))
                && matcher.entity(s.id)
                && touched(&s.geometry)
        }),
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Notes the numbers of the shapes near some boxes that are wanted.
fn find<T>(shapes: &Shapes<T>, boxes: &[[f64; 4]], ids: &mut Vec<i32>, wanted: impl Fn(&Shape<T>) -> bool) {
    for b in boxes {
        let near = shapes.touching(window(*b)).into_iter();
        ids.extend(near.filter(|s| wanted(s)).filter_map(|s| i32::try_from(s.id).ok()));
    }
}
