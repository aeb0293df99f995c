//! Rules of coverage: what serves which land from how far, and how much of it shall be served. Each is a file.

use serde::{Deserialize, Serialize};

use super::text::{Lang, Text};
use super::word::{AreaLevel, State};
use crate::text;

/// The farthest that a rule may reach, in metres.
pub const MAX_RADIUS: f64 = 20_000.0;

/// Where a number comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A standard with its clause, or a plan.
    pub text: String,
    /// Whether somebody has seen it there. What is not verified is never shown as the standard's.
    pub verified: bool,
}

/// How far a facility of some size reaches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// For facilities of at least this area in square metres; 0 for all.
    #[serde(default)]
    pub at_least_m2: f64,
    /// Metres.
    pub metres: f64,
    /// Where the number comes from.
    pub source: Source,
}

/// Land whose covered share is a rate: a denominator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denominator {
    /// Its name in URLs.
    pub key: String,
    /// 中文名.
    pub title_zh: String,
    /// English title.
    pub title_en: String,
    /// Kinds of land; any if none is given.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// What land-use codes begin with, such as `R` or `0701`; any if none is given.
    #[serde(default)]
    pub codes: Vec<String>,
    /// All land of the areas of a level instead.
    #[serde(default)]
    pub areas: Option<String>,
}

impl Denominator {
    /// The title in a language.
    pub fn title(&self, lang: Lang) -> &str {
        lang.pick(&self.title_zh, &self.title_en)
    }

    /// Whether land of a kind and a code belongs to it.
    pub fn holds(&self, kind: &str, code: Option<&str>) -> bool {
        let of_kind = self.kinds.is_empty() || self.kinds.iter().any(|k| k == kind);
        let of_code = self.codes.is_empty() || code.is_some_and(|code| self.codes.iter().any(|c| code.starts_with(c)));
        of_kind && of_code
    }

    /// The level of the areas that it is all land of.
    pub fn level(&self) -> Option<AreaLevel> {
        self.areas.as_deref().and_then(|level| AreaLevel::parse(level).ok())
    }
}

/// A rate that somebody asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Per cent of the first denominator's area.
    pub rate: f64,
    /// Whether it must be more than that, and not only as much.
    #[serde(default)]
    pub above: bool,
    /// Who asks for it.
    pub source: Source,
}

impl Wanted {
    /// Whether a share from 0 to 1 is enough.
    pub fn met(&self, share: f64) -> bool {
        let rate = self.rate / 100.0;
        share > rate || !self.above && share >= rate
    }
}

/// Where a distance is measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// The outline of a polygon, a line, or the point.
    Boundary,
    /// The point that stands for it.
    Point,
    /// Its entrances, where any are known; else as from the boundary.
    Entrance,
}

/// What the entrances of a rule's facilities are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entrances {
    /// The layer whose components they are.
    pub layer: String,
    /// Which of them, as CQL2 text.
    #[serde(default)]
    pub filter: Option<String>,
    /// Metres from a facility's boundary within which they are its own.
    pub within: f64,
}

/// A rule as its file says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
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
    /// The layer whose components serve.
    pub layer: String,
    /// Which of them, as CQL2 text; all if none is given.
    #[serde(default)]
    pub filter: Option<String>,
    /// The states that count.
    pub states: Vec<String>,
    /// Where the radius is measured from.
    pub measured_from: From,
    /// What its entrances are.
    #[serde(default)]
    pub entrances: Option<Entrances>,
    /// Blind spots of fewer square metres are counted and not listed.
    #[serde(default = "least")]
    pub least_blind_m2: f64,
    /// How far they reach, by size.
    #[serde(rename = "radius")]
    pub tiers: Vec<Tier>,
    /// What is to be served; the first is the one that rates are asked of.
    #[serde(rename = "denominator")]
    pub denominators: Vec<Denominator>,
    /// The rates asked for.
    #[serde(default)]
    pub wanted: Vec<Wanted>,
    /// What else is to be known of it.
    #[serde(default)]
    pub note_zh: Option<String>,
    /// The same in English.
    #[serde(default)]
    pub note_en: Option<String>,
}

fn least() -> f64 {
    100.0
}

impl Rule {
    /// Reads a file: every fault at once, one sentence each.
    pub fn parse(id: &str, file: &str) -> Result<Rule, Vec<Text>> {
        let bad = |e: toml::de::Error| vec![Text::new(e.to_string(), e.to_string())];
        let rule: Rule = toml::from_str(file).map_err(bad)?;
        let rule = Rule {
            id: id.to_owned(),
            ..rule
        };
        let faults = rule.faults();
        if faults.is_empty() { Ok(rule) } else { Err(faults) }
    }

