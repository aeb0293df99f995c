//! A component as a body says it: what may be written of it, and everything that is wrong with that at once.

use geo::Geometry;
use serde_json::{Map, Value, json};

use super::Shared;
use crate::domain::class::Class;
use crate::domain::code::{ComponentCode, Scheme};
use crate::domain::component::{Draft, check_geometry};
use crate::domain::grant::Rights;
use crate::domain::patch::merge;
use crate::domain::text::{Fault, Text};
use crate::domain::word::{Accuracy, ManagementKind, PropertyKind, State as Condition};
use crate::error::{Error, Result};
use crate::query::matcher;
use crate::store::page::Detail;
use crate::text;
use crate::tile::layer::Layer;

/// The properties that are written here. Parties are claimed, deliveries bring their own keys, cells follow from the place.
const WRITABLE: [&str; 14] = [
    "class",
    "class_scheme",
    "code",
    "scheme",
    "name",
    "state",
    "property_kind",
    "management_kind",
    "address",
    "part_of",
    "surveyed_on",
    "accuracy",
    "note",
    "attributes",
];

/// What of a component may be written, as it is.
pub(super) fn current(detail: &Detail, class: &Class) -> Value {
    let mut whole = values(detail);
    let named = json!({"properties": {"class": class.code, "class_scheme": class.scheme}});
    merge(&mut whole, &named);
    whole
}

/// The same but for the class, whose name a version does not know.
pub(super) fn values(detail: &Detail) -> Value {
    json!({
        "geometry": detail.geometry.0,
        "properties": {
            "code": detail.code, "scheme": detail.scheme, "name": detail.name,
            "state": detail.state, "property_kind": detail.property_kind, "management_kind": detail.management_kind,
            "address": detail.address, "part_of": detail.part_of, "surveyed_on": detail.surveyed_on, "accuracy": detail.accuracy,
            "note": detail.note, "attributes": detail.attributes.0,
        },
    })
}

/// What a body names that nobody writes here: a merged body does not tell any more who named it.
pub(super) fn unwritable(body: &Map<String, Value>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let members = ["type", "id", "geometry", "properties", "reason"];
    for name in body.keys().filter(|k| !members.contains(&k.as_str())) {
        let detail = Text::new("要素没有此成员", "a feature has no such member");
        faults.push(Fault::new(format!("/{name}"), detail));
    }
    match body.get("properties") {
        None | Some(Value::Null) => {}
        Some(Value::Object(properties)) => {
            let known = WRITABLE.join(", ");
            for name in properties.keys().filter(|n| !WRITABLE.contains(&n.as_str())) {
                let detail = match name.as_str() {
                    "authority" | "owner" | "maintainer" | "ownership_status" => Text::new(
                        "由确权主张决定（POST /components/{id}/claims）",
                        "is decided by claims (POST /components/{id}/claims)",
                    ),
                    _ => text!("此处不能写；可写 {known}", "is not written here; there are {known}"),
                };
                faults.push(Fault::new(format!("/properties/{name}"), detail));
            }
        }
        Some(_) => {
            let detail = Text::new("应为 JSON 对象", "should be a JSON object");
            faults.push(Fault::new("/properties", detail));
        }
    }
    faults
}

/// Those of the faults of a merged body that its patch is answerable for: what was wrong before keeps nobody from mending something else.
pub(super) fn of_patch(faults: Vec<Fault>, patch: &Map<String, Value>) -> Vec<Fault> {
    let properties = patch.get("properties").and_then(Value::as_object);
    let has = |name: &str| properties.is_some_and(|p| p.contains_key(name));
    let answerable = |f: &Fault| match f.pointer.split('/').nth(2) {
        // The class says what the shape and the attributes may be.
        _ if has("class") || has("class_scheme") => true,
        None => patch.contains_key(f.pointer.trim_start_matches('/')),
        Some("code") => true,
        Some(name) => has(name),
    };
    faults.into_iter().filter(answerable).collect()
}

/// A geometry of GeoJSON.
pub(super) fn geometry_of(value: &Value) -> Result<Geometry<f64>, Text> {
    serde_json::from_value::<geojson::Geometry>(value.clone())
        .map_err(|e| e.to_string())
        .and_then(|g| Geometry::try_from(g).map_err(|e| e.to_string()))
        .map_err(|e| {
            text!(
                "无法读作 GeoJSON 几何：{e}",
                "cannot be read as a GeoJSON geometry: {e}"
            )
        })
}

