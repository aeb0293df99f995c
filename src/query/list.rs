//! Which components match, how many, and one page of their ids: all from memory.

use std::sync::Arc;

use geo::{Intersects, Rect};
use hashbrown::HashSet;

use super::matcher::{Matcher, Matchers};
use crate::domain::filter::Filter as Cql;
use crate::domain::grant::Rights;
use crate::domain::text::{Fault, Text};
use crate::domain::word::State;
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::index::components::{Places, window};
use crate::index::row::Found;
use crate::spatial::measure::{around, distance, distance_to};
use crate::spatial::packed::Packed;
use crate::spatial::plane::Plane;
use crate::spatial::position::{Bbox, LonLat};
use crate::text;
use crate::tile::layer::Layer;

/// What a list asks for. Everything that is set must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Passes this filter.
    pub cql: Option<Arc<Cql>>,
    /// Touches this box of `plane`.
    pub bbox: Option<Bbox>,
    /// The coordinates of the box.
    pub plane: Plane,
    /// Lies within so many metres of a position.
    pub near: Option<(LonLat, f64)>,
    /// Lies in the area of this code.
    pub within_area: Option<String>,
    /// Has this code, under any scheme.
    pub code: Option<String>,
    /// Is of one of these classes, each a code, `SCHEME/CODE` or a name.
    pub class: Vec<String>,
    /// Is in one of these states; without it, in any but retired.
    pub state: Vec<State>,
    /// Belongs to one of these parties, each a code or a name.
    pub owner: Vec<String>,
    /// Lies in one of these cells, each a code.
    pub cell: Vec<String>,
    /// Stands on a road of one of these names.
    pub road: Vec<String>,
    /// Code, name, road or cell contains this text.
    pub q: Option<String>,
    /// The restricted classes that the reader may see.
    pub rights: Rights,
}

/// By what a list is ordered; ties by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// Permanent number.
    #[default]
    Id,
    /// Code; those without one last.
    Code,
    /// Name; those without one last.
    Name,
}

/// The order of a list and where a page begins.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// By what.
    pub by: SortBy,
    /// Highest first.
    pub descending: bool,
    /// The page begins after this: the cursor of the page before.
    pub after: Option<Cursor>,
    /// How many at most.
    pub limit: usize,
}

/// The place of the last row of a page: its sort key and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    key: Option<String>,
    id: u64,
}

impl Cursor {
    /// Reads what [`Cursor::text`] wrote.
    pub fn parse(s: &str) -> Result<Cursor, Text> {
        let (id, key) = s
            .split_once('~')
            .map_or((s, None), |(id, key)| (id, Some(key.to_owned())));
        let id = id.parse().map_err(|_| {
            text!(
                "游标“{s}”不是本服务给出的",
                "the cursor \"{s}\" was not given by this service"
            )
        })?;
        Ok(Cursor { key, id })
    }

    /// The cursor of a list in the order of ids.
    pub fn at(id: u64) -> Cursor {
        Cursor { key: None, id }
    }

    /// The id after which the page begins.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The cursor as it stands in a link.
    pub fn text(&self) -> String {
        match &self.key {
            Some(key) => format!("{}~{key}", self.id),
            None => self.id.to_string(),
        }
    }
}

/// One page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The ids of the page, in order.
    pub ids: Vec<i64>,
    /// How many match in all.
    pub matched: usize,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// A filter whose words have been looked up.
struct Resolved<'a> {
    filter: &'a Filter,
    matcher: Arc<Matcher>,
    classes: Option<HashSet<u16>>,
    states: Vec<State>,
    owners: Option<HashSet<u32>>,
    cells: Option<HashSet<u32>>,
    roads: Option<HashSet<u32>>,
    q: Option<Search>,
    area: Option<geo::Geometry<f64>>,
}

struct Search {
    text: String,
    roads: HashSet<u32>,
    cells: HashSet<u32>,
}

