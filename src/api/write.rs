//! Edits of one component: add, change, replace, retire. Each is one transaction, and is answered once memory holds it.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::change::{self, Change, Seen, Wanted};
use super::extract::{Ask, Caller};
use super::motion::unknown;
use super::proposal;
use super::reader::Reader;
use super::resource::{find, id};
use super::{LAGGING, REVISION, Shared};
use crate::domain::grant::Grant;
use crate::domain::text::{Fault, Text};
use crate::error::{Error, Result};
use crate::feed::Settled;
use crate::query::feature::Names;
use crate::spatial::plane::Plane;
use crate::store::edit::Edit;
use crate::text;
use crate::tile::layer::Layer;

/// The largest body of an edit, in bytes.
pub const MAX_BODY: usize = 8 << 20;

/// `PATCH`: JSON merge patch (RFC 7396) of a feature; what it does not name stays. The member `reason` is kept in the history.
pub(super) async fn patch(
    State(app): State<Shared>,
    ask: Ask,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
    reader: Reader,
    Caller(grant): Caller,
    body: Bytes,
) -> Result<Response> {
    let (layer, id, seen) = target(&path, &headers, &reader)?;
    let body = object(&body)?;
    let reason = reason(&body)?.map(str::to_owned);
    let change = Change::Patch(body);
    let wanted = Wanted {
        layer,
        id,
        seen,
        change,
    };
    edit_one(&app, &ask, &grant, wanted, reason.as_deref()).await
}

/// `PUT`: the component becomes what the feature says; what it does not name is empty.
pub(super) async fn replace(
    State(app): State<Shared>,
    ask: Ask,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
    reader: Reader,
    Caller(grant): Caller,
    body: Bytes,
) -> Result<Response> {
    let (layer, id, seen) = target(&path, &headers, &reader)?;
    let body = object(&body)?;
    let reason = reason(&body)?.map(str::to_owned);
    let change = Change::Replace(body);
    let wanted = Wanted {
        layer,
        id,
        seen,
        change,
    };
    edit_one(&app, &ask, &grant, wanted, reason.as_deref()).await
}

/// `DELETE`: the component is retired; its history stays.
pub(super) async fn retire(
    State(app): State<Shared>,
    ask: Ask,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
    reader: Reader,
    Caller(grant): Caller,
    body: Bytes,
) -> Result<Response> {
    let (layer, id, seen) = target(&path, &headers, &reader)?;
    let body = if body.is_empty() { Map::new() } else { object(&body)? };
    let change = Change::Retire;
    let wanted = Wanted {
        layer,
        id,
        seen,
        change,
    };
    edit_one(&app, &ask, &grant, wanted, reason(&body)?).await
}

/// `POST /components/{id}/restore`: the component becomes what it was in a version, but for its parties, as a new one.
pub(super) async fn restore(
    State(app): State<Shared>,
    ask: Ask,
    Path(id): Path<String>,
    headers: HeaderMap,
    reader: Reader,
    Caller(grant): Caller,
    body: Bytes,
) -> Result<Response> {
    let (layer, id, seen) = target(&("components".to_owned(), id), &headers, &reader)?;
    let body = if body.is_empty() { Map::new() } else { object(&body)? };
    let mut faults = unknown(&body, &["version", "reason"]);
    let version = body.get("version").and_then(Value::as_i64);
    let Some(version) = version.filter(|_| faults.is_empty()) else {
        let detail = Text::new("应为版本号，如 3", "should be the number of a version, such as 3");
        faults.extend(version.is_none().then(|| Fault::new("/version", detail)));
        return Err(Error::Invalid(faults));
    };
    let own = format!("恢复第 {version} 版 / version {version} restored");
    let change = Change::Restore(version);
    let wanted = Wanted {
        layer,
        id,
        seen,
        change,
    };
    edit_one(&app, &ask, &grant, wanted, reason(&body)?.or(Some(&own))).await
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
    let mut edit = app.store.edit(&grant.name, reason(&body)?).await?;
    let id = change::add(&app, &mut edit, &grant, &layer, &body).await?;
    let mut response = finish(&app, &ask, edit, id, StatusCode::CREATED).await?;
    let location = format!("{}/collections/{}/items/{id}", ask.base, layer.id);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The layer, the component and the version that a request is about.
fn target(path: &(String, String), headers: &HeaderMap, reader: &Reader) -> Result<(Arc<Layer>, i64, Seen)> {
    let layer = find(&path.0, reader)?;
    let id = self::id(&layer, &path.1)?;
    Ok((layer, id, Seen::of(headers)?))
}

/// One edit in a transaction of its own. A patch that meets another person's is kept for somebody to look at.
async fn edit_one(app: &Shared, ask: &Ask, grant: &Grant, wanted: Wanted, reason: Option<&str>) -> Result<Response> {
    let mut edit = app.store.edit(&grant.name, reason).await?;
    match change::make(app, &mut edit, grant, &wanted).await {
        Ok(unsaid) => {
            let mut response = finish(app, ask, edit, wanted.id, StatusCode::OK).await?;
            if unsaid {
                response
                    .headers_mut()
                    .insert(UNCONDITIONAL, HeaderValue::from_static("true"));
            }
            Ok(response)
        }
        Err(Error::Clash { faults, .. }) => {
            // What was begun is given up before what is kept of it begins.
            edit.give_up().await?;
            let mut edit = app.store.edit(&grant.name, reason).await?;
            let proposal = Some(proposal::keep(&mut edit, grant, &wanted, &faults).await?);
            edit.commit().await?;
            Err(Error::Clash { faults, proposal })
        }
        Err(e) => Err(e),
    }
}

/// The header that says that an edit did not say which version it was of.
const UNCONDITIONAL: HeaderName = HeaderName::from_static("lamppost-unconditional");

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

/// A value that is an object.
pub(super) fn object_at<'v>(value: &'v Value, empty: &'v Map<String, Value>) -> &'v Map<String, Value> {
    value.as_object().unwrap_or(empty)
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
