//! The sheet of a second survey, compared with the register.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use geo::Geometry;
use serde_json::Value;

use super::super::out::{self, CHECK, Column, From, Names, Reader, Wish};
use super::{MOST_FAULTS, share, sound, text_of, unreadable};
use crate::domain::text::{Fault, Lang, Text};
use crate::domain::word::Accuracy;
use crate::error::{Error, Result};
use crate::exchange::fold::{fold, plain};
use crate::exchange::read::{Hints, Table as File};
use crate::exchange::record::Column as At;
use crate::exchange::value::{angle, date};
use crate::exchange::write::Format;
use crate::exchange::write::tables::{Cell, Table};
use crate::index::Memory;
use crate::query::feature;
use crate::spatial::crs::Crs;
use crate::spatial::measure::distance;
use crate::spatial::plane::Plane;
use crate::spatial::position::LonLat;
use crate::store::Store;
use crate::store::page::Detail;
use crate::text;
use crate::thread::blocking;

/// Differences listed one by one; all are counted.
const LISTED: usize = 500;
/// Rows of a check sheet.
const MOST_CHECKED: usize = 100_000;
/// Components read at a time.
const PAGE: usize = 1_000;

/// What a second survey found.
#[derive(Debug, Default)]
struct Findings {
    rows: i64,
    missing: i64,
    gone: i64,
    unknown: i64,
    /// Compared and equal, by column.
    columns: BTreeMap<usize, (i64, i64)>,
    /// Metres, by accuracy class.
    off: BTreeMap<Option<&'static str>, Vec<f64>>,
    listed: Vec<Vec<Cell>>,
}

/// One row of the sheet: the component, what was found of it, and where.
type Row = (Option<i64>, String, Vec<(usize, String)>, Option<LonLat>);

/// Compares a sheet with the register: how many are missing or gone, what is right, how far off.
pub(super) async fn checked(store: &Store, memory: &Arc<Memory>, path: &Path, crs: Option<Crs>) -> Result<Vec<Table>> {
    let (file, held) = (path.to_owned(), memory.clone());
    // Attributes of other classes may be called alike.
    let classes = blocking(move || {
        let file = File::open(&file, Hints::default())?;
        let mut ids = Vec::new();
        if let Some(id) = file.column(&NUMBER) {
            file.rows(&mut |row| {
                ids.extend(row.ok().and_then(|r| number(&text_of(&r, &id))));
                ids.len() < MOST_CHECKED
            })?;
        }
        Ok::<_, Error>(out::kinds(&held, &ids).0)
    })
    .await??;
    let (file, held) = (path.to_owned(), memory.clone());
    let attributes = store.attribute_names(&classes).await?;
    let (columns, rows, lang) = blocking(move || read(&file, &held, &classes, &attributes, crs)).await??;
    let mut found = Findings::default();
    for page in rows.chunks(PAGE) {
        let ids: Vec<i64> = page.iter().filter_map(|r| r.0).collect();
        let details: BTreeMap<i64, Detail> = store.details(&ids).await?.into_iter().map(|d| (d.id, d)).collect();
        let reader = Reader {
            names: feature::Names {
                memory,
                lang,
                plane: Plane::default(),
            },
            words: true,
            crs: Crs::Geographic(4490),
        };
        for row in page {
            found.take(row, &details, &reader, &columns)?;
        }
    }
    Ok(found.tables(&columns))
}

/// The column of the component's number.
const NUMBER: [&str; 3] = ["编号", "No.", "id"];

/// A number, as spreadsheets write it too.
fn number(s: &str) -> Option<i64> {
    s.parse::<f64>().ok().map(|n| n as i64)
}

