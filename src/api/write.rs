//! Edits of one component: add, change, retire. Each is one transaction, and is answered once memory holds it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use geo::Geometry;
use serde_json::{Map, Value};

use super::extract::{Ask, Caller};
use super::reader::Reader;
use super::resource::{absent, find, id};
use super::{LAGGING, REVISION, Shared};
use crate::domain::class::Class;
use crate::domain::code::{ComponentCode, Scheme};
use crate::domain::component::{Draft, check_geometry};
use crate::domain::grant::{Grant, Rights};
use crate::domain::record::Component;
use crate::domain::text::{Fault, Text};
use crate::domain::word::State as Condition;
use crate::door::within;
use crate::error::{Error, Result};
use crate::feed::Settled;
use crate::query::feature::Names;
use crate::query::matcher;
use crate::spatial::plane::Plane;
use crate::store::edit::{Edit, Patch};
use crate::text;
use crate::tile::layer::Layer;

/// The largest body of an edit, in bytes.
pub const MAX_BODY: usize = 8 << 20;

/// `PATCH`: JSON merge patch (RFC 7396) of a feature's `geometry`, `properties.state` and `properties.attributes`; the member
/// `reason` is kept in the history.
pub async fn patch(
    State(app): State<Shared>,
    ask: Ask,
    Path((layer, text)): Path<(String, String)>,
    headers: HeaderMap,
    reader: Reader,
    Caller(grant): Caller,
    body: Bytes,
) -> Result<Response> {
    let layer = find(&layer, &reader)?;
    let id = id(&layer, &text)?;
    let want = edited_version(&headers)?;
    let body = object(&body)?;
    let mut edit = app.store.edit(&grant.name, reason(&body)?).await?;
    if body.contains_key("geometry") {
        edit.hold_cells().await?;
    }
    let (old, class, attributes) = lock(&app, &mut edit, &grant, &layer, id, want).await?;
    let patch = read_patch(&body, &class, &attributes)?;
    if let Some(at) = patch.geometry.as_ref().and_then(geo::InteriorPoint::interior_point) {
        within(&app.index.read(), &grant, at.x_y(), &old.parties()).map_err(Error::Forbidden)?;
    }
    edit.patch(id, &patch).await?;
    finish(&app, &ask, edit, old.id, StatusCode::OK).await
}

/// `DELETE`: the component is retired; its history stays.
pub async fn retire(
    State(app): State<Shared>,
    ask: Ask,
    Path((layer, text)): Path<(String, String)>,
    headers: HeaderMap,
    reader: Reader,
    Caller(grant): Caller,
    body: Bytes,
) -> Result<Response> {
    let layer = find(&layer, &reader)?;
    let id = id(&layer, &text)?;
    let want = edited_version(&headers)?;
    let body = if body.is_empty() { Map::new() } else { object(&body)? };
    let mut edit = app.store.edit(&grant.name, reason(&body)?).await?;
    lock(&app, &mut edit, &grant, &layer, id, want).await?;
    edit.patch(
        id,
        &Patch {
            state: Some(Condition::Retired),
            ..Patch::default()
        },
    )
    .await?;
    finish(&app, &ask, edit, id, StatusCode::OK).await
}

/// `POST`: a GeoJSON feature becomes a component.
pub async fn add(
    State(app): State<Shared>,
    ask: Ask,
    Path(layer): Path<String>,
    reader: Reader,
    Caller(grant): Caller,
    body: Bytes,
) -> Result<Response> {
    let layer = find(&layer, &reader)?;
    let body = object(&body)?;
    let draft = read_draft(&app, &grant.rights, &layer, &body)?;
    if let Some(at) = geo::InteriorPoint::interior_point(&draft.geometry) {
        within(
            &app.index.read(),
            &grant,
            at.x_y(),
            &[draft.authority, draft.owner, draft.maintainer],
        )
        .map_err(Error::Forbidden)?;
    }
    let mut edit = app.store.edit(&grant.name, reason(&body)?).await?;
    let id = edit.add(&draft).await?;
    let mut response = finish(&app, &ask, edit, id, StatusCode::CREATED).await?;
    let location = format!("{}/collections/{}/items/{id}", ask.base, layer.id);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// A body that is a JSON object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>> {
    if body.windows(6).any(|w| w == b"\\u0000") {
        return Err(Error::syntax(
            "/",
            Text::new("文本不可含空字符", "no text can contain a NUL character"),
        ));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::syntax(
            "/",
            Text::new("应为 JSON 对象", "should be a JSON object"),
        )),
        Err(e) => {
            let (line, column) = (e.line(), e.column());
            Err(Error::syntax(
                "/",
                text!(
                    "JSON 在第{line}行第{column}列无法读懂",
                    "the JSON cannot be read at line {line}, column {column}: {e}"
                ),
            ))
        }
    }
}

