//! Proposing a mapping: what each column is by its heading and by what stands in it, and how sure that is.

mod content;
mod place;
mod write;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::fold::fold;
use super::parties::Parties;
use super::read::Table;
use super::record::Column;
use super::row::Known;
use crate::domain::text::{Fault, Lang, Text};
use crate::error::{Error, Result};
use crate::text;

/// Below this a column is left to people.
pub const SURE: f64 = 0.6;

/// What is known of headings.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Headings {
    headings: BTreeMap<String, Vec<String>>,
    state: BTreeMap<String, String>,
}

/// The bundled list; a fault in it is found by a test.
static HEADINGS: LazyLock<Headings> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../fixtures/headings.toml")).unwrap_or_else(|_| Headings {
        headings: BTreeMap::new(),
        state: BTreeMap::new(),
    })
});

/// One column and what it seems to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    /// Its heading.
    pub column: String,
    /// What it fills; an attribute as `attributes.wattage`, nothing for one that is only kept.
    pub field: Option<String>,
    /// 0 to 1.
    pub confidence: f64,
    /// What speaks for it.
    pub why: Text,
    /// The first value.
    pub example: String,
}

/// What people have decided already.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Choices {
    /// What a column is: a field such as `owner`, or nothing for one that is only kept.
    pub columns: BTreeMap<String, String>,
    /// The class of every row, where no column says it: `CJT214-2007/0118`, a code or a name.
    pub class: Option<String>,
}

impl Choices {
    /// Every column and field that does not exist, named with those that do.
    fn faults(&self, header: &[String]) -> Vec<Fault> {
        let known: Vec<&str> = HEADINGS.headings.keys().map(String::as_str).collect();
        let mut faults = Vec::new();
        for (column, field) in &self.columns {
            if !header.contains(column) {
                let detail = text!("文件没有列“{column}”", "the file has no column \"{column}\"");
                faults.push(Fault::new("columns", detail));
            }
            if !field.is_empty() && !known.contains(&field.as_str()) {
                let known = known.join(", ");
                let detail = text!(
                    "没有字段“{field}”；可为 {known}",
                    "there is no field \"{field}\"; there are {known}"
                );
                faults.push(Fault::new(column, detail));
            }
        }
        faults
    }
}

/// A proposed mapping.
#[derive(Clone, Debug)]
pub struct Suggestion {
    /// Every column in its order.
    pub columns: Vec<Guess>,
    /// The mapping, with the confidence of each line as a comment.
    pub toml: String,
    /// What people must decide before it can be used.
    pub open: Vec<Text>,
}

impl Suggestion {
    /// A line for each column: how sure, what it is, what it becomes, why.
    pub fn table(&self, lang: Lang) -> String {
        let wide = |s: &str| s.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>();
        let width = self.columns.iter().map(|g| wide(&g.column)).max().unwrap_or_default();
        let mut out = String::new();
        for g in &self.columns {
            let pad = " ".repeat(width - wide(&g.column));
            let sure = if g.field.is_some() {
                format!("{:3.0} %", g.confidence * 100.0)
            } else {
                "     ".into()
            };
            let field = g.field.as_deref().unwrap_or("-");
            let example: String = g.example.chars().take(24).collect();
            let why = g.why.get(lang);
            out += &format!("  {sure}  {}{pad}  → {field:<22} {why}  [{example}]\n", g.column);
        }
        out
    }
}

/// How much a heading says for a field, and why; nothing where it does not speak for it.
fn heading(column: &str, field: &str) -> Option<(f64, Text)> {
    let known = HEADINGS.headings.get(field).map_or(&[][..], Vec::as_slice);
    // What stands in brackets explains: 经度（度）, 标识码(必填).
    let bare = column
        .split(['(', '（', '[', '【', '*'])
        .find(|s| !s.trim().is_empty())
        .unwrap_or(column);
    let own = fold(bare);
    let mut best: Option<(f64, Text)> = None;
    for name in known {
        let name_folded = fold(name);
        let found = if own == name_folded {
            (0.8, text!("标题即“{name}”", "the heading is \"{name}\""))
        } else if truncated(&own, &name_folded) {
            (
                0.7,
                text!(
                    "标题为“{name}”的前十个字节",
                    "the heading is the first ten bytes of \"{name}\""
                ),
            )
        } else if own.chars().count() > 2 && name_folded.chars().count() > 1 && own.contains(&name_folded) {
            (0.5, text!("标题含“{name}”", "the heading contains \"{name}\""))
        } else {
            continue;
        };
        if !own.is_empty() && best.as_ref().is_none_or(|(score, _)| found.0 > *score) {
            best = Some(found);
        }
    }
    best
}

