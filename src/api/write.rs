//! Edits of one component: add, change, replace, retire. Each is one transaction, and is answered once memory holds it.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::draft;
use super::extract::{Ask, Caller};
use super::reader::Reader;
use super::resource::{absent, find, id};
use super::{LAGGING, REVISION, Shared};
use crate::domain::class::Class;
use crate::domain::grant::Grant;
use crate::domain::patch::merge;
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

/// `PATCH`: JSON merge patch (RFC 7396) of a feature; what it does not name stays. The member `reason` is kept in the history.
pub(super) async fn patch(
    State(app): State<Shared>,
    ask: Ask,
    Path((layer, text)): Path<(String, String)>,
    headers: HeaderMap,
    reader: Reader,
    Caller(grant): Caller,
    body: Bytes,
) -> Result<Response> {
    let what = Target::of(&layer, &text, &headers, &reader)?;
    let body = object(&body)?;
    let faults = draft::unwritable(&body);
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    change(&app, &ask, &grant, &what, &body, true).await
}

/// `PUT`: the component becomes what the feature says; what it does not name is empty.
pub(super) async fn replace(
    State(app): State<Shared>,
    ask: Ask,
    Path((layer, text)): Path<(String, String)>,
    headers: HeaderMap,
    reader: Reader,
    Caller(grant): Caller,
    body: Bytes,
) -> Result<Response> {
    let what = Target::of(&layer, &text, &headers, &reader)?;
    let body = object(&body)?;
    change(&app, &ask, &grant, &what, &body, false).await
}

/// What an edit is of.
struct Target {
    layer: Arc<Layer>,
    id: i64,
    version: i64,
}

impl Target {
    fn of(layer: &str, id: &str, headers: &HeaderMap, reader: &Reader) -> Result<Target> {
        let layer = find(layer, reader)?;
        let id = self::id(&layer, id)?;
        let version = edited_version(headers)?;
        Ok(Target { layer, id, version })
    }
}

/// Makes of a component what a body says: of what it says of it, where it is a patch, or else of it as a whole.
async fn change(
    app: &Shared,
    ask: &Ask,
    grant: &Grant,
    what: &Target,
    body: &Map<String, Value>,
    patches: bool,
) -> Result<Response> {
    // What is not moved stands where it stands, to the last digit.
    let moves = !patches || body.contains_key("geometry");
    let mut edit = app.store.edit(&grant.name, reason(body)?).await?;
    if moves {
        edit.hold_cells().await?;
    }
    let (old, class) = lock(app, &mut edit, grant, what).await?;
    let now = edit.detail(what.id).await?;
    let now = now.ok_or_else(|| absent(&what.layer, &what.id.to_string()))?;
    let (draft, faults) = if patches {
        let mut whole = draft::current(&now, &class);
        merge(&mut whole, &Value::Object(body.clone()));
        let empty = Map::new();
        let (mut draft, faults) = draft::read(app, &grant.rights, &what.layer, whole.as_object().unwrap_or(&empty))?;
        let named = body.get("properties").is_some_and(|p| p.get("part_of").is_some());
        draft.part_of = if named { draft.part_of } else { now.part_of };
        (draft, draft::of_patch(faults, body))
    } else {
        draft::read(app, &grant.rights, &what.layer, body)?
    };
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    if let Some(at) = geo::InteriorPoint::interior_point(&draft.geometry).filter(|_| moves) {
        within(&app.index.read(), grant, at.x_y(), &old.parties()).map_err(Error::Forbidden)?;
    }
    edit.replace(what.id, &draft, moves).await?;
    finish(app, ask, edit, old.id, StatusCode::OK).await
}

/// `DELETE`: the component is retired; its history stays.
pub(super) async fn retire(
    State(app): State<Shared>,
    ask: Ask,
    Path((layer, text)): Path<(String, String)>,
    headers: HeaderMap,
    reader: Reader,
    Caller(grant): Caller,
    body: Bytes,
) -> Result<Response> {
    let what = Target::of(&layer, &text, &headers, &reader)?;
    let id = what.id;
    let body = if body.is_empty() { Map::new() } else { object(&body)? };
    let mut edit = app.store.edit(&grant.name, reason(&body)?).await?;
    lock(&app, &mut edit, &grant, &what).await?;
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
pub(super) async fn add(
    State(app): State<Shared>,
    ask: Ask,
    Path(layer): Path<String>,
    reader: Reader,
    Caller(grant): Caller,
    body: Bytes,
) -> Result<Response> {
    let layer = find(&layer, &reader)?;
    let body = object(&body)?;
    let (draft, faults) = draft::read(&app, &grant.rights, &layer, &body)?;
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
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
async fn lock(app: &Shared, edit: &mut Edit, grant: &Grant, what: &Target) -> Result<(Component, Arc<Class>)> {
    let none = || absent(&what.layer, &what.id.to_string());
    let (old, _) = edit.lock(what.id).await?.ok_or_else(none)?;
    let memory = app.index.read();
    let class = memory
        .classes
        .get(&old.class)
        .filter(|c| matcher::shows(&memory, &what.layer, c, &grant.rights))
        .cloned();
    let class = class.ok_or_else(none)?;
    within(&memory, grant, old.at, &old.parties()).map_err(Error::Forbidden)?;
    if old.version != what.version {
        return Err(Error::Stale {
            have: old.version,
            want: what.version,
        });
    }
    Ok((old, class))
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
