//! Tables of indicators that somebody signs: what is counted against what, and what a plan asks for. Each table is a file.

use serde::{Deserialize, Serialize};

use super::rule::Source;
use super::text::{Lang, Text};
use super::word::{AreaLevel, RoadClass, State};
use crate::text;

/// What a figure should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// No less than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// More than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// No more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
}

impl Target {
    /// Whether a figure is as it should be.
    pub fn met(&self, value: f64) -> bool {
        self.at_least.is_none_or(|t| value >= t)
            && self.above.is_none_or(|t| value > t)
            && self.at_most.is_none_or(|t| value <= t)
    }

    /// How far a figure is from where it should be: below zero if there is too little, above if there is too much.
    pub fn off(&self, value: f64) -> f64 {
        let least = self
            .at_least
            .into_iter()
            .chain(self.above)
            .fold(f64::NEG_INFINITY, f64::max);
        if value < least {
            return value - least;
        }
        self.at_most.map_or(0.0, |most| (value - most).max(0.0))
    }

    /// As people write it: `≥ 85`, `> 8`, `≤ 0`, `3–5`.
    pub fn said(&self) -> String {
        match (self.at_least, self.above, self.at_most) {
            (Some(low), None, Some(high)) => format!("{low}–{high}"),
            _ => {
                let parts = [("≥", self.at_least), (">", self.above), ("≤", self.at_most)];
                let parts: Vec<String> = parts
                    .iter()
                    .filter_map(|(sign, t)| t.map(|t| format!("{sign} {t}")))
                    .collect();
                parts.join(", ")
            }
        }
    }
}

/// Components of a layer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Components {
    /// The layer.
    pub layer: String,
    /// Which of them, as CQL2 text.
    #[serde(default)]
    pub filter: Option<String>,
    /// In which states; any but retired, if none is given.
    #[serde(default)]
    pub states: Vec<String>,
    /// On roads of which classes; on any road or none, if none is given.
    #[serde(default)]
    pub roads: Vec<String>,
    /// On land of which kinds; anywhere, if none is given.
    #[serde(default)]
    pub on: Vec<String>,
    /// An attribute that says more.
    #[serde(default)]
    pub attribute: Option<String>,
    /// What the attribute is; anything, if nothing is given.
    #[serde(default)]
    pub values: Vec<String>,
    /// Sums the attribute up instead of counting.
    #[serde(default)]
    pub sum: bool,
}

/// Something that can be counted or measured.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Quantity {
    /// How many components.
    Components(Components),
    /// Square metres that polygons of a layer cover, land that several cover once.
    Shapes {
        /// The layer.
        layer: String,
        /// Which of them, as CQL2 text.
        #[serde(default)]
        filter: Option<String>,
    },
    /// Square metres of land.
    Land {
        /// Kinds.
        #[serde(default)]
        kinds: Vec<String>,
        /// What land-use codes begin with.
        #[serde(default)]
        codes: Vec<String>,
        /// All land of the areas of a level instead.
        #[serde(default)]
        areas: Option<String>,
    },
    /// People who live on land of some kinds; on all, if none is given.
    People {
        /// Kinds.
        #[serde(default)]
        kinds: Vec<String>,
    },
    /// Land that is served by a rule, of all that shall be: a share.
    Coverage {
        /// The rule.
        rule: String,
        /// Another denominator than its first.
        #[serde(default)]
        denominator: Option<String>,
    },
    /// Metres of street along which components stand no farther apart than so many metres, of all: a share.
    Streets {
        /// The layer.
        layer: String,
        /// Which of them, as CQL2 text.
        #[serde(default)]
        filter: Option<String>,
        /// Metres.
        longer: f64,
        /// Classes of roads; all, if none is given.
        #[serde(default)]
        roads: Vec<String>,
        /// States; any but retired, if none is given.
        #[serde(default)]
        states: Vec<String>,
    },
}

