//! A component as it comes in, before the register has taken it.

use chrono::NaiveDate;
use geo::Geometry;
use serde_json::{Map, Value};

use super::class::Class;
use super::code::ComponentCode;
use super::text::{Fault, Text};
use super::word::{Accuracy, GeometryKind, ManagementKind, OwnershipStatus, PropertyKind, State};
use crate::text;

/// A component whose every field has been read, with its class, parties and road found. What an import, a form or the demo city
/// hands to the store; the store adds id, cell and version.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// 标识码, where it has one.
    pub code: Option<ComponentCode>,
    /// The register's number of its class.
    pub class: i32,
    /// Its own name, where it has one ("人民公园").
    pub name: Option<String>,
    /// Where it stands: EPSG:4326, lon,lat degrees.
    pub geometry: Geometry<f64>,
    /// What condition it is in.
    pub state: State,
    /// 主管单位, the register's number of the party.
    pub authority: Option<i32>,
    /// 权属单位.
    pub owner: Option<i32>,
    /// 养护单位.
    pub maintainer: Option<i32>,
    /// How far the owner is settled.
    pub ownership_status: OwnershipStatus,
    /// 产权性质.
    pub property_kind: Option<PropertyKind>,
    /// 管理方式.
    pub management_kind: Option<ManagementKind>,
    /// 位置描述.
    pub address: Option<String>,
    /// The register's number of its road.
    pub road: Option<i32>,
    /// The component that it is a part of: berth → lot, lamp → pole.
    pub part_of: Option<i64>,
    /// The day it was surveyed.
    pub surveyed_on: Option<NaiveDate>,
    /// The delivery or system it comes from.
    pub source: Option<String>,
    /// Its key there.
    pub source_key: Option<String>,
    /// Mean-square error of its position.
    pub accuracy: Option<Accuracy>,
    /// 备注.
    pub note: Option<String>,
    /// What its class declares, and what its source has besides.
    pub attributes: Map<String, Value>,
}

impl Draft {
    /// A draft with nothing but what every component must have.
    pub fn new(class: i32, geometry: Geometry<f64>) -> Draft {
        Draft {
            code: None,
            class,
            name: None,
            geometry,
            state: State::Intact,
            authority: None,
            owner: None,
            maintainer: None,
            ownership_status: OwnershipStatus::Unsurveyed,
            property_kind: None,
            management_kind: None,
            address: None,
            road: None,
            part_of: None,
            surveyed_on: None,
            source: None,
            source_key: None,
            accuracy: None,
            note: None,
            attributes: Map::new(),
        }
    }

    /// Everything that is wrong with it as a component of `class`; pointers as in a GeoJSON feature.
    pub fn check(&self, class: &Class) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Err(detail) = check_geometry(&self.geometry, class) {
            faults.push(Fault::new("/geometry", detail));
        }
        if let Some(code) = &self.code
            && let Some(digits) = code.class()
            && code.scheme().as_str() == class.scheme
            && digits != class.code
        {
            let (code, class_code, zh, en) = (code.as_str(), &class.code, &class.name_zh, &class.name_en);
            faults.push(Fault::new(
                "/properties/code",
                text!(
                    "标识码 {code} 的第7至10位为 {digits}，与小类 {class_code}({zh})不符",
                    "digits 7 to 10 of code {code} are {digits}, but the class is {class_code} ({en})"
                ),
            ));
        }
        let texts = [("name", &self.name), ("address", &self.address), ("note", &self.note)];
        for (field, value) in texts {
            let n = value.as_deref().map_or(0, |s| s.chars().count());
            if n > MAX_TEXT {
                faults.push(Fault::new(
                    format!("/properties/{field}"),
                    text!(
                        "文本有{n}个字符，最多{MAX_TEXT}个",
                        "the text has {n} characters; at most {MAX_TEXT} are kept"
                    ),
                ));
            }
        }
        faults.extend(class.check_attributes(&self.attributes, "/properties/attributes"));
        faults
    }
}

const MAX_TEXT: usize = 1000;

/// The most vertices that one component's geometry may have.
pub const MAX_VERTICES: usize = 100_000;

/// The kind of a geometry; none for a collection or a multipoint, which no component has.
pub fn geometry_kind(geometry: &Geometry<f64>) -> Option<GeometryKind> {
    match geometry {
        Geometry::Point(_) => Some(GeometryKind::Point),
        Geometry::Line(_) | Geometry::LineString(_) | Geometry::MultiLineString(_) => Some(GeometryKind::Line),
        Geometry::Polygon(_) | Geometry::MultiPolygon(_) | Geometry::Rect(_) | Geometry::Triangle(_) => {
            Some(GeometryKind::Polygon)
        }
        _ => None,
    }
}

/// Whether a geometry is one that a component of the class can have: of an allowed kind, valid, on the earth, not too detailed.
pub fn check_geometry(geometry: &Geometry<f64>, class: &Class) -> Result<(), Text> {
    let kind = geometry_kind(geometry);
    if !kind.is_some_and(|k| class.geometry.contains(&k)) {
        let is = |lang| kind.map_or("?", |k| k.name(lang));
        let may = |lang| {
            class
                .geometry
                .iter()
                .map(|k| k.name(lang))
                .collect::<Vec<_>>()
                .join("/")
        };
        use super::text::Lang::{En, Zh};
        let (zh, en) = (&class.name_zh, &class.name_en);
        let (is_zh, is_en, may_zh, may_en) = (is(Zh), is(En), may(Zh), may(En));
        return Err(text!(
            "“{zh}”应为{may_zh}，而不是{is_zh}",
            "a {en} should be a {may_en}, not a {is_en}"
        ));
    }
    crate::spatial::position::check_geometry(geometry, MAX_VERTICES)
}
