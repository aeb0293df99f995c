//! Tables of indicators: what a plan asks for, and what the register says.
//!
//! [`gather`] looks at memory, off the async threads; what only the record knows, attributes, [`complete`] asks it for.

mod quantity;
pub mod tables;

use hashbrown::HashMap;

use self::quantity::{Asking, Made, Side};
use crate::coverage::{Coverages, stopped};
use crate::domain::grant::Rights;
use crate::domain::indicator::{Indicator, Quantity, Table};
use crate::domain::text::Text;
use crate::domain::word::{AreaLevel, RoadClass};
use crate::error::Result;
use crate::index::Memory;
use crate::query::matcher::Matchers;
use crate::spatial::cover::Watch;
use crate::store::Store;
use crate::text;

/// What figures are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// 社区, 街道 or 区: the number of the area.
    Area(AreaLevel),
    /// 道路等级: the number of the class.
    RoadClass,
}

/// What the figures are asked of.
#[derive(Clone, Copy, Debug)]
pub struct City<'a> {
    /// The register, of now or then.
    pub memory: &'a Memory,
    /// Whether that is the past.
    pub then: bool,
    /// What layers show.
    pub matchers: &'a Matchers,
    /// What is covered.
    pub coverages: &'a Coverages,
    /// The layers that the reader may see, with the restricted classes that they may see of them.
    pub seen: &'a HashMap<String, Rights>,
}

/// One figure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figure {
    /// What it comes to; none of nothing.
    pub value: Option<f64>,
    /// What was counted.
    pub top: f64,
    /// What it was divided by.
    pub bottom: Option<f64>,
}

/// One row of a table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is of.
    pub indicator: Indicator,
    /// All of the city.
    pub figure: Figure,
    /// Why there is no figure.
    pub missing: Option<Text>,
    /// By group, where that can be said; none for what lies in no group.
    pub groups: Option<Vec<(Option<i32>, Figure)>>,
    /// How many more must be as they should be, where components are counted against components.
    pub needed: Option<u64>,
}

impl Row {
    /// The figure of a group.
    pub fn of(&self, group: Option<i32>) -> Option<f64> {
        let groups = self.groups.iter().flatten();
        groups.into_iter().find(|(g, _)| *g == group).and_then(|(_, f)| f.value)
    }
}

/// What memory says of a table's figures.
pub struct Gathered(Vec<(Indicator, Option<Made>, Option<Made>)>);

/// Looks at memory. Cost: for each figure O(components of its layer), or a coverage.
pub fn gather(city: &City<'_>, table: &Table, by: Option<By>, watch: Watch<'_>) -> Result<Gathered> {
    let asking = Asking::new(city, by, watch);
    let mut all = Vec::new();
    for (n, i) in table.indicators.iter().enumerate() {
        if watch(n as f64 / table.indicators.len() as f64) {
            return Err(stopped());
        }
        let made = |q: &Option<Quantity>| q.as_ref().map(|q| asking.made(q)).transpose();
        all.push((i.clone(), made(&i.value)?, made(&i.per)?));
    }
    Ok(Gathered(all))
}

/// Asks the record for what memory does not hold, and makes the rows.
pub async fn complete(store: &Store, gathered: Gathered) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (indicator, value, per) in gathered.0 {
        let value = match value {
            Some(made) => made.answered(store).await?,
            None => Made::Missing(Text::new(
                "登记簿没有此项数据，须由主管部门填报",
                "the register holds nothing of this: the authority must say it",
            )),
        };
        let per = match per {
            Some(made) => Some(made.answered(store).await?),
            None => None,
        };
        rows.push(row(indicator, value, per));
    }
    Ok(rows)
}

fn row(indicator: Indicator, value: Made, per: Option<Made>) -> Row {
    let counted = matches!(
        (&indicator.value, &indicator.per),
        (Some(Quantity::Components(_)), Some(Quantity::Components(_)))
    );
    let times = indicator.times();
    let mut out = Row {
        indicator,
        figure: Figure::default(),
        missing: None,
        groups: None,
        needed: None,
    };
    let (top, bottom) = match (value, per) {
        (Made::Missing(why), _) | (_, Some(Made::Missing(why))) => {
            out.missing = Some(why);
            return out;
        }
        (Made::Share(top, bottom), _) => (top, Some(bottom)),
        (Made::Side(top), None) => (top, None),
        (Made::Side(top), Some(Made::Side(bottom))) => (top, Some(bottom)),
        // What is asked of the record has been answered.
        (Made::Asked(_), _) | (Made::Side(_), Some(Made::Asked(_) | Made::Share(..))) => return out,
    };
    let figure = |top: f64, bottom: Option<f64>| Figure {
        value: match bottom {
            None => Some(top * times),
            Some(bottom) => (bottom > 0.0).then(|| top / bottom * times),
        },
        top,
        bottom,
    };
    out.figure = figure(top.total, bottom.as_ref().map(|b| b.total));
    if out.figure.value.is_none() {
        out.missing = Some(nothing(out.indicator.per.as_ref()));
    }
    let grouped = |side: &Side| side.groups.clone();
    let bottoms = bottom.as_ref().map(grouped);
    if let (Some(tops), None | Some(Some(_))) = (grouped(&top), &bottoms) {
        let bottoms = bottoms.flatten();
        let mut keys: Vec<Option<i32>> = tops
            .keys()
            .chain(bottoms.iter().flat_map(HashMap::keys))
            .copied()
            .collect();
        keys.sort_unstable_by_key(|k| (k.is_none(), *k));
        keys.dedup();
        let of = |side: &HashMap<Option<i32>, f64>, key: &Option<i32>| side.get(key).copied().unwrap_or(0.0);
        let group = |key: &Option<i32>| (*key, figure(of(&tops, key), bottoms.as_ref().map(|b| of(b, key))));
        out.groups = Some(keys.iter().map(group).collect());
    }
    if let (true, Some(bottom), Some(least)) = (counted, &bottom, out.indicator.target.at_least) {
        let wanted = (least / times * bottom.total - 1e-9).ceil();
        out.needed = Some((wanted - top.total).max(0.0) as u64);
    }
    out
}

/// What there is none of to divide by.
fn nothing(per: Option<&Quantity>) -> Text {
    match per {
        Some(Quantity::Components(c)) => {
            let layer = &c.layer;
            let roads = c.roads.join(", ");
            let which = [c.filter.as_deref().unwrap_or(""), &roads].join(" ");
            let which = which.trim();
            text!(
                "登记簿的图层 {layer} 中没有符合“{which}”的部件",
                "the layer {layer} has no component of \"{which}\""
            )
        }
        _ => Text::new("登记簿中没有可作分母的内容", "the register holds nothing to divide by"),
    }
}

/// The class of road that a group is.
pub fn road_class(group: i32) -> Option<RoadClass> {
    RoadClass::from_number(u8::try_from(group).ok()?)
}