/// Reads a geometry member; a fault says what a geometry of the class should be.
fn geometry(value: &Value, class: &Class, faults: &mut Vec<Fault>) -> Option<Geometry<f64>> {
    let read = || -> Result<Geometry<f64>, Text> {
        let parsed = geometry_of(value)?;
        check_geometry(&parsed, class)?;
        Ok(parsed)
    };
    read()
        .map_err(|detail| faults.push(Fault::new("/geometry", detail)))
        .ok()
}

/// Takes properties out of an object, each of its kind.
struct Properties<'b> {
    own: &'b Map<String, Value>,
    faults: Vec<Fault>,
}

impl<'b> Properties<'b> {
    fn fault(&mut self, name: &str, detail: Text) {
        self.faults.push(Fault::new(format!("/properties/{name}"), detail));
    }

    fn text(&mut self, name: &str) -> Option<&'b str> {
        match self.own.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(s)) => Some(s.as_str()).filter(|s| !s.is_empty()),
            Some(_) => {
                self.fault(name, Text::new("应为文本", "should be text"));
                None
            }
        }
    }

    fn read<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, Text>) -> Option<T> {
        let read = self.text(name).map(parse)?;
        read.map_err(|detail| self.fault(name, detail)).ok()
    }
}

/// Reads a whole component of a layer that the caller may see, with every fault of it.
pub(super) fn read(
    app: &Shared,
    rights: &Rights,
    layer: &Layer,
    body: &Map<String, Value>,
) -> Result<(Draft, Vec<Fault>)> {
    let mut faults = unwritable(body);
    let empty = Map::new();
    let mut p = Properties {
        own: body.get("properties").and_then(Value::as_object).unwrap_or(&empty),
        faults: Vec::new(),
    };
    let (wanted, scheme) = (p.text("class").unwrap_or(""), p.text("class_scheme"));
    let class = {
        let memory = app.index.read();
        let of_layer = |c: &&std::sync::Arc<Class>| {
            c.code == wanted && scheme.is_none_or(|s| s == c.scheme) && matcher::shows(&memory, layer, c, rights)
        };
        memory.classes.values().find(of_layer).cloned()
    };
    let Some(class) = class else {
        let (zh, en) = (&layer.title_zh, &layer.title_en);
        let detail = text!(
            "应为图层“{zh}”的小类代码",
            "should be a class code of the layer \"{en}\""
        );
        p.fault("class", detail);
        faults.extend(p.faults);
        return Err(Error::Invalid(faults));
    };
    let shape = geometry(body.get("geometry").unwrap_or(&Value::Null), &class, &mut faults);
    let placed = shape.is_some();
    let mut draft = Draft::new(class.id, shape.unwrap_or(Geometry::Point(geo::Point::new(0.0, 0.0))));
    draft.name = p.text("name").map(str::to_owned);
    draft.address = p.text("address").map(str::to_owned);
    draft.note = p.text("note").map(str::to_owned);
    draft.state = p.read("state", Condition::parse).unwrap_or(draft.state);
    draft.property_kind = p.read("property_kind", PropertyKind::parse);
    draft.management_kind = p.read("management_kind", ManagementKind::parse);
    draft.accuracy = p.read("accuracy", Accuracy::parse);
    draft.surveyed_on = p.read("surveyed_on", |s| {
        let day = s.parse();
        day.map_err(|_| Text::new("应为日期，如 2026-03-01", "should be a day such as 2026-03-01"))
    });
    match p.own.get("attributes") {
        None | Some(Value::Null) => {}
        Some(Value::Object(own)) => draft.attributes.clone_from(own),
        Some(_) => p.fault("attributes", Text::new("应为 JSON 对象", "should be a JSON object")),
    }
    match p.own.get("part_of") {
        None | Some(Value::Null) => {}
        Some(value) => {
            let memory = app.index.read();
            let seen = |id: &i64| {
                let found = u64::try_from(*id).ok().and_then(|id| memory.components.get(id));
                let class = found.and_then(|f| memory.classes.get(&i32::from(f.class)));
                class.is_some_and(|c| rights.sees(c))
            };
            draft.part_of = value.as_i64().filter(seen);
            if draft.part_of.is_none() {
                p.fault(
                    "part_of",
                    Text::new("应为部件编号", "should be the number of a component"),
                );
            }
        }
    }
    let own_scheme = p.text("scheme").unwrap_or(&class.scheme);
    draft.code = p.read("code", |code| {
        Scheme::parse(own_scheme).and_then(|s| ComponentCode::parse(s, code))
    });
    faults.extend(p.faults);
    let checked = draft.check(&class).into_iter();
    faults.extend(checked.filter(|f| placed || f.pointer != "/geometry"));
    Ok((draft, faults))
}
