//! `/components/{id}/history`.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use super::Shared;
use super::extract::{Ask, Params};
use super::reader::Reader;
use super::resource::{no_component, visible};
use super::write;
use crate::error::Result;
use crate::query::feature::Names;
use crate::spatial::plane::Plane;

/// The routes of what belongs to one component.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/components/{id}/history", get(history))
        .route("/components/{id}/restore", post(write::restore))
}

/// The most versions in one answer.
const MAX_VERSIONS: i64 = 500;

async fn history(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    params: Params,
    Path(id): Path<String>,
) -> Result<Response> {
    params.finish()?;
    let number = id.parse::<i64>().ok();
    // One more than is shown, so that the oldest shown has something to be compared with.
    let mut versions = match number {
        Some(id) => app.store.versions(id, MAX_VERSIONS + 1).await?,
        None => Vec::new(),
    };
    let hidden = versions
        .first()
        .is_none_or(|v| !visible(&app.index.read(), v.detail.class, reader.rights()));
    let Some(number) = number.filter(|_| !hidden) else {
        return Err(no_component(&id));
    };
    if let Some(newest) = versions.first() {
        reader.reads_component(&app, newest.detail.class, number);
    }
    let memory = app.index.read();
    // What it was while it was of a class that the reader may not see.
    versions.retain(|v| visible(&memory, v.detail.class, reader.rights()));
    let mut shown = Names {
        memory: &memory,
        lang: ask.lang,
        plane: Plane::default(),
    }
    .history(&versions);
    let more = versions.len() > MAX_VERSIONS as usize;
    shown.truncate(MAX_VERSIONS as usize);
    versions.clear();
    Ok(Json(json!({"id": number, "versions": shown, "more": more})).into_response())
}
