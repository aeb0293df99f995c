//! `/claims/batches`: the same act on one role of many components, from a list or from a sheet; tried, done as one, undone as one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;

use super::claim::now;
use super::extract::{Caller, Params};
use super::motion::{check_papers, day, read_documents, read_wanted, unknown, words};
use super::multipart::{next, no_part, small};
use super::reader::Reader;
use super::resource::find;
use super::write::{object, reason, settled};
use super::{App, Shared, item};
use crate::batch::{self, Doing, Fault, Item, MAX_ITEMS, Order, Outcome};
use crate::delivery::claims::{self, Sheet};
use crate::domain::claim::book::Wanted;
use crate::domain::evidence::{Described, Paper};
use crate::domain::grant::Grant;
use crate::domain::text::{Fault as Wrong, Text};
use crate::domain::word::{MotionKind, Role};
use crate::error::{Error, Result};
use crate::query::list::{self, Order as InOrder};
use crate::spatial::plane::Plane;
use crate::text;

/// The routes of batches.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/claims/batches", post(make).layer(DefaultBodyLimit::max(MAX_BODY)))
        .route("/claims/batches/{id}/undo", post(undo))
}

/// Bytes of a sheet, or of a list of components.
const MAX_BODY: usize = 64 << 20;
/// Faults that are told one by one; all are counted.
const MAX_FAULTS: usize = 1000;

/// `POST`: JSON with `act` and the components, or multipart with a filled-in sheet as `file` and the same JSON as `settings`.
async fn make(State(app): State<Shared>, reader: Reader, Caller(grant): Caller, request: Request) -> Result<Response> {
    let one = app.batches.clone().try_acquire_owned();
    let _one = one.map_err(|_| {
        Error::Busy(Text::new(
            "另一批正在办理，请稍后重试",
            "another batch is being worked on; try again shortly",
        ))
    })?;
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    if kind.is_some_and(|k| k.starts_with("multipart/")) {
        return sheet(&app, &grant, request).await;
    }
    let bytes = axum::body::Bytes::from_request(request, &app).await;
    let too_large = |_| Error::TooLarge(Text::new("请求体过大", "the body is too large"));
    let body = object(&bytes.map_err(too_large)?)?;
    let (order, dry_run) = listed(&app, &reader, &grant, &body).await?;
    let outcome = batch::run(&app.store, &app.feed, app.index.read(), order, reason(&body)?, dry_run).await?;
    answer(dry_run, None, outcome)
}

/// What is asked of a batch beside its components.
const KNOWN: [&str; 14] = [
    "act",
    "until",
    "dry_run",
    "reason",
    "components",
    "batch",
    "list",
    "role",
    "kind",
    "parties",
    "from",
    "to",
    "evidence",
    "note",
];

fn role_of(body: &Map<String, Value>, faults: &mut Vec<Wrong>) -> Role {
    let word = words(body.get("role"), "/role", faults).unwrap_or_else(|| Role::Owner.key().to_owned());
    Role::parse(&word)
        .map_err(|e| faults.push(Wrong::new("/role", e)))
        .unwrap_or(Role::Owner)
}

fn doing_of(body: &Map<String, Value>, faults: &mut Vec<Wrong>) -> Doing {
    let until = body.get("until").and_then(|v| day(v, "/until", faults));
    match (body.get("act").and_then(Value::as_str).unwrap_or("hand-in"), until) {
        ("hand-in", _) => Doing::HandIn,
        ("review", _) => Doing::Review,
        ("confirm", _) => Doing::Confirm,
        ("reject", _) => Doing::Reject,
        ("withdraw", _) => Doing::Withdraw,
        ("announce", Some(until)) => Doing::Announce(until),
        ("announce", None) => {
            let detail = Text::new("公示须有止日", "an announcement needs its last day");
            faults.push(Wrong::new("/until", detail));
            Doing::Review
        }
        _ => {
            let detail = Text::new(
                "应为 hand-in, review, confirm, announce, reject, withdraw 之一",
                "should be one of hand-in, review, confirm, announce, reject, withdraw",
            );
            faults.push(Wrong::new("/act", detail));
            Doing::Review
        }
    }
}

fn dry(body: &Map<String, Value>, faults: &mut Vec<Wrong>) -> bool {
    match body.get("dry_run") {
        None => false,
        Some(Value::Bool(dry)) => *dry,
        Some(_) => {
            faults.push(Wrong::new(
                "/dry_run",
                Text::new("应为 true 或 false", "should be true or false"),
            ));
            true
        }
    }
}

