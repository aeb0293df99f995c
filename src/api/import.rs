//! `/imports`: a delivery sent by whoever may edit: looked at, tried, loaded, taken back.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::multipart::MultipartRejection;
use axum::extract::{DefaultBodyLimit, Multipart, Path, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

use super::Shared;
use super::extract::{Ask, Caller};
use super::frame::UPLOAD;
use super::multipart::{next, no_part, parts, small};
use super::resource::percent;
use super::write::object;
use crate::delivery::upload::{Settings, Upload};
use crate::domain::grant::Grant;
use crate::domain::text::Text;
use crate::domain::word::Access;
use crate::error::{Error, Result};

/// Between two words of progress.
const PULSE: Duration = Duration::from_millis(200);

/// The routes of imports.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route(UPLOAD, post(receive).layer(DefaultBodyLimit::disable()).get(all))
        .route("/imports/{id}", get(one).patch(change).delete(forget))
        .route("/imports/{id}/runs", post(run))
        .route("/imports/{id}/undo", post(undo))
        .route("/imports/{id}/events", get(events))
        .route("/imports/{id}/{list}", get(list))
}

/// `POST`, multipart: `file`; `settings` (JSON), `mapping` (TOML) and `run` (`dry` or `load`) where wanted.
async fn receive(
    State(app): State<Shared>,
    ask: Ask,
    Caller(grant): Caller,
    parts: Result<Multipart, MultipartRejection>,
) -> Result<Response> {
    let mut parts = self::parts(parts)?;
    let (mut arrival, mut patch, mut load) = (None, Map::new(), None);
    while let Some(mut part) = next(parts.next_field()).await? {
        match part.name().unwrap_or_default() {
            "file" if arrival.is_none() => {
                let mut own = app.desk.receive(part.file_name().unwrap_or_default()).await?;
                while let Some(bytes) = next(part.chunk()).await? {
                    own.write(&bytes).await?;
                }
                arrival = Some(own);
            }
            "file" => {
                let detail = Text::new("一次只接收一个文件", "one file at a time");
                return Err(Error::syntax("file", detail));
            }
            "settings" => patch.extend(object(&small(&mut part).await?)?),
            "mapping" => {
                let text = String::from_utf8_lossy(&small(&mut part).await?).into_owned();
                patch.insert("mapping".to_owned(), text.into());
            }
            "run" => load = Some(how(&small(&mut part).await?)?),
            other => return Err(no_part(other, "file, settings, mapping, run")),
        }
    }
    let arrival = arrival.ok_or_else(|| Error::syntax("file", Text::new("缺少文件", "the file is missing")))?;
    let settings = Settings {
        lang: ask.lang.tag().to_owned(),
        ..Settings::default()
    };
    let settings = settings.patched(&patch)?;
    let mut upload = app.desk.admit(&app.store, arrival, &grant, settings).await?;
    if let Some(dry_run) = load
        && upload.stage != crate::delivery::upload::Stage::Open
    {
        upload = app.desk.run(&app.store, &upload.id, dry_run).await?;
    }
    let location = format!("{}/imports/{}", ask.base, upload.id);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(shown(&upload, &ask)),
    )
        .into_response())
}

/// Whether a run keeps nothing.
fn how(text: &[u8]) -> Result<bool> {
    match text {
        b"dry" => Ok(true),
        b"load" => Ok(false),
        _ => Err(Error::syntax(
            "run",
            Text::new("应为 dry 或 load", "should be dry or load"),
        )),
    }
}

async fn all(State(app): State<Shared>, ask: Ask, Caller(grant): Caller) -> Json<Value> {
    let own: Vec<Value> = app
        .desk
        .all()
        .iter()
        .filter(|upload| sees(&grant, upload))
        .map(|upload| json!({"id": upload.id, "file": upload.file, "bytes": upload.bytes, "by": upload.by, "received": upload.received, "stage": upload.stage, "dry_run": upload.dry_run, "href": format!("{}/imports/{}", ask.base, upload.id)}))
        .collect();
    Json(json!({"imports": own}))
}

async fn one(
    State(app): State<Shared>,
    ask: Ask,
    Caller(grant): Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let upload = look(&app, &grant, &id)?.borrow().clone();
    Ok(Json(shown(&upload, &ask)))
}

