//! The sheet of claims 确权清单: a list of components in which somebody has filled in who holds a role, since when, by which document.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use chrono::NaiveDate;

use super::quality::text_of;
use crate::domain::text::{Fault as Wrong, Text};
use crate::domain::word::Role;
use crate::error::{Error, Result};
use crate::exchange::nearest::hint;
use crate::exchange::read::{Hints, Table};
use crate::exchange::value::{date, integer};
use crate::text;

/// The columns that an export adds to be filled in: key, and headings in Chinese and English.
pub const BLANK: [(&str, &str, &str); 3] = [
    ("document_number", "文号", "Document number"),
    ("from", "起始日期", "From"),
    ("to", "截止日期", "To"),
];

/// One row that somebody has filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number in the sheet.
    pub row: u64,
    /// The component.
    pub component: i64,
    /// Who holds the role.
    pub parties: Vec<i32>,
    /// The number of the document that says so, 文号.
    pub document: String,
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: Option<NaiveDate>,
}

/// What a sheet says.
#[derive(Debug, Default)]
pub struct Sheet {
    /// Rows that were filled in.
    pub rows: Vec<Row>,
    /// How many were not.
    pub blank: usize,
    /// What is wrong, by row.
    pub faults: Vec<(u64, Text)>,
}

/// Headings of the column of a role.
fn headings(role: Role) -> [&'static str; 3] {
    match role {
        Role::Authority => ["主管部门", "Authority", "authority"],
        Role::Owner => ["权属单位", "Owner", "owner"],
        Role::Maintainer => ["养护单位", "Maintainer", "maintainer"],
    }
}

/// Reads a sheet; `parties` by name, code and alias. A row with neither document nor day is one that nobody has filled in. Not for an
/// async thread.
pub fn read(path: &Path, role: Role, parties: &HashMap<String, i32>, most: usize) -> Result<Sheet> {
    let table = Table::open(path, Hints::default())?;
    let mut faults = Vec::new();
    let mut need = |names: &[&str]| {
        let found = table.column(names);
        if found.is_none() {
            let name = names.first().copied().unwrap_or_default();
            let detail = text!("没有“{name}”列", "there is no column \"{name}\"");
            faults.push(Wrong::new(name, detail));
        }
        found
    };
    let (number, holder) = (need(&["编号", "No.", "id"]), need(&headings(role)));
    let [document, from, to] = BLANK.map(|(key, zh, en)| [zh, en, key]);
    let (document, from, to) = (need(&document), need(&from), table.column(&to));
    let (Some(number), Some(holder), Some(document), Some(from)) = (number, holder, document, from) else {
        return Err(Error::Syntax(faults));
    };
    let mut sheet = Sheet::default();
    let mut known: BTreeMap<String, Result<Vec<i32>, Text>> = BTreeMap::new();
    let mut too_many = false;
    table.rows(&mut |record| {
        let Ok(record) = record else {
            return true;
        };
        let get = |column| text_of(&record, column);
        let (paper, first) = (get(&document), get(&from));
        if paper.is_empty() && first.is_empty() {
            sheet.blank += 1;
            return true;
        }
        if sheet.rows.len() + sheet.faults.len() >= most {
            too_many = true;
            return false;
        }
        let row = record.row;
        let mut wrong = |detail: Text| sheet.faults.push((row, detail));
        let component = integer(&get(&number)).filter(|id| *id > 0);
        if component.is_none() {
            wrong(Text::new("编号应为部件编号", "No. should be the number of a component"));
        }
        let names = get(&holder);
        let named = known.entry(names.clone()).or_insert_with(|| holders(&names, parties));
        if let Err(detail) = named {
            wrong(detail.clone());
        }
        let day = |s: &str| date(s, None);
        if day(&first).is_none() {
            wrong(text!("起始日期“{first}”应为日期", "From \"{first}\" should be a day"));
        }
        if paper.is_empty() {
            wrong(Text::new("缺少文号", "the document number is missing"));
        }
        let last = to.as_ref().map(get).filter(|s| !s.is_empty());
        let end = last.as_deref().and_then(day);
        if last.is_some() && end.is_none() {
            wrong(Text::new("截止日期应为日期", "To should be a day"));
        }
        if let (Some(component), Ok(parties), Some(from)) = (component, named, day(&first))
            && !paper.is_empty()
            && (last.is_none() || end.is_some())
        {
            sheet.rows.push(Row {
                row,
                component,
                parties: parties.clone(),
                document: paper,
                from,
                to: end,
            });
        }
        true
    })?;
    if too_many {
        return Err(Error::TooLarge(text!(
            "超过 {most} 行",
            "there are more than {most} rows"
        )));
    }
    Ok(sheet)
}

/// Several hold it together where the names stand between 、 or semicolons.
fn holders(names: &str, parties: &HashMap<String, i32>) -> Result<Vec<i32>, Text> {
    let mut out = Vec::new();
    for name in names.split(['、', ';', '；']).map(str::trim).filter(|n| !n.is_empty()) {
        match parties.get(name) {
            Some(id) if out.contains(id) => {}
            Some(id) => out.push(*id),
            None => {
                let near = hint(name, parties.keys().map(String::as_str));
                let (zh, en) = (near.zh, near.en);
                return Err(text!(
                    "登记册没有单位“{name}”{zh}",
                    "the register has no party \"{name}\"{en}"
                ));
            }
        }
    }
    if out.is_empty() {
        return Err(Text::new("缺少单位", "the party is missing"));
    }
    Ok(out)
}
