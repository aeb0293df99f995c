//! `/evidence`: documents, with or without a file, that back any number of claims.

use axum::body::Body;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{DefaultBodyLimit, Multipart, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::NaiveDate;
use serde_json::{Value, json};

use super::extract::{Ask, Caller};
use super::frame::EVIDENCE;
use super::multipart::{next, no_part, parts, small};
use super::reader::Reader;
use super::resource::{percent, visible};
use super::{App, Shared};
use crate::domain::evidence::Described;
use crate::domain::grant::Grant;
use crate::domain::text::{Fault, Lang, Text};
use crate::domain::word::Access;
use crate::error::{Error, Result};
use crate::exchange::document::Form;
use crate::index::Memory;
use crate::spatial::datum::Datum;
use crate::spatial::measure::distance;
use crate::spatial::position::LonLat;
use crate::store::evidence::Document;
use crate::text;

/// The routes of documents.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route(EVIDENCE, post(receive).layer(DefaultBodyLimit::disable()))
        .route("/evidence/{id}", get(one))
        .route("/evidence/{id}/file", get(file))
}

/// Characters of a kind, a number or an issuer.
pub(super) const MAX_TEXT: usize = 1000;
/// A photo taken farther away, in metres, is of something else, or its position is in another datum.
const NEAR: f64 = 100.0;