/// `PATCH`: settings as a JSON merge patch; the file is looked at again.
async fn change(
    State(app): State<Shared>,
    ask: Ask,
    Caller(grant): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>> {
    look(&app, &grant, &id)?;
    let upload = app.desk.change(&app.store, &id, &grant, &object(&body)?).await?;
    Ok(Json(shown(&upload, &ask)))
}

/// `POST`: `{"dry_run": true}` tries, `{"dry_run": false}` loads.
async fn run(
    State(app): State<Shared>,
    ask: Ask,
    Caller(grant): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response> {
    look(&app, &grant, &id)?;
    let Some(dry_run) = object(&body)?.get("dry_run").and_then(Value::as_bool) else {
        let detail = Text::new("应为 true 或 false", "should be true or false");
        return Err(Error::syntax("/dry_run", detail));
    };
    let upload = app.desk.run(&app.store, &id, dry_run).await?;
    Ok((StatusCode::ACCEPTED, Json(shown(&upload, &ask))).into_response())
}

async fn undo(
    State(app): State<Shared>,
    ask: Ask,
    Caller(grant): Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    look(&app, &grant, &id)?;
    let (upload, undone) = app.desk.undo(&app.store, &id).await?;
    let mut out = shown(&upload, &ask);
    out["undone"] = json!({"restored": undone.restored, "retired": undone.retired, "kept": undone.kept});
    Ok(Json(out))
}

async fn forget(State(app): State<Shared>, Caller(grant): Caller, Path(id): Path<String>) -> Result<StatusCode> {
    look(&app, &grant, &id)?;
    app.desk.forget(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `rejects` or `changes`, as files.
async fn list(
    State(app): State<Shared>,
    Caller(grant): Caller,
    Path((id, kind)): Path<(String, String)>,
) -> Result<Response> {
    let upload = look(&app, &grant, &id)?.borrow().clone();
    let path = app.desk.list(&id, &kind)?;
    let file = tokio::fs::File::open(&path).await.map_err(Error::internal)?;
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let media = match ending {
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "csv" => "text/csv; charset=utf-8",
        _ => "application/geo+json",
    };
    let name = percent(&format!("{}.{kind}.{ending}", upload.file));
    let headers = [
        (header::CONTENT_TYPE, media.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename*=UTF-8''{name}"),
        ),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(super::export::pieces_of(file))).into_response())
}

/// Progress, and the whole as soon as nobody works on it any more: then the stream ends.
async fn events(
    State(app): State<Shared>,
    ask: Ask,
    Caller(grant): Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    struct Stream {
        upload: watch::Receiver<Upload>,
        stopping: watch::Receiver<bool>,
        ask: Ask,
        ended: bool,
        first: bool,
    }
    let stream = Stream {
        upload: look(&app, &grant, &id)?,
        stopping: app.stopping.subscribe(),
        ask,
        ended: false,
        first: true,
    };
    let events = stream::unfold(stream, async |mut s| {
        if s.ended {
            return None;
        }
        if !std::mem::take(&mut s.first) {
            tokio::select! {
                changed = s.upload.changed() => changed.ok()?,
                _ = s.stopping.wait_for(|stop| *stop) => return None,
            }
            sleep(PULSE).await;
        }
        let upload = s.upload.borrow_and_update().clone();
        s.ended = !upload.is_busy();
        let event = match s.ended {
            true => Event::default().event("end").data(shown(&upload, &s.ask).to_string()),
            false => Event::default().event("progress").data(progress(&upload).to_string()),
        };
        Some((Ok::<Event, Infallible>(event), s))
    });
    let beat = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(([("x-accel-buffering", "no")], Sse::new(events).keep_alive(beat)).into_response())
}

/// Everyone sees what is theirs, an admin everything that holds no class that the admin may not see.
fn sees(grant: &Grant, upload: &Upload) -> bool {
    let rights = upload.fence.classes.iter().all(|c| grant.rights.has(*c));
    grant.name == upload.by || grant.access == Access::Admin && rights
}

fn look(app: &Shared, grant: &Grant, id: &str) -> Result<watch::Receiver<Upload>> {
    let upload = app.desk.watch(id)?;
    let allowed = sees(grant, &upload.borrow());
    match allowed {
        true => Ok(upload),
        // Not even that it is there.
        false => Err(crate::delivery::desk::absent(id)),
    }
}

fn progress(upload: &Upload) -> Value {
    json!({"stage": upload.stage, "read": upload.read, "size": upload.size})
}

fn shown(upload: &Upload, ask: &Ask) -> Value {
    let here = format!("{}/imports/{}", ask.base, upload.id);
    let mut out = json!({
        "id": upload.id, "file": upload.file, "bytes": upload.bytes, "by": upload.by, "received": upload.received,
        "stage": upload.stage, "dry_run": upload.dry_run, "progress": progress(upload), "delivery": upload.delivery,
        "settings": upload.settings, "seen": upload.seen, "report": upload.report, "error": upload.error,
    });
    let mut links = vec![
        link("self", &here, ask.lang.pick("本次导入", "this import")),
        link("events", &format!("{here}/events"), ask.lang.pick("进度", "progress")),
    ];
    for (kind, zh, en) in [
        ("rejects", "退回清单", "refused rows"),
        ("changes", "变更清单", "what became of each row"),
    ] {
        if upload.report.as_ref().is_some_and(|r| r[kind].is_string()) {
            links.push(link(kind, &format!("{here}/{kind}"), ask.lang.pick(zh, en)));
        }
    }
    out["links"] = links.into();
    out
}

fn link(rel: &str, href: &str, title: &str) -> Value {
    json!({"rel": rel, "href": href, "title": title})
}