/// Why the edit is made, as the history will say.
pub(super) fn reason(body: &Map<String, Value>) -> Result<Option<&str>> {
    const MAX: usize = 1000;
    match body.get("reason") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(s)) if s.chars().count() <= MAX => Ok(Some(s)),
        Some(_) => Err(Error::Invalid(vec![Fault::new(
            "/reason",
            text!(
                "应为不超过{MAX}个字符的文本",
                "should be text of at most {MAX} characters"
            ),
        )])),
    }
}

fn edited_version(headers: &HeaderMap) -> Result<i64> {
    let tag = headers.get(header::IF_MATCH).ok_or(Error::VersionRequired)?;
    let version = tag
        .to_str()
        .ok()
        .map(|t| t.trim().trim_start_matches("W/").trim_matches('"'));
    version.and_then(|v| v.parse().ok()).ok_or_else(|| {
        Error::syntax(
            "If-Match",
            Text::new(
                "应为读取时的 ETag，如 \"3\"",
                "should be the ETag that was read, such as \"3\"",
            ),
        )
    })
}

/// Locks a component of the layer at the version that the writer saw.
async fn lock(
    app: &Shared,
    edit: &mut Edit,
    grant: &Grant,
    layer: &Layer,
    id: i64,
    want: i64,
) -> Result<(Component, std::sync::Arc<Class>, Map<String, Value>)> {
    let (old, attributes) = edit.lock(id).await?.ok_or_else(|| absent(layer, &id.to_string()))?;
    let memory = app.index.read();
    let class = memory
        .classes
        .get(&old.class)
        .filter(|c| matcher::shows(&memory, layer, c, &grant.rights))
        .cloned();
    let class = class.ok_or_else(|| absent(layer, &id.to_string()))?;
    within(&memory, grant, old.at, &old.parties()).map_err(Error::Forbidden)?;
    if old.version != want {
        return Err(Error::Stale {
            have: old.version,
            want,
        });
    }
    Ok((old, class, attributes))
}

/// Reads a geometry member; a fault says what a geometry of the class should be.
fn geometry(value: &Value, class: &Class, faults: &mut Vec<Fault>) -> Option<Geometry<f64>> {
    let read = || -> Result<Geometry<f64>, Text> {
        let parsed = serde_json::from_value::<geojson::Geometry>(value.clone())
            .map_err(|e| e.to_string())
            .and_then(|g| Geometry::try_from(g).map_err(|e| e.to_string()))
            .map_err(|e| {
                text!(
                    "无法读作 GeoJSON 几何：{e}",
                    "cannot be read as a GeoJSON geometry: {e}"
                )
            })?;
        check_geometry(&parsed, class)?;
        Ok(parsed)
    };
    read()
        .map_err(|detail| faults.push(Fault::new("/geometry", detail)))
        .ok()
}

fn read_patch(body: &Map<String, Value>, class: &Class, attributes: &Map<String, Value>) -> Result<Patch> {
    let mut faults = Vec::new();
    let mut patch = Patch::default();
    if let Some(value) = body.get("geometry") {
        patch.geometry = geometry(value, class, &mut faults);
    }
    let empty = Map::new();
    let properties = match body.get("properties") {
        None => &empty,
        Some(Value::Object(p)) => p,
        Some(_) => {
            faults.push(Fault::new(
                "/properties",
                Text::new("应为 JSON 对象", "should be a JSON object"),
            ));
            &empty
        }
    };
    for (name, value) in properties {
        match (name.as_str(), value) {
            ("state", Value::String(s)) => match Condition::parse(s) {
                Ok(state) => patch.state = Some(state),
                Err(detail) => faults.push(Fault::new("/properties/state", detail)),
            },
            ("attributes", Value::Object(changes)) => {
                let mut merged = attributes.clone();
                for (key, value) in changes {
                    if value.is_null() {
                        merged.remove(key);
                    } else {
                        merged.insert(key.clone(), value.clone());
                    }
                }
                faults.extend(class.check_attributes(&merged, "/properties/attributes"));
                patch.attributes = Some(merged);
            }
            ("state" | "attributes", _) => {
                let detail = Text::new(
                    "状态应为文本，属性应为对象",
                    "state should be text, attributes an object",
                );
                faults.push(Fault::new(format!("/properties/{name}"), detail));
            }
            _ => {
                let detail = Text::new(
                    "此属性不能这样修改；可改 state、attributes",
                    "cannot be edited here; state and attributes can",
                );
                faults.push(Fault::new(format!("/properties/{name}"), detail));
            }
        }
    }
    if let Some(name) = body
        .keys()
        .find(|k| !["type", "id", "geometry", "properties", "reason"].contains(&k.as_str()))
    {
        faults.push(Fault::new(
            format!("/{name}"),
            Text::new("要素没有此成员", "a feature has no such member"),
        ));
    }
    if faults.is_empty() {
        Ok(patch)
    } else {
        Err(Error::Invalid(faults))
    }
}

