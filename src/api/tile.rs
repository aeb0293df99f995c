//! `/tiles/{layers}` as TileJSON 3.0.0 and `/tiles/{layers}/{z}/{x}/{y}` as Mapbox Vector Tiles.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::encoding::negotiate;
use super::extract::{Ask, Params};
use super::past::{self, moment};
use super::reader::{Reader, WHO};
use super::resource::{find, matches_etag, percent};
use super::{App, Shared};
use crate::audit::Act;
use crate::domain::filter::Filter;
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::query;
use crate::query::tile::figures::NAMES;
use crate::spatial::plane::Plane;
use crate::spatial::tile_id::{MAX_ZOOM, TileId};
use crate::text;
use crate::tile::body::{Body, Encoding, Form};
use crate::tile::cache::{Selection, Variant};
use crate::tile::layer::{self, Layer, Source};

/// The routes of tiles.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/tiles/{layers}", get(tilejson))
        .route("/tiles/{layers}/{*tile}", get(tile))
}

/// What stands before the rule of tiles of coverage.
pub(super) const COVERAGE: &str = "coverage-";
/// The most layers in one tile.
const MAX_LAYERS: usize = 16;

/// `lamps,wells` as layers, each once.
fn layers(names: &str, reader: &Reader) -> Result<Vec<Arc<Layer>>> {
    let mut out: Vec<Arc<Layer>> = Vec::new();
    for name in names.split(',').filter(|n| !n.is_empty()) {
        let layer = find(name, reader)?;
        if !out.iter().any(|l| l.id == layer.id) {
            out.push(layer);
        }
    }
    if out.is_empty() || out.len() > MAX_LAYERS {
        return Err(Error::NotFound(text!(
            "请给出1至{MAX_LAYERS}个图层",
            "name 1 to {MAX_LAYERS} layers"
        )));
    }
    Ok(out)
}

fn filter_of(params: &mut Params, layers: &[Arc<Layer>]) -> Option<Arc<Filter>> {
    let layers: Vec<&Layer> = layers.iter().map(|l| &**l).collect();
    super::extract::filter(params, &layers)
}

async fn tilejson(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    mut params: Params,
    Path(names): Path<String>,
) -> Result<Response> {
    if let Some(rule) = names.strip_prefix(COVERAGE) {
        return super::coverage_tile::tilejson(&app, &ask, &reader, params, rule).await;
    }
    let layers = layers(&names, &reader)?;
    let plane = params.read("coords", Plane::parse).unwrap_or_default();
    let filter = filter_of(&mut params, &layers);
    let then = params.read("datetime", moment);
    let figures = figures_of(&mut params, &layers);
    params.finish()?;
    counted(figures, &reader)?;
    let summary = app.summaries.get(&app.index.read());
    let ids: Vec<&str> = layers.iter().map(|l| l.id.as_str()).collect();
    let titles: Vec<&str> = layers.iter().map(|l| l.title(ask.lang)).collect();
    let bounds = summary
        .extent
        .map_or([-180.0, -85.0511, 180.0, 85.0511], |b| plane.box_forward(b));
    let coords = plane.key().map(|key| format!("coords={key}"));
    let filter = filter.map(|f| format!("filter={}", percent(&f.to_string())));
    let then = then.map(|t| format!("datetime={}", percent(&t.to_rfc3339())));
    let counted = figures.then(|| "figures=true".to_owned());
    let asked = coords.into_iter().chain(filter).chain(then).chain(counted);
    let asked = asked.chain(reader.carried());
    let asked: Vec<String> = asked.collect();
    let asked = if asked.is_empty() {
        String::new()
    } else {
        format!("?{}", asked.join("&"))
    };
    let path = ids.join(",");
    let vector_layers: Vec<Value> = layers
        .iter()
        .map(|l| json!({"id": l.id, "description": l.title(ask.lang), "fields": fields(l, figures), "minzoom": 0, "maxzoom": MAX_ZOOM}))
        .collect();
    let body = json!({
        "tilejson": "3.0.0",
        "name": titles.join(" · "),
        "tiles": [format!("{}/tiles/{path}/{{z}}/{{x}}/{{y}}{asked}", ask.base)],
        "scheme": "xyz",
        "minzoom": 0,
        "maxzoom": MAX_ZOOM,
        "bounds": bounds,
        "center": [(bounds[0] + bounds[2]) / 2.0, (bounds[1] + bounds[3]) / 2.0, 13],
        "vector_layers": vector_layers,
    });
    Ok((
        [
            (header::CACHE_CONTROL, "no-cache"),
            (header::VARY, super::extract::LINKED),
        ],
        Json(body),
    )
        .into_response())
}

