//! `/collections`: one collection per layer.

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Shared;
use super::extract::{Ask, Params};
use super::reader::Reader;
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

async fn all(State(app): State<Shared>, ask: Ask, reader: Reader, params: Params) -> Result<Json<Value>> {
    params.finish()?;
    let summary = app.summaries.get(&app.index.read());
    let collections: Vec<Value> = layer::all()
        .iter()
        .filter(|l| reader.layer(l).is_ok())
        .map(|l| describe(&app, l, &summary, &ask, &reader))
        .collect();
    let links = [json!({"rel": "self", "type": "application/json", "href": format!("{}/collections", ask.base)})];
    Ok(Json(json!({"collections": collections, "links": links})))
}

async fn one(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    params: Params,
    Path(name): Path<String>,
) -> Result<Json<Value>> {
    params.finish()?;
    let layer = find(&name, &reader)?;
    let summary = app.summaries.get(&app.index.read());
    Ok(Json(describe(&app, &layer, &summary, &ask, &reader)))
}

fn describe(app: &Shared, layer: &Layer, summary: &Summary, ask: &Ask, reader: &Reader) -> Value {
    let count = summary.count(&app.index.read(), layer, reader.rights());
    let here = format!("{}/collections/{}", ask.base, layer.id);
    let carried = reader.carried().map_or_else(String::new, |key| format!("?{key}"));
    let mut out = json!({
        "id": layer.id,
        "title": layer.title(ask.lang),
        "itemType": "feature",
        "itemCount": count,
        "crs": ["http://www.opengis.net/def/crs/OGC/1.3/CRS84"],
        "links": [
            {"rel": "self", "type": "application/json", "href": format!("{here}{carried}")},
            {"rel": "items", "type": "application/geo+json", "href": format!("{here}/items{carried}")},
            {"rel": "tilejson", "type": "application/json", "href": format!("{}/tiles/{}{carried}", ask.base, layer.id)},
        ],
    });
    if let Some(extent) = summary.extent {
        out["extent"] = json!({"spatial": {"bbox": [extent], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}});
    }
    out
}
