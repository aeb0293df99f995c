//! `/tiles/coverage-{rule}`: what facilities cover as vector tiles, by the same parameters as `/coverage/{rule}`.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::Shared;
use super::coverage::{Asked, asked, memory, outcome};
use super::encoding::negotiate;
use super::extract::{Ask, Params};
use super::reader::{Reader, WHO};
use super::tile::{COVERAGE, answer, named};
use super::work::Progress;
use crate::coverage::Outcome;
use crate::coverage::draw::{LAYERS, MIN_ZOOM};
use crate::error::{Error, Result};
use crate::spatial::plane::Plane;
use crate::spatial::tile_id::MAX_ZOOM;

/// What is asked, and the coordinates that it is drawn in.
async fn read(app: &Shared, reader: &Reader, params: &mut Params, rule: &str) -> Result<(Asked, Plane)> {
    let plane = params.read("coords", Plane::parse).unwrap_or_default();
    Ok((asked(app, reader, params, rule).await?, plane))
}

pub(super) async fn tilejson(
    app: &Shared,
    ask: &Ask,
    reader: &Reader,
    mut params: Params,
    rule: &str,
) -> Result<Response> {
    let query = params.query();
    let (asked, plane) = read(app, reader, &mut params, rule).await?;
    params.finish()?;
    let mut query: Vec<String> = query.into_iter().chain(reader.carried()).collect();
    query.sort();
    let query = match query.is_empty() {
        true => String::new(),
        false => format!("?{}", query.join("&")),
    };
    // Land may have to be cut first.
    let (shared, question) = (app.clone(), asked.question.clone());
    let around = move || {
        let land = shared
            .coverages
            .land(&shared.index.read(), &question.denominator, question.within)?;
        Ok::<_, Error>(land.around(0.0))
    };
    let around = app.analyses.run(around).await??;
    let bounds = around.map_or([-180.0, -85.0511, 180.0, 85.0511], |b| plane.box_forward(b));
    let fields = |all: &[(&str, &str)]| {
        all.iter()
            .map(|(n, k)| ((*n).to_owned(), json!(k)))
            .collect::<Map<_, _>>()
    };
    let layers = LAYERS
        .iter()
        .map(|(id, of)| json!({"id": id, "fields": fields(of), "minzoom": MIN_ZOOM, "maxzoom": MAX_ZOOM}));
    let body = json!({
        "tilejson": "3.0.0",
        "name": asked.question.rule.title(ask.lang),
        "tiles": [format!("{}/tiles/{COVERAGE}{rule}/{{z}}/{{x}}/{{y}}{query}", ask.base)],
        "scheme": "xyz", "minzoom": MIN_ZOOM, "maxzoom": MAX_ZOOM, "bounds": bounds,
        "center": [(bounds[0] + bounds[2]) / 2.0, (bounds[1] + bounds[3]) / 2.0, 13],
        "vector_layers": layers.collect::<Vec<Value>>(),
    });
    let headers = [
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, super::extract::LINKED),
    ];
    Ok((headers, Json(body)).into_response())
}

pub(super) async fn tile(
    app: &Shared,
    reader: &Reader,
    mut params: Params,
    rule: &str,
    tile: &str,
    headers: &HeaderMap,
) -> Result<Response> {
    let (asked, plane) = read(app, reader, &mut params, rule).await?;
    params.finish()?;
    let tile = named(tile)?;
    let encoding = negotiate(headers);
    let narrowed = !asked.question.rights.is_none();
    let (memory, then) = memory(app, asked.past).await?;
    // What is at hand is only drawn, which is a tile's work and no analysis.
    let at_hand = app.coverages.at_hand(&memory, &asked.question).filter(|_| !then);
    if let Some(body) = at_hand.as_ref().and_then(|found| found.kept(tile, plane))
        && body.made(encoding).is_some()
    {
        return Ok(headed(answer(body.make(encoding), headers), reader, narrowed));
    }
    let drawn = move |found: &Outcome| {
        let body = found.tile(tile, plane);
        body.make(encoding);
        body
    };
    let body = match at_hand {
        Some(found) => app.work.run(move || drawn(&found)).await?,
        None => {
            let shared = app.clone();
            let make = move |progress: &Progress| {
                Ok::<_, Error>(drawn(&*outcome(
                    &shared,
                    &memory,
                    then,
                    &asked.question,
                    &progress.step(0, 1),
                )?))
            };
            app.analyses.run_while_wanted(make).await??
        }
    };
    Ok(headed(answer(body.make(encoding), headers), reader, narrowed))
}

/// Says who may keep it.
fn headed(mut response: Response, reader: &Reader, narrowed: bool) -> Response {
    let out = response.headers_mut();
    if narrowed {
        out.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    } else if reader.grant().is_some() {
        out.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    } else {
        out.append(header::VARY, HeaderValue::from_static(WHO));
    }
    response
}