/// Whether a heading is what a .dbf leaves of a name: its first ten bytes in either encoding.
fn truncated(own: &str, name: &str) -> bool {
    let gb = |s: &str| encoding_rs::GB18030.encode(s).0.len();
    let whole = name.starts_with(own) && own.len() < name.len();
    whole && ((8..=10).contains(&own.len()) || (9..=10).contains(&gb(own)))
}

/// Proposes a mapping for a file. `stem` names the source. Looks at the first rows only: some milliseconds.
pub fn suggest(table: &Table, known: &Known, stem: &str, choices: &Choices) -> Result<Suggestion> {
    let faults = choices.faults(&table.header);
    if !faults.is_empty() {
        return Err(Error::Syntax(faults));
    }
    let parties = Parties::new(known.parties.clone());
    let columns: Vec<Column> = table.columns().collect();
    let values: Vec<Vec<String>> = columns
        .iter()
        .map(|c| {
            let own = table.sample.iter().filter_map(|r| r.get(c));
            own.filter(|s| !s.is_empty()).map(|s| s.into_owned()).collect()
        })
        .collect();
    let facts = content::Facts::new(known, &parties);
    let mut scored: Vec<(f64, usize, &str, Text)> = Vec::new();
    for field in HEADINGS.headings.keys() {
        for (i, column) in columns.iter().enumerate() {
            if let Some(chosen) = choices.columns.get(&column.name) {
                if chosen == field {
                    // Above whatever a heading says.
                    scored.push((2.0, i, field, Text::new("由人选定", "chosen by people")));
                }
                continue;
            }
            // A heading that its values contradict says nothing; values that can be nothing else need no heading.
            let (score, why) = match (heading(&column.name, field), content::agrees(field, &values[i], &facts)) {
                (Some((h, why)), Some(share)) if share >= 0.5 => {
                    let (zh, en) = (why.zh, why.en);
                    (h + 0.2 * share, text!("{zh}，内容相符", "{en}, and its values agree"))
                }
                (Some((h, why)), None) => (h * 0.8, why),
                (None, Some(share)) if content::distinctive(field) && share >= 0.95 => {
                    (SURE + 0.05, Text::new("仅据内容", "by its values alone"))
                }
                _ => continue,
            };
            scored.push((score, i, field, why));
        }
    }
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(b.2)));
    let mut fields: BTreeMap<&str, (usize, f64, Text)> = BTreeMap::new();
    let mut taken = vec![None; columns.len()];
    for (score, i, field, why) in scored {
        if taken[i].is_none() && !fields.contains_key(field) {
            taken[i] = Some(field);
            fields.insert(field, (i, score.min(1.0), why));
        }
    }
    let draft = write::Draft {
        table,
        known,
        stem,
        class: choices.class.as_deref(),
        columns: &columns,
        values: &values,
        fields,
    };
    Ok(draft.finish(&facts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(column: &str) -> Vec<&'static str> {
        let known = HEADINGS.headings.keys().map(String::as_str);
        known
            .filter(|f| heading(column, f).is_some_and(|(score, _)| score >= 0.7))
            .collect()
    }

    #[test]
    fn national_fields_their_ten_byte_forms_and_usual_headings_are_known() {
        assert!(HEADINGS.headings.len() > 20 && HEADINGS.state.len() > 10);
        for (column, field) in [
            ("ObjID", "code"),
            ("OBJCODE", "code"),
            ("標識碼", "code"),
            ("标识码（16位）", "code"),
            ("DeptName2", "owner"),
            ("产权单位", "owner"),
            ("权属单位", "owner"),
            ("BGID", "cell"),
            ("所在单元网", "cell"),
            ("DATASOURCE", "data_source"),
            ("ＯＲＤａｔｅ", "surveyed_on"),
            ("备 注", "note"),
            ("經度", "east"),
        ] {
            assert_eq!(fields(column), [field], "{column}");
        }
        assert_eq!(fields("风向"), Vec::<&str>::new());
    }

    #[test]
    fn no_heading_stands_under_two_fields() {
        let mut seen = BTreeMap::new();
        for (field, names) in &HEADINGS.headings {
            for name in names {
                assert_eq!(seen.insert(fold(name), field), None, "{name}");
            }
        }
    }
}