/// The components of a layer that match. Cost: about 10 ns a component without a place or a code, else O(what lies there); sorting
/// by anything but id reads the key of each match once.
pub fn list(memory: &Memory, matchers: &Matchers, layer: &Layer, filter: &Filter, order: &Order) -> Result<Page> {
    let matcher = matchers.of(memory, layer, filter.cql.as_ref(), &filter.rights);
    let resolved = resolve(memory, matcher, filter)?;
    let mut places: Vec<Place> = Vec::new();
    matching(memory, &resolved, &mut |found| {
        let key = match order.by {
            SortBy::Id => None,
            SortBy::Code => found.code().map(Into::into),
            SortBy::Name => found.name().map(Into::into),
        };
        places.push((key, found.id));
    });
    let matched = places.len();
    let compare = |a: &Place, b: &Place| {
        // Rows without a key come last in either direction.
        let keys = match (&a.0, &b.0) {
            (Some(x), Some(y)) if order.descending => y.cmp(x),
            (Some(x), Some(y)) => x.cmp(y),
            (x, y) => y.is_some().cmp(&x.is_some()),
        };
        keys.then(if order.descending { b.1.cmp(&a.1) } else { a.1.cmp(&b.1) })
    };
    if let Some(after) = &order.after {
        let after = (after.key.as_deref().map(Into::into), after.id);
        places.retain(|p| compare(p, &after).is_gt());
    }
    let more = places.len() > order.limit;
    if more {
        places.select_nth_unstable_by(order.limit, compare);
        places.truncate(order.limit);
    }
    places.sort_unstable_by(compare);
    let last = places.last().filter(|_| more);
    let next = last.map(|(key, id)| Cursor {
        key: key.as_deref().map(str::to_owned),
        id: *id,
    });
    Ok(Page {
        ids: places.iter().map(|p| p.1 as i64).collect(),
        matched,
        next,
    })
}

/// A match: its sort key and id.
type Place = (Option<Box<str>>, u64);

fn resolve<'a>(memory: &Memory, matcher: Arc<Matcher>, filter: &'a Filter) -> Result<Resolved<'a>> {
    let mut faults = Vec::new();
    let classes = (!filter.class.is_empty()).then(|| {
        let mut wanted = HashSet::new();
        for name in &filter.class {
            let mut known = false;
            for (id, class) in &memory.classes {
                let full = name
                    .split_once('/')
                    .is_some_and(|(s, c)| s == class.scheme && c == class.code);
                if full || [&class.code, &class.name_zh, &class.name_en].contains(&name) {
                    wanted.insert(*id as u16);
                    known = true;
                }
            }
            if !known {
                faults.push(Fault::new(
                    "class",
                    text!("没有小类“{name}”", "there is no class \"{name}\""),
                ));
            }
        }
        wanted
    });
    let owners = set(&filter.owner, |name| {
        let named = memory
            .parties
            .values()
            .filter(|p| p.code == name || p.name == name)
            .map(|p| p.id as u32);
        let found: Vec<u32> = named.collect();
        if found.is_empty() {
            faults.push(Fault::new(
                "owner",
                text!("没有单位“{name}”", "there is no party \"{name}\""),
            ));
        }
        found
    });
    let cells = set(&filter.cell, |code| {
        memory
            .cells
            .iter()
            .filter(|s| s.shown && *s.what.code == *code)
            .map(|s| s.id as u32)
            .collect()
    });
    let roads = set(&filter.road, |name| {
        let roads = memory.roads.all();
        roads
            .filter(|r| r.name.as_deref() == Some(name))
            .map(|r| r.id as u32)
            .collect()
    });
    let area = match &filter.within_area {
        None => None,
        Some(code) => match memory.area(code) {
            Some(area) => Some(area.geometry.unpack()),
            None => {
                faults.push(Fault::new(
                    "within-area",
                    text!("没有区划 {code}", "there is no area {code}"),
                ));
                None
            }
        },
    };
    if !faults.is_empty() {
        return Err(Error::Syntax(faults));
    }
    let q = filter.q.as_deref().map(|text| {
        let text = text.to_ascii_lowercase();
        let has = |s: &str| s.to_ascii_lowercase().contains(&text);
        Search {
            roads: memory
                .roads
                .all()
                .filter(|r| r.name.as_deref().is_some_and(has))
                .map(|r| r.id as u32)
                .collect(),
            cells: memory
                .cells
                .all()
                .filter(|c| has(&c.code))
                .map(|c| c.id as u32)
                .collect(),
            text,
        }
    });
    let states = match filter.state.is_empty() {
        true => State::ALL.iter().copied().filter(|s| *s != State::Retired).collect(),
        false => filter.state.clone(),
    };
    Ok(Resolved {
        filter,
        matcher,
        classes,
        states,
        owners,
        cells,
        roads,
        q,
        area,
    })
}

fn set(names: &[String], find: impl FnMut(&str) -> Vec<u32>) -> Option<HashSet<u32>> {
    (!names.is_empty()).then(|| names.iter().map(String::as_str).flat_map(find).collect())
}