/// One figure of a table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Indicator {
    /// Its name within the table.
    pub id: String,
    /// 指标.
    pub title_zh: String,
    /// The same in English.
    pub title_en: String,
    /// 单位; shares of `%` are shown as such.
    pub unit: String,
    /// The same in English, where it is another one.
    #[serde(default)]
    pub unit_en: Option<String>,
    /// 目标.
    #[serde(default)]
    pub target: Target,
    /// What is counted; nothing where the register has no such thing.
    #[serde(default)]
    pub value: Option<Quantity>,
    /// What it is divided by.
    #[serde(default)]
    pub per: Option<Quantity>,
    /// What the result is multiplied with: 100 for `%`, else 1, unless it is given.
    #[serde(default)]
    pub times: Option<f64>,
    /// 口径: how it is counted.
    pub basis_zh: String,
    /// The same in English.
    pub basis_en: String,
    /// Where the target comes from.
    pub source: Source,
}

impl Indicator {
    /// The title in a language.
    pub fn title(&self, lang: Lang) -> &str {
        lang.pick(&self.title_zh, &self.title_en)
    }

    /// The unit in a language.
    pub fn unit(&self, lang: Lang) -> &str {
        lang.pick(&self.unit, self.unit_en.as_ref().unwrap_or(&self.unit))
    }

    /// How it is counted, in a language.
    pub fn basis(&self, lang: Lang) -> &str {
        lang.pick(&self.basis_zh, &self.basis_en)
    }

    /// What the quotient is multiplied with.
    pub fn times(&self) -> f64 {
        self.times.unwrap_or(if self.unit == "%" { 100.0 } else { 1.0 })
    }
}

/// A table as its file says it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its name in URLs: the file's name.
    #[serde(default)]
    pub id: String,
    /// 中文名.
    pub title_zh: String,
    /// English title.
    pub title_en: String,
    /// Where lists have it.
    #[serde(default)]
    pub order: u32,
    /// The figures.
    #[serde(rename = "indicator")]
    pub indicators: Vec<Indicator>,
}

/// Figures of one table.
const MAX_INDICATORS: usize = 100;

impl Table {
    /// The title in a language.
    pub fn title(&self, lang: Lang) -> &str {
        lang.pick(&self.title_zh, &self.title_en)
    }

    /// Reads a file: every fault at once, one sentence each. Whether layers and rules are there is for whoever knows them.
    pub fn parse(id: &str, file: &str) -> Result<Table, Vec<Text>> {
        let bad = |e: toml::de::Error| vec![Text::new(e.to_string(), e.to_string())];
        let table: Table = toml::from_str(file).map_err(bad)?;
        let table = Table {
            id: id.to_owned(),
            ..table
        };
        let faults = table.faults();
        if faults.is_empty() { Ok(table) } else { Err(faults) }
    }

    fn faults(&self) -> Vec<Text> {
        let mut faults = Vec::new();
        let plain = |s: &str| {
            !s.is_empty()
                && s.len() <= 60
                && s.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if self.indicators.is_empty() || self.indicators.len() > MAX_INDICATORS {
            faults.push(text!(
                "应有 1 至 {MAX_INDICATORS} 个 [[indicator]]",
                "there should be 1 to {MAX_INDICATORS} [[indicator]]"
            ));
        }
        let ids = std::iter::once(&self.id).chain(self.indicators.iter().map(|i| &i.id));
        for id in ids.filter(|id| !plain(id)) {
            faults.push(text!(
                "名称“{id}”应由至多60个小写字母、数字和连字符组成",
                "the name \"{id}\" should be at most 60 lower-case letters, digits and hyphens"
            ));
        }
        for (n, i) in self.indicators.iter().enumerate() {
            let id = &i.id;
            let own = &mut faults;
            let mut fault = |zh: &str, en: &str| own.push(text!("指标“{id}”：{zh}", "indicator \"{id}\": {en}"));
            if self.indicators[..n].iter().any(|other| other.id == *id) {
                fault("名称重复", "the name is there twice");
            }
            if i.target == Target::default() && i.value.is_some() && i.unit.is_empty() {
                fault("须有单位", "it needs a unit");
            }
            let share = matches!(i.value, Some(Quantity::Coverage { .. } | Quantity::Streets { .. }));
            if i.per.is_some() && (share || i.value.is_none()) {
                fault("此处不可有 per", "it takes no per");
            }
            if matches!(i.per, Some(Quantity::Coverage { .. } | Quantity::Streets { .. })) {
                fault("per 不可为比率", "per cannot be a share");
            }
            for quantity in i.value.iter().chain(&i.per) {
                for t in quantity.faults() {
                    fault(&t.zh, &t.en);
                }
            }
        }
        faults
    }
}

impl Quantity {
    /// The layer whose components it is about.
    pub fn layer(&self) -> Option<&str> {
        match self {
            Quantity::Components(c) => Some(&c.layer),
            Quantity::Shapes { layer, .. } | Quantity::Streets { layer, .. } => Some(layer),
            _ => None,
        }
    }

