//! Workbooks to print and to fill in: codes as text, a frozen heading, totals and what was counted below. A sheet holds a million rows;
//! more go on in the next.

use std::path::{Path, PathBuf};

use geo::Geometry;
use rust_xlsxwriter::{Color, Format as Look, Workbook, Worksheet, XlsxError};
use serde_json::Value;

use super::{Kind, Plan, Writer, cannot, plain};
use crate::error::Result;

/// Rows of a sheet, with room for what stands around them.
const MAX_ROWS: u32 = 1_048_000;
/// The most characters of a cell.
const MAX_CELL: usize = 32_767;

pub(super) struct Sheet {
    path: PathBuf,
    book: Workbook,
    plan: Plan,
    row: u32,
    sheets: usize,
    text: Look,
}

impl Sheet {
    pub(super) fn create(path: &Path, plan: Plan) -> Result<Sheet> {
        let mut own = Sheet {
            path: path.to_owned(),
            book: Workbook::new(),
            plan,
            row: 0,
            sheets: 0,
            text: Look::new().set_num_format("@"),
        };
        own.begin().map_err(|e| cannot(path, &e))?;
        Ok(own)
    }

    /// A sheet with its heading.
    fn begin(&mut self) -> Result<(), XlsxError> {
        let sheet = self.book.add_worksheet_with_constant_memory()?;
        self.sheets += 1;
        let number = if self.sheets == 1 {
            String::new()
        } else {
            self.sheets.to_string()
        };
        let name: String = self
            .plan
            .name
            .chars()
            .filter(|c| !"[]:*?/\\'".contains(*c))
            .take(25)
            .collect();
        sheet.set_name(format!("{name}{number}"))?;
        sheet.set_freeze_panes(1, 0)?;
        sheet.set_landscape();
        sheet.set_print_fit_to_pages(1, 0);
        sheet.set_repeat_rows(0, 0)?;
        let bold = Look::new().set_bold().set_background_color(Color::RGB(0x00d9_e1f2));
        for (i, field) in self.plan.fields.iter().enumerate() {
            let column = column(i);
            let wide: f64 = field.name.chars().map(|c| if c.is_ascii() { 1.1 } else { 2.2 }).sum();
            let least = if field.kind == Kind::Code { 19.0 } else { 9.0 };
            sheet.set_column_width(column, wide.max(least).min(40.0))?;
            sheet.write_string_with_format(0, column, &field.name, &bold)?;
        }
        self.row = 1;
        Ok(())
    }

    fn write(&mut self, values: &[Value]) -> Result<(), XlsxError> {
        if self.row > MAX_ROWS {
            self.begin()?;
        }
        let (row, text) = (self.row, self.text.clone());
        let sheet = self.book.worksheet_from_index(self.sheets - 1)?;
        for (i, (value, field)) in values.iter().zip(&self.plan.fields).enumerate() {
            cell(sheet, row, column(i), value, field.kind, &text)?;
        }
        self.row += 1;
        Ok(())
    }

    fn foot(&mut self, count: u64) -> Result<(), XlsxError> {
        let lang = self.plan.lang;
        let (row, foot) = (self.row, self.plan.foot.clone());
        let sheet = self.book.worksheet_from_index(self.sheets - 1)?;
        let bold = Look::new().set_bold();
        sheet.write_string_with_format(row, 0, lang.pick("合计", "Total"), &bold)?;
        sheet.write_number_with_format(row, 1, count as f64, &bold)?;
        for (i, (name, value)) in foot.iter().enumerate() {
            let row = row + 1 + u32::try_from(i).unwrap_or_default();
            sheet.write_string(row, 0, name)?;
            sheet.write_string(row, 1, value)?;
        }
        Ok(())
    }
}

fn column(i: usize) -> u16 {
    u16::try_from(i).unwrap_or(u16::MAX)
}

fn cell(sheet: &mut Worksheet, row: u32, column: u16, value: &Value, kind: Kind, text: &Look) -> Result<(), XlsxError> {
    match (value, kind) {
        (Value::Null, _) => {}
        (Value::Bool(b), _) => drop(sheet.write_boolean(row, column, *b)?),
        (Value::Number(n), Kind::Integer | Kind::Number) => {
            sheet.write_number(row, column, n.as_f64().unwrap_or_default())?;
        }
        (other, _) => {
            let own = plain(other);
            // A shape may be longer than a cell; what is cut could not be read again.
            if own.chars().count() <= MAX_CELL {
                sheet.write_string_with_format(row, column, own, text)?;
            }
        }
    }
    Ok(())
}

impl Writer for Sheet {
    fn row(&mut self, values: &[Value], _: &Geometry<f64>) -> Result<()> {
        self.write(values).map_err(|e| cannot(&self.path, &e))
    }

    fn finish(mut self: Box<Self>, count: u64) -> Result<()> {
        let done = self.foot(count).and_then(|()| self.book.save(&self.path));
        done.map_err(|e| cannot(&self.path, &e))
    }
}
