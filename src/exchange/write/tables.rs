//! A report of several tables, to print: as one page of HTML without anything from elsewhere, or as a workbook with a sheet for each.

use std::path::Path;

use rust_xlsxwriter::{Color, Format as Look, Workbook, XlsxError};

use super::cannot;
use crate::domain::text::{Lang, Text};
use crate::error::Result;

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Text.
    Text(String),
    /// A sentence in the reader's language.
    Words(Text),
    /// A whole number.
    Count(i64),
    /// A number with two decimals.
    Number(f64),
    /// A share, shown in per cent.
    Share(f64),
    /// Nothing to be said.
    None,
}

/// One table of the report.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its title.
    pub title: Text,
    /// The headings.
    pub head: Vec<Text>,
    /// The rows, each as long as the heading.
    pub rows: Vec<Vec<Cell>>,
    /// How to read it.
    pub note: Option<Text>,
}

impl Table {
    /// The table as CSV: shares as numbers, nothing as nothing.
    pub fn csv(&self, path: &Path, lang: Lang) -> Result<()> {
        let mut out = csv::Writer::from_path(path).map_err(|e| cannot(path, &e))?;
        let head = self.head.iter().map(|t| t.get(lang));
        out.write_record(head).map_err(|e| cannot(path, &e))?;
        for row in &self.rows {
            let cells = row.iter().map(|c| match c {
                Cell::Text(s) => s.clone(),
                Cell::Words(t) => t.get(lang).to_owned(),
                Cell::Count(n) => n.to_string(),
                Cell::Number(n) => n.to_string(),
                Cell::Share(n) => format!("{n:.6}"),
                Cell::None => String::new(),
            });
            out.write_record(cells).map_err(|e| cannot(path, &e))?;
        }
        out.flush().map_err(|e| cannot(path, &e))
    }
}

/// A report.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Its title.
    pub title: Text,
    /// What it is of, when it was made: name and value.
    pub facts: Vec<(Text, String)>,
    /// Its tables.
    pub tables: Vec<Table>,
}

impl Cell {
    fn shown(&self, lang: Lang) -> String {
        match self {
            Cell::Words(t) => escape(t.get(lang)),
            Cell::Text(s) => escape(s),
            Cell::Count(n) => n.to_string(),
            Cell::Number(n) => format!("{n:.2}"),
            Cell::Share(n) => format!("{:.2} %", n * 100.0),
            Cell::None => "–".to_owned(),
        }
    }
}

fn escape(s: &str) -> String {
    s.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

const STYLE: &str = "body{font:14px/1.6 system-ui,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif;color:#1b2733;max-width:900px;margin:32px auto;padding:0 20px}\
h1{font-size:22px;margin:0 0 8px}h2{font-size:16px;margin:26px 0 6px}dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:0;color:#5f6c7b}dd{margin:0;color:#1b2733}\
table{border-collapse:collapse;width:100%;font-size:13px}th,td{border:1px solid #d5dbe2;padding:4px 8px;text-align:left;overflow-wrap:anywhere}th{background:#f3f5f8;font-weight:600}\
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}p{color:#5f6c7b;font-size:12px;margin:4px 0 0}tr{break-inside:avoid}thead{display:table-header-group}h2{break-after:avoid}\
@page{size:A4;margin:16mm}@media print{body{margin:0;max-width:none;padding:0}}";

impl Tables {
    /// The page.
    pub fn html(&self, lang: Lang) -> String {
        let title = escape(self.title.get(lang));
        let mut out = format!(
            "<!doctype html><html lang=\"{}\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1><dl>",
            lang.tag()
        );
        for (name, value) in &self.facts {
            out += &format!("<dt>{}</dt><dd>{}</dd>", escape(name.get(lang)), escape(value));
        }
        out += "</dl>";
        for table in &self.tables {
            out += &format!("<h2>{}</h2><table><thead><tr>", escape(table.title.get(lang)));
            for name in &table.head {
                out += &format!("<th>{}</th>", escape(name.get(lang)));
            }
            out += "</tr></thead><tbody>";
            for row in &table.rows {
                out += "<tr>";
                for cell in row {
                    let class = if matches!(cell, Cell::Text(_) | Cell::Words(_)) {
                        ""
                    } else {
                        " class=\"n\""
                    };
                    out += &format!("<td{class}>{}</td>", cell.shown(lang));
                }
                out += "</tr>";
            }
            out += "</tbody></table>";
            if let Some(note) = &table.note {
                out += &format!("<p>{}</p>", escape(note.get(lang)));
            }
        }
        out + "</html>\n"
    }

    /// The workbook.
    pub fn xlsx(&self, path: &Path, lang: Lang) -> Result<()> {
        self.book(path, lang).map_err(|e| cannot(path, &e))
    }

    fn book(&self, path: &Path, lang: Lang) -> Result<(), XlsxError> {
        let (bold, head) = (
            Look::new().set_bold(),
            Look::new().set_bold().set_background_color(Color::RGB(0x00d9_e1f2)),
        );
        let (text, number, share) = (
            Look::new().set_num_format("@"),
            Look::new().set_num_format("0.00"),
            Look::new().set_num_format("0.00%"),
        );
        let mut book = Workbook::new();
        for table in &self.tables {
            let sheet = book.add_worksheet();
            let name: String = table
                .title
                .get(lang)
                .chars()
                .filter(|c| !"[]:*?/\\'".contains(*c))
                .take(31)
                .collect();
            sheet.set_name(name)?;
            sheet.set_landscape();
            sheet.set_print_fit_to_pages(1, 0);
            sheet.write_string_with_format(0, 0, self.title.get(lang), &bold)?;
            let mut row = 1;
            for (name, value) in &self.facts {
                sheet.write_string(row, 0, name.get(lang))?;
                sheet.write_string(row, 1, value)?;
                row += 1;
            }
            row += 1;
            for (c, name) in (0u16..).zip(&table.head) {
                sheet.set_column_width(c, 18)?;
                sheet.write_string_with_format(row, c, name.get(lang), &head)?;
            }
            sheet.set_repeat_rows(row, row)?;
            for cells in &table.rows {
                row += 1;
                for (c, cell) in (0u16..).zip(cells) {
                    match cell {
                        Cell::Text(s) => drop(sheet.write_string_with_format(row, c, s, &text)?),
                        Cell::Words(t) => drop(sheet.write_string(row, c, t.get(lang))?),
                        Cell::Count(n) => drop(sheet.write_number(row, c, *n as f64)?),
                        Cell::Number(n) => drop(sheet.write_number_with_format(row, c, *n, &number)?),
                        Cell::Share(n) => drop(sheet.write_number_with_format(row, c, *n, &share)?),
                        Cell::None => {}
                    }
                }
            }
            if let Some(note) = &table.note {
                sheet.write_string(row + 2, 0, note.get(lang))?;
            }
        }
        book.save(path)
    }
}
