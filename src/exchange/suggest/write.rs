//! From what was found to a mapping that people read, correct and keep.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::content::{self, Facts};
use super::place::{self, Pair};
use super::{Guess, HEADINGS, SURE, Suggestion};
use crate::domain::class::{Attribute, AttributeKind, Class};
use crate::domain::code::{CJT214, GBT30428_2, LOCAL};
use crate::domain::text::Text;
use crate::exchange::fold::{fold, plain};
use crate::exchange::read::Table;
use crate::exchange::record::Column;
use crate::exchange::row::Known;
use crate::spatial::crs::Crs;

/// What was found so far.
pub(super) struct Draft<'a> {
    pub(super) table: &'a Table,
    pub(super) known: &'a Known,
    pub(super) stem: &'a str,
    /// The class of every row, as people have decided.
    pub(super) class: Option<&'a str>,
    pub(super) columns: &'a [Column],
    pub(super) values: &'a [Vec<String>],
    /// Column, confidence and reason of each field.
    pub(super) fields: BTreeMap<&'a str, (usize, f64, Text)>,
}

/// A basic TOML string, which escapes as JSON does.
pub(super) fn quoted(s: &str) -> String {
    serde_json::Value::from(s).to_string().replace('\u{7f}', "\\u007f")
}

impl Draft<'_> {
    pub(super) fn finish(mut self, facts: &Facts<'_>) -> Suggestion {
        let mut guesses: Vec<Guess> = self
            .columns
            .iter()
            .zip(self.values)
            .map(|(c, v)| Guess {
                column: c.name.clone(),
                field: None,
                confidence: 0.0,
                why: Text::new("作为属性保留", "kept as an attribute"),
                example: v.first().cloned().unwrap_or_default(),
            })
            .collect();
        let mut open = Vec::new();
        let mut top = vec![format!("source = {}", quoted(&source(self.stem)))];
        self.class(facts, &mut top, &mut open, &mut guesses);
        self.code_and_key(&mut top, &mut guesses);
        self.place(&mut top, &mut open, &mut guesses);
        for role in ["authority", "owner", "maintainer"] {
            self.party(role, &mut top, &mut guesses);
        }
        if let Some((i, sure, why)) = self.fields.remove("state") {
            let words = HEADINGS
                .state
                .iter()
                .map(|(word, meant)| format!("{} = {}", quoted(word), quoted(meant)));
            let own = crate::domain::word::State::ALL.iter().flat_map(|s| {
                use crate::domain::text::Lang;
                [s.key(), s.name(Lang::Zh), s.name(Lang::En)].map(|w| format!("{} = {}", quoted(w), quoted(s.key())))
            });
            let table: BTreeSet<String> = words.chain(own).collect();
            let table: Vec<String> = table.into_iter().collect();
            let line = format!(
                "state = {{ column = {}, values = {{ {} }} }}",
                quoted(&self.columns[i].name),
                table.join(", ")
            );
            mark(&mut top, &mut guesses[i], line, "state", sure, why);
        }
        top.push("keep_rest = true".to_owned());
        let mut fields = Vec::new();
        for field in [
            "name",
            "address",
            "note",
            "surveyed_on",
            "changed_on",
            "cell",
            "road",
            "property_kind",
            "management_kind",
            "accuracy",
        ] {
            if let Some((i, sure, why)) = self.fields.remove(field) {
                let line = format!("{field} = {}", quoted(&self.columns[i].name));
                mark(&mut fields, &mut guesses[i], line, field, sure, why);
            }
        }
        fields.extend(self.code_line(&mut guesses));
        let attributes = self.attributes(facts, &mut guesses);
        let mut toml = String::new();
        for line in &top {
            let _ = writeln!(toml, "{line}");
        }
        for (name, lines) in [("fields", fields), ("attributes", attributes)] {
            if !lines.is_empty() {
                let _ = writeln!(toml, "\n[{name}]\n{}", lines.join("\n"));
            }
        }
        Suggestion {
            columns: guesses,
            toml,
            open,
        }
    }

    /// The class: of a column of class names, or of the digits of the code.
    fn class(&mut self, facts: &Facts<'_>, top: &mut Vec<String>, open: &mut Vec<Text>, guesses: &mut [Guess]) {
        if let Some(class) = self.class {
            self.fields.remove("class");
            top.push(format!(
                "class = {{ value = {}, scheme = \"{CJT214}\" }}  # 1.00",
                quoted(class)
            ));
            return;
        }
        let all_classes = |i: usize| content::agrees("class", &self.values[i], facts).is_some_and(|s| s >= 0.8);
        let by_name = self.fields.get("name").filter(|(i, ..)| all_classes(*i)).cloned();
        if let Some(found) = self.fields.remove("class").or(by_name) {
            let (i, sure, why) = found;
            // In practice the name of a component is that of its class, and says nothing more.
            if self
                .fields
                .get("name")
                .is_some_and(|(n, ..)| *n == i || all_classes(*n))
                && let Some((n, sure, why)) = self.fields.remove("name")
                && n != i
            {
                guesses[n] = Guess {
                    field: Some("class".to_owned()),
                    confidence: sure,
                    why,
                    ..guesses[n].clone()
                };
            }
            let line = format!(
                "class = {{ column = {}, scheme = \"{CJT214}\" }}",
                quoted(&self.columns[i].name)
            );
            mark(top, &mut guesses[i], line, "class", sure, why);
        } else if let Some((i, sure, _)) = self.fields.get("code")
            && self.scheme(*i) == CJT214
        {
            let line = format!(
                "class = {{ column = {}, part = [7, 10], scheme = \"{CJT214}\" }}",
                quoted(&self.columns[*i].name)
            );
            top.push(format!("{line}  # {sure:.2}"));
        } else {
            open.push(Text::new(
                "没有一列是小类；请在映射的 [class] 中写明",
                "no column is the class; state it under [class] in the mapping",
            ));
        }
    }

    /// The scheme of the codes in a column.
    fn scheme(&self, column: usize) -> &'static str {
        let codes: Vec<_> = self.values[column]
            .iter()
            .map(|v| plain(v).into_owned())
            .filter(|c| c.len() == 16)
            .collect();
        if codes.len() * 2 < self.values[column].iter().filter(|v| !v.contains(['E', 'e'])).count() {
            return LOCAL;
        }
        let known = |c: &&String| {
            let class = c.get(6..10).unwrap_or_default();
            self.known.classes.iter().any(|k| k.scheme == CJT214 && k.code == class)
        };
        if codes.iter().filter(known).count() * 10 >= codes.len() * 8 {
            CJT214
        } else {
            GBT30428_2
        }
    }

    fn code_and_key(&self, top: &mut Vec<String>, guesses: &mut [Guess]) {
        if let Some((i, ..)) = self.fields.get("code") {
            top.push(format!("scheme = \"{}\"", self.scheme(*i)));
            top.push(format!("key = {}", quoted(&self.columns[*i].name)));
            return;
        }
        let distinct = |i: usize| {
            let all: BTreeSet<&String> = self.values[i].iter().collect();
            all.len() == self.values[i].len() && all.len() == self.table.sample.len()
        };
        if let Some((i, sure, why)) = self.fields.get("id").filter(|(i, ..)| distinct(*i)) {
            mark(
                top,
                &mut guesses[*i],
                format!("key = {}", quoted(&self.columns[*i].name)),
                "key",
                *sure,
                why.clone(),
            );
        }
    }

    fn code_line(&mut self, guesses: &mut [Guess]) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some((i, sure, why)) = self.fields.remove("code") {
            let line = format!("code = {}", quoted(&self.columns[i].name));
            mark(&mut lines, &mut guesses[i], line, "code", sure, why);
        }
        lines
    }

    fn place(&self, top: &mut Vec<String>, open: &mut Vec<Text>, guesses: &mut [Guess]) {
        let at = |field: &str| self.fields.get(field).map(|(i, sure, _)| (*i, *sure));
        let ground = &self.known.ground;
        let stated = self.table.crs.as_deref().and_then(|c| Crs::of_file(c).ok());
        let sample = &self.table.sample;
        let shapes = self.table.format.has_shapes() && sample.iter().any(|r| r.has_shape());
        let pair = match (at("east"), at("north"), at("x"), at("y")) {
            (Some(e), Some(n), ..) | (_, _, Some(e), Some(n)) => Some((Pair { east: e.0, north: n.0 }, e.1.min(n.1))),
            _ => None,
        };
        let found = if shapes {
            place::shapes(sample, ground, stated)
        } else if let Some((pair, sure)) = pair {
            let mut found = place::columns(&pair, self.columns, sample, ground, stated);
            found.confidence = found.confidence.min(sure);
            found
        } else if let Some((i, sure)) = at("wkt") {
            let line = format!("wkt = {}", quoted(&self.columns[i].name));
            mark(
                top,
                &mut guesses[i],
                line,
                "wkt",
                sure,
                Text::new("内容为 WKT", "its values are WKT"),
            );
            return;
        } else {
            open.push(Text::new(
                "没有找到坐标列；请在映射中写明 x 与 y，或 wkt",
                "no columns of coordinates were found; state x and y, or wkt, in the mapping",
            ));
            return;
        };
        for (i, field) in &found.columns {
            guesses[*i] = Guess {
                field: Some((*field).to_owned()),
                confidence: found.confidence,
                why: Text::new("标题与数值大小", "by heading and size"),
                ..guesses[*i].clone()
            };
        }
        top.extend(found.lines.iter().map(|l| format!("{l}  # {:.2}", found.confidence)));
        open.extend(found.open);
    }

    fn party(&mut self, role: &str, top: &mut Vec<String>, guesses: &mut [Guess]) {
        let name = self.fields.remove(role);
        let code = self.fields.remove(format!("{role}_code").as_str());
        let mut parts = Vec::new();
        let mut sure: f64 = 1.0;
        for (key, found) in [("column", &name), ("code", &code)] {
            if let Some((i, own, why)) = found {
                parts.push(format!("{key} = {}", quoted(&self.columns[*i].name)));
                sure = sure.min(*own);
                guesses[*i] = Guess {
                    field: Some(role.to_owned()),
                    confidence: *own,
                    why: why.clone(),
                    ..guesses[*i].clone()
                };
            }
        }
        if !parts.is_empty() {
            top.push(format!("{role} = {{ {} }}  # {sure:.2}", parts.join(", ")));
        }
    }

    /// Columns that are called as an attribute of one of the file's classes is.
    fn attributes(&mut self, facts: &Facts<'_>, guesses: &mut [Guess]) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some((i, sure, why)) = self.fields.remove("data_source") {
            let line = format!("data_source = {}", quoted(&self.columns[i].name));
            mark(&mut lines, &mut guesses[i], line, "attributes.data_source", sure, why);
        }
        let words: BTreeSet<String> = guesses
            .iter()
            .zip(self.values)
            .filter(|(g, _)| g.field.as_deref() == Some("class"))
            .flat_map(|(_, values)| values.iter().map(|v| fold(v)))
            .collect();
        let own = |c: &&Class| {
            [&c.name_zh, &c.name_en, &c.code]
                .iter()
                .any(|w| words.contains(&fold(w)))
        };
        let mut declared: BTreeMap<&str, &Attribute> = BTreeMap::new();
        for class in facts.known.classes.iter().filter(own) {
            declared.extend(class.attributes.iter().map(|a| (a.name.as_str(), a)));
        }
        for (i, guess) in guesses.iter_mut().enumerate().filter(|(_, g)| g.field.is_none()) {
            let column = &self.columns[i].name;
            let Some((name, attribute)) = declared
                .iter()
                .find(|(_, a)| [&a.name, &a.zh, &a.en].iter().any(|w| fold(w) == fold(column)))
            else {
                continue;
            };
            let pick = match attribute.kind {
                AttributeKind::Code => {
                    let codes: BTreeMap<&str, &str> = attribute
                        .codes
                        .iter()
                        .flat_map(|c| [&c.code, &c.zh, &c.en].map(|w| (w.as_str(), c.code.as_str())))
                        .collect();
                    let table: Vec<String> = codes
                        .iter()
                        .map(|(w, c)| format!("{} = {}", quoted(w), quoted(c)))
                        .collect();
                    format!("{{ column = {}, values = {{ {} }} }}", quoted(column), table.join(", "))
                }
                _ => quoted(column),
            };
            let line = format!("{name} = {pick}");
            let field = format!("attributes.{name}");
            mark(
                &mut lines,
                guess,
                line,
                &field,
                0.9,
                Text::new("标题为所申报的属性", "the heading is a declared attribute"),
            );
        }
        lines
    }
}

/// A line with its confidence, and the column that it stands for.
fn mark(lines: &mut Vec<String>, guess: &mut Guess, line: String, field: &str, sure: f64, why: Text) {
    // What is not sure is proposed, but not used.
    let off = if sure < SURE { "# " } else { "" };
    lines.push(format!("{off}{line}  # {sure:.2}"));
    *guess = Guess {
        field: Some(field.to_owned()),
        confidence: sure,
        why,
        ..guess.clone()
    };
}

/// The name of the source: that of the file without what changes from one delivery to the next.
fn source(stem: &str) -> String {
    let bare = stem.split('.').next().unwrap_or_default();
    let words: Vec<&str> = bare
        .split(|c: char| c.is_ascii_digit() || matches!(c, '-' | '_' | ' ' | '(' | ')' | '（' | '）'))
        .filter(|w| !w.is_empty() && !matches!(*w, "年" | "月" | "日" | "v" | "V" | "reject" | "最新" | "终稿"))
        .collect();
    if words.is_empty() {
        bare.to_owned()
    } else {
        words.join("-")
    }
}
