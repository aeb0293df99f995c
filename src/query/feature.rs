//! GeoJSON features (RFC 7946) with names beside codes.

use geojson::GeometryValue;
use serde_json::{Map, Value, json};

use crate::domain::class::Attribute;
use crate::domain::record::Area;
use crate::domain::text::Lang;
use crate::domain::word::{AreaLevel, ManagementKind, OwnershipStatus, PropertyKind, State};
use crate::index::Memory;
use crate::index::row::Found;
use crate::spatial::plane::Plane;
use crate::store::page::{Detail, Version};
use crate::tile::layer::{Layer, Source};

/// Reads names out of memory in one language.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// Where they are.
    pub memory: &'a Memory,
    /// In which language.
    pub lang: Lang,
    /// In which coordinates.
    pub plane: Plane,
}

/// The name of a key, or null.
fn name_of<T: Copy>(word: Option<T>, name: impl Fn(T) -> &'static str) -> Value {
    word.map_or(Value::Null, |w| name(w).into())
}

impl Names<'_> {
    fn party(&self, out: &mut Map<String, Value>, role: &str, id: Option<i32>) {
        let party = id.and_then(|id| self.memory.parties.get(&id));
        out.insert(role.into(), json!(party.map(|p| &p.code)));
        out.insert(format!("{role}_name"), json!(party.map(|p| &p.name)));
    }

    fn class(&self, out: &mut Map<String, Value>, id: i32) {
        let class = self.memory.classes.get(&id);
        out.insert("class".into(), json!(class.map(|c| &c.code)));
        out.insert("class_scheme".into(), json!(class.map(|c| &c.scheme)));
        out.insert("class_name".into(), json!(class.map(|c| c.name(self.lang))));
    }

    fn cell(&self, out: &mut Map<String, Value>, cell: Option<i32>) {
        let code = cell.and_then(|c| self.memory.cells.what(c)).map(|c| &c.code);
        out.insert("cell".into(), json!(code));
        let areas = cell
            .and_then(|c| u32::try_from(c).ok())
            .map_or_else(Vec::new, |c| self.memory.areas_of_cell(c));
        let of = |level: AreaLevel| areas.iter().find(|a: &&&Area| a.level == level);
        let community = of(AreaLevel::Community);
        out.insert("community".into(), json!(community.map(|a| &a.code)));
        out.insert("community_name".into(), json!(community.map(|a| &a.name)));
        out.insert("street_name".into(), json!(of(AreaLevel::Street).map(|a| &a.name)));
    }

    fn road(&self, out: &mut Map<String, Value>, road: Option<i32>) {
        let road = road.and_then(|id| self.memory.roads.what(id));
        out.insert("road".into(), json!(road.and_then(|r| r.name.as_ref())));
        out.insert("road_class".into(), json!(road.map(|r| r.class.key())));
        out.insert("road_class_name".into(), json!(road.map(|r| r.class.name(self.lang))));
    }

    /// All properties of a component.
    pub fn properties(&self, d: &Detail) -> Map<String, Value> {
        let lang = self.lang;
        let mut out = Map::new();
        out.insert("code".into(), json!(d.code));
        out.insert("scheme".into(), json!(d.scheme));
        self.class(&mut out, d.class);
        out.insert("name".into(), json!(d.name));
        let mut word = |key: &str, value: Option<&str>, name: Value| {
            out.insert(key.into(), json!(value));
            out.insert(format!("{key}_name"), name);
        };
        word(
            "state",
            Some(&d.state),
            name_of(State::parse(&d.state).ok(), |w| w.name(lang)),
        );
        let status = OwnershipStatus::parse(&d.ownership_status).ok();
        word(
            "ownership_status",
            Some(&d.ownership_status),
            name_of(status, |w| w.name(lang)),
        );
        let kind = d.property_kind.as_deref();
        word(
            "property_kind",
            kind,
            name_of(kind.and_then(|k| PropertyKind::parse(k).ok()), |w| w.name(lang)),
        );
        let kind = d.management_kind.as_deref();
        word(
            "management_kind",
            kind,
            name_of(kind.and_then(|k| ManagementKind::parse(k).ok()), |w| w.name(lang)),
        );
        for (role, id) in [
            ("authority", d.authority),
            ("owner", d.owner),
            ("maintainer", d.maintainer),
        ] {
            self.party(&mut out, role, id);
        }
        self.cell(&mut out, d.cell);
        self.road(&mut out, d.road);
        out.insert("address".into(), json!(d.address));
        out.insert("part_of".into(), json!(d.part_of));
        out.insert("surveyed_on".into(), json!(d.surveyed_on));
        out.insert("source".into(), json!(d.source));
        out.insert("accuracy".into(), json!(d.accuracy));
        out.insert("note".into(), json!(d.note));
        out.insert("attributes".into(), Value::Object(d.attributes.0.clone()));
        out.insert("version".into(), json!(d.version));
        out
    }

    /// A component as a feature.
    pub fn feature(&self, d: &Detail) -> Value {
        let mut geometry = d.geometry.0.clone();
        if let (Some(_), Some(coordinates)) = (self.plane.0, geometry.get_mut("coordinates")) {
            shift(coordinates, self.plane);
        }
        json!({"type": "Feature", "id": d.id, "geometry": geometry, "properties": self.properties(d)})
    }

    /// What the attributes of a component say, in words: label, value and unit of each, the declared ones first.
    pub fn attributes_read(&self, d: &Detail) -> Value {
        let declared = self.memory.classes.get(&d.class).map_or(&[][..], |c| &c.attributes);
        let known = declared
            .iter()
            .filter_map(|a| Some((a.name.as_str(), Some(a), d.attributes.get(&a.name)?)));
        let other = d
            .attributes
            .iter()
            .filter(|(name, _)| !declared.iter().any(|a| a.name == **name));
        let all = known.chain(other.map(|(name, value)| (name.as_str(), None, value)));
        let read = |(name, declared, value): (&str, Option<&Attribute>, &Value)| {
            let label = declared.map_or(name, |a| self.lang.pick(&a.zh, &a.en));
            let code = declared.and_then(|a| a.codes.iter().find(|c| value.as_str() == Some(&c.code)));
            let shown = code.map_or_else(|| value.clone(), |c| self.lang.pick(&c.zh, &c.en).as_str().into());
            json!({"name": name, "label": label, "value": shown, "unit": declared.and_then(|a| a.unit.as_deref())})
        };
        all.map(read).collect()
    }

    /// A component as a feature with what memory holds of it, and its distance.
    pub fn near(&self, row: &Found<'_>, metres: f64) -> Value {
        let components = &self.memory.components;
        let number = |n: u32| i32::try_from(n).ok().filter(|n| *n > 0);
        let mut out = Map::new();
        out.insert("distance_m".into(), json!((metres * 1000.0).round() / 1000.0));
        out.insert("code".into(), json!(row.code()));
        out.insert("scheme".into(), json!(components.scheme(row)));
        self.class(&mut out, i32::from(row.class));
        out.insert("name".into(), json!(row.name()));
        out.insert("state".into(), json!(row.state().key()));
        out.insert("state_name".into(), json!(row.state().name(self.lang)));
        out.insert("ownership_status".into(), json!(row.ownership().key()));
        out.insert("ownership_status_name".into(), json!(row.ownership().name(self.lang)));
        let parties = row.parties();
        for (role, id) in [
            ("authority", parties.authority),
            ("owner", parties.owner),
            ("maintainer", parties.maintainer),
        ] {
            self.party(&mut out, role, number(id));
        }
        self.cell(&mut out, number(row.cell));
        self.road(&mut out, number(row.road));
        out.insert("version".into(), json!(row.version));
        let geometry = match components.shape(row.id) {
            Some(shape) => geometry(&shape.unpack(), self.plane),
            None => geometry(&geo::Point::new(row.lon, row.lat).into(), self.plane),
        };
        json!({"type": "Feature", "id": row.id, "geometry": geometry, "properties": out})
    }

    /// A cell, area, road or piece of land as a feature; none if the layer does not show it.
    pub fn place(&self, layer: &Layer, id: i32) -> Option<Value> {
        let (memory, number) = (self.memory, u64::try_from(id).ok()?);
        let (shape, properties) = match layer.source {
            Source::Component => return None,
            Source::Area => {
                let s = memory.areas.get(number).filter(|s| s.shown)?;
                let (a, level) = (&s.what, s.what.level.name(self.lang));
                (
                    &s.geometry,
                    json!({"code": a.code, "name": a.name, "level": a.level.key(), "level_name": level}),
                )
            }
            Source::Cell => {
                let s = memory.cells.get(number).filter(|s| s.shown)?;
                let (c, community) = (&s.what, s.what.area.and_then(|a| memory.areas.what(a.get())));
                let (code, name) = (community.map(|a| &a.code), community.map(|a| &a.name));
                let properties = json!({"code": c.code, "scheme": c.scheme, "name": c.name, "community": code, "community_name": name});
                (&s.geometry, properties)
            }
            Source::Road => {
                let s = memory.roads.get(number)?;
                let (r, class) = (&s.what, s.what.class.name(self.lang));
                (
                    &s.geometry,
                    json!({"name": r.name, "class": r.class.key(), "class_name": class}),
                )
            }
            Source::Land => {
                let s = memory.lands.get(number)?;
                let l = Some(&s.what).filter(|l| layer.kinds.iter().any(|k| **k == *l.kind))?;
                (
                    &s.geometry,
                    json!({"kind": l.kind, "name": l.name, "population": l.population}),
                )
            }
        };
        Some(
            json!({"type": "Feature", "id": id, "geometry": geometry(&shape.unpack(), self.plane), "properties": properties}),
        )
    }

    /// The versions of a component, newest first, each with what it changed.
    pub fn history(&self, versions: &[Version]) -> Vec<Value> {
        let older = versions.iter().skip(1).map(Some).chain([None]);
        versions
            .iter()
            .zip(older)
            .map(|(new, old)| self.version(new, old))
            .collect()
    }

    fn version(&self, new: &Version, old: Option<&Version>) -> Value {
        let diff: Vec<Value> = old.map_or_else(Vec::new, |old| self.diff(&old.detail, &new.detail));
        json!({
            "version": new.detail.version,
            "revision": new.revision,
            "recorded": new.recorded,
            "by": new.actor,
            "reason": new.reason,
            "unconditional": new.unconditional,
            "diff": diff,
        })
    }

    fn diff(&self, old: &Detail, new: &Detail) -> Vec<Value> {
        let read = |d: &Detail| {
            let mut all = self.properties(d);
            all.insert("geometry".into(), d.geometry.0.clone());
            all
        };
        let (before, after) = (read(old), read(new));
        let mut out = Vec::new();
        for (field, zh, en) in FIELDS {
            let shown = format!("{field}_name");
            let (a, b) = (before.get(*field), after.get(*field));
            if a == b {
                continue;
            }
            let pick = |all: &Map<String, Value>, plain: Option<&Value>| {
                all.get(&shown)
                    .filter(|v| !v.is_null())
                    .or(plain)
                    .cloned()
                    .unwrap_or(Value::Null)
            };
            if *field == "attributes" {
                out.extend(self.attributes(old, new));
                continue;
            }
            let label = self.lang.pick(*zh, *en);
            out.push(json!({"field": field, "label": label, "old": pick(&before, a), "new": pick(&after, b)}));
        }
        out
    }

    fn attributes(&self, old: &Detail, new: &Detail) -> Vec<Value> {
        let (a, b) = (&old.attributes.0, &new.attributes.0);
        let class = self.memory.classes.get(&new.class);
        let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let label = |name: &str| {
            let declared = class.and_then(|c| c.attributes.iter().find(|d| d.name == name));
            declared.map_or(name, |d| self.lang.pick(&d.zh, &d.en)).to_owned()
        };
        let changed = names.into_iter().filter(|n| a.get(*n) != b.get(*n));
        changed
            .map(|n| json!({"field": format!("attributes.{n}"), "label": label(n), "old": a.get(n), "new": b.get(n)}))
            .collect()
    }
}