    /// Which of them, as CQL2 text.
    pub fn filter(&self) -> Option<&str> {
        match self {
            Quantity::Components(c) => c.filter.as_deref(),
            Quantity::Shapes { filter, .. } | Quantity::Streets { filter, .. } => filter.as_deref(),
            _ => None,
        }
    }

    fn faults(&self) -> Vec<Text> {
        let mut faults = Vec::new();
        let (states, roads): (&[String], &[String]) = match self {
            Quantity::Components(c) => {
                if c.attribute.is_none() && (!c.values.is_empty() || c.sum) {
                    faults.push(Text::new(
                        "values 和 sum 须有 attribute",
                        "values and sum need an attribute",
                    ));
                }
                (&c.states, &c.roads)
            }
            Quantity::Streets {
                states, roads, longer, ..
            } => {
                if !(1.0..=10_000.0).contains(longer) {
                    faults.push(Text::new("longer 应为1至10000米", "longer should be 1 to 10000 metres"));
                }
                (states, roads)
            }
            Quantity::Land { kinds, codes, areas } => {
                if let Some(level) = areas {
                    faults.extend(AreaLevel::parse(level).err());
                }
                if areas.is_some() != (kinds.is_empty() && codes.is_empty()) {
                    faults.push(Text::new(
                        "land 应给出 areas，或 kinds、codes",
                        "land should have either areas, or kinds or codes",
                    ));
                }
                (&[], &[])
            }
            _ => (&[], &[]),
        };
        faults.extend(states.iter().filter_map(|s| State::parse(s).err()));
        faults.extend(roads.iter().filter_map(|s| RoadClass::parse(s).err()));
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_or_missed_by_so_much() {
        let least = Target {
            at_least: Some(98.0),
            ..Target::default()
        };
        assert!(least.met(98.0) && !least.met(97.9));
        assert!((least.off(95.0) + 3.0).abs() < 1e-9 && least.off(99.0) == 0.0);
        let range = Target {
            at_least: Some(3.0),
            at_most: Some(5.0),
            ..Target::default()
        };
        assert_eq!([range.off(2.0), range.off(4.0), range.off(7.0)], [-1.0, 0.0, 2.0]);
        let above = Target {
            above: Some(8.0),
            ..Target::default()
        };
        assert!(!above.met(8.0) && above.met(8.01));
        assert_eq!([least.said(), range.said(), above.said()], ["≥ 98", "3–5", "> 8"]);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let file = r#"
title_zh = "表"
title_en = "Table"
[[indicator]]
id = "Lit!"
title_zh = "亮灯率"
title_en = "Lit"
unit = "%"
basis_zh = "x"
basis_en = "x"
source = { text = "x", verified = false }
value = { components = { layer = "lamps", states = ["fine"], roads = ["sea"], values = ["true"] } }
per = { coverage = { rule = "parks" } }
[[indicator]]
id = "land"
title_zh = "绿地率"
title_en = "Green"
unit = "%"
basis_zh = "x"
basis_en = "x"
source = { text = "x", verified = false }
value = { land = { areas = "planet", kinds = ["green"] } }
"#;
        let faults = Table::parse("t", file).unwrap_err();
        let said: Vec<&str> = faults.iter().map(|f| f.en.as_str()).collect();
        for part in [
            "Lit!",
            "fine",
            "sea",
            "need an attribute",
            "cannot be a share",
            "planet",
            "either areas",
        ] {
            assert!(said.iter().any(|s| s.contains(part)), "{part}: {said:?}");
        }
        assert!(Table::parse("t", "title = 1").is_err());
    }
}