/// An order whose components are named, are those of another batch, or are a list.
async fn listed(app: &Shared, reader: &Reader, grant: &Arc<Grant>, body: &Map<String, Value>) -> Result<(Order, bool)> {
    let mut faults = unknown(body, &KNOWN);
    let (role, doing, dry_run) = (
        role_of(body, &mut faults),
        doing_of(body, &mut faults),
        dry(body, &mut faults),
    );
    let wanted = if doing == Doing::HandIn {
        let parties = app.store.party_names().await?;
        Some(read_wanted(body, &parties, &mut faults))
    } else {
        None
    };
    let papers = read_documents(body, &mut faults);
    let ways = ["components", "batch", "list"]
        .iter()
        .filter(|k| body.contains_key(**k))
        .count();
    if ways != 1 {
        let detail = Text::new(
            "须给出 components（编号数组）、batch（批号）、list（清单的查询串）之一",
            "one of components (an array of numbers), batch (its number), list (the query of a list) is needed",
        );
        faults.push(Wrong::new("/components", detail));
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let ids = components(app, reader, body).await?;
    if ids.is_empty() || ids.len() > MAX_ITEMS {
        let n = ids.len();
        let detail = text!(
            "共 {n} 个部件，应为 1 至 {MAX_ITEMS} 个",
            "{n} components; should be 1 to {MAX_ITEMS}"
        );
        return Err(Error::Invalid(vec![Wrong::new("/components", detail)]));
    }
    check_papers(app, grant, &papers).await?;
    let count = papers.len();
    let wanted = wanted.flatten().map(|w| Wanted { evidence: count, ..w });
    let item = |component| Item {
        component,
        row: None,
        wanted: wanted.clone(),
        papers: (0..count).collect(),
    };
    let order = Order {
        role,
        doing,
        items: ids.into_iter().map(item).collect(),
        papers,
        by: grant.clone(),
        at: now(),
    };
    Ok((order, dry_run))
}

async fn components(app: &Shared, reader: &Reader, body: &Map<String, Value>) -> Result<Vec<i64>> {
    let wrong = |at: &str, zh: &'static str, en: &'static str| Error::Invalid(vec![Wrong::new(at, Text::new(zh, en))]);
    if let Some(ids) = body.get("components") {
        let ids: Option<Vec<i64>> = ids.as_array().and_then(|ids| ids.iter().map(Value::as_i64).collect());
        return ids.ok_or_else(|| wrong("/components", "应为编号数组", "should be an array of numbers"));
    }
    if let Some(id) = body.get("batch") {
        let id = id
            .as_i64()
            .ok_or_else(|| wrong("/batch", "应为批号", "should be the number of a batch"))?;
        let mut ids = app.store.batch_components(id).await?;
        let memory = app.index.read();
        ids.retain(|id| batch::shown(&memory, reader.rights(), *id));
        return Ok(ids);
    }
    let list = body.get("list").and_then(Value::as_str).unwrap_or_default();
    let (layer, query) = list.split_once('?').unwrap_or((list, ""));
    let layer = find(layer, reader)?;
    let mut params = Params::of(query)?;
    let filter = item::filter(&mut params, Plane::default(), &layer, reader);
    params.finish()?;
    let order = InOrder {
        limit: MAX_ITEMS + 1,
        ..InOrder::default()
    };
    let shared = app.clone();
    let page = app
        .work
        .run(move || list::list(&shared.index.read(), &shared.matchers, &layer, &filter, &order))
        .await??;
    Ok(page.ids)
}

/// A sheet that somebody has filled in.
async fn sheet(app: &Shared, grant: &Arc<Grant>, request: Request) -> Result<Response> {
    let mut parts = super::multipart::parts(Multipart::from_request(request, app).await)?;
    let (mut file, mut body) = (None, Map::new());
    while let Some(mut part) = next(parts.next_field()).await? {
        match part.name().unwrap_or_default() {
            "file" if file.is_none() => {
                let name = part.file_name().unwrap_or_default().to_owned();
                let ending = name.rsplit_once('.').map_or("xlsx", |(_, e)| e).to_ascii_lowercase();
                let ending = if ending == "csv" { ".csv" } else { ".xlsx" };
                let made = tempfile::Builder::new()
                    .prefix("lamppost-claims-")
                    .suffix(ending)
                    .tempfile();
                let (own, path) = made.map_err(Error::internal)?.into_parts();
                let mut own = tokio::fs::File::from_std(own);
                while let Some(bytes) = next(part.chunk()).await? {
                    own.write_all(&bytes).await.map_err(Error::internal)?;
                }
                own.flush().await.map_err(Error::internal)?;
                file = Some(path);
            }
            "settings" => body = object(&small(&mut part).await?)?,
            other => return Err(no_part(other, "file, settings")),
        }
    }
    let path = file.ok_or_else(|| Error::syntax("file", Text::new("缺少文件", "the file is missing")))?;
    let mut faults = unknown(&body, &["role", "kind", "dry_run", "reason", "document_kind"]);
    let (role, dry_run) = (role_of(&body, &mut faults), dry(&body, &mut faults));
    let kind = words(body.get("kind"), "/kind", &mut faults).unwrap_or_else(|| MotionKind::Claim.key().to_owned());
    let kind = MotionKind::parse(&kind).map_err(|e| faults.push(Wrong::new("/kind", e)));
    let document_kind = words(body.get("document_kind"), "/document_kind", &mut faults);
    let (Ok(kind), true) = (kind, faults.is_empty()) else {
        return Err(Error::Invalid(faults));
    };
    let parties = app.store.party_names().await?;
    let read = move || claims::read(&path, role, &parties, MAX_ITEMS);
    let sheet = app.work.run(read).await??;
    let blank = sheet.blank;
    let told = sheet.faults.iter().map(|(row, detail)| Fault {
        component: None,
        row: Some(*row),
        detail: detail.clone(),
    });
    let told: Vec<Fault> = told.collect();
    let tried = dry_run || !told.is_empty();
    let (papers, places) = papers_of(app, grant, &sheet, document_kind).await?;
    let item = |row: claims::Row| Item {
        component: row.component,
        row: Some(row.row),
        papers: places.get(&row.document).copied().into_iter().collect(),
        wanted: Some(Wanted {
            kind,
            parties: row.parties,
            from: row.from,
            to: row.to,
            evidence: 1,
        }),
    };
    let order = Order {
        role,
        doing: Doing::HandIn,
        items: sheet.rows.into_iter().map(item).collect(),
        papers,
        by: grant.clone(),
        at: now(),
    };
    let mut outcome = batch::run(&app.store, &app.feed, app.index.read(), order, reason(&body)?, tried).await?;
    outcome.faults.splice(0..0, told);
    answer(dry_run, Some(blank), outcome)
}

/// The document of each number that a sheet names, and its place: one that is known and may be read, or one of which only the number is said.
async fn papers_of(
    app: &App,
    grant: &Grant,
    sheet: &Sheet,
    kind: Option<String>,
) -> Result<(Vec<Paper>, BTreeMap<String, usize>)> {
    let kind = kind.unwrap_or_else(|| "确权文件".to_owned());
    let (mut papers, mut places) = (Vec::new(), BTreeMap::new());
    for row in &sheet.rows {
        if places.contains_key(&row.document) {
            continue;
        }
        let known = app.store.document_of_number(&row.document).await?;
        let memory = app.index.read();
        let known = known.filter(|(d, classes)| super::evidence::readable(&memory, grant, d, classes));
        places.insert(row.document.clone(), papers.len());
        papers.push(match known {
            Some((document, _)) => Paper::Known(document.id),
            None => Paper::Described(Described {
                kind: kind.clone(),
                number: Some(row.document.clone()),
                ..Described::default()
            }),
        });
    }
    Ok((papers, places))
}

fn told(faults: &[Fault]) -> Value {
    let one =
        |f: &Fault| json!({"component": f.component, "row": f.row, "detail": {"zh": f.detail.zh, "en": f.detail.en}});
    faults.iter().take(MAX_FAULTS).map(one).collect()
}

/// What became of it, or would. One that was to be done and could not be wrote nothing, and is told fault by fault.
fn answer(dry_run: bool, blank: Option<usize>, outcome: Outcome) -> Result<Response> {
    if !dry_run && outcome.batch.is_none() {
        let place = |f: &Fault| match (f.row, f.component) {
            (Some(row), _) => format!("/rows/{row}"),
            (None, component) => format!("/components/{}", component.unwrap_or_default()),
        };
        let one = |f: &Fault| Wrong::new(place(f), f.detail.clone());
        let mut faults: Vec<Wrong> = outcome.faults.iter().take(MAX_FAULTS).map(one).collect();
        let more = outcome.faults.len().saturating_sub(MAX_FAULTS);
        if more > 0 {
            faults.push(Wrong::new("/", text!("另有 {more} 项", "and {more} more")));
        }
        if faults.is_empty() {
            faults.push(Wrong::new(
                "/",
                Text::new("没有要办理的部件", "there is no component to act on"),
            ));
        }
        return Err(Error::Invalid(faults));
    }
    let status = if outcome.batch.is_some() {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let body = json!({
        "batch": outcome.batch, "dry_run": dry_run, "components": outcome.done, "blank": blank,
        "faults": outcome.faults.len(), "listed": told(&outcome.faults),
    });
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().extend(outcome.settled.and_then(settled));
    Ok(response)
}

/// `POST`: takes a batch back. `also_edited`: components that somebody has edited since, too.
async fn undo(
    State(app): State<Shared>,
    Caller(grant): Caller,
    Path(id): Path<String>,
    body: axum::body::Bytes,
) -> Result<Response> {
    let no: i64 = id
        .parse()
        .map_err(|_| Error::NotFound(text!("没有第 {id} 批", "there is no batch {id}")))?;
    let body = if body.is_empty() { Map::new() } else { object(&body)? };
    let faults = unknown(&body, &["also_edited"]);
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let also_edited = body.get("also_edited").and_then(Value::as_bool).unwrap_or(false);
    let undone = batch::undo(&app.store, &app.feed, app.index.read(), &grant, now(), no, also_edited).await?;
    let body = json!({"batch": no, "undone": undone.undone, "left": undone.left.len(), "listed": told(&undone.left)});
    let mut response = Json(body).into_response();
    response.headers_mut().extend(settled(undone.settled));
    Ok(response)
}