/// `POST`, multipart: `kind`, and `number`, `issuer`, `date`, `file` where there are.
async fn receive(
    State(app): State<Shared>,
    ask: Ask,
    Caller(grant): Caller,
    body: Result<Multipart, MultipartRejection>,
) -> Result<Response> {
    let mut parts = parts(body)?;
    let (mut arrival, mut described, mut faults) = (None, Described::default(), Vec::new());
    while let Some(mut part) = next(parts.next_field()).await? {
        let name = part.name().unwrap_or_default().to_owned();
        if name == "file" && arrival.is_none() {
            let mut own = app.archive.receive(part.file_name().unwrap_or_default()).await?;
            while let Some(bytes) = next(part.chunk()).await? {
                own.write(&bytes).await?;
            }
            arrival = Some(own);
            continue;
        }
        let text = String::from_utf8_lossy(&small(&mut part).await?)
            .trim()
            .replace('\0', "");
        let text = Some(text).filter(|t| !t.is_empty());
        if text.as_ref().is_some_and(|t| t.chars().count() > MAX_TEXT) {
            let detail = text!("应不超过{MAX_TEXT}个字符", "should be at most {MAX_TEXT} characters");
            faults.push(Fault::new(format!("/{name}"), detail));
        }
        match name.as_str() {
            "kind" => described.kind = text.unwrap_or_default(),
            "number" => described.number = text,
            "issuer" => described.issuer = text,
            "date" => match text.map(|t| t.parse::<NaiveDate>()).transpose() {
                Ok(day) => described.dated = day,
                Err(_) => {
                    let detail = Text::new("应为日期，如 2026-03-01", "should be a day such as 2026-03-01");
                    faults.push(Fault::new("/date", detail));
                }
            },
            other => return Err(no_part(other, "file, kind, number, issuer, date")),
        }
    }
    if described.kind.is_empty() {
        let detail = Text::new(
            "缺少，如“移交协议”",
            "is missing: what it is, such as a transfer agreement",
        );
        faults.push(Fault::new("/kind", detail));
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    // The file first: a row never names a file that is not there.
    let kept = match arrival {
        Some(arrival) => Some(arrival.keep().await?),
        None => None,
    };
    let mut edit = app.store.edit(&grant.name, None).await?;
    let id = edit.keep_document(&described, kept.as_ref(), &grant.name).await?;
    let found = edit.document(id).await?;
    edit.commit().await?;
    let (document, _) = found.ok_or_else(|| Error::internal("a document is gone within its own edit"))?;
    let location = format!("{}/evidence/{id}", ask.base);
    let body = Json(shown(&document, &ask, None));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

fn absent(id: &str) -> Error {
    Error::NotFound(text!("没有材料 {id}", "there is no document {id}"))
}

/// Whether somebody may read a document: whoever handed it in, an admin, and of one that backs claims everybody who is known and may
/// see all of what it backs claims to.
pub(super) fn readable(memory: &Memory, grant: &Grant, document: &Document, classes: &[i32]) -> bool {
    let sees = classes.iter().all(|class| visible(memory, *class, &grant.rights));
    let own = document.handed_in_by.as_deref() == Some(&grant.name);
    sees && (own || grant.access == Access::Admin || !classes.is_empty())
}

async fn look(app: &App, reader: &Reader, text: &str) -> Result<Document> {
    let grant = reader.grant().ok_or(Error::Unauthenticated)?;
    let id: i64 = text.parse().map_err(|_| absent(text))?;
    let (document, classes) = app.store.document(id).await?.ok_or_else(|| absent(text))?;
    match readable(&app.index.read(), grant, &document, &classes) {
        true => Ok(document),
        false => Err(absent(text)),
    }
}

async fn one(State(app): State<Shared>, ask: Ask, reader: Reader, Path(id): Path<String>) -> Result<Json<Value>> {
    let document = look(&app, &reader, &id).await?;
    Ok(Json(shown(&document, &ask, None)))
}

/// The file. What a browser can show is shown, without scripts and without a guess at what it is; all else is saved.
async fn file(State(app): State<Shared>, reader: Reader, Path(id): Path<String>) -> Result<Response> {
    let document = look(&app, &reader, &id).await?;
    let (Some(hash), Some(media), Some(name)) = (document.hash, document.media, document.name) else {
        return Err(Error::NotFound(text!(
            "材料 {id} 没有文件",
            "document {id} has no file"
        )));
    };
    let file = app.archive.file(&hash).await?;
    let how = if Form::shown(&media) { "inline" } else { "attachment" };
    let headers = [
        (header::CONTENT_TYPE, media),
        (
            header::CONTENT_DISPOSITION,
            format!("{how}; filename*=UTF-8''{}", percent(&name)),
        ),
        (header::CONTENT_LENGTH, document.bytes.unwrap_or(0).to_string()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; object-src 'self'; sandbox".to_owned(),
        ),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(super::export::pieces_of(file))).into_response())
}

/// A document as people read it; beside a component, which stands somewhere, with how far from it a photo was taken.
pub(super) fn shown(d: &Document, ask: &Ask, beside: Option<LonLat>) -> Value {
    let here = format!("{}/evidence/{}", ask.base, d.id);
    let mut out = json!({
        "id": d.id, "kind": d.kind, "number": d.number, "issuer": d.issuer, "date": d.dated, "href": here,
        "file": d.name.as_ref().map(|name| json!({"name": name, "bytes": d.bytes, "media": d.media, "href": format!("{here}/file")})),
    });
    if let Some(taken) = d.lon.zip(d.lat).and_then(|(lon, lat)| LonLat::new(lon, lat).ok()) {
        let mut photo = json!({"taken_at": [taken.lon(), taken.lat()]});
        if let Some(at) = beside {
            compare(&mut photo, taken, at, ask.lang);
        }
        out["photo"] = photo;
    }
    out
}

/// How far a photo was taken from a component, and whether it is near only where its position is one of an internet map.
fn compare(photo: &mut Value, taken: LonLat, at: LonLat, lang: Lang) {
    let away = distance(taken, at);
    let (lon, lat) = Datum::Gcj02.to_wgs84(taken.lon(), taken.lat());
    let shifted = LonLat::new(lon, lat).map_or(f64::INFINITY, |p| distance(p, at));
    let (fits, said) = if away <= NEAR {
        (Some("wgs84"), lang.pick("拍摄于部件旁", "taken beside it"))
    } else if shifted <= NEAR {
        let said = lang.pick("按 GCJ-02 解读才在部件旁", "beside it only if its position is GCJ-02");
        (Some("gcj02"), said)
    } else {
        (None, lang.pick("拍摄处离部件较远", "taken far from it"))
    };
    photo["distance_m"] = json!((away * 10.0).round() / 10.0);
    photo["fits"] = json!(fits);
    photo["said"] = json!(said);
}
