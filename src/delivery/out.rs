//! Lists out of the register: which columns a component has under which headings, and its way into a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use chrono::Local;
use encoding_rs::Encoding;
use geo::{Coord, Geometry, MapCoords};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::domain::class::AttributeKind;
use crate::domain::text::{Lang, Text};
use crate::error::{Error, Result};
use crate::exchange::write::{self, Field, Format, Kind, Plan};
use crate::index::Memory;
use crate::query::feature;
use crate::spatial::crs::Crs;
use crate::spatial::plane::Plane;
use crate::spatial::position::LonLat;
use crate::store::Store;
use crate::store::page::Detail;
use crate::text;
use crate::thread::blocking;
use crate::tile::layer::Layer;

/// Components read at a time.
const PAGE: usize = 1_000;
/// The most attributes that get a column of their own.
const MAX_ATTRIBUTES: usize = 200;

/// What the columns are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// As the register calls them; what a list of these is imported with keeps everything.
    Lamppost,
    /// The national fields: ObjID, DeptName1 …
    National,
    /// Headings to read.
    Headings,
}

impl Names {
    /// Reads `lamppost`, `national` or `headings`.
    pub fn parse(s: &str) -> Result<Names, Text> {
        match s {
            "lamppost" => Ok(Names::Lamppost),
            "national" => Ok(Names::National),
            "headings" => Ok(Names::Headings),
            _ => Err(text!(
                "列名“{s}”应为 lamppost、national、headings 之一",
                "names \"{s}\" should be one of lamppost, national, headings"
            )),
        }
    }
}

/// How a list is wanted.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The format.
    pub format: Format,
    /// What columns are called; headings in a workbook, the register's names otherwise.
    pub names: Option<Names>,
    /// The coordinates.
    pub crs: Crs,
    /// The encoding of a CSV.
    pub encoding: &'static Encoding,
    /// The language of headings and words.
    pub lang: Lang,
    /// What was asked for, in words, for 统计口径.
    pub scope: String,
    /// Empty columns to be filled in: key, and headings in Chinese and English.
    pub blank: &'static [(&'static str, &'static str, &'static str)],
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum From {
    Plain(&'static str),
    Attribute(String, BTreeMap<String, String>),
}

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) from: From,
    pub(super) field: Field,
}

/// Key, national field, heading, English heading and kind of what every component has; a field that has no national name is left out
/// there.
const COLUMNS: &[(&str, &str, &str, &str, Kind)] = &[
    ("id", "", "编号", "No.", Kind::Integer),
    ("scheme", "", "编码体系", "Scheme", Kind::Text),
    ("code", "ObjID", "标识码", "Code", Kind::Code),
    ("class", "", "小类代码", "Class code", Kind::Text),
    ("class_name", "ObjName", "部件名称", "Class", Kind::Text),
    ("name", "", "名称", "Name", Kind::Text),
    ("state", "ObjState", "状态", "State", Kind::Text),
    ("ownership_status", "", "确权状态", "Ownership status", Kind::Text),
    (
        "authority_code",
        "DeptCode1",
        "主管部门代码",
        "Authority code",
        Kind::Code,
    ),
    ("authority", "DeptName1", "主管部门", "Authority", Kind::Text),
    ("owner_code", "DeptCode2", "权属单位代码", "Owner code", Kind::Code),
    ("owner", "DeptName2", "权属单位", "Owner", Kind::Text),
    (
        "maintainer_code",
        "DeptCode3",
        "养护单位代码",
        "Maintainer code",
        Kind::Code,
    ),
    ("maintainer", "DeptName3", "养护单位", "Maintainer", Kind::Text),
    ("cell", "BGID", "所在单元网格", "Cell", Kind::Code),
    ("community", "", "社区", "Community", Kind::Text),
    ("road", "", "所在道路", "Road", Kind::Text),
    ("address", "LocateDSC", "位置描述", "Address", Kind::Text),
    ("surveyed_on", "ORDate", "初始日期", "Surveyed on", Kind::Text),
    ("accuracy", "", "精度等级", "Accuracy", Kind::Text),
    ("property_kind", "", "产权性质", "Property kind", Kind::Text),
    ("management_kind", "", "管理方式", "Management kind", Kind::Text),
    ("part_of", "", "所属部件", "Part of", Kind::Integer),
    ("source", "DataSource", "数据来源", "Source", Kind::Text),
    ("note", "Note", "备注", "Note", Kind::Text),
    ("version", "", "版本", "Version", Kind::Integer),
];

fn column(key: &'static str, name: &str, kind: Kind) -> Column {
    let field = Field {
        name: name.to_owned(),
        kind,
    };
    Column {
        from: From::Plain(key),
        field,
    }
}