/// Reads the sheet: which of its columns a list has, and its rows.
fn read(
    path: &Path,
    memory: &Memory,
    classes: &[i32],
    attributes: &[String],
    crs: Option<Crs>,
) -> Result<(Vec<Column>, Vec<Row>, Lang)> {
    let file = File::open(path, Hints::default())?;
    let lang = if file.column(&["No."]).is_some() {
        Lang::En
    } else {
        Lang::Zh
    };
    let Some(id) = file.column(&NUMBER) else {
        let detail = Text::new(
            "没有“编号”列；应为 lamppost export --sample 所写的清单",
            "there is no column \"No.\"; it should be a list that lamppost export --sample has written",
        );
        return Err(Error::syntax("checked", detail));
    };
    let (degrees, metres) = (
        file.column(&["经度", "Longitude"])
            .zip(file.column(&["纬度", "Latitude"])),
        file.column(&["Y坐标", "Easting"])
            .zip(file.column(&["X坐标", "Northing"])),
    );
    let crs = match (&degrees, crs) {
        (_, Some(crs)) => crs,
        (Some(_), None) => Crs::Geographic(4490),
        (None, None) if metres.is_some() => {
            let detail = Text::new("请用 --crs 写明坐标系", "state the coordinates with --crs");
            return Err(Error::syntax("crs", detail));
        }
        (None, None) => Crs::Geographic(4490),
    };
    let place = degrees.or(metres);
    let check = file.column(&[CHECK.1, CHECK.2]);
    let wish = Wish {
        format: Format::Xlsx,
        names: Some(Names::Headings),
        crs: Crs::Geographic(4490),
        encoding: encoding_rs::UTF_8,
        lang,
        scope: String::new(),
        blank: &[],
    };
    let columns = out::columns(&wish, Names::Headings, memory, attributes, classes, true);
    // What a survey cannot see, or what follows from the rest.
    let own = [
        "id",
        "scheme",
        "version",
        "source",
        "community",
        "x",
        "y",
        "wkt",
        "surveyed_on",
        "ownership_status",
    ];
    let compared: Vec<(usize, At)> = columns
        .iter()
        .enumerate()
        .filter(|(_, c)| !matches!(&c.from, From::Plain(key) if own.contains(key)))
        .filter_map(|(i, c)| Some((i, file.column(&[&c.field.name])?)))
        .collect();
    let (mut rows, mut faults): (Vec<Row>, Vec<Fault>) = (Vec::new(), Vec::new());
    file.rows(&mut |row| {
        match row {
            Err(bad) => faults.push(unreadable(&bad)),
            Ok(_) if rows.len() == MOST_CHECKED => {
                let detail = text!(
                    "清单多于 {MOST_CHECKED} 行；请抽取较小的样本",
                    "the list has more than {MOST_CHECKED} rows; draw a smaller sample"
                );
                faults.push(Fault::new("checked", detail));
                return false;
            }
            Ok(r) => {
                let values = compared.iter().map(|(i, at)| (*i, text_of(&r, at))).collect();
                let at = place.as_ref().and_then(|(x, y)| {
                    let (x, y) = (angle(&r.get(x)?)?, angle(&r.get(y)?)?);
                    crs.to_lonlat(x, y).ok()
                });
                let said = check.as_ref().map_or_else(String::new, |c| text_of(&r, c));
                // What is no number is that of nothing; only a row without one was missed.
                let id = match text_of(&r, &id) {
                    none if none.is_empty() => None,
                    word => Some(number(&word).unwrap_or_default()),
                };
                rows.push((id, said, values, at));
            }
        }
        faults.len() < MOST_FAULTS
    })?;
    sound((columns, rows, lang), faults)
}

impl Findings {
    fn take(
        &mut self,
        row: &Row,
        details: &BTreeMap<i64, Detail>,
        reader: &Reader<'_>,
        columns: &[Column],
    ) -> Result<()> {
        let (id, said, values, at) = row;
        self.rows += 1;
        let Some(id) = id else {
            self.missing += 1;
            self.list(None, "", "", Text::new("遗漏", "missing in the register"));
            return Ok(());
        };
        let Some(detail) = details.get(id) else {
            self.unknown += 1;
            self.list(Some(*id), "", "", Text::new("登记册没有此编号", "no such number"));
            return Ok(());
        };
        if ["不存在", "无", "没有", "gone", "absent", "missing", "no"].contains(&fold(said).as_str()) {
            self.gone += 1;
            self.list(Some(*id), "", "", Text::new("实地不存在", "not there"));
            return Ok(());
        }
        let shape = reader.shape(detail)?;
        let own = reader.values(detail, columns, &shape);
        for (i, found) in values {
            let register = match &own[*i] {
                Value::Null => String::new(),
                Value::String(s) => s.clone(),
                other => other.to_string(),
            };
            let equal = same(&register, found);
            let (n, right) = self.columns.entry(*i).or_default();
            *n += 1;
            *right += i64::from(equal);
            if !equal {
                let found = Text::new(found, found);
                self.list(Some(*id), &columns[*i].field.name, &register, found);
            }
        }
        if let (Some(at), Geometry::Point(p)) = (at, &shape) {
            let there = LonLat::new(p.x(), p.y()).map_err(|e| Error::internal(e.en))?;
            let class = reader.names.memory.classes.get(&detail.class).and_then(|c| c.accuracy);
            let accuracy = detail
                .accuracy
                .as_deref()
                .and_then(|a| Accuracy::parse(a).ok())
                .or(class);
            let metres = distance(there, *at);
            self.off.entry(accuracy.map(Accuracy::key)).or_default().push(metres);
            if accuracy.is_some_and(|a| metres > a.metres()) {
                let off = text!("偏离 {metres:.2} 米", "{metres:.2} m off");
                self.list(Some(*id), "", "", off);
            }
        }
        Ok(())
    }

    fn list(&mut self, id: Option<i64>, column: &str, register: &str, found: Text) {
        if self.listed.len() < LISTED {
            let id = id.map_or(Cell::None, Cell::Count);
            let texts = [column, register].map(|s| Cell::Text(s.to_owned()));
            self.listed
                .push([id].into_iter().chain(texts).chain([Cell::Words(found)]).collect());
        }
    }

