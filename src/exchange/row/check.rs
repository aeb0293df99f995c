//! What is checked of a row beyond the meaning of its words: codes against Excel and the register's districts, positions against its
//! cells and areas, days against each other.

use std::collections::HashSet;

use chrono::NaiveDate;
use geo::Geometry;

use super::super::fold::plain;
use super::super::mapping::Place;
use super::super::record::{Column, Record};
use super::super::{doubt, place};
use super::Components;
use crate::domain::class::Class;
use crate::domain::code::{CJT214, ComponentCode};
use crate::domain::component::Draft;
use crate::domain::delivery::{Reason, RowFault};
use crate::domain::text::Text;
use crate::domain::word::{Accuracy, State};
use crate::spatial::near::Near;
use crate::spatial::position::LonLat;
use crate::text;

impl Components {
    /// A code of a district that the register does not have.
    pub(super) fn foreign(&self, draft: &Draft) -> Option<RowFault> {
        let code = draft.code.as_ref()?;
        let (district, known) = (code.district()?, self.ground.districts());
        if known.is_empty() || known.contains(district) {
            return None;
        }
        let column = self.mapping.column_of("code");
        if let Some((now, on)) = self.former_districts.get(district) {
            let code = code.as_str();
            let detail = text!(
                "标识码 {code} 的区划 {district} 自 {on} 起为 {now}",
                "the district {district} of code {code} is {now} since {on}"
            );
            let expected = text!("新代码，查 /codes/{code}", "its new code: ask /codes/{code}");
            return Some(RowFault::new(Reason::CodeWrong, column, detail, expected));
        }
        let mut list: Vec<&str> = known.iter().map(String::as_str).collect();
        list.sort_unstable();
        let (code, list) = (code.as_str(), list.join(", "));
        let detail = text!(
            "标识码 {code} 的区划 {district} 不在登记册内",
            "the district {district} of code {code} is not in the register"
        );
        Some(RowFault::new(
            Reason::CodeWrong,
            column,
            detail,
            text!("区划 {list}", "district {list}"),
        ))
    }

    /// A position outside the cell that the row states, or outside the register's ground.
    pub(super) fn misplaced(
        &self,
        record: &Record,
        geometry: &Geometry<f64>,
        cell: Option<&str>,
        accuracy: f64,
    ) -> Option<RowFault> {
        let p = representative(geometry)?;
        let column = self.place_column();
        let metres = cell.and_then(|c| match geometry {
            Geometry::Point(_) => self.ground.off_cell(&plain(c), p),
            shape if self.ground.cell_touches(&plain(c), shape) => Some(0.0),
            _ => self.ground.off_cell(&plain(c), p),
        });
        let fault = match (cell, metres) {
            (Some(cell), Some(metres)) if metres > accuracy => {
                let own = self.ground.cell_at(p).map_or_else(
                    || Text::new("不在任何网格内", "in no cell"),
                    |own| text!("在 {own} 内", "in {own}"),
                );
                let (zh, en) = (own.zh, own.en);
                let detail = text!(
                    "位置距所述网格 {cell} {metres:.1} 米，{zh}",
                    "the position is {metres:.1} m from the stated cell {cell}, {en}"
                );
                let expected = Text::new("一致的位置与网格", "a position and a cell that agree");
                RowFault::new(Reason::OutsideCell, column, detail, expected)
            }
            (_, None) if self.mapping.inside && !self.ground.covers(p) => {
                let (lon, lat) = (p.lon(), p.lat());
                let detail = text!(
                    "位置 {lon:.6},{lat:.6} 不在登记册的辖区内",
                    "position {lon:.6},{lat:.6} is outside the register's areas"
                );
                RowFault::new(
                    Reason::Outside,
                    column,
                    detail,
                    Text::new("辖区内的位置", "a position within them"),
                )
            }
            _ => return None,
        };
        Some(self.explained(record, fault, cell))
    }

    /// A fault of the position with what was recognised.
    pub(super) fn explained(&self, record: &Record, fault: RowFault, cell: Option<&str>) -> RowFault {
        use Reason::{OutOfBounds, Outside, OutsideCell, PositionWrong};
        if !matches!(fault.reason, OutOfBounds | Outside | OutsideCell | PositionWrong) || self.ground.is_empty() {
            return fault;
        }
        let Some((x, y)) = place::raw(record, &self.mapping) else {
            return fault;
        };
        let fits = |p: LonLat| match cell.and_then(|c| self.ground.off_cell(&plain(c), p)) {
            // Shifts are known to some metres only.
            Some(metres) => metres <= 10.0,
            None => self.ground.covers(p),
        };
        let column = fault.column.to_string();
        doubt::refuse(&column, doubt::explain(x, y, self.crs, fits), fault)
    }

    pub(super) fn place_column(&self) -> &str {
        match &self.mapping.place {
            Place::Columns(Column { name, .. }, _) | Place::Wkt(Column { name, .. }) => name,
            Place::Feature => "geometry",
        }
    }

    pub(super) fn code(&self, record: &Record) -> Result<Option<ComponentCode>, RowFault> {
        let Some(word) = self.text(record, "code")? else {
            return Ok(None);
        };
        let column = self.mapping.column_of("code");
        let word = plain(&word);
        if rounded(&word) || self.rounded && word.len() >= 16 && word.ends_with('0') {
            let detail = text!(
                "Excel 已舍入该编码 {word}，请将该列设为文本后重新导出",
                "a spreadsheet has rounded this code {word}: make the column text and export it again"
            );
            let expected = Text::new("以文本保存的完整编码", "the whole code, kept as text");
            return Err(RowFault::new(Reason::CodeRounded, column, detail, expected));
        }
        let code = self
            .code_scheme(self.mapping.scheme_of(record).as_deref())
            .and_then(|scheme| ComponentCode::parse(scheme, &word));
        code.map(Some).map_err(|e| RowFault::of(Reason::CodeWrong, column, e))
    }

