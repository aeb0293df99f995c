//! Where one value of a row comes from: a column, a constant, a table of values.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::fold::{fold, plain};
use super::nearest::{hint, shown};
use super::record::{Column, Record};
use super::value::Reading;
use crate::domain::class::AttributeKind;
use crate::domain::delivery::{Reason, RowFault};
use crate::domain::text::{Fault, Text};
use crate::text;

/// Where one value comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pick {
    /// The source's column.
    pub column: Option<Column>,
    /// The same for every row.
    pub value: Option<String>,
    /// What each value of the column means.
    pub values: Option<BTreeMap<String, String>>,
    /// What a value that the table does not list, or an absent one, means; empty for none.
    pub default: Option<String>,
    /// What kind of attribute it is, where the class does not declare it.
    pub kind: Option<AttributeKind>,
    /// The dictionary of bare class codes, or the scheme of component codes.
    pub scheme: Option<String>,
    /// The column of each code's scheme, where a list has codes of several.
    pub scheme_column: Option<Column>,
    /// Whether an unknown party is created.
    pub create: bool,
    /// Whether a row without a code gets the next one of its district and class.
    pub assign: bool,
    /// The column of a party's code, beside that of its name.
    pub code: Option<Column>,
    /// The first and the last of the characters that count, from 1: digits 7 to 10 of a code are its class.
    pub part: Option<(usize, usize)>,
    /// How numbers and days are written.
    pub reading: Reading,
}

const KEYS: [&str; 14] = [
    "assign",
    "column",
    "value",
    "values",
    "default",
    "kind",
    "scheme",
    "create",
    "suffix",
    "scale",
    "format",
    "code",
    "part",
    "scheme_column",
];

impl Pick {
    /// Reads `"column name"` or a table. `at` is the place in the mapping.
    pub fn parse(value: &toml::Value, at: &str, faults: &mut Vec<Fault>) -> Pick {
        let mut pick = Pick::default();
        let table = match value {
            toml::Value::String(name) => {
                pick.column = Some(Column::named(name));
                return pick;
            }
            toml::Value::Table(table) => table,
            _ => {
                let detail = Text::new(
                    "应为列名或表，如 { column = \"…\" }",
                    "it should be a column name or a table such as { column = \"…\" }",
                );
                faults.push(Fault::new(at, detail));
                return pick;
            }
        };
        for (key, value) in table {
            let at = format!("{at}.{key}");
            match key.as_str() {
                "column" => pick.column = string(value, &at, faults).map(Column::named),
                "value" => pick.value = scalar(value, &at, faults),
                "default" => pick.default = scalar(value, &at, faults),
                "scheme_column" => pick.scheme_column = string(value, &at, faults).map(Column::named),
                "code" => pick.code = string(value, &at, faults).map(Column::named),
                "part" => {
                    let ends: Option<Vec<usize>> = value.as_array().and_then(|a| {
                        a.iter()
                            .map(|v| v.as_integer().and_then(|n| usize::try_from(n).ok()))
                            .collect()
                    });
                    pick.part = match ends.as_deref() {
                        Some(&[a, b]) if 1 <= a && a <= b => Some((a, b)),
                        _ => {
                            let detail = Text::new("应为 [首位, 末位]，从1起", "it should be [first, last], from 1");
                            faults.push(Fault::new(&at, detail));
                            None
                        }
                    };
                }
                "scheme" => pick.scheme = string(value, &at, faults),
                "suffix" => pick.reading.suffix = string(value, &at, faults),
                "format" => pick.reading.format = string(value, &at, faults),
                "values" => pick.values = table_of(value, &at, faults),
                "create" => pick.create = flag(value, &at, faults),
                "assign" => pick.assign = flag(value, &at, faults),
                "scale" => {
                    pick.reading.scale = value.as_float().or_else(|| value.as_integer().map(|n| n as f64));
                    if pick.reading.scale.is_none_or(|s| !s.is_finite() || s == 0.0) {
                        faults.push(Fault::new(
                            &at,
                            Text::new("应为非零数字", "it should be a number other than 0"),
                        ));
                    }
                }
                "kind" => {
                    let known = value
                        .as_str()
                        .and_then(|s| serde_json::from_value(serde_json::Value::from(s)).ok());
                    if known.is_none() {
                        let detail = Text::new(
                            "应为 text、integer、number、boolean、date、code 之一",
                            "it should be one of text, integer, number, boolean, date, code",
                        );
                        faults.push(Fault::new(&at, detail));
                    }
                    pick.kind = known;
                }
                other => faults.push(unknown(other, &at, &KEYS)),
            }
        }
        if pick.column.is_none() && pick.value.is_none() && pick.code.is_none() && !pick.assign {
            faults.push(Fault::new(
                at,
                Text::new("缺少 column 或 value", "column or value is missing"),
            ));
        }
        pick
    }