    fn faults(&self) -> Vec<Text> {
        let mut faults = Vec::new();
        let plain = |s: &str| {
            !s.is_empty()
                && s.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if !plain(&self.id) || self.id.len() > 40 {
            let id = &self.id;
            faults.push(text!(
                "规则名“{id}”应由至多40个小写字母、数字和连字符组成",
                "the name \"{id}\" should be at most 40 lower-case letters, digits and hyphens"
            ));
        }
        for state in &self.states {
            faults.extend(State::parse(state).err());
        }
        if self.entrances.is_some() != (self.measured_from == From::Entrance) {
            faults.push(Text::new(
                "measured_from = \"entrance\" 与 [entrances] 须同时给出",
                "measured_from = \"entrance\" and [entrances] go together",
            ));
        }
        if self
            .entrances
            .as_ref()
            .is_some_and(|e| !(0.0..=500.0).contains(&e.within))
        {
            faults.push(Text::new(
                "entrances.within 应为0至500米",
                "entrances.within should be 0 to 500 metres",
            ));
        }
        if self.tiers.is_empty() {
            faults.push(Text::new(
                "至少要有一个 [[radius]]",
                "there should be a [[radius]] at least",
            ));
        }
        for tier in &self.tiers {
            let metres = tier.metres;
            if !(metres > 0.0 && metres <= MAX_RADIUS) {
                faults.push(text!(
                    "半径 {metres} 应大于 0 且不超过 {MAX_RADIUS} 米",
                    "the radius {metres} should be above 0 and at most {MAX_RADIUS} metres"
                ));
            }
        }
        if self.denominators.is_empty() {
            faults.push(Text::new(
                "至少要有一个 [[denominator]]",
                "there should be a [[denominator]] at least",
            ));
        }
        for (i, d) in self.denominators.iter().enumerate() {
            let key = &d.key;
            if !plain(key) || self.denominators[..i].iter().any(|other| other.key == *key) {
                faults.push(text!(
                    "分母“{key}”应有各不相同的小写名称",
                    "the denominator \"{key}\" should have a lower-case name of its own"
                ));
            }
            if let Some(level) = &d.areas {
                faults.extend(AreaLevel::parse(level).err());
            }
            if d.areas.is_some() != (d.kinds.is_empty() && d.codes.is_empty()) {
                faults.push(text!(
                    "分母“{key}”应给出 areas，或 kinds、codes",
                    "the denominator \"{key}\" should have either areas, or kinds or codes"
                ));
            }
        }
        for wanted in &self.wanted {
            let rate = wanted.rate;
            if !(0.0..=100.0).contains(&rate) {
                faults.push(text!(
                    "目标 {rate} 应为 0 至 100",
                    "the rate {rate} should be 0 to 100 per cent"
                ));
            }
        }
        faults
    }

    /// The title in a language.
    pub fn title(&self, lang: Lang) -> &str {
        lang.pick(&self.title_zh, &self.title_en)
    }

    /// The states that count, each once, in their own order.
    pub fn counted(&self) -> Vec<State> {
        let mut states: Vec<State> = self.states.iter().filter_map(|s| State::parse(s).ok()).collect();
        // In one order, so that the same question is known as the same.
        states.sort_unstable_by_key(|s| *s as u8);
        states.dedup();
        states
    }

    /// How far a facility of some square metres reaches, in metres; none if it is too small to count.
    pub fn reach(&self, area: f64) -> Option<f64> {
        let of_size = self.tiers.iter().filter(|t| area >= t.at_least_m2);
        let largest = of_size.max_by(|a, b| a.at_least_m2.total_cmp(&b.at_least_m2));
        largest.map(|t| t.metres)
    }

    /// The farthest that anything reaches, in metres.
    pub fn farthest(&self) -> f64 {
        self.tiers.iter().map(|t| t.metres).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
title_zh = "公园"
title_en = "Parks"
layer = "parks"
states = ["intact"]
measured_from = "boundary"
radius = [
  { at_least_m2 = 1000, metres = 300, source = { text = "x", verified = false } },
  { at_least_m2 = 5000, metres = 500, source = { text = "x", verified = false } },
]
[[denominator]]
key = "residential"
title_zh = "居住用地"
title_en = "Residential land"
kinds = ["residential"]
codes = ["R", "0701"]
[[wanted]]
rate = 80
above = true
source = { text = "GB 55014-2021 2.1.3", verified = true }
"#;

    #[test]
    fn the_radius_is_that_of_the_largest_size_reached_and_a_rate_may_have_to_be_passed() {
        let rule = Rule::parse("parks", FILE).unwrap();
        let reach: Vec<_> = [999.0, 1000.0, 4999.9, 5000.0, 9e9].map(|a| rule.reach(a)).into();
        assert_eq!(reach, [None, Some(300.0), Some(300.0), Some(500.0), Some(500.0)]);
        let wanted = &rule.wanted[0];
        assert!(!wanted.met(0.8) && wanted.met(0.8001));
        let homes = &rule.denominators[0];
        assert!(homes.holds("residential", Some("R2")) && !homes.holds("residential", Some("0702")));
        assert!(!homes.holds("residential", None) && !homes.holds("public", Some("R2")));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let file = FILE
            .replace("\"intact\"", "\"fine\"")
            .replace("metres = 300", "metres = 0")
            .replace("rate = 80", "rate = 180")
            .replace("kinds = [\"residential\"]", "areas = \"planet\"");
        let faults = Rule::parse("Parks!", &file).unwrap_err();
        let said: Vec<&str> = faults.iter().map(|f| f.en.as_str()).collect();
        for part in ["Parks!", "fine", "radius 0", "planet", "either areas", "180"] {
            assert!(said.iter().any(|s| s.contains(part)), "{part}: {said:?}");
        }
        assert!(Rule::parse("parks", "title = 1").is_err());
    }
}
