//! Workbooks: one sheet, its heading wherever it stands below a title, its rows as they come.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use calamine::{DataRef, Reader as _, Xlsx, XlsxCellReader, XlsxError};
use serde_json::{Number, Value};

use super::super::record::{Body, Record, Values};
use super::source::{Counted, Done, cannot};
use super::{Each, Facts, Reader, check_header, unreadable};
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::text;

/// Rows among which the heading is looked for.
const TOP: usize = 20;
/// The most characters of a cell: no spreadsheet writes more.
const MAX_CELL: usize = 32_767;
/// The most columns that are read.
const MAX_COLUMNS: u32 = 2_000;
/// The most rows of a sheet.
const MAX_ROWS: u32 = 1 << 20;
/// What stands below a table and is no row of it.
const FOOT: [&str; 12] = [
    "合计",
    "总计",
    "小计",
    "统计时间",
    "统计口径",
    "坐标系",
    "制表",
    "填表",
    "Total",
    "Countedat",
    "Scope",
    "Coordinates",
];

type Book = Xlsx<BufReader<Counted>>;

/// A sheet of a workbook.
pub(super) struct Sheet {
    book: Book,
    name: String,
    header: Arc<[String]>,
    /// The row and the columns of the heading, counted from 0.
    top: u32,
    columns: Vec<u32>,
    notes: Vec<Text>,
}

/// Cells of one row by column.
type Cells = BTreeMap<u32, Value>;

impl Sheet {
    /// Opens the named sheet, or the first that has a heading and rows below it.
    pub(super) fn open(path: &Path, name: Option<&str>, done: &Done) -> Result<Sheet> {
        let file = Counted::open(path, done).map_err(|e| cannot(path, &e))?;
        let mut book: Book = guarded(|| Xlsx::new(BufReader::new(file))).map_err(|e| cannot(path, &e))?;
        let names = book.sheet_names();
        let list = names.join(", ");
        if let Some(name) = name
            && !names.iter().any(|n| n == name)
        {
            let detail = text!(
                "没有工作表“{name}”；现有：{list}",
                "there is no sheet \"{name}\"; it has {list}"
            );
            return Err(Error::syntax("sheet", detail));
        }
        let mut filled: Vec<(String, Vec<(u32, Cells)>)> = Vec::new();
        for own in names.iter().filter(|n| name.is_none_or(|wanted| wanted == *n)) {
            let mut top = Vec::new();
            // A chart sheet has no cells.
            let Ok(mut cells) = guarded(|| book.worksheet_cells_reader(own)) else {
                continue;
            };
            rows(&mut cells, &mut |row, cells| {
                if let Ok(cells) = cells
                    && !cells.is_empty()
                {
                    top.push((row, cells));
                }
                top.len() < TOP
            });
            if top.len() > 1 || name.is_some() && !top.is_empty() {
                filled.push((own.clone(), top));
            }
        }
        if filled.is_empty() {
            let detail = Text::new("工作簿中没有表格", "the workbook has no table");
            return Err(Error::syntax("file", detail));
        }
        let mut notes = Vec::new();
        if filled.len() > 1 {
            let (own, others) = (
                filled[0].0.clone(),
                filled[1..].iter().map(|f| f.0.as_str()).collect::<Vec<_>>().join(", "),
            );
            notes.push(text!(
                "读取了工作表“{own}”；未读：{others}（可用 --sheet 指定）",
                "the sheet \"{own}\" was read; not read: {others} (--sheet names one)"
            ));
        }
        let (name, rows) = filled.remove(0);
        let (top, heading) = heading(&rows);
        let (columns, header): (Vec<u32>, Vec<String>) = heading
            .iter()
            .filter(|(_, v)| !plain(v).is_empty())
            .map(|(column, v)| (*column, plain(v)))
            .unzip();
        check_header(&header)?;
        if let Some((row, _)) = rows.iter().find(|(row, _)| *row < top) {
            let (from, to) = (row + 1, top + 1);
            notes.push(text!(
                "表头在第{to}行，第{from}行起为标题",
                "the heading stands in row {to}, below a title from row {from}"
            ));
        }
        Ok(Sheet {
            book,
            name,
            header: header.into(),
            top,
            columns,
            notes,
        })
    }
}

/// The heading: the first row of nothing but text that fills most of the columns that any row fills.
fn heading(rows: &[(u32, Cells)]) -> (u32, Cells) {
    let most = rows.iter().map(|(_, c)| c.len()).max().unwrap_or_default();
    let is = |cells: &Cells| cells.len() * 10 >= most * 6 && cells.values().all(Value::is_string);
    let found = rows.iter().find(|(_, c)| is(c)).or(rows.first());
    found.map_or((0, Cells::new()), |(row, cells)| (*row, cells.clone()))
}

fn plain(value: &Value) -> String {
    match value {
        // A heading is broken over lines to make its column narrow.
        Value::String(s) => s.replace(['\n', '\r'], "").trim().to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

type Reading<'a> = XlsxCellReader<'a, BufReader<Counted>>;

/// What the library says, or that it stumbled: it trusts the numbers in a file, as that of a row in `A99999999999`.
fn guarded<T>(read: impl FnOnce() -> Result<T, XlsxError>) -> Result<T, XlsxError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(XlsxError::Unexpected("the file is damaged")))
}

