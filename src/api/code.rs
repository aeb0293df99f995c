//! `/codes/{code}`: who has a code, and who had it.

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Shared;
use super::extract::{Ask, Params};
use super::reader::Reader;
use super::resource::visible;
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::store::code::Holder;
use crate::text;

/// The routes of codes.
pub(super) fn router() -> Router<Shared> {
    Router::new().route("/codes/{code}", get(holders))
}

/// Who has a code under any scheme, then who had it.
pub(super) async fn held(app: &Shared, code: &str) -> Result<Vec<Holder>> {
    if code.contains('\0') {
        return Ok(Vec::new());
    }
    let schemes = |memory: &Memory| {
        memory
            .components
            .schemes()
            .map(|(_, s)| s.to_owned())
            .collect::<Vec<_>>()
    };
    let schemes = schemes(&app.index.read());
    app.store.code_holders(code, &schemes).await
}

async fn holders(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    params: Params,
    Path(code): Path<String>,
) -> Result<Json<Value>> {
    params.finish()?;
    let holders = held(&app, &code).await?;
    let memory = app.index.read();
    let shown: Vec<Value> = holders
        .into_iter()
        .filter(|h| h.class.is_none_or(|class| visible(&memory, class, reader.rights())))
        .map(|h| shown(&h, &ask))
        .collect();
    if shown.is_empty() {
        return Err(Error::NotFound(text!(
            "没有标识码 {code}，以前也没有",
            "nothing has the code {code}, and nothing had it"
        )));
    }
    Ok(Json(json!({"code": code, "holders": shown})))
}

fn shown(h: &Holder, ask: &Ask) -> Value {
    let layer = match h.entity.as_str() {
        "area" => "areas",
        "cell" => "cells",
        _ => "components",
    };
    json!({
        "entity": h.entity, "id": h.id, "scheme": h.scheme, "code": h.code, "name": h.name, "until": h.until,
        "href": format!("{}/collections/{layer}/items/{}", ask.base, h.id),
    })
}
