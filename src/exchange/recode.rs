//! The file of a change of districts: which area codes become which, and what areas are called from then on.

use std::path::Path;

use super::read::{Hints, Table};
use super::record::{Column, Record};
use crate::domain::area::Recode;
use crate::domain::text::{Fault, Text};
use crate::error::{Error, Result};
use crate::text;

/// What each column may be called.
const HEADINGS: [[&str; 3]; 3] = [
    ["old", "旧代码", "原代码"],
    ["new", "新代码", "现代码"],
    ["name", "名称", "新名称"],
];

/// Reads the rules of any file that can be delivered; every fault at once.
pub fn read(path: &Path) -> Result<Vec<Recode>> {
    let table = Table::open(path, Hints::default())?;
    let [Some(old), Some(new), name] = HEADINGS.map(|names| table.column(&names)) else {
        let detail = Text::new(
            "应有列 old（旧代码）、new（新代码），可有 name（名称）",
            "it should have the columns old and new, and may have name",
        );
        return Err(Error::syntax("file", detail));
    };
    let (mut rules, mut faults): (Vec<Recode>, Vec<Fault>) = (Vec::new(), Vec::new());
    table.rows(&mut |row| {
        match row {
            Ok(record) => {
                let text = |column: &Column| record.get(column).unwrap_or_default().trim().to_owned();
                let rule = Recode {
                    old: text(&old),
                    new: text(&new),
                    name: name.as_ref().map(text).filter(|n| !n.is_empty()),
                };
                faults.extend(check(&rule, &record, &rules));
                rules.push(rule);
            }
            Err(bad) => faults.push(Fault::new(format!("row {}", bad.0.row), bad.1.detail)),
        }
        true
    })?;
    for rule in &rules {
        if let Some(next) = rules
            .iter()
            .find(|r| r.old == rule.new && r.old != r.new && **r != *rule)
        {
            let (old, via, new) = (&rule.old, &rule.new, &next.new);
            let detail = text!(
                "{old} 变为 {via}，而 {via} 又变为 {new}；请分两次进行，先做后者",
                "{old} becomes {via}, which becomes {new}: do it in two steps, the latter first"
            );
            faults.push(Fault::new(old, detail));
        }
    }
    if rules.is_empty() {
        faults.push(Fault::new("file", Text::new("没有任何一行", "it has no row")));
    }
    if faults.is_empty() {
        Ok(rules)
    } else {
        Err(Error::Syntax(faults))
    }
}

fn check(rule: &Recode, record: &Record, before: &[Recode]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let row = record.row;
    for code in [&rule.old, &rule.new] {
        if !matches!(code.len(), 6 | 9 | 12) || !code.bytes().all(|b| b.is_ascii_digit()) {
            let detail = text!(
                "“{code}”应为 6、9 或 12 位数字",
                "\"{code}\" should be 6, 9 or 12 digits"
            );
            faults.push(Fault::new(format!("row {row}"), detail));
        }
    }
    if rule.old.len() != rule.new.len() {
        let detail = Text::new("新旧代码应同级", "old and new should be of one level");
        faults.push(Fault::new(format!("row {row}"), detail));
    }
    if before.iter().any(|r| r.old == rule.old) {
        let old = &rule.old;
        let detail = text!("{old} 已在前面出现", "{old} stands in an earlier row");
        faults.push(Fault::new(format!("row {row}"), detail));
    }
    faults
}