/// The heading of the column for what a second survey finds.
pub const CHECK: (&str, &str, &str) = ("check", "复核", "Check");

/// The columns of a list, in order.
pub(super) fn columns(
    wish: &Wish,
    names: Names,
    memory: &Memory,
    attributes: &[String],
    classes: &[i32],
    points: bool,
) -> Vec<Column> {
    let mut out = Vec::new();
    for (key, national, zh, en, kind) in COLUMNS {
        let name = match names {
            Names::Lamppost => key,
            Names::National if national.is_empty() => continue,
            Names::National => national,
            Names::Headings if matches!(*key, "class" | "version") => continue,
            Names::Headings => &wish.lang.pick(*zh, *en),
        };
        out.push(column(key, name, *kind));
    }
    if !wish.format.has_shapes() {
        // Surveyors call the northing X; whoever reads headings expects that.
        let (east, north) = match (names, wish.crs.in_degrees()) {
            (Names::Lamppost, _) => ("x", "y"),
            (_, true) => wish.lang.pick(("经度", "纬度"), ("Longitude", "Latitude")),
            (_, false) => wish.lang.pick(("Y坐标", "X坐标"), ("Easting", "Northing")),
        };
        let list: &[(&'static str, &str, Kind)] = if points {
            &[("x", east, Kind::Number), ("y", north, Kind::Number)]
        } else {
            &[("wkt", "wkt", Kind::Text)]
        };
        out.extend(list.iter().map(|(key, name, kind)| column(key, name, *kind)));
    }
    for (key, zh, en) in wish.blank {
        out.push(column(key, wish.lang.pick(*zh, *en), Kind::Text));
    }
    let declared = |name: &str| {
        let own = classes.iter().filter_map(|c| memory.classes.get(c));
        own.flat_map(|c| &c.attributes).find(|a| a.name == name)
    };
    for name in attributes.iter().take(MAX_ATTRIBUTES) {
        let found = declared(name);
        let kind = match found.map(|a| a.kind) {
            Some(AttributeKind::Integer) => Kind::Integer,
            Some(AttributeKind::Number) => Kind::Number,
            Some(AttributeKind::Boolean) => Kind::Boolean,
            _ => Kind::Text,
        };
        let mut words = BTreeMap::new();
        let mut title = name.clone();
        if let Some(a) = found.filter(|_| names != Names::Lamppost) {
            title.clone_from(wish.lang.pick(&a.zh, &a.en));
            words.extend(
                a.codes
                    .iter()
                    .map(|c| (c.code.clone(), wish.lang.pick(&c.zh, &c.en).clone())),
            );
        }
        // A national field that the register keeps as an attribute.
        if name == "changed_on" {
            title = match names {
                Names::Lamppost => title,
                Names::National => "CHDate".to_owned(),
                Names::Headings => wish.lang.pick("变更日期", "Changed on").to_owned(),
            };
        }
        // Two columns cannot be called alike.
        while out.iter().any(|c: &Column| c.field.name.eq_ignore_ascii_case(&title)) {
            title.push('_');
        }
        let field = Field { name: title, kind };
        out.push(Column {
            from: From::Attribute(name.clone(), words),
            field,
        });
    }
    out
}

/// What is read of one component.
pub(super) struct Reader<'a> {
    pub(super) names: feature::Names<'a>,
    /// Whether people read words or programs read keys.
    pub(super) words: bool,
    pub(super) crs: Crs,
}

impl Reader<'_> {
    pub(super) fn shape(&self, d: &Detail) -> Result<Geometry<f64>> {
        let own: ::geojson::Geometry = serde_json::from_value(d.geometry.0.clone()).map_err(Error::internal)?;
        let shape = Geometry::<f64>::try_from(&own.value).map_err(Error::internal)?;
        let fault = |e| Error::Syntax(vec![crate::domain::text::Fault::new("crs", e)]);
        let step = if self.crs.in_degrees() { 1e9 } else { 1e4 };
        shape.try_map_coords(|c| {
            let p = LonLat::new(c.x, c.y).map_err(fault)?;
            let (x, y) = self.crs.from_lonlat(p).map_err(fault)?;
            Ok(Coord {
                x: (x * step).round() / step,
                y: (y * step).round() / step,
            })
        })
    }

    /// The values of one component, in the order of the columns.
    pub(super) fn values(&self, d: &Detail, columns: &[Column], shape: &Geometry<f64>) -> Vec<Value> {
        let all = self.names.properties(d);
        let value = |c: &Column| match &c.from {
            From::Plain(key) => self.plain(key, d, &all, shape),
            From::Attribute(name, words) => {
                let own = d.attributes.get(name).cloned().unwrap_or(Value::Null);
                match own.as_str().and_then(|s| words.get(s)) {
                    Some(word) => json!(word),
                    None => own,
                }
            }
        };
        columns.iter().map(value).collect()
    }

    /// A property as features have it, but for what stands in a column otherwise: a party and a community by name, a class with its scheme.
    fn plain(&self, key: &str, d: &Detail, all: &Map<String, Value>, shape: &Geometry<f64>) -> Value {
        let get = |key: &str| all.get(key).cloned().unwrap_or(Value::Null);
        match key {
            "id" => json!(d.id),
            "x" => at(shape).map_or(Value::Null, |c| json!(c.x)),
            "y" => at(shape).map_or(Value::Null, |c| json!(c.y)),
            "wkt" => geozero::ToWkt::to_wkt(shape).map_or(Value::Null, |s| json!(s)),
            "class" => match (all["class_scheme"].as_str(), all["class"].as_str()) {
                (Some(scheme), Some(code)) => json!(format!("{scheme}/{code}")),
                _ => Value::Null,
            },
            "authority" | "owner" | "maintainer" | "community" => get(&format!("{key}_name")),
            "authority_code" | "owner_code" | "maintainer_code" => get(key.trim_end_matches("_code")),
            "state" | "ownership_status" | "property_kind" | "management_kind" if self.words => {
                get(&format!("{key}_name"))
            }
            _ => get(key),
        }
    }
}

