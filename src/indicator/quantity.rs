//! What is counted or measured, in all and by group.

use std::sync::Arc;

use geo::{Contains, Geometry, Point};
use hashbrown::HashMap;

use super::{By, City};
use crate::coverage::figures;
use crate::coverage::land::{Land, polygons};
use crate::coverage::{Question, rules};
use crate::domain::grant::Rights;
use crate::domain::indicator::{Components, Quantity};
use crate::domain::rule::Denominator;
use crate::domain::text::Text;
use crate::domain::word::{RoadClass, State};
use crate::error::{Error, Result};
use crate::index::components::window;
use crate::index::row::Found;
use crate::query::gaps::{Wanted, gaps};
use crate::query::matcher::Matcher;
use crate::query::roll::Roll;
use crate::spatial::cover::Watch;
use crate::store::Store;
use crate::text;
use crate::thread::blocking;
use crate::tile::layer::{self, Layer};

/// A sum, and what of it is each group's; no groups where that cannot be said.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    pub(super) total: f64,
    pub(super) groups: Option<HashMap<Option<i32>, f64>>,
}

impl Side {
    fn add(&mut self, group: Option<Option<i32>>, n: f64) {
        self.total += n;
        if let Some(group) = group {
            *self.groups.get_or_insert_default().entry(group).or_insert(0.0) += n;
        }
    }
}

/// Components whose attribute is to be asked for.
pub(super) struct Asked {
    own: Components,
    attribute: String,
    versions: Vec<(i64, i64)>,
    groups: HashMap<i64, Option<Option<i32>>>,
}

/// What a quantity comes to.
pub(super) enum Made {
    Side(Side),
    /// So much of so much.
    Share(Side, Side),
    Asked(Box<Asked>),
    Missing(Text),
}

impl Made {
    /// With what the record says of attributes.
    pub(super) async fn answered(self, store: &Store) -> Result<Made> {
        let Made::Asked(asked) = self else { return Ok(self) };
        let found = store.attribute_of_versions(&asked.versions, &asked.attribute).await?;
        // There may be as many as there are lamps.
        blocking(move || asked.tally(found)).await
    }
}

impl Asked {
    /// Counts what the record says of each; none of them saying anything is no figure.
    fn tally(&self, found: Vec<(i64, Option<String>)>) -> Made {
        let (mut side, mut given, count) = (Side::default(), 0, found.len());
        for (id, value) in found {
            let Some(value) = value else { continue };
            given += 1;
            let group = self.groups.get(&id).copied().flatten();
            let wanted = self.own.values.is_empty() || self.own.values.contains(&value);
            match (self.own.sum, value.parse::<f64>()) {
                (true, Ok(n)) if n.is_finite() => side.add(group, n),
                (false, _) if wanted => side.add(group, 1.0),
                _ => side.add(group, 0.0),
            }
        }
        if given == 0 && count > 0 {
            let (attribute, layer) = (&self.attribute, &self.own.layer);
            return Made::Missing(text!(
                "图层 {layer} 的 {count} 个部件都未填属性“{attribute}”",
                "none of {count} components of {layer} says its attribute \"{attribute}\""
            ));
        }
        Made::Side(side)
    }
}

/// What is asked of a city.
pub(super) struct Asking<'a> {
    city: &'a City<'a>,
    by: Option<By>,
    watch: Watch<'a>,
    roll: Arc<Roll>,
}