/// Whether cells and areas are asked for with the figures of their components.
fn figures_of(params: &mut Params, layers: &[Arc<Layer>]) -> bool {
    let asked = params.read("figures", |s| match s {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Text::new("应为 true 或 false", "should be true or false")),
    });
    let any = layers.iter().any(|l| matches!(l.source, Source::Cell | Source::Area));
    if asked == Some(true) && !any {
        let detail = Text::new("仅 cells 与 areas 有统计", "only cells and areas have figures");
        params.fault("figures", detail);
    }
    asked.unwrap_or(false)
}

/// Refuses figures to who may not see what they count.
fn counted(figures: bool, reader: &Reader) -> Result<()> {
    if figures {
        find("components", reader)?;
    }
    Ok(())
}

fn fields(layer: &Layer, figures: bool) -> Map<String, Value> {
    let names: &[(&str, &str)] = match layer.source {
        Source::Component => &[
            ("class", "String"),
            ("state", "String"),
            ("ownership_status", "String"),
            ("owner", "String"),
            ("point_count", "Number"),
        ],
        Source::Area => &[
            ("code", "String"),
            ("name", "String"),
            ("level", "String"),
            ("point_count", "Number"),
        ],
        Source::Cell => &[("code", "String"), ("point_count", "Number")],
        Source::Road => &[("class", "String"), ("name", "String"), ("point_count", "Number")],
        Source::Land => &[("kind", "String"), ("name", "String"), ("point_count", "Number")],
    };
    let counted = figures && matches!(layer.source, Source::Cell | Source::Area);
    let counted = NAMES.iter().filter(|_| counted).map(|name| (*name, "Number"));
    let all = names.iter().copied().chain(counted);
    all.map(|(name, kind)| (name.to_owned(), kind.into())).collect()
}

async fn tile(
    State(app): State<Shared>,
    mut params: Params,
    Path((names, tile)): Path<(String, String)>,
    // Last, and whole: its head is read where it lies.
    request: Request,
) -> Result<Response> {
    let reader = request.extensions().get::<Reader>();
    let reader = reader.ok_or_else(|| Error::internal("a request came past the frame"))?;
    if let Some(rule) = names.strip_prefix(COVERAGE) {
        return super::coverage_tile::tile(&app, reader, params, rule, &tile, request.headers()).await;
    }
    let layers = layers(&names, reader)?;
    let plane = params.read("coords", Plane::parse).unwrap_or_default();
    let filter = filter_of(&mut params, &layers);
    let then = params.read("datetime", moment);
    let figures = figures_of(&mut params, &layers);
    params.finish()?;
    counted(figures, reader)?;
    let tile = named(&tile)?;
    // Figures are about components of every class.
    let counted = layer::get("components").filter(|_| figures).map_or(0, |l| l.bit);
    let set = layers.iter().fold(counted, |set, l| set | l.bit);
    let restricted = app.matchers.restricted(&app.index.read());
    let rights = restricted.rights(reader.rights(), set);
    let narrowed = !rights.is_none();
    if narrowed {
        let what = format!("tiles {names}");
        app.audit.note(Act::Restricted, reader.name(), &reader.peer(), &what);
    }
    let selection = Selection {
        layers,
        filter,
        plane,
        rights,
        figures,
    };
    let encoding = negotiate(request.headers());
    let then = past::revision(&app, then).await?;
    let body = match then {
        None => body(&app, &selection, tile, encoding).await?,
        Some(revision) => past_body(&app, &selection, tile, encoding, revision).await?,
    };
    let mut response = answer(body.make(encoding), request.headers());
    let headers = response.headers_mut();
    if then.is_some() {
        headers.insert(header::CACHE_CONTROL, past::kept(reader, &selection.layers));
    }
    if narrowed {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    } else if reader.grant().is_some() {
        if then.is_none() {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        }
    } else if restricted.narrows(set) {
        headers.append(header::VARY, HeaderValue::from_static(WHO));
    }
    Ok(response)
}

