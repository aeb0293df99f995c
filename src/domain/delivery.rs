//! What a delivery's rows become on their way into the register, and why a row is refused.

use std::sync::Arc;

use geo::Geometry;
use serde_json::Value;

use super::class::{Attribute, Class};
use super::component::Draft;
use super::text::{Fault, Text};
use super::word::{Accuracy, GeometryKind};
use crate::text;

macro_rules! reasons {
    ($($variant:ident $key:literal $zh:literal $en:literal),+ $(,)?) => {
        /// Why a row is refused, as counted in a report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $(#[doc = $en] $variant),+ }

        impl Reason {
            /// The word in a report.
            pub fn key(self) -> &'static str { match self { $(Reason::$variant => $key),+ } }

            /// What people read.
            pub fn title(self) -> Text { match self { $(Reason::$variant => Text::new($zh, $en)),+ } }
        }
    };
}

reasons! {
    Unreadable "unreadable" "无法读取" "cannot be read",
    Encoding "encoding" "编码错误" "bytes that are not in the encoding",
    Columns "columns" "列数不符" "another number of columns than the header",
    KeyMissing "key_missing" "缺少主键" "no key",
    KeyRepeated "key_repeated" "主键重复" "key repeated in the file",
    PositionMissing "position_missing" "没有位置" "no position",
    PositionWrong "position_wrong" "位置有误" "position cannot be right",
    AxesSwapped "axes_swapped" "坐标颠倒" "coordinates swapped",
    WrongZone "wrong_zone" "坐标系或带号有误" "coordinates of another system or zone",
    ShiftedDatum "shifted_datum" "疑为互联网地图坐标" "coordinates of an internet map's datum",
    OutsideCell "outside_cell" "不在所述单元网格内" "position outside the cell that the row states",
    Outside "outside" "不在辖区内" "position outside the register's areas",
    OutOfBounds "out_of_bounds" "超出范围" "position outside the stated bounds",
    Geometry "geometry" "几何有误" "geometry not acceptable",
    Duplicate "duplicate" "疑为重复登记" "another of the class in the same place",
    Class "class" "小类未知" "unknown class",
    Party "party" "单位未知" "unknown party",
    CodeRounded "code_rounded" "编码被 Excel 舍入" "code rounded by a spreadsheet",
    CodeWrong "code_wrong" "标识码有误" "code not acceptable",
    Dates "dates" "日期次序有误" "dates out of order",
    Value "value" "取值有误" "value not acceptable",
    Missing "missing" "缺少必填项" "required value missing",
    CodeTaken "code_taken" "标识码已被使用" "code belongs to another",
    Retired "retired" "已注销" "retired in the register",
    Edited "edited" "登记册中已另行修改" "edited in the register since the last delivery",
    NotYours "not_yours" "无权编辑" "not the deliverer's to edit",
}

/// One thing that is wrong with a row: where, why, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// What it is counted under.
    pub reason: Reason,
    /// The source's own column; empty where it is the whole row.
    pub column: Box<str>,
    /// What is wrong.
    pub detail: Text,
    /// What would be right.
    pub expected: Text,
}

impl RowFault {
    /// A fault with what would be right.
    pub fn new(reason: Reason, column: impl Into<String>, detail: Text, expected: Text) -> RowFault {
        RowFault {
            reason,
            column: column.into().into_boxed_str(),
            detail,
            expected,
        }
    }

    /// A fault of the domain, whose sentence says both what is wrong and, after "should be", what would be right.
    pub fn of(reason: Reason, column: impl Into<String>, detail: Text) -> RowFault {
        let after = |s: &str, mark: &str| {
            s.split_once(mark)
                .map_or(String::new(), |(_, right)| right.trim().to_owned())
        };
        let expected = Text {
            zh: after(&detail.zh, "应为"),
            en: after(&detail.en, "should be "),
        };
        RowFault {
            reason,
            column: column.into().into_boxed_str(),
            detail,
            expected,
        }
    }
}

/// A component row that has passed every check that needs no database.
#[derive(Clone, Debug)]
pub struct ComponentRow {
    /// The row in the file.
    pub row: u64,
    /// The draft, with the parties that the register already has.
    pub draft: Draft,
    /// Attributes that the delivery has a column for and this row leaves empty.
    pub absent: Vec<String>,
    /// Names of parties to create, for authority, owner and maintainer.
    pub new_parties: [Option<Arc<str>>; 3],
    /// The name of its road.
    pub road: Option<String>,
    /// District and class, as ten digits, of whose code it shall get the next serial.
    pub serial_of: Option<String>,
}

/// An area, cell, road or piece of land as delivered.
#[derive(Clone, Debug)]
pub struct ShapeRow {
    /// The row in the file.
    pub row: u64,
    /// The code, or for roads and land the key in the source.
    pub key: String,
    /// Area level, road class or land kind; the scheme of a cell.
    pub kind: String,
    /// Its name.
    pub name: Option<String>,
    /// The source's own code (land).
    pub code: Option<String>,
    /// Residents (land).
    pub population: Option<i32>,
    /// EPSG:4326 lon,lat; one or several polygons or lines.
    pub geometry: Geometry<f64>,
}

/// A party as delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyRow {
    /// The row in the file.
    pub row: u64,
    /// Its code, where the delivery has one.
    pub code: Option<String>,
    /// Its name.
    pub name: String,
    /// Other names.
    pub aliases: Vec<String>,
}

/// A class as delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassRow {
    /// The row in the file.
    pub row: u64,
    /// Everything but the numbers that the register gives (`id` and `base` are of no meaning here).
    pub class: Class,
    /// The dictionary and code of the class that it maps to.
    pub base: Option<(String, String)>,
}

