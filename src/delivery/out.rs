//! Lists out of the register: which columns a component has under which headings, and its way into a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use chrono::Local;
use encoding_rs::Encoding;
use geo::{Coord, Geometry, MapCoords};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::blocking;
use crate::domain::class::AttributeKind;
use crate::domain::text::{Lang, Text};
use crate::domain::word::{AreaLevel, ManagementKind, OwnershipStatus, PropertyKind, State};
use crate::error::{Error, Result};
use crate::exchange::write::{self, Field, Format, Kind, Plan};
use crate::index::Memory;
use crate::spatial::crs::Crs;
use crate::spatial::position::LonLat;
use crate::store::Store;
use crate::store::page::Detail;
use crate::text;
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
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
enum From {
    Plain(&'static str),
    Attribute(String, BTreeMap<String, String>),
}

/// One column.
#[derive(Clone, Debug)]
struct Column {
    from: From,
    field: Field,
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

/// The columns of a list, in order.
fn columns(
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
        let field = Field {
            name: (*name).to_owned(),
            kind: *kind,
        };
        out.push(Column {
            from: From::Plain(key),
            field,
        });
    }
    if !wish.format.has_shapes() {
        let degrees = !matches!(wish.crs, Crs::Epsg(_) | Crs::WebMercator | Crs::Defined(_));
        // Surveyors call the northing X; whoever reads headings expects that.
        let (east, north) = match (names, degrees) {
            (Names::Lamppost, _) => ("x", "y"),
            (_, true) => wish.lang.pick(("经度", "纬度"), ("Longitude", "Latitude")),
            (_, false) => wish.lang.pick(("Y坐标", "X坐标"), ("Easting", "Northing")),
        };
        let list: &[(&str, &str, Kind)] = if points {
            &[("x", east, Kind::Number), ("y", north, Kind::Number)]
        } else {
            &[("wkt", "wkt", Kind::Text)]
        };
        for (key, name, kind) in list {
            let field = Field {
                name: (*name).to_owned(),
                kind: *kind,
            };
            let from = match *key {
                "x" => From::Plain("x"),
                "y" => From::Plain("y"),
                _ => From::Plain("wkt"),
            };
            out.push(Column { from, field });
        }
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
struct Reader<'a> {
    memory: &'a Memory,
    words: bool,
    lang: Lang,
    crs: Crs,
}

impl Reader<'_> {
    fn shape(&self, d: &Detail) -> Result<Geometry<f64>> {
        let own: ::geojson::Geometry = serde_json::from_value(d.geometry.0.clone()).map_err(Error::internal)?;
        let shape = Geometry::<f64>::try_from(&own.value).map_err(Error::internal)?;
        let fault = |e| Error::Syntax(vec![crate::domain::text::Fault::new("crs", e)]);
        let degrees = matches!(self.crs, Crs::Geographic(_) | Crs::Shifted(_));
        let step = if degrees { 1e9 } else { 1e4 };
        shape.try_map_coords(|c| {
            let p = LonLat::new(c.x, c.y).map_err(fault)?;
            let (x, y) = self.crs.from_lonlat(p).map_err(fault)?;
            Ok(Coord {
                x: (x * step).round() / step,
                y: (y * step).round() / step,
            })
        })
    }

    fn value(&self, d: &Detail, from: &From, shape: &Geometry<f64>) -> Value {
        let key = match from {
            From::Plain(key) => *key,
            From::Attribute(name, words) => {
                let own = d.attributes.get(name).cloned().unwrap_or(Value::Null);
                return match own.as_str().and_then(|s| words.get(s)) {
                    Some(word) => json!(word),
                    None => own,
                };
            }
        };
        let party = |id: Option<i32>| id.and_then(|id| self.memory.parties.get(&id));
        let class = self.memory.classes.get(&d.class);
        let word = |key: &str, name: Option<&'static str>| match name {
            Some(name) if self.words => json!(name),
            _ => json!(key),
        };
        match key {
            "id" => json!(d.id),
            "scheme" => json!(d.scheme),
            "code" => json!(d.code),
            "class" => json!(class.map(|c| format!("{}/{}", c.scheme, c.code))),
            "class_name" => json!(class.map(|c| c.name(self.lang))),
            "name" => json!(d.name),
            "state" => word(&d.state, State::parse(&d.state).ok().map(|w| w.name(self.lang))),
            "ownership_status" => {
                let own = OwnershipStatus::parse(&d.ownership_status).ok();
                word(&d.ownership_status, own.map(|w| w.name(self.lang)))
            }
            "authority" => json!(party(d.authority).map(|p| &p.name)),
            "authority_code" => json!(party(d.authority).map(|p| &p.code)),
            "owner" => json!(party(d.owner).map(|p| &p.name)),
            "owner_code" => json!(party(d.owner).map(|p| &p.code)),
            "maintainer" => json!(party(d.maintainer).map(|p| &p.name)),
            "maintainer_code" => json!(party(d.maintainer).map(|p| &p.code)),
            "cell" => json!(d.cell.and_then(|c| self.memory.cells.what(c)).map(|c| &c.code)),
            "community" => {
                let cell = d.cell.and_then(|c| u32::try_from(c).ok());
                let areas = cell.map_or_else(Vec::new, |c| self.memory.areas_of_cell(c));
                json!(areas.iter().find(|a| a.level == AreaLevel::Community).map(|a| &a.name))
            }
            "road" => json!(
                d.road
                    .and_then(|r| self.memory.roads.what(r))
                    .and_then(|r| r.name.as_ref())
            ),
            "address" => json!(d.address),
            "surveyed_on" => json!(d.surveyed_on),
            "accuracy" => json!(d.accuracy),
            "property_kind" => d.property_kind.as_deref().map_or(Value::Null, |k| {
                word(k, PropertyKind::parse(k).ok().map(|w| w.name(self.lang)))
            }),
            "management_kind" => d.management_kind.as_deref().map_or(Value::Null, |k| {
                word(k, ManagementKind::parse(k).ok().map(|w| w.name(self.lang)))
            }),
            "part_of" => json!(d.part_of),
            "source" => json!(d.source),
            "note" => json!(d.note),
            "version" => json!(d.version),
            "x" => at(shape).map_or(Value::Null, |c| json!(c.x)),
            "y" => at(shape).map_or(Value::Null, |c| json!(c.y)),
            _ => geozero::ToWkt::to_wkt(shape).map_or(Value::Null, |s| json!(s)),
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
    let (classes, points) = kinds(&memory, &ids);
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
    let crs = wish.crs;
    let writing = tokio::spawn(blocking(move || -> Result<u64> {
        let mut out = write::open(format, &path, plan)?;
        let reader = Reader {
            memory: &memory,
            words: names != Names::Lamppost,
            lang,
            crs,
        };
        let mut count = 0;
        while let Some(page) = receive.blocking_recv() {
            for detail in page {
                let shape = reader.shape(&detail)?;
                let values: Vec<Value> = columns.iter().map(|c| reader.value(&detail, &c.from, &shape)).collect();
                out.row(&values, &shape)?;
                count += 1;
            }
        }
        out.finish(count)?;
        Ok(count)
    }));
    let mut done = 0;
    for page in ids.chunks(PAGE) {
        let details = store.details(page).await?;
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
fn kinds(memory: &Memory, ids: &[i64]) -> (Vec<i32>, bool) {
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