    /// The text of a row; none where it is absent or one of the words for it.
    pub fn get<'a>(&'a self, record: &'a Record, nulls: &[String]) -> Result<Option<Cow<'a, str>>, RowFault> {
        let filled = |s: &str| !s.is_empty() && !nulls.iter().any(|n| n == s);
        let default = || self.default.as_deref().filter(|s| !s.is_empty()).map(Cow::Borrowed);
        let found = self.column.as_ref().and_then(|c| record.get(c)).filter(|s| filled(s));
        let Some(found) = found else {
            return Ok(self.value.as_deref().map(Cow::Borrowed).or_else(default));
        };
        let found = match self.part {
            None => found,
            Some((from, to)) => match plain(&found)
                .chars()
                .skip(from - 1)
                .take(to + 1 - from)
                .collect::<String>()
            {
                part if part.chars().count() == to + 1 - from => Cow::Owned(part),
                _ => return Ok(default()),
            },
        };
        let Some(values) = &self.values else {
            return Ok(Some(found));
        };
        let folded = || {
            values
                .iter()
                .find(|(k, _)| fold(k) == fold(&found))
                .map(|(_, meant)| meant)
        };
        match values.get(found.as_ref()).or_else(folded) {
            Some(meant) if meant.is_empty() => Ok(None),
            Some(meant) => Ok(Some(Cow::Borrowed(meant))),
            None if self.default.is_some() => Ok(default()),
            None => {
                let known = values.keys().map(String::as_str);
                let found = shown(&found);
                let near = hint(&found, known.clone());
                let list = known.take(20).collect::<Vec<_>>().join(", ");
                let (zh, en) = (near.zh, near.en);
                let detail = text!(
                    "映射没有列出取值“{found}”{zh}",
                    "the mapping does not list the value \"{found}\"{en}"
                );
                Err(RowFault::new(
                    Reason::Value,
                    self.column_name(),
                    detail,
                    text!("其中之一：{list}", "one of {list}"),
                ))
            }
        }
    }

    /// The column's name, for a fault.
    pub fn column_name(&self) -> &str {
        self.column.as_ref().map_or("", |c| &c.name)
    }

    /// Every word that the mapping itself writes: constants, defaults and the meanings of values.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let table = self.values.iter().flat_map(|v| v.values());
        self.value
            .iter()
            .chain(&self.default)
            .chain(table)
            .map(String::as_str)
            .filter(|s| !s.is_empty())
    }
}

/// A text, or a fault.
pub fn string(value: &toml::Value, at: &str, faults: &mut Vec<Fault>) -> Option<String> {
    let text = value.as_str().map(str::to_owned);
    if text.is_none() {
        faults.push(Fault::new(at, Text::new("应为文本", "it should be text")));
    }
    text
}

fn flag(value: &toml::Value, at: &str, faults: &mut Vec<Fault>) -> bool {
    value.as_bool().unwrap_or_else(|| {
        let detail = Text::new("应为 true 或 false", "it should be true or false");
        faults.push(Fault::new(at, detail));
        false
    })
}

fn scalar(value: &toml::Value, at: &str, faults: &mut Vec<Fault>) -> Option<String> {
    match value {
        toml::Value::Integer(n) => Some(n.to_string()),
        toml::Value::Float(n) => Some(n.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        _ => string(value, at, faults),
    }
}

fn table_of(value: &toml::Value, at: &str, faults: &mut Vec<Fault>) -> Option<BTreeMap<String, String>> {
    let Some(table) = value.as_table() else {
        faults.push(Fault::new(
            at,
            Text::new("应为 原值 = 含义 的表", "it should be a table of value = meaning"),
        ));
        return None;
    };
    let entry =
        |(key, value): (&String, &toml::Value)| Some((key.clone(), scalar(value, &format!("{at}.{key}"), faults)?));
    Some(table.iter().filter_map(entry).collect())
}

/// The fault of a key that there is not.
pub fn unknown(key: &str, at: &str, known: &[&str]) -> Fault {
    let near = hint(key, known.iter().copied());
    let list = known.join(", ");
    let (zh, en) = (near.zh, near.en);
    Fault::new(
        at,
        text!(
            "没有“{key}”{zh}；可用：{list}",
            "there is no \"{key}\"{en}; known are {list}"
        ),
    )
}