fn matching(memory: &Memory, wanted: &Resolved<'_>, hit: &mut dyn FnMut(&Found<'_>)) {
    let components = &memory.components;
    if let Some(code) = &wanted.filter.code {
        let found = components.with_code(code);
        found.iter().filter(|f| holds(memory, wanted, f)).for_each(hit);
        return;
    }
    let Some(boxes) = boxes(wanted.filter, wanted.area.as_ref()) else {
        let found = components.rows().iter().filter(|f| holds(memory, wanted, f));
        found.for_each(|f| hit(&f));
        return;
    };
    let mut ids = Vec::new();
    let mut look = |places: &Places| {
        for b in &boxes {
            places.points.visit(window(*b), |_| true, &mut |p| ids.push(p.id));
            ids.extend(places.shapes.touching(window(*b)).iter().map(|s| s.id));
        }
    };
    if wanted.states.iter().any(|s| *s != State::Retired) {
        look(&components.live);
    }
    if wanted.states.contains(&State::Retired) {
        look(&components.retired);
    }
    // A shape may touch more than one box.
    ids.sort_unstable();
    ids.dedup();
    let found = ids.iter().filter_map(|id| components.get(*id));
    found.filter(|f| holds(memory, wanted, f)).for_each(|f| hit(&f));
}

/// Boxes in degrees that hold every match, `[west, south, east, north]`, or none if the filter names no place.
pub fn reach(memory: &Memory, filter: &Filter) -> Option<Vec<[f64; 4]>> {
    let area = filter.within_area.as_ref().and_then(|code| memory.area(code));
    boxes(filter, area.map(|a| a.geometry.unpack()).as_ref())
}

fn boxes(filter: &Filter, area: Option<&geo::Geometry<f64>>) -> Option<Vec<[f64; 4]>> {
    if let Some((p, r)) = filter.near {
        return Some(around(p, r));
    }
    if let Some(bbox) = filter.bbox {
        return Some(bbox.parts().into_iter().map(|b| filter.plane.box_back(b)).collect());
    }
    crate::spatial::position::bounds(area?).map(|b| vec![b])
}

fn holds(memory: &Memory, wanted: &Resolved<'_>, row: &Found<'_>) -> bool {
    let one_of = |set: &Option<HashSet<u32>>, number: u32| set.as_ref().is_none_or(|s| s.contains(&number));
    wanted.matcher.passes(row)
        && wanted.classes.as_ref().is_none_or(|c| c.contains(&row.class))
        && wanted.states.contains(&row.state())
        && one_of(&wanted.owners, row.parties().owner)
        && one_of(&wanted.cells, row.cell)
        && one_of(&wanted.roads, row.road)
        && wanted.q.as_ref().is_none_or(|q| found_by(q, row))
        && stands(memory, wanted, row)
}

fn found_by(q: &Search, row: &Found<'_>) -> bool {
    let has = |s: &str| contains(s, &q.text);
    q.roads.contains(&row.road)
        || q.cells.contains(&row.cell)
        || row.name().is_some_and(has)
        || row.code().is_some_and(|code| has(&code))
}

/// Whether a text contains another one in lower case, without regard to ASCII case.
fn contains(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    part.is_empty() || text.windows(part.len()).any(|w| w.eq_ignore_ascii_case(part))
}

/// The exact tests of place, after the boxes.
fn stands(memory: &Memory, wanted: &Resolved<'_>, row: &Found<'_>) -> bool {
    let filter = wanted.filter;
    let shape = || {
        memory
            .components
            .shape(row.id)
            .filter(|_| row.shaped())
            .map(Packed::unpack)
    };
    if let Some(bbox) = filter.bbox {
        let inside = match shape() {
            None => {
                let (lon, lat) = filter.plane.forward(row.lon, row.lat);
                bbox.contains(lon, lat)
            }
            Some(shape) => touches(&shape, bbox, filter.plane),
        };
        if !inside {
            return false;
        }
    }
    if let Some((p, metres)) = filter.near {
        let away = match shape() {
            None => LonLat::new(row.lon, row.lat).map_or(f64::INFINITY, |q| distance(p, q)),
            Some(shape) => distance_to(p, &shape),
        };
        if away > metres {
            return false;
        }
    }
    wanted
        .area
        .as_ref()
        .is_none_or(|area| area.intersects(&geo::Point::new(row.lon, row.lat)))
}

/// Whether a shape of the register touches a box of a plane.
pub(super) fn touches(shape: &geo::Geometry<f64>, bbox: Bbox, plane: Plane) -> bool {
    use geo::MapCoords;
    let in_box = |shape: &geo::Geometry<f64>| {
        let parts = bbox.parts();
        let touches = |b: &[f64; 4]| shape.intersects(&Rect::new((b[0], b[1]), (b[2], b[3])));
        parts.iter().any(touches)
    };
    match plane.0 {
        None => in_box(shape),
        Some(_) => in_box(&shape.map_coords(|c| plane.forward(c.x, c.y).into())),
    }
}
