//! `/edits`: several edits at once: all or none, or each by itself; under a key of the client's made once, however often they are sent.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Shared;
use super::change::{self, Change, Seen, Wanted};
use super::extract::{Ask, Caller};
use super::motion::{unknown, words};
use super::problem;
use super::proposal;
use super::reader::Reader;
use super::resource::find;
use super::write::{MAX_BODY, object, reason, settled};
use crate::domain::grant::Grant;
use crate::domain::text::{Fault, Text};
use crate::error::{Error, Result};
use crate::store::edit::Edit;
use crate::text;

/// The routes of several edits.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/edits", post(make))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

/// Edits at once.
const MAX_EDITS: usize = 1000;
/// Characters of a key.
const MAX_KEY: usize = 200;

/// The header that says that this was answered before.
const REPEATED: HeaderName = HeaderName::from_static("lamppost-repeated");

/// One of several edits.
enum One {
    Add(std::sync::Arc<crate::tile::layer::Layer>, Map<String, Value>),
    Change(Wanted),
}

/// `POST`: `edits`, each with `act`, `layer`, `id`, `version` and `feature`; `atomic`, which is the default; `key`; `reason`.
async fn make(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    Caller(grant): Caller,
    bytes: Bytes,
) -> Result<Response> {
    let body = object(&bytes)?;
    let mut faults = unknown(&body, &["edits", "atomic", "key", "reason"]);
    let atomic = body.get("atomic").is_none_or(|v| v.as_bool().unwrap_or(true));
    if body.get("atomic").is_some_and(|v| !v.is_boolean()) {
        faults.push(Fault::new(
            "/atomic",
            Text::new("应为 true 或 false", "should be true or false"),
        ));
    }
    let key = words(body.get("key"), "/key", &mut faults).filter(|k| k.chars().count() <= MAX_KEY);
    if key.is_none() && body.contains_key("key") && faults.is_empty() {
        let detail = text!("应为 1 至 {MAX_KEY} 个字符", "should be 1 to {MAX_KEY} characters");
        faults.push(Fault::new("/key", detail));
    }
    let listed = body.get("edits").and_then(Value::as_array);
    let listed = listed.filter(|l| (1..=MAX_EDITS).contains(&l.len()));
    let Some(listed) = listed else {
        let detail = text!(
            "应为 1 至 {MAX_EDITS} 项修改的数组",
            "should be an array of 1 to {MAX_EDITS} edits"
        );
        faults.push(Fault::new("/edits", detail));
        return Err(Error::Invalid(faults));
    };
    app.writes
        .take(&grant.name, listed.len() as u32 - 1)
        .map_err(Error::TooMany)?;
    let mut edits = Vec::new();
    for (i, value) in listed.iter().enumerate() {
        match read(value, &reader) {
            Ok(one) => edits.push(one),
            Err(own) => faults.extend(own.into_iter().map(|f| within(i, f))),
        }
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let mut edit = app.store.edit(&grant.name, reason(&body)?).await?;
    if let Some(key) = &key {
        let digest = Sha256::digest(&bytes);
        if let Some((own, answer)) = edit.take_key(&grant.name, key, &digest).await? {
            return repeated(key, own == digest.as_slice(), answer);
        }
    }
    let (results, faults) = all(&app, &ask, &grant, &mut edit, &edits).await?;
    let failed = results.iter().filter(|r| r.get("problem").is_some()).count();
    if atomic && failed > 0 {
        return Err(Error::Invalid(faults));
    }
    let answer = json!({"atomic": atomic, "done": results.len() - failed, "failed": failed, "results": results});
    if let Some(key) = &key {
        edit.note_answer(&grant.name, key, &answer).await?;
    }
    let revision = settled(app.feed.commit(edit).await?);
    let mut response = Json(answer).into_response();
    response.headers_mut().extend(revision);
    Ok(response)
}

/// What was answered under a key before.
fn repeated(key: &str, same: bool, answer: Option<Value>) -> Result<Response> {
    let Some(answer) = answer.filter(|_| same) else {
        return Err(Error::Conflict(text!(
            "键“{key}”已用于其他修改",
            "the key \"{key}\" was used for other edits"
        )));
    };
    let mut response = (StatusCode::OK, Json(answer)).into_response();
    response
        .headers_mut()
        .insert(REPEATED, HeaderValue::from_static("true"));
    Ok(response)
}

/// A fault of one of several edits.
fn within(i: usize, fault: Fault) -> Fault {
    let pointer = match fault.pointer.strip_prefix('/') {
        Some(_) => format!("/edits/{i}{}", fault.pointer),
        None => format!("/edits/{i}/{}", fault.pointer),
    };
    Fault::new(pointer, fault.detail)
}

fn read(value: &Value, reader: &Reader) -> Result<One, Vec<Fault>> {
    let empty = Map::new();
    let own = value.as_object().unwrap_or(&empty);
    let mut faults = unknown(own, &["act", "layer", "id", "version", "feature", "restore"]);
    let word = |name: &str| own.get(name).and_then(Value::as_str).unwrap_or_default();
    let layer = find(word("layer"), reader);
    if layer.is_err() {
        faults.push(Fault::new("/layer", Text::new("应为图层", "should be a layer")));
    }
    let number = |name: &str| own.get(name).and_then(Value::as_i64);
    let id = number("id");
    let feature = own.get("feature").and_then(Value::as_object).cloned();
    let act = word("act");
    if !["add", "replace", "patch", "retire", "restore"].contains(&act) {
        let detail = Text::new(
            "应为 add, replace, patch, retire, restore 之一",
            "should be one of add, replace, patch, retire, restore",
        );
        faults.push(Fault::new("/act", detail));
    }
    if id.is_some() == (act == "add") {
        let detail = Text::new("新增不给编号，其余须给", "is given unless it is added");
        faults.push(Fault::new("/id", detail));
    }
    if feature.is_some() != ["add", "replace", "patch"].contains(&act) {
        let detail = Text::new(
            "新增、替换、修改须给要素",
            "is given where it is added, replaced or patched",
        );
        faults.push(Fault::new("/feature", detail));
    }
    if number("restore").is_some() != (act == "restore") {
        let detail = Text::new("恢复须给版本号", "is the version where one is restored");
        faults.push(Fault::new("/restore", detail));
    }
    let (Ok(layer), true) = (layer, faults.is_empty()) else {
        return Err(faults);
    };
    let feature = feature.unwrap_or_default();
    let change = match act {
        "add" => return Ok(One::Add(layer, feature)),
        "replace" => Change::Replace(feature),
        "patch" => Change::Patch(feature),
        "retire" => Change::Retire,
        _ => Change::Restore(number("restore").unwrap_or_default()),
    };
    Ok(One::Change(Wanted {
        layer,
        id: id.unwrap_or_default(),
        seen: number("version").map_or(Seen::Unsaid, Seen::Version),
        change,
    }))
}

/// Makes each of some edits, giving up by itself what cannot be made. The results, and all faults.
async fn all(
    app: &Shared,
    ask: &Ask,
    grant: &Grant,
    edit: &mut Edit,
    edits: &[One],
) -> Result<(Vec<Value>, Vec<Fault>)> {
    let ids = edits.iter().filter_map(|one| match one {
        One::Change(wanted) => Some(wanted.id),
        One::Add(..) => None,
    });
    // A division into cells is held off before any row is locked.
    edit.hold_cells().await?;
    edit.lock_all(&ids.collect::<Vec<_>>()).await?;
    let (mut results, mut faults) = (Vec::new(), Vec::new());
    for (i, one) in edits.iter().enumerate() {
        edit.begin_part().await?;
        let made = match one {
            One::Add(layer, body) => change::add(app, edit, grant, layer, body).await.map(|id| (id, false)),
            One::Change(wanted) => change::make(app, edit, grant, wanted)
                .await
                .map(|unsaid| (wanted.id, unsaid)),
        };
        // What is not of this one edit ends them all.
        if let Err(e @ (Error::Internal(_) | Error::Busy(_))) = made {
            return Err(e);
        }
        edit.end_part(made.is_ok()).await?;
        let result = match made {
            Ok((id, unsaid)) => {
                let version = edit.version(id).await?;
                json!({"id": id, "layer": layer_of(one), "version": version, "unconditional": unsaid})
            }
            Err(error) => {
                let error = match (error, one) {
                    (Error::Clash { faults, .. }, One::Change(wanted)) => {
                        let proposal = Some(proposal::keep(edit, grant, wanted, &faults).await?);
                        Error::Clash { faults, proposal }
                    }
                    (error, _) => error,
                };
                faults.extend(faults_of(&error).into_iter().map(|f| within(i, f)));
                let id = match one {
                    One::Change(wanted) => Some(wanted.id),
                    One::Add(..) => None,
                };
                json!({"id": id, "layer": layer_of(one), "problem": problem::told(&error, ask)})
            }
        };
        results.push(result);
    }
    Ok((results, faults))
}

fn layer_of(one: &One) -> &str {
    match one {
        One::Add(layer, _) => &layer.id,
        One::Change(wanted) => &wanted.layer.id,
    }
}

/// What is wrong with one edit, as faults of it.
fn faults_of(error: &Error) -> Vec<Fault> {
    let own = |f: &Fault| Fault::new(format!("/feature{}", f.pointer), f.detail.clone());
    match error {
        Error::Invalid(faults) | Error::Syntax(faults) | Error::Clash { faults, .. } => {
            faults.iter().map(own).collect()
        }
        Error::Stale { have, .. } => {
            let detail = text!("当前为第 {have} 版", "version {have} is current");
            vec![Fault::new("/version", detail)]
        }
        Error::VersionRequired => vec![Fault::new("/version", Text::new("缺少", "is missing"))],
        Error::NotFound(t) => vec![Fault::new("/id", t.clone())],
        Error::Conflict(t) | Error::Forbidden(t) => vec![Fault::new("/", t.clone())],
        other => vec![Fault::new("/", Text::new("未能修改", other.to_string()))],
    }
}