    fn tables(self, columns: &[Column]) -> Vec<Table> {
        let there = self.rows - self.missing;
        let survey = Table {
            title: Text::new("抽样复核", "Second survey"),
            head: vec![
                Text::new("项目", "Item"),
                Text::new("数量", "Number"),
                Text::new("比率", "Rate"),
            ],
            rows: vec![
                vec![
                    Cell::Words(Text::new("复核行数", "rows")),
                    Cell::Count(self.rows),
                    Cell::None,
                ],
                vec![
                    Cell::Words(Text::new("遗漏", "missing in the register")),
                    Cell::Count(self.missing),
                    share(self.missing, self.rows - self.gone),
                ],
                vec![
                    Cell::Words(Text::new("多余", "registered, not there")),
                    Cell::Count(self.gone),
                    share(self.gone, there),
                ],
                vec![
                    Cell::Words(Text::new("编号不符", "no such number")),
                    Cell::Count(self.unknown),
                    Cell::None,
                ],
            ],
            note: Some(Text::new(
                "遗漏率 = 遗漏 ÷ 实地所见；多余率 = 多余 ÷ 抽到的登记数。没有编号的行为实地所见而登记册没有。",
                "The rate of missing ones is of all that were seen, that of those not there is of all registered ones in the sample. A row without a number was seen and is not in the register.",
            )),
        };
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        let (mut all, mut equal) = (0, 0);
        for (i, (n, right)) in &self.columns {
            let name = columns[*i].field.name.clone();
            rows.push(vec![
                Cell::Text(name),
                Cell::Count(*n),
                Cell::Count(*right),
                share(*right, *n),
            ]);
            all += n;
            equal += right;
        }
        rows.push(vec![
            Cell::Words(Text::new("合计", "Total")),
            Cell::Count(all),
            Cell::Count(equal),
            share(equal, all),
        ]);
        let right = Table {
            title: Text::new("属性正确率", "Attributes"),
            head: vec![
                Text::new("字段", "Field"),
                Text::new("比较", "Compared"),
                Text::new("相符", "Equal"),
                Text::new("正确率", "Correct"),
            ],
            rows,
            note: None,
        };
        let mut rows = Vec::new();
        for (class, metres) in &self.off {
            let limit = class.and_then(|c| Accuracy::parse(c).ok()).map(Accuracy::metres);
            let n = metres.len() as i64;
            let within = limit.map(|l| metres.iter().filter(|m| **m <= l).count() as i64);
            let rmse = (metres.iter().map(|m| m * m).sum::<f64>() / metres.len().max(1) as f64).sqrt();
            let worst = metres.iter().copied().fold(0.0, f64::max);
            rows.push(vec![
                Cell::Text(class.unwrap_or("–").to_owned()),
                limit.map_or(Cell::None, Cell::Number),
                Cell::Count(n),
                within.map_or(Cell::None, Cell::Count),
                within.map_or(Cell::None, |w| share(w, n)),
                Cell::Number(rmse),
                Cell::Number(worst),
            ]);
        }
        let place = Table {
            title: Text::new("定位合格率", "Position"),
            head: vec![
                Text::new("精度等级", "Accuracy class"),
                Text::new("限差（米）", "Limit (m)"),
                Text::new("比较", "Compared"),
                Text::new("合格", "Within"),
                Text::new("合格率", "Rate"),
                Text::new("中误差（米）", "RMSE (m)"),
                Text::new("最大（米）", "Largest (m)"),
            ],
            rows,
            note: Some(Text::new(
                "限差：A ±0.5 米、B ±1.0 米、C ±10.0 米；复测位置视为真值。",
                "Limits: A 0.5 m, B 1.0 m, C 10.0 m; the second survey is taken for true.",
            )),
        };
        let cut = self.listed.len() == LISTED;
        let list = Table {
            title: Text::new("不符清单", "Differences"),
            head: vec![
                Text::new("编号", "No."),
                Text::new("字段", "Field"),
                Text::new("登记", "Registered"),
                Text::new("复核", "Found"),
            ],
            rows: self.listed,
            note: cut.then(|| text!("仅列前 {LISTED} 项", "the first {LISTED}")),
        };
        vec![survey, right, place, list]
    }
}

/// Whether two spellings say the same: words folded, numbers and days by value.
fn same(a: &str, b: &str) -> bool {
    let (a, b) = (plain(a), plain(b));
    let number = |s: &str| s.parse::<f64>().ok();
    fold(&a) == fold(&b)
        || matches!((number(&a), number(&b)), (Some(x), Some(y)) if (x - y).abs() < 1e-9 && a.len() < 15)
        || matches!((date(&a, None), date(&b, None)), (Some(x), Some(y)) if x == y)
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn spellings_of_one_value_are_the_same_and_long_codes_are_not_numbers() {
        assert!(same("完好", " 完好 ") && same("12", "12.0") && same("2026-03-05", "2026年3月5日") && same("", ""));
        assert!(!same("完好", "破损") && !same("1201030118000001", "1201030118000002") && !same("", "甲"));
    }
}