    /// Another component of the class where this one stands, as far as its accuracy class can tell. Positions of class C lie anywhere
    /// within ten metres and tell nothing.
    pub(super) fn duplicate(&mut self, row: u64, draft: &Draft, class: usize, key: Option<&str>) -> Option<RowFault> {
        let near = self.near.as_mut()?;
        let (Geometry::Point(p), true) = (&draft.geometry, draft.state != State::Retired) else {
            return None;
        };
        let class = &self.classes[class];
        let at = LonLat::new(p.x(), p.y()).ok()?;
        let mark = key.map_or(0, Near::mark);
        let known = draft.accuracy.or(class.accuracy);
        let known = known.filter(|a| *a != Accuracy::C && !near.is_settled(mark));
        let other = known.and_then(|a| Some((near.nearest(class.id, at, a.metres(), mark)?, a)));
        let Some(((who, metres), accuracy)) = other else {
            near.add(class.id, at, -i64::try_from(row).ok()?, mark);
            return None;
        };
        let (key, limit) = (accuracy.key(), accuracy.metres());
        let detail = match who {
            1.. => text!(
                "距同类部件 {who} 仅 {metres:.2} 米，精度等级 {key} 为 {limit} 米",
                "{metres:.2} m from component {who} of the same class; accuracy class {key} is {limit} m"
            ),
            _ => {
                let other = -who;
                text!(
                    "距第 {other} 行同类部件仅 {metres:.2} 米，精度等级 {key} 为 {limit} 米",
                    "{metres:.2} m from row {other} of the same class; accuracy class {key} is {limit} m"
                )
            }
        };
        let expected = Text::new(
            "保留其一；确为两个时以 --allow-duplicates 导入",
            "one of them; if they are two, import with --allow-duplicates",
        );
        Some(RowFault::new(Reason::Duplicate, self.place_column(), detail, expected))
    }

    /// District and class of whose code a row without one shall get the next serial, where the mapping says so.
    pub(super) fn serial_of(&self, class: &Class, geometry: &Geometry<f64>) -> Result<Option<String>, RowFault> {
        if !self.mapping.fields.get("code").is_some_and(|p| p.assign) {
            return Ok(None);
        }
        let column = self.mapping.column_of("code");
        let expected = Text::new("手工编码", "a code given by hand");
        if class.scheme != CJT214 {
            let (zh, en) = (&class.name_zh, &class.name_en);
            let detail = text!(
                "小类“{zh}”不在 CJ/T 214 内，不能自动编码",
                "the class \"{en}\" is not one of CJ/T 214, so that its code cannot be given"
            );
            return Err(RowFault::new(Reason::CodeWrong, column, detail, expected));
        }
        let district = representative(geometry).and_then(|p| self.ground.district_at(p));
        match district {
            Some(district) => Ok(Some(format!("{district}{}", class.code))),
            None => {
                let detail = Text::new(
                    "位置不在登记册的任何区划内，不能自动编码",
                    "the position is in no district of the register, so that its code cannot be given",
                );
                Err(RowFault::new(Reason::CodeWrong, column, detail, expected))
            }
        }
    }

    /// First surveyed, then changed, both by today.
    pub(super) fn disorder(&self, surveyed: Option<NaiveDate>, changed: Option<NaiveDate>) -> Option<RowFault> {
        let column = |field: &str| self.mapping.column_of(field).to_owned();
        let today = self.today;
        for (field, day) in [("surveyed_on", surveyed), ("changed_on", changed)] {
            if let Some(day) = day.filter(|d| *d > today) {
                let detail = text!("日期 {day} 晚于今天", "the day {day} is after today");
                let expected = text!("不晚于 {today}", "no later than {today}");
                return Some(RowFault::new(Reason::Dates, column(field), detail, expected));
            }
        }
        let (first, then) = (surveyed?, changed?);
        if first <= then {
            return None;
        }
        let detail = text!(
            "变更日期 {then} 早于初始日期 {first}",
            "it was changed on {then}, before it was surveyed on {first}"
        );
        let expected = text!("不早于 {first}", "no earlier than {first}");
        Some(RowFault::new(Reason::Dates, column("changed_on"), detail, expected))
    }
}

/// Where a shape stands: a point itself, anything else at a point on it.
fn representative(geometry: &Geometry<f64>) -> Option<LonLat> {
    use geo::InteriorPoint;
    let p = match geometry {
        Geometry::Point(p) => *p,
        other => other.interior_point()?,
    };
    LonLat::new(p.x(), p.y()).ok()
}

/// A code that a spreadsheet has made a number of: `1.20103E+15`, or sixteen digits that came as a float.
fn rounded(code: &str) -> bool {
    let upper = code.to_ascii_uppercase();
    if let Some((digits, power)) = upper.split_once("E+") {
        let number = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !digits.is_empty();
        return number && power.parse::<u32>().is_ok_and(|p| (10..=20).contains(&p));
    }
    upper
        .strip_suffix(".0")
        .is_some_and(|d| d.len() >= 16 && d.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a whole column of long codes has lost its last digit: ten or more that all end in 0, or three or more among which some have
/// become equal.
pub(super) fn rounded_column(codes: impl Iterator<Item = String>) -> bool {
    let (mut seen, mut n, mut repeated) = (HashSet::new(), 0, false);
    for code in codes.filter(|c| c.len() >= 16 && c.bytes().all(|b| b.is_ascii_digit())) {
        if !code.ends_with('0') {
            return false;
        }
        n += 1;
        repeated |= !seen.insert(code);
    }
    n >= 10 || n >= 3 && repeated
}