/// The tile of a path, or an answer that there is none.
pub(super) fn named(tile: &str) -> Result<TileId> {
    tile_id(tile).ok_or_else(|| {
        Error::NotFound(text!(
            "没有瓦片 {tile}：应为 级别/列/行，级别0至{MAX_ZOOM}，行列号小于2^级别",
            "there is no tile {tile}: it is zoom/column/row, zoom is 0 to {MAX_ZOOM}, column and row are below 2^zoom"
        ))
    })
}

/// `14/13526/6255`, or the same with a file's ending.
fn tile_id(path: &str) -> Option<TileId> {
    let path = path
        .strip_suffix(".mvt")
        .or_else(|| path.strip_suffix(".pbf"))
        .unwrap_or(path);
    let mut numbers = path.split('/');
    let (z, x, y) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let id = TileId::new(z.parse().ok()?, x.parse().ok()?, y.parse().ok()?);
    id.filter(|_| numbers.next().is_none())
}

/// The tile with the encoding made: at once if it is kept so or quickly built, or else by a blocking thread.
async fn body(app: &Shared, selection: &Selection, tile: TileId, encoding: Encoding) -> Result<Arc<Body>> {
    let variant = app.cache.variant(selection);
    if let Some(kept) = app.cache.get(&variant, tile)
        && kept.made(encoding).is_some()
    {
        return Ok(kept);
    }
    let made = move |app: &App, variant: &Variant, patience| {
        let build = || {
            let (memory, selection) = (app.index.read(), &variant.selection);
            Arc::new(Body::new(query::tile::build(&memory, &app.matchers, selection, tile)))
        };
        let body = app.cache.get_or_build(variant, tile, patience, build)?;
        body.make(encoding);
        Some(body)
    };
    // Nobody else's work is waited for here.
    if encoding == Encoding::Identity
        && query::tile::is_quick(&app.index.read(), &app.matchers, selection, tile)
        && let Some(body) = made(app, &variant, Some(Duration::ZERO))
    {
        return Ok(body);
    }
    let shared = app.clone();
    let made = move || made(&shared, &variant, None);
    let failed = || {
        Error::Busy(Text::new(
            "瓦片未能生成，请重试",
            "the tile could not be made; try again",
        ))
    };
    app.work.run(made).await?.ok_or_else(failed)
}

/// The same of a past revision.
async fn past_body(
    app: &Shared,
    selection: &Selection,
    tile: TileId,
    encoding: Encoding,
    revision: i64,
) -> Result<Arc<Body>> {
    let build = async |memory: Arc<Memory>| {
        let (shared, selection) = (app.clone(), selection.clone());
        let build = move || {
            let body = Body::new(query::tile::build(&memory, &shared.matchers, &selection, tile));
            body.make(encoding);
            Arc::new(body)
        };
        app.work.run(build).await
    };
    app.past.tile(revision, selection, tile, build).await
}

pub(super) fn answer(form: &Form, headers: &HeaderMap) -> Response {
    let (status, body) = match form.bytes.is_empty() {
        _ if matches_etag(headers, &form.etag) => (StatusCode::NOT_MODIFIED, Bytes::new()),
        true => (StatusCode::NO_CONTENT, Bytes::new()),
        false => (StatusCode::OK, form.bytes.clone()),
    };
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let out = response.headers_mut();
    // These and those that every answer gets.
    out.reserve(12);
    out.insert(header::ETAG, form.etag.clone());
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if status == StatusCode::OK {
        out.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/vnd.mapbox-vector-tile"),
        );
        if form.encoding != Encoding::Identity {
            out.insert(header::CONTENT_ENCODING, HeaderValue::from_static(form.encoding.name()));
        }
    }
    response
}
