//! How good the register is: complete, right in its attributes, right in its places, sound in itself. A random sample is surveyed a
//! second time; its sheet comes back with what was found and is compared with the register.

mod checked;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::NaiveDate;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::domain::delivery::RowFault;
use crate::domain::text::{Fault, Text};
use crate::error::{Error, Result};
use crate::exchange::fold::{fold, plain};
use crate::exchange::read::{Hints, Table as File};
use crate::exchange::record::{Column as At, Record};
use crate::exchange::write::tables::{Cell, Table, Tables};
use crate::index::Memory;
use crate::spatial::crs::Crs;
use crate::store::Store;
use crate::text;
use crate::thread::blocking;
use crate::tile::layer::Layer;

/// Unreadable rows of a file that are told.
const MOST_FAULTS: usize = 20;

/// What a report compares the register with.
#[derive(Clone, Debug, Default)]
pub struct With {
    /// How many of each class there should be: a file with the columns class and count.
    pub expected: Option<PathBuf>,
    /// An earlier day, as it was recorded then.
    pub earlier: Option<NaiveDate>,
    /// The sheet of a second survey.
    pub checked: Option<PathBuf>,
    /// The coordinates of that sheet.
    pub crs: Option<Crs>,
}

/// Draws whole cells at random and takes all of their components, cell after cell: what is missing is only found where all is looked at.
/// Whatever stands in no cell is one cell more.
pub fn sample(memory: &Memory, ids: &[i64], share: f64, seed: u64) -> Vec<i64> {
    let mut by_cell: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for id in ids {
        let found = u64::try_from(*id).ok().and_then(|id| memory.components.get(id));
        by_cell.entry(found.map_or(0, |row| row.cell)).or_default().push(*id);
    }
    let mut cells: Vec<u32> = by_cell.keys().copied().collect();
    cells.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let n = (cells.len() as f64 * share).ceil() as usize;
    cells.truncate(n);
    cells.sort_by_key(|cell| memory.cells.what(*cell as i32).map(|c| c.code.clone()));
    cells.iter().flat_map(|cell| by_cell[cell].iter().copied()).collect()
}

/// Makes the report of a layer.
pub async fn report(store: &Store, memory: Arc<Memory>, layer: &Layer, with: &With) -> Result<Tables> {
    let classes: Vec<i32> = memory
        .classes
        .values()
        .filter(|c| layer.shows(c, |base| memory.classes.get(&base).map(|b| &**b)))
        .map(|c| c.id)
        .collect();
    let mut tables = vec![completeness(store, &memory, &classes, with).await?];
    if let Some(path) = &with.checked {
        tables.extend(checked::checked(store, &memory, path, with.crs).await?);
    }
    tables.push(rules(store, &classes).await?);
    let now = chrono::Local::now().format("%Y-%m-%d %H:%M").to_string();
    let revision = memory.revision.as_ref().map_or(0, |r| r.number).to_string();
    let (zh, en) = (&layer.title_zh, &layer.title_en);
    Ok(Tables {
        title: text!("{zh}数据质量报告", "Quality of the register: {en}"),
        facts: vec![
            (Text::new("统计时间", "Counted at"), now),
            (Text::new("数据修订", "Revision"), revision),
        ],
        tables,
    })
}

fn share(part: i64, of: i64) -> Cell {
    if of == 0 {
        Cell::None
    } else {
        Cell::Share(part as f64 / of as f64)
    }
}

