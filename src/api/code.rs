//! `/codes/{code}`: who has a code, and who had it.

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Shared;
use super::extract::{Ask, Params};
use crate::error::{Error, Result};
use crate::store::code::Holder;
use crate::text;

/// The routes of codes.
pub(super) fn router() -> Router<Shared> {
    Router::new().route("/codes/{code}", get(holders))
}

async fn holders(State(app): State<Shared>, ask: Ask, params: Params, Path(code): Path<String>) -> Result<Json<Value>> {
    params.finish()?;
    let holders = match code.contains('\0') {
        true => Vec::new(),
        false => {
            let schemes: Vec<String> = app
                .index
                .read()
                .components
                .schemes()
                .map(|(_, s)| s.to_owned())
                .collect();
            app.store.code_holders(&code, &schemes).await?
        }
    };
    let memory = app.index.read();
    let hidden = |class: i32| memory.classes.get(&class).is_none_or(|c| c.restricted);
    let shown: Vec<Value> = holders
        .into_iter()
        .filter(|h| !h.class.is_some_and(hidden))
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