const FIELDS: &[(&str, &str, &str)] = &[
    ("code", "标识码", "Code"),
    ("class", "小类", "Class"),
    ("name", "名称", "Name"),
    ("geometry", "位置", "Position"),
    ("state", "状态", "State"),
    ("ownership_status", "确权状态", "Ownership status"),
    ("authority", "主管单位", "Authority"),
    ("owner", "权属单位", "Owner"),
    ("maintainer", "养护单位", "Maintainer"),
    ("property_kind", "产权性质", "Property kind"),
    ("management_kind", "管理方式", "Management kind"),
    ("cell", "单元网格", "Cell"),
    ("road", "道路", "Road"),
    ("address", "位置描述", "Address"),
    ("part_of", "所属部件", "Part of"),
    ("surveyed_on", "普查日期", "Surveyed on"),
    ("source", "数据来源", "Source"),
    ("accuracy", "精度等级", "Accuracy"),
    ("note", "备注", "Note"),
    ("attributes", "属性", "Attributes"),
];

/// Nine decimals are 0.1 mm: what PostGIS writes for the same position.
fn round(degrees: f64) -> f64 {
    (degrees * 1e9).round() / 1e9
}

fn geometry(shape: &geo::Geometry<f64>, plane: Plane) -> Value {
    use geo::MapCoords;
    let rounded = shape.map_coords(|c| {
        let (x, y) = plane.forward(c.x, c.y);
        geo::Coord {
            x: round(x),
            y: round(y),
        }
    });
    let value = GeometryValue::from(&rounded);
    serde_json::to_value(geojson::Geometry::new(value)).unwrap_or(Value::Null)
}

/// Moves the coordinates of a GeoJSON geometry, however deep they are nested, into a plane.
fn shift(coordinates: &mut Value, plane: Plane) {
    let Some(list) = coordinates.as_array_mut() else { return };
    match list.as_slice() {
        [Value::Number(x), Value::Number(y), ..] => {
            let (x, y) = (x.as_f64().unwrap_or(0.0), y.as_f64().unwrap_or(0.0));
            let (x, y) = plane.forward(x, y);
            (list[0], list[1]) = (json!(round(x)), json!(round(y)));
        }
        _ => list.iter_mut().for_each(|c| shift(c, plane)),
    }
}