/// The properties of a new component that are read here.
const WRITABLE: [&str; 8] = [
    "class",
    "class_scheme",
    "code",
    "scheme",
    "name",
    "state",
    "address",
    "attributes",
];

fn read_draft(app: &Shared, rights: &Rights, layer: &Layer, body: &Map<String, Value>) -> Result<Draft> {
    let mut faults = Vec::new();
    let empty = Map::new();
    let properties = body.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let text = |name: &str| properties.get(name).and_then(Value::as_str).filter(|s| !s.is_empty());
    for name in properties.keys().filter(|n| !WRITABLE.contains(&n.as_str())) {
        let known = WRITABLE.join(", ");
        faults.push(Fault::new(
            format!("/properties/{name}"),
            text!("新部件可给出：{known}", "a new component takes {known}"),
        ));
    }
    for name in WRITABLE {
        let right = match properties.get(name) {
            None | Some(Value::Null) => true,
            Some(value) if name == "attributes" => value.is_object(),
            Some(value) => value.is_string(),
        };
        if !right {
            let detail = Text::new(
                "应为文本；attributes 应为对象",
                "should be text; attributes should be an object",
            );
            faults.push(Fault::new(format!("/properties/{name}"), detail));
        }
    }
    let class = {
        let memory = app.index.read();
        let wanted = text("class").unwrap_or("");
        let scheme = text("class_scheme");
        let of_layer = |c: &&std::sync::Arc<Class>| {
            c.code == wanted && scheme.is_none_or(|s| s == c.scheme) && matcher::shows(&memory, layer, c, rights)
        };
        memory.classes.values().find(of_layer).cloned()
    };
    let Some(class) = class else {
        let (zh, en) = (&layer.title_zh, &layer.title_en);
        faults.push(Fault::new(
            "/properties/class",
            text!(
                "应为图层“{zh}”的小类代码",
                "should be a class code of the layer \"{en}\""
            ),
        ));
        return Err(Error::Invalid(faults));
    };
    let shape = geometry(body.get("geometry").unwrap_or(&Value::Null), &class, &mut faults);
    let mut draft = Draft::new(class.id, shape.unwrap_or(Geometry::Point(geo::Point::new(0.0, 0.0))));
    draft.name = text("name").map(str::to_owned);
    draft.address = text("address").map(str::to_owned);
    draft.attributes = properties
        .get("attributes")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if let Some(state) = text("state") {
        match Condition::parse(state) {
            Ok(state) => draft.state = state,
            Err(detail) => faults.push(Fault::new("/properties/state", detail)),
        }
    }
    if let Some(code) = text("code") {
        match Scheme::parse(text("scheme").unwrap_or(&class.scheme)).and_then(|s| ComponentCode::parse(s, code)) {
            Ok(code) => draft.code = Some(code),
            Err(detail) => faults.push(Fault::new("/properties/code", detail)),
        }
    }
    let known = faults.iter().any(|f| f.pointer == "/geometry");
    faults.extend(
        draft
            .check(&class)
            .into_iter()
            .filter(|f| !(known && f.pointer == "/geometry")),
    );
    if faults.is_empty() {
        Ok(draft)
    } else {
        Err(Error::Invalid(faults))
    }
}

/// Commits, waits for memory, and answers the component as it is now.
async fn finish(app: &Shared, ask: &Ask, mut edit: Edit, id: i64, status: StatusCode) -> Result<Response> {
    // Read before the commit: nothing that can fail comes after it, so that a durable edit is never answered as failed.
    let detail = edit.detail(id).await?;
    let detail = detail.ok_or_else(|| Error::internal(format!("component {id} is gone after its own edit")))?;
    let settled = app.feed.commit(edit).await?;
    let feature = Names {
        memory: &app.index.read(),
        lang: ask.lang,
        plane: Plane::default(),
    }
    .feature(&detail);
    let mut response = (status, Json(feature)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/geo+json"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-language"));
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", detail.version)) {
        headers.insert(header::ETAG, etag);
    }
    headers.extend(self::settled(settled));
    Ok(response)
}

/// The header that says what became of an edit.
pub(super) fn settled(settled: Settled) -> Option<(HeaderName, HeaderValue)> {
    match settled {
        Settled::Applied(revision) => Some((REVISION, HeaderValue::from(revision))),
        Settled::Lagging => Some((LAGGING, HeaderValue::from_static("true"))),
        Settled::Unchanged => None,
    }
}