fn at(shape: &Geometry<f64>) -> Option<Coord<f64>> {
    match shape {
        Geometry::Point(p) => Some(p.0),
        _ => None,
    }
}

/// Writes the components of these ids, which are of one layer, into a file. `progress` is told how many are done. The register is read a
/// page at a time: memory is that of a page, and of the ids.
pub async fn export(
    store: &Store,
    memory: Arc<Memory>,
    layer: &Layer,
    ids: Vec<i64>,
    wish: Wish,
    path: &Path,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<u64> {
    let held = Arc::clone(&memory);
    let (ids, classes, points) = blocking(move || {
        let (classes, points) = kinds(&held, &ids);
        (ids, classes, points)
    })
    .await?;
    let attributes = store.attribute_names(&classes).await?;
    let names = wish.names.unwrap_or(if wish.format == Format::Xlsx {
        Names::Headings
    } else {
        Names::Lamppost
    });
    let columns = columns(&wish, names, &memory, &attributes, &classes, points);
    let title = layer.title(wish.lang).to_owned();
    let now = Local::now().format("%Y-%m-%d %H:%M").to_string();
    let (scope, crs) = (wish.scope.clone(), wish.crs.key());
    let foot = wish.lang.pick(
        vec![
            ("统计时间".into(), now.clone()),
            ("统计口径".into(), scope.clone()),
            ("坐标系".into(), crs.clone()),
        ],
        vec![
            ("Counted at".into(), now),
            ("Scope".into(), scope),
            ("Coordinates".into(), crs),
        ],
    );
    let plan = Plan {
        name: layer.id.clone(),
        title,
        fields: columns.iter().map(|c| c.field.clone()).collect(),
        crs: wish.crs,
        encoding: wish.encoding,
        lang: wish.lang,
        foot,
    };
    let (send, mut receive) = mpsc::channel::<Vec<Detail>>(2);
    let (path, format, lang) = (path.to_owned(), wish.format, wish.lang);
    let (crs, held) = (wish.crs, memory.clone());
    let writing = tokio::spawn(blocking(move || -> Result<u64> {
        let mut out = write::open(format, &path, plan)?;
        let reader = Reader {
            names: feature::Names {
                memory: &memory,
                lang,
                plane: Plane::default(),
            },
            words: names != Names::Lamppost,
            crs,
        };
        let mut count = 0;
        while let Some(page) = receive.blocking_recv() {
            for detail in page {
                let shape = reader.shape(&detail)?;
                out.row(&reader.values(&detail, &columns, &shape), &shape)?;
                count += 1;
            }
        }
        out.finish(count)?;
        Ok(count)
    }));
    let mut done = 0;
    for page in ids.chunks(PAGE) {
        let details = store.details_of_versions(&held.versions(page)).await?;
        done += page.len() as u64;
        // A writer that has stopped says why below.
        if send.send(details).await.is_err() {
            break;
        }
        progress(done);
    }
    drop(send);
    writing.await.map_err(Error::internal)??
}

/// The classes among some components, and whether all are points.
pub(super) fn kinds(memory: &Memory, ids: &[i64]) -> (Vec<i32>, bool) {
    let (mut classes, mut points) = (Vec::new(), true);
    for id in ids {
        let Some(row) = u64::try_from(*id).ok().and_then(|id| memory.components.get(id)) else {
            continue;
        };
        let class = i32::from(row.class);
        if !classes.contains(&class) {
            classes.push(class);
        }
        points &= !row.shaped();
    }
    (classes, points)
}