async fn completeness(store: &Store, memory: &Memory, classes: &[i32], with: &With) -> Result<Table> {
    let now: BTreeMap<i32, i64> = store.class_counts(classes).await?.into_iter().collect();
    let earlier: Option<BTreeMap<i32, i64>> = match with.earlier {
        Some(day) => Some(store.class_counts_on(classes, day).await?.into_iter().collect()),
        None => None,
    };
    let expected = match with.expected.clone() {
        Some(path) => Some(expectation(path, memory, classes).await?),
        None => None,
    };
    let mut head = vec![Text::new("小类", "Class"), Text::new("登记数", "Registered")];
    if expected.is_some() {
        head.extend([Text::new("应有数", "Stated"), Text::new("完整率", "Completeness")]);
    }
    if let Some(day) = with.earlier {
        head.extend([text!("{day} 登记数", "on {day}"), Text::new("增减", "Change")]);
    }
    let mut rows = Vec::new();
    let (mut total, mut stated, mut before) = (0, 0, 0);
    let mut line = |name: Text, n: i64, of: Option<i64>, was: i64| {
        let mut row = vec![Cell::Words(name), Cell::Count(n)];
        if expected.is_some() {
            row.extend([
                of.map_or(Cell::None, Cell::Count),
                of.map_or(Cell::None, |of| share(n, of)),
            ]);
        }
        if earlier.is_some() {
            row.extend([Cell::Count(was), Cell::Count(n - was)]);
        }
        rows.push(row);
    };
    for id in classes {
        let n = now.get(id).copied().unwrap_or_default();
        let of = expected.as_ref().and_then(|e| e.get(id)).copied();
        let was = earlier.as_ref().and_then(|e| e.get(id)).copied().unwrap_or_default();
        if n == 0 && of.is_none() && was == 0 {
            continue;
        }
        let class = &memory.classes[id];
        let (code, zh, en) = (&class.code, &class.name_zh, &class.name_en);
        line(text!("{code} {zh}", "{code} {en}"), n, of, was);
        total += n;
        stated += of.unwrap_or_default();
        before += was;
    }
    // The sum of what was stated says something only where it was for every class.
    let all = expected.is_none()
        || classes
            .iter()
            .all(|c| !now.contains_key(c) || expected.as_ref().is_some_and(|e| e.contains_key(c)));
    line(Text::new("合计", "Total"), total, all.then_some(stated), before);
    Ok(Table {
        title: Text::new("完整性", "Completeness"),
        head,
        rows,
        note: Some(Text::new(
            "登记数不含已注销的部件；完整率 = 登记数 ÷ 应有数。",
            "Retired components are not counted; completeness is registered ÷ stated.",
        )),
    })
}

/// Class and count of each row of a file; every fault at once.
async fn expectation(path: PathBuf, memory: &Memory, classes: &[i32]) -> Result<BTreeMap<i32, i64>> {
    let rows = blocking(move || -> Result<Vec<(u64, String, String)>> {
        let file = File::open(&path, Hints::default())?;
        let (class, count) = (
            file.column(&["class", "小类", "小类代码", "小类名称"]),
            file.column(&["count", "数量", "应有数", "总数"]),
        );
        let (Some(class), Some(count)) = (class, count) else {
            let detail = Text::new(
                "应有列 class（小类）与 count（数量）",
                "it should have the columns class and count",
            );
            return Err(Error::syntax("expect", detail));
        };
        let mut rows = Vec::new();
        let mut faults = Vec::new();
        file.rows(&mut |row| {
            match row {
                Ok(r) => rows.push((r.row, text_of(&r, &class), text_of(&r, &count))),
                Err(bad) => faults.push(unreadable(&bad)),
            }
            faults.len() < MOST_FAULTS
        })?;
        sound(rows, faults)
    })
    .await??;
    let (mut out, mut faults) = (BTreeMap::new(), Vec::new());
    for (row, class, count) in rows {
        let own = classes.iter().filter_map(|id| memory.classes.get(id)).find(|c| {
            let full = format!("{}/{}", c.scheme, c.code);
            [&full, &c.code, &c.name_zh, &c.name_en]
                .into_iter()
                .any(|w| fold(w) == fold(&class))
        });
        match (own, count.parse::<f64>().ok().filter(|n| *n >= 0.0)) {
            (Some(class), Some(n)) => *out.entry(class.id).or_default() += n as i64,
            _ => faults.push(Fault::new(
                format!("row {row}"),
                text!(
                    "“{class}”“{count}”应为本图层的小类与数量",
                    "\"{class}\", \"{count}\" should be a class of the layer and a count"
                ),
            )),
        }
    }
    sound(out, faults)
}

async fn rules(store: &Store, classes: &[i32]) -> Result<Table> {
    let broken = store.broken_rules(classes).await?;
    Ok(Table {
        title: Text::new("逻辑与拓扑一致性", "Logic and topology"),
        head: vec![Text::new("问题", "Rule broken"), Text::new("部件数", "Components")],
        rows: broken
            .into_iter()
            .map(|(t, n)| vec![Cell::Words(t), Cell::Count(n)])
            .collect(),
        note: None,
    })
}

/// The fault of a row that could not be read: a report that passes it over would count wrong.
fn unreadable((record, fault): &(Record, RowFault)) -> Fault {
    Fault::new(format!("row {}", record.row), fault.detail.clone())
}

/// What was read, if nothing was wrong with it.
fn sound<T>(read: T, faults: Vec<Fault>) -> Result<T> {
    if faults.is_empty() {
        Ok(read)
    } else {
        Err(Error::Syntax(faults))
    }
}

pub(super) fn text_of(record: &Record, at: &At) -> String {
    record.get(at).map_or_else(String::new, |s| plain(&s).into_owned())
}