impl<'a> Asking<'a> {
    pub(super) fn new(city: &'a City<'a>, by: Option<By>, watch: Watch<'a>) -> Asking<'a> {
        let roll = city.matchers.rolls.of(city.memory);
        Asking { city, by, watch, roll }
    }

    /// What a quantity comes to; what the register has nothing of is said.
    pub(super) fn made(&self, quantity: &Quantity) -> Result<Made> {
        let made = match quantity {
            Quantity::Components(own) => self.components(own),
            Quantity::Shapes { layer, filter } => self.shapes(layer, filter.as_deref()),
            Quantity::Land { kinds, codes, areas } => self.land(&denominator(kinds, codes, areas.clone()), false),
            Quantity::People { kinds } => self.land(&denominator(kinds, &[], None), true),
            Quantity::Coverage { rule, denominator } => self.coverage(rule, denominator.as_deref()),
            Quantity::Streets {
                layer,
                filter,
                longer,
                roads,
                states: in_states,
            } => {
                let (_, matcher) = self.matcher(layer, filter.as_deref())?;
                self.streets(
                    &matcher,
                    &Wanted {
                        states: states(in_states),
                        classes: classes(roads),
                        longer: *longer,
                    },
                )
            }
        };
        match made {
            Err(Error::NotFound(why) | Error::Forbidden(why) | Error::TooLarge(why)) => Ok(Made::Missing(why)),
            // One figure that cannot be worked out does not take the others with it.
            Err(Error::Syntax(faults)) => {
                Ok(Made::Missing(faults.into_iter().next().map_or_else(
                    || Text::new("无法计算", "it cannot be worked out"),
                    |f| f.detail,
                )))
            }
            other => other,
        }
    }

    fn matcher(&self, name: &str, filter: Option<&str>) -> Result<(Arc<Layer>, Arc<Matcher>)> {
        let none = || Error::internal(format!("no layer {name}"));
        let layer = layer::get(name).cloned().ok_or_else(none)?;
        let rights: &Rights = self
            .city
            .seen
            .get(name)
            .ok_or_else(|| Error::Forbidden(text!("您无权查看图层 {name}", "you may not see the layer {name}")))?;
        let filter = filter.map(|text| rules::filter(name, text)).transpose()?;
        let matcher = self.city.matchers.of(self.city.memory, &layer, filter.as_ref(), rights);
        Ok((layer, matcher))
    }

    /// The group of a component; none where there are no groups.
    fn group(&self, found: &Found<'_>) -> Option<Option<i32>> {
        Some(match self.by? {
            By::Area(level) => self.roll.area(found.cell, level),
            By::RoadClass => self.road_class(found).map(|c| c as i32),
        })
    }

    fn road_class(&self, found: &Found<'_>) -> Option<RoadClass> {
        let road = i32::try_from(found.road).ok().filter(|id| *id != 0)?;
        self.city.memory.roads.what(road).map(|r| r.class)
    }

    fn components(&self, own: &Components) -> Result<Made> {
        let (layer, matcher) = self.matcher(&own.layer, own.filter.as_deref())?;
        let (states, roads) = (states(&own.states), classes(&own.roads));
        let memory = self.city.memory;
        let on_land = |found: &Found<'_>| {
            let at = Point::new(found.lon, found.lat);
            let near = memory
                .lands
                .touching(window([found.lon, found.lat, found.lon, found.lat]));
            let of_kind = |kind: &str| own.on.iter().any(|k| k == kind);
            near.iter()
                .any(|l| l.shown && of_kind(&l.what.kind) && l.geometry.unpack().contains(&at))
        };
        let (mut side, mut ids, mut groups) = (Side::default(), Vec::new(), HashMap::new());
        side.groups = self.by.map(|_| HashMap::new());
        for found in memory.components.rows().iter() {
            if !matcher.class(found.class) || !matcher.shows(&found) {
                continue;
            }
            let state = states.is_empty() || states.contains(&found.state());
            let road = roads.is_empty() || self.road_class(&found).is_some_and(|c| roads.contains(&c));
            if !state || !road || !(own.on.is_empty() || on_land(&found)) {
                continue;
            }
            let group = self.group(&found);
            match &own.attribute {
                None => side.add(group, 1.0),
                Some(_) => {
                    let id = i64::try_from(found.id).map_err(Error::internal)?;
                    ids.push(id);
                    groups.insert(id, group);
                }
            }
        }
        let (_, all) = self.matcher(&own.layer, None)?;
        if !memory
            .components
            .rows()
            .iter()
            .any(|f| all.class(f.class) && all.shows(&f))
        {
            let (zh, en) = (&layer.title_zh, &layer.title_en);
            return Ok(Made::Missing(Text::new(
                format!("登记簿中没有“{zh}”"),
                format!("the register has no \"{en}\""),
            )));
        }
        Ok(match &own.attribute {
            None => Made::Side(side),
            Some(attribute) => Made::Asked(Box::new(Asked {
                own: own.clone(),
                attribute: attribute.clone(),
                versions: memory.versions(&ids),
                groups,
            })),
        })
    }

    fn shapes(&self, name: &str, filter: Option<&str>) -> Result<Made> {
        let (layer, matcher) = self.matcher(name, filter)?;
        let memory = self.city.memory;
        let mut shapes = Vec::new();
        for found in memory.components.rows().iter().filter(|f| f.shaped()) {
            if matcher.class(found.class) && matcher.shows(&found) {
                let shape = memory.components.shape(found.id).map(|s| s.unpack());
                let shape = shape.filter(|s| matches!(s, Geometry::Polygon(_) | Geometry::MultiPolygon(_)));
                shapes.extend(shape.map(|s| (polygons(s), None)));
            }
        }
        match Land::of_shapes(shapes, None)? {
            Some(land) => Ok(Made::Side(self.pieces(&land, false))),
            None => {
                let (zh, en) = (&layer.title_zh, &layer.title_en);
                Ok(Made::Missing(Text::new(
                    format!("登记簿中没有“{zh}”的范围面"),
                    format!("the register has no polygon of \"{en}\""),
                )))
            }
        }
    }