impl ClassRow {
    /// Reads the columns of a class dictionary, by name. All faults at once.
    pub fn read<'a>(row: u64, get: impl Fn(&str) -> &'a str) -> Result<ClassRow, Vec<RowFault>> {
        let mut faults = Vec::new();
        let mut fault = |reason, column: &str, detail| faults.push(RowFault::of(reason, column, detail));
        let (scheme, code) = (get("scheme"), get("code"));
        let parsed = super::code::Scheme::parse(scheme)
            .map_err(|e| ("scheme", e))
            .and_then(|s| super::code::ClassCode::parse(s, code).map_err(|e| ("code", e)));
        if let Err((column, e)) = parsed {
            fault(Reason::Value, column, e);
        }
        for column in ["name_zh", "name_en"] {
            if get(column).is_empty() {
                fault(Reason::Missing, column, Text::new("应为名称", "it should be a name"));
            }
        }
        let mut geometry = Vec::new();
        for word in get("geometry").split_whitespace() {
            match GeometryKind::parse(word) {
                Ok(kind) => geometry.push(kind),
                Err(e) => fault(Reason::Value, "geometry", e),
            }
        }
        if geometry.is_empty() {
            let detail = text!(
                "应为 point、line、polygon 之一或几个",
                "it should be one or more of point, line, polygon"
            );
            fault(Reason::Missing, "geometry", detail);
        }
        let accuracy = match get("accuracy") {
            "" => None,
            s => Accuracy::parse(s).map_err(|e| fault(Reason::Value, "accuracy", e)).ok(),
        };
        let attributes: Vec<Attribute> = match get("attributes") {
            "" => Vec::new(),
            s => serde_json::from_str(s).unwrap_or_else(|e| {
                let detail = text!(
                    "应为属性的 JSON 数组：{e}",
                    "it should be a JSON array of attributes: {e}"
                );
                fault(Reason::Value, "attributes", detail);
                Vec::new()
            }),
        };
        let restricted = match get("restricted") {
            "" | "false" | "0" | "否" => false,
            "true" | "1" | "是" => true,
            s => {
                let detail = text!("“{s}”应为 true 或 false", "\"{s}\" should be true or false");
                fault(Reason::Value, "restricted", detail);
                false
            }
        };
        let base = match (get("base_scheme"), get("base_code")) {
            ("", "") => None,
            (s, c) => Some((s.to_owned(), c.to_owned())),
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        let class = Class {
            id: 0,
            scheme: scheme.to_owned(),
            code: code.to_owned(),
            name_zh: get("name_zh").to_owned(),
            name_en: get("name_en").to_owned(),
            major: get("major").to_owned(),
            geometry,
            accuracy,
            attributes,
            restricted,
            base: None,
        };
        Ok(ClassRow { row, class, base })
    }
}

/// The columns of a class dictionary.
pub const CLASS_COLUMNS: [&str; 11] = [
    "scheme",
    "code",
    "name_zh",
    "name_en",
    "major",
    "geometry",
    "accuracy",
    "attributes",
    "restricted",
    "base_scheme",
    "base_code",
];

/// How many rows went where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// New in the register.
    pub added: u64,
    /// In the register, and now different.
    pub changed: u64,
    /// In the register as delivered.
    pub unchanged: u64,
    /// Parts joined to another row of the same code.
    pub merged: u64,
    /// Of those changed, how many stand elsewhere now.
    pub moved: u64,
    /// Of those changed, how many differ in something else.
    pub altered: u64,
    /// In the register and no longer in the source.
    pub retired: u64,
    /// Edited in the register since, while the source still says what it said: left as edited.
    pub kept: u64,
}

/// What became of one row of a source that the register keeps in step with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// New.
    Added,
    /// Now different.
    Changed,
    /// As it was.
    Unchanged,
    /// Edited in the register since, and left so.
    Kept,
    /// No longer in the source.
    Retired,
}

impl What {
    /// The word in a list.
    pub fn key(self) -> &'static str {
        match self {
            What::Added => "added",
            What::Changed => "changed",
            What::Unchanged => "unchanged",
            What::Kept => "kept",
            What::Retired => "retired",
        }
    }

    /// What people read.
    pub fn title(self) -> Text {
        let zh = match self {
            What::Added => "新增",
            What::Changed => "变更",
            What::Unchanged => "未变",
            What::Kept => "保留登记册的修改",
            What::Retired => "注销",
        };
        Text::new(zh, self.key())
    }
}

/// One line of the list of what a source changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What became of it.
    pub what: What,
    /// The row in the file; none for one that is not there.
    pub row: Option<u64>,
    /// The component; none for one that has just been added.
    pub id: Option<i64>,
    /// Its key in the source.
    pub key: String,
    /// The fields that differ, each with what the register says and what the source says.
    pub diff: Value,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.added += other.added;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.merged += other.merged;
        self.moved += other.moved;
        self.altered += other.altered;
        self.retired += other.retired;
        self.kept += other.kept;
    }
}

/// Something in the register that a delivery leaves to be looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// `overlap`, `gap`, `prefix`, `road_unknown`, `party_missing`.
    pub kind: &'static str,
    /// The codes or names that it concerns.
    pub codes: Vec<String>,
    /// How large, in square metres.
    pub area_m2: Option<f64>,
    /// What it is.
    pub detail: Text,
}

impl From<Fault> for RowFault {
    fn from(fault: Fault) -> RowFault {
        RowFault::of(Reason::Value, fault.pointer, fault.detail)
    }
}
