//! `/collections`: one collection per layer.

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Shared;
use super::extract::{Ask, Params};
use super::resource::find;
use crate::error::Result;
use crate::query::summary::Summary;
use crate::tile::layer::{self, Layer};

/// The routes of collections.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/collections", get(all))
        .route("/collections/{layer}", get(one))
}

async fn all(State(app): State<Shared>, ask: Ask, params: Params) -> Result<Json<Value>> {
    params.finish()?;
    let summary = app.summaries.get(&app.index.read());
    let collections: Vec<Value> = layer::all().iter().map(|l| describe(l, &summary, &ask)).collect();
    let links = [json!({"rel": "self", "type": "application/json", "href": format!("{}/collections", ask.base)})];
    Ok(Json(json!({"collections": collections, "links": links})))
}

async fn one(State(app): State<Shared>, ask: Ask, params: Params, Path(name): Path<String>) -> Result<Json<Value>> {
    params.finish()?;
    let layer = find(&name)?;
    let summary = app.summaries.get(&app.index.read());
    Ok(Json(describe(&layer, &summary, &ask)))
}

fn describe(layer: &Layer, summary: &Summary, ask: &Ask) -> Value {
    let at = layer::all().iter().position(|l| l.id == layer.id);
    let count = at.and_then(|i| summary.counts.get(i));
    let here = format!("{}/collections/{}", ask.base, layer.id);
    let mut out = json!({
        "id": layer.id,
        "title": layer.title(ask.lang),
        "itemType": "feature",
        "itemCount": count,
        "crs": ["http://www.opengis.net/def/crs/OGC/1.3/CRS84"],
        "links": [
            {"rel": "self", "type": "application/json", "href": here},
            {"rel": "items", "type": "application/geo+json", "href": format!("{here}/items")},
            {"rel": "tilejson", "type": "application/json", "href": format!("{}/tiles/{}", ask.base, layer.id)},
        ],
    });
    if let Some(extent) = summary.extent {
        out["extent"] = json!({"spatial": {"bbox": [extent], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}});
    }
    out
}