    fn land(&self, of: &Denominator, people: bool) -> Result<Made> {
        let land = self.city.coverages.land(self.city.memory, of, None)?;
        let side = self.pieces(&land, people);
        if people && side.total <= 0.0 {
            return Ok(Made::Missing(Text::new(
                "用地未填人口（land.population）",
                "no land says how many people live on it (land.population)",
            )));
        }
        Ok(Made::Side(side))
    }

    /// Square metres of land, or the people on it.
    fn pieces(&self, land: &Land, people: bool) -> Side {
        let ground = &land.ground;
        let each = |n: usize| if people { ground.density(&ground.pieces[n]) } else { 1.0 };
        let total = ground.pieces.iter().enumerate().map(|(n, p)| p.area * each(n)).sum();
        let groups = match self.by {
            None | Some(By::RoadClass) => None,
            Some(By::Area(level)) => {
                let mut groups = HashMap::new();
                for (n, parts) in land.by_cell(self.city.memory).iter().enumerate() {
                    for part in parts {
                        *groups.entry(self.roll.area(part.cell, level)).or_insert(0.0) += part.area * each(n);
                    }
                }
                Some(groups)
            }
        };
        Side { total, groups }
    }

    fn coverage(&self, rule: &str, denominator: Option<&str>) -> Result<Made> {
        let rule = rules::get(rule).ok_or_else(|| Error::internal(format!("no rule {rule}")))?;
        self.matcher(&rule.layer, None)?;
        if let Some(of) = &rule.entrances {
            self.matcher(&of.layer, None)?;
        }
        let rights = self.city.seen.get(&rule.layer).cloned().unwrap_or_default();
        let question = Question::of_rule(rule, denominator, rights)?;
        let (memory, matchers, coverages) = (self.city.memory, self.city.matchers, self.city.coverages);
        let outcome = match self.city.then {
            true => coverages.then(memory, matchers, &question, &|_| (self.watch)(0.0))?,
            false => coverages.of(memory, matchers, &question, &|_| (self.watch)(0.0))?,
        };
        let all = figures::total(&outcome);
        let (mut top, mut bottom) = (Side::default(), Side::default());
        (top.total, bottom.total) = (all.covered(), all.area);
        if let Some(By::Area(level)) = self.by {
            let (mut served, mut whole) = (HashMap::new(), HashMap::new());
            for (n, f) in figures::by(&outcome, memory, &self.roll, figures::By::Area(level)) {
                let group = i32::try_from(n).ok().filter(|n| *n > 0);
                served.insert(group, f.covered());
                whole.insert(group, f.area);
            }
            (top.groups, bottom.groups) = (Some(served), Some(whole));
        }
        Ok(Made::Share(top, bottom))
    }

    fn streets(&self, matcher: &Matcher, wanted: &Wanted) -> Result<Made> {
        let found = gaps(self.city.memory, matcher, wanted)?;
        let all = found.total();
        if all.length <= 0.0 {
            return Ok(Made::Missing(Text::new(
                "登记簿中没有这类道路",
                "the register has no such roads",
            )));
        }
        let (mut top, mut bottom) = (Side::default(), Side::default());
        (top.total, bottom.total) = (all.length - all.in_gaps, all.length);
        if self.by == Some(By::RoadClass) {
            let of = |c: &RoadClass| Some(*c as i32);
            top.groups = Some(
                found
                    .by_class
                    .iter()
                    .map(|(c, s)| (of(c), s.length - s.in_gaps))
                    .collect(),
            );
            bottom.groups = Some(found.by_class.iter().map(|(c, s)| (of(c), s.length)).collect());
        }
        Ok(Made::Share(top, bottom))
    }
}

fn denominator(kinds: &[String], codes: &[String], areas: Option<String>) -> Denominator {
    let title = |words: [&str; 2]| match (&areas, kinds, codes) {
        (Some(level), ..) => format!("{} {level}", words[0]),
        (None, [], []) => words[1].to_owned(),
        (None, kinds, codes) => format!("{} {}", words[1], [kinds, codes].concat().join(", ")),
    };
    Denominator {
        key: "indicator".to_owned(),
        title_zh: title(["区划", "用地"]),
        title_en: title(["areas of level", "land"]),
        kinds: kinds.to_vec(),
        codes: codes.to_vec(),
        areas,
    }
}

fn states(words: &[String]) -> Vec<State> {
    words.iter().filter_map(|s| State::parse(s).ok()).collect()
}

fn classes(words: &[String]) -> Vec<RoadClass> {
    words.iter().filter_map(|s| RoadClass::parse(s).ok()).collect()
}
