//! Whether the values of a column are what a field has.

use std::collections::HashSet;

use super::super::fold::{fold, plain};
use super::super::parties::Parties;
use super::super::row::Known;
use super::super::value::{angle, date};
use super::HEADINGS;
use crate::domain::word::{Accuracy, ManagementKind, PropertyKind, State};

/// What values are compared with.
pub(super) struct Facts<'a> {
    pub(super) known: &'a Known,
    parties: &'a Parties,
    /// Folded names and codes of classes.
    classes: HashSet<String>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(known: &'a Known, parties: &'a Parties) -> Facts<'a> {
        let words = known.classes.iter().flat_map(|c| [&c.name_zh, &c.name_en, &c.code]);
        Facts {
            known,
            parties,
            classes: words.map(|w| fold(w)).collect(),
        }
    }

    pub(super) fn is_class(&self, word: &str) -> bool {
        self.classes.contains(&fold(word))
    }
}

/// Fields whose values are like no other's.
pub(super) fn distinctive(field: &str) -> bool {
    matches!(field, "code" | "class" | "state" | "wkt")
}

pub(super) fn is_state(word: &str) -> bool {
    let own = fold(word);
    State::parse(word).is_ok() || State::parse(&own).is_ok() || HEADINGS.state.contains_key(&own)
}

/// Sixteen digits, or what a spreadsheet has made of them.
pub(super) fn is_code(word: &str) -> bool {
    let own = plain(word);
    let digits = own.bytes().filter(u8::is_ascii_digit).count();
    let only = own
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'+' | b'E' | b'e'));
    only && (digits == 16 && own.len() == 16
        || own.contains("E+1")
        || own.contains("e+1")
        || own.len() == 18 && own.ends_with(".0"))
}

/// The share of values that fit; none where values say nothing about the field, or there are none.
pub(super) fn agrees(field: &str, values: &[String], facts: &Facts<'_>) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let share = |fits: &dyn Fn(&str) -> bool| values.iter().filter(|v| fits(v)).count() as f64 / values.len() as f64;
    let parsed = |ok: &dyn Fn(&str) -> bool| Some(share(&|v| ok(v) || ok(&fold(v))));
    match field {
        "code" => match share(&is_code) {
            // A city's own codes: hardly any twice, and no sentence.
            0.0 => {
                let distinct: HashSet<&String> = values.iter().collect();
                let sentence = share(&|v| v.chars().any(char::is_whitespace) || v.chars().count() > 64);
                Some(if sentence == 0.0 {
                    0.8 * distinct.len() as f64 / values.len() as f64
                } else {
                    0.0
                })
            }
            share => Some(share),
        },
        "class" => Some(share(&|v| facts.is_class(v))),
        "state" => Some(share(&is_state)),
        "authority" | "owner" | "maintainer" => Some(share(&|v| facts.parties.knows(v))).filter(|s| *s >= 0.5),
        "cell" => {
            let numbers = share(&|v| matches!(plain(v).len(), 14 | 15) && plain(v).bytes().all(|b| b.is_ascii_digit()));
            Some(numbers).filter(|s| *s >= 0.5)
        }
        "surveyed_on" | "changed_on" => Some(share(&|v| date(v, None).is_some())),
        "east" | "north" | "x" | "y" => Some(share(&|v| angle(v).is_some())),
        "property_kind" => parsed(&|v| PropertyKind::parse(v).is_ok()),
        "management_kind" => parsed(&|v| ManagementKind::parse(v).is_ok()),
        "accuracy" => parsed(&|v| Accuracy::parse(v).is_ok()),
        "wkt" => Some(share(&|v| {
            let upper = v.trim_start().to_ascii_uppercase();
            ["POINT", "LINESTRING", "POLYGON", "MULTI"]
                .iter()
                .any(|w| upper.starts_with(w))
                && upper.contains('(')
        })),
        _ => None,
    }
}