/// Hands over each row that has cells; whether it came to the end.
fn rows(cells: &mut Reading<'_>, each: &mut dyn FnMut(u32, Result<Cells, Text>) -> bool) -> bool {
    let (mut row, mut held, mut fault): (u32, Cells, Option<Text>) = (0, Cells::new(), None);
    let mut give = |row: u32, held: &mut Cells, fault: &mut Option<Text>| {
        let cells = std::mem::take(held);
        match fault.take() {
            Some(e) => each(row, Err(e)),
            None if cells.is_empty() => true,
            None => each(row, Ok(cells)),
        }
    };
    loop {
        let cell = match guarded(|| cells.next_cell()) {
            Ok(Some(cell)) if (row..MAX_ROWS).contains(&cell.get_position().0) => cell,
            Ok(None) => return give(row, &mut held, &mut fault),
            broken => {
                let e = broken.err().unwrap_or(XlsxError::Unexpected("a row is out of order"));
                let end = text!(
                    "工作表从此处起无法读取：{e}",
                    "from here on the sheet cannot be read: {e}"
                );
                return give(row, &mut held, &mut fault) && give(row + 1, &mut held, &mut Some(end));
            }
        };
        let (at, column) = cell.get_position();
        if at != row && !give(row, &mut held, &mut fault) {
            return false;
        }
        row = at;
        match value(cell.get_value()) {
            Ok(Value::Null) => {}
            Ok(value) if column < MAX_COLUMNS => drop(held.insert(column, value)),
            Ok(_) => {
                fault = Some(text!(
                    "超过{MAX_COLUMNS}列",
                    "there are more than {MAX_COLUMNS} columns"
                ))
            }
            Err(e) => fault = Some(e),
        }
    }
}

fn value(cell: &DataRef<'_>) -> Result<Value, Text> {
    let text = |s: &str| match s.trim() {
        "" => Ok(Value::Null),
        s if s.len() > MAX_CELL && s.chars().count() > MAX_CELL => Err(text!(
            "单元格超过{MAX_CELL}个字符",
            "a cell has more than {MAX_CELL} characters"
        )),
        s => Ok(Value::from(s)),
    };
    Ok(match cell {
        DataRef::Empty => Value::Null,
        DataRef::Int(n) => whole(*n as f64),
        DataRef::Float(n) => whole(*n),
        DataRef::Bool(b) => Value::Bool(*b),
        DataRef::String(s) | DataRef::DateTimeIso(s) | DataRef::DurationIso(s) => return text(s),
        DataRef::SharedString(s) => return text(s),
        DataRef::DateTime(t) if t.is_datetime() && t.as_f64() >= 1.0 => {
            let (year, month, day, hour, minute, second, _) = t.to_ymd_hms_milli();
            Value::from(if t.as_f64().fract() == 0.0 {
                format!("{year:04}-{month:02}-{day:02}")
            } else {
                format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
            })
        }
        DataRef::DateTime(t) => whole(t.as_f64()),
        DataRef::Error(e) => Value::from(e.to_string()),
    })
}

/// A spreadsheet knows only floats. Beyond fifteen digits it has rounded, and the number is left looking like one.
fn whole(n: f64) -> Value {
    if n.fract() == 0.0 && n.abs() < 1e15 {
        return Value::from(n as i64);
    }
    Number::from_f64(n).map_or(Value::Null, Value::Number)
}

impl Reader for Sheet {
    fn facts(&self) -> Facts {
        Facts {
            header: self.header.to_vec(),
            notes: self.notes.clone(),
            ..Facts::default()
        }
    }

    fn rows(&mut self, each: Each<'_>) -> bool {
        let (header, columns, top) = (&self.header, &self.columns, self.top);
        let mut cells = match guarded(|| self.book.worksheet_cells_reader(&self.name)) {
            Ok(cells) => cells,
            Err(e) => {
                let record = Record::new(u64::from(top) + 1, Body::Broken(String::new()));
                let detail = text!("工作表无法读取：{e}", "the sheet cannot be read: {e}");
                return each(unreadable(
                    record,
                    detail,
                    Text::new("完整的工作簿", "a complete workbook"),
                ));
            }
        };
        rows(&mut cells, &mut |row, cells| {
            if row <= top {
                return true;
            }
            let number = u64::from(row) + 1;
            let mut cells = match cells {
                Ok(cells) => cells,
                Err(detail) => {
                    let record = Record::new(number, Body::Broken(String::new()));
                    return each(unreadable(
                        record,
                        detail,
                        Text::new("完整的工作簿", "a complete workbook"),
                    ));
                }
            };
            if is_foot(&cells, columns.len()) {
                return true;
            }
            let values: Vec<Value> = columns.iter().map(|c| cells.remove(c).unwrap_or(Value::Null)).collect();
            if values.iter().all(Value::is_null) {
                return true;
            }
            let header = Arc::clone(header);
            let body = Values {
                header,
                values,
                geometry: None,
            };
            each(Ok(Record::new(number, Body::Values(Box::new(body)))))
        })
    }
}

/// A line of totals or of who made the table: it begins so and leaves most columns empty.
fn is_foot(cells: &Cells, columns: usize) -> bool {
    let first = cells.values().next().and_then(Value::as_str).unwrap_or_default();
    let first = first.replace([' ', '\u{3000}'], "");
    cells.len() * 2 <= columns && FOOT.iter().any(|f| first.starts_with(f))
}
