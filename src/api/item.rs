//! `/collections/{layer}/items`, one item, and the nearest ones.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::Shared;
use super::extract::{Ask, Params};
use super::past::{self, moment};
use super::reader::Reader;
use super::resource::{absent, find, id, percent, visible};
use super::{export, write};
use crate::delivery::out::Wish;
use crate::domain::text::Text;
use crate::domain::word::State as Condition;
use crate::error::{Error, Result};
use crate::exchange::write::Format;
use crate::index::Memory;
use crate::query::feature::Names;
use crate::query::list::{Cursor, Filter, Order, SortBy, reach};
use crate::query::matcher;
use crate::query::{self, nearest};
use crate::spatial::measure::around;
use crate::spatial::plane::Plane;
use crate::spatial::position::{Bbox, LonLat};
use crate::text;
use crate::tile::layer::{Layer, Source};

/// The routes of items.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/collections/{layer}/items", get(list).post(write::add))
        .route(
            "/collections/{layer}/items/{id}",
            get(one).put(write::replace).patch(write::patch).delete(write::retire),
        )
        .route("/collections/{layer}/nearest", get(near))
        .layer(DefaultBodyLimit::max(write::MAX_BODY))
}

/// Features of a page without `limit`, and at most.
const DEFAULT_LIMIT: u64 = 10;
const MAX_LIMIT: u64 = 1000;
/// The longest `within`, in metres.
const MAX_WITHIN: f64 = 100_000.0;

const GEOJSON: [(header::HeaderName, &str); 2] = [
    (header::CONTENT_TYPE, "application/geo+json"),
    (header::VARY, super::extract::LINKED),
];

async fn list(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    mut params: Params,
    Path(layer): Path<String>,
    uri: axum::http::Uri,
) -> Result<Response> {
    let layer = find(&layer, &reader)?;
    if let Some(format) = params.file_format() {
        return file(&app, &ask, &reader, params, &layer, format).await;
    }
    let limit = params.number("limit", 0, MAX_LIMIT).unwrap_or(DEFAULT_LIMIT) as usize;
    let after = params.read("cursor", Cursor::parse);
    let plane = params.read("coords", Plane::parse).unwrap_or_default();
    let then = params.read("datetime", moment);
    let (features, matched, next) = match layer.source {
        Source::Component => {
            let filter = filter(&mut params, plane, &layer, &reader);
            let (by, descending) = params.read("sortby", sort_by).unwrap_or_default();
            params.finish()?;
            reader.reads_layer(&app, &layer, "list");
            let order = Order {
                by,
                descending,
                after,
                limit,
            };
            let then = past::revision(&app, then).await?;
            let memory = past::memory(&app, then, |now| reach(now, &filter)).await?;
            let listed = components(&app, &ask, &layer, filter.clone(), order.clone(), memory.clone()).await?;
            match former(&app, &filter, listed.1).await?.filter(|_| then.is_none()) {
                None => listed,
                Some(now) => components(&app, &ask, &layer, now, order, memory).await?,
            }
        }
        _ => {
            let filter = query::place::Filter {
                cql: super::extract::filter(&mut params, &[&layer]),
                bbox: params.read("bbox", Bbox::parse),
                plane,
                code: params.text("code"),
                q: params.text("q"),
            };
            only_of_components(&mut params, then);
            params.finish()?;
            places(&app, &ask, &layer, filter, after, limit).await?
        }
    };
    let mut links = vec![json!({"rel": "self", "type": "application/geo+json", "href": format!("{}{uri}", ask.base)})];
    if let Some(next) = next {
        let kept = uri
            .query()
            .unwrap_or("")
            .split('&')
            .filter(|p| !p.is_empty() && !p.starts_with("cursor="));
        let cursor = format!("cursor={}", percent(&next.text()));
        let query: Vec<&str> = kept.chain([cursor.as_str()]).collect();
        let href = format!("{}{}?{}", ask.base, uri.path(), query.join("&"));
        links.push(json!({"rel": "next", "type": "application/geo+json", "href": href}));
    }
    let body = json!({
        "type": "FeatureCollection",
        "numberMatched": matched,
        "numberReturned": features.len(),
        "features": features,
        "links": links,
    });
    Ok((
        GEOJSON,
        [(header::CACHE_CONTROL, "no-cache")],
        Json(body).into_response().into_body(),
    )
        .into_response())
}

/// The whole list as a file.
async fn file(
    app: &Shared,
    ask: &Ask,
    reader: &Reader,
    mut params: Params,
    layer: &Arc<Layer>,
    format: Format,
) -> Result<Response> {
    let asked = params.asked();
    let then = params.read("datetime", moment);
    let filter = filter(&mut params, Plane::default(), layer, reader);
    let (by, descending) = params.read("sortby", sort_by).unwrap_or_default();
    let limit = params.number("limit", 0, u64::MAX).map_or(usize::MAX, |n| n as usize);
    let wish = Wish {
        scope: asked,
        ..export::wish(&mut params, ask, format)
    };
    if layer.source != Source::Component {
        params.fault(
            "f",
            Text::new("仅部件图层可导出", "only layers of components can be exported"),
        );
    }
    params.finish()?;
    let order = Order {
        by,
        descending,
        after: None,
        limit,
    };
    let then = past::revision(app, then).await?;
    let memory = past::memory(app, then, |now| reach(now, &filter)).await?;
    export::file(app, reader, memory, layer, filter, order, wish).await
}

/// Refuses a past moment of what has no past.
fn only_of_components(params: &mut Params, then: Option<DateTime<Utc>>) {
    if then.is_some() {
        let detail = Text::new("仅部件图层有过去", "only layers of components have a past");
        params.fault("datetime", detail);
    }
}

pub(super) fn filter(params: &mut Params, plane: Plane, layer: &Layer, reader: &Reader) -> Filter {
    let near = params.read("near", |s| back(s, plane));
    let within = params.metres("within", MAX_WITHIN);
    let near = match (near, within) {
        (Some(p), Some(metres)) => Some((p, metres)),
        (Some(_), None) => {
            params.fault(
                "within",
                Text::new("near 须与 within（米）同用", "near needs within, in metres"),
            );
            None
        }
        (None, Some(_)) => {
            params.fault(
                "near",
                Text::new("within 须与 near（经度,纬度）同用", "within needs near, as lon,lat"),
            );
            None
        }
        (None, None) => None,
    };
    let state = params.list("state");
    let state = state
        .iter()
        .filter_map(|s| match Condition::parse(s) {
            Ok(state) => Some(state),
            Err(detail) => {
                params.fault("state", detail);
                None
            }
        })
        .collect();
    Filter {
        cql: super::extract::filter(params, &[layer]),
        bbox: params.read("bbox", Bbox::parse),
        plane,
        near,
        within_area: params.text("within-area"),
        code: params.text("code"),
        class: params.list("class"),
        state,
        owner: params.list("owner"),
        cell: params.list("cell"),
        road: params.list("road"),
        q: params.text("q"),
        rights: reader.rights().clone(),
    }
}

/// A position given in the coordinates of a plane.
pub(super) fn back(s: &str, plane: Plane) -> Result<LonLat, Text> {
    let p = LonLat::parse(s)?;
    let (lon, lat) = plane.back(p.lon(), p.lat());
    LonLat::new(lon, lat)
}

fn sort_by(s: &str) -> Result<(SortBy, bool), Text> {
    let (name, descending) = match s.strip_prefix('-') {
        Some(name) => (name, true),
        None => (s.strip_prefix('+').unwrap_or(s), false),
    };
    match name {
        "id" => Ok((SortBy::Id, descending)),
        "code" => Ok((SortBy::Code, descending)),
        "name" => Ok((SortBy::Name, descending)),
        _ => Err(text!(
            "不能按“{s}”排序，可用 id、code、name，前加 - 为降序",
            "cannot sort by \"{s}\"; it can be id, code or name, with - in front for descending"
        )),
    }
}

/// The same for the code that something has now, where nothing has the one that was asked for: it may have had it.
async fn former(app: &Shared, filter: &Filter, matched: usize) -> Result<Option<Filter>> {
    let Some(code) = filter.code.as_ref().or(filter.q.as_ref()).filter(|_| matched == 0) else {
        return Ok(None);
    };
    let now = app.store.successor_code(code).await?;
    Ok(now.map(|now| Filter {
        code: Some(now),
        q: None,
        ..filter.clone()
    }))
}

type Listed = (Vec<Value>, usize, Option<Cursor>);

async fn components(
    app: &Shared,
    ask: &Ask,
    layer: &Arc<Layer>,
    filter: Filter,
    order: Order,
    memory: Arc<Memory>,
) -> Result<Listed> {
    let (shared, layer, plane) = (app.clone(), layer.clone(), filter.plane);
    let rights = filter.rights.clone();
    let listed = move || {
        let page = query::list::list(&memory, &shared.matchers, &layer, &filter, &order)?;
        let versions = memory.versions(&page.ids);
        Ok::<_, Error>((page, versions))
    };
    let (page, versions) = app.work.run(listed).await??;
    let mut details = app.store.details_of_versions(&versions).await?;
    let memory = app.index.read();
    // One may have been given a restricted class since.
    details.retain(|d| visible(&memory, d.class, &rights));
    let names = Names {
        memory: &memory,
        lang: ask.lang,
        plane,
    };
    Ok((
        details.iter().map(|d| names.feature(d)).collect(),
        page.matched,
        page.next,
    ))
}

async fn places(
    app: &Shared,
    ask: &Ask,
    layer: &Arc<Layer>,
    filter: query::place::Filter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Listed> {
    let (shared, layer, lang) = (app.clone(), layer.clone(), ask.lang);
    let page = move || {
        let memory = shared.index.read();
        let mut ids = query::place::list(&memory, &shared.matchers, &layer, &filter);
        let matched = ids.len();
        if let Some(after) = after {
            ids.retain(|id| u64::try_from(*id).is_ok_and(|id| id > after.id()));
        }
        let more = ids.len() > limit;
        ids.truncate(limit);
        let plane = filter.plane;
        let names = Names {
            memory: &memory,
            lang,
            plane,
        };
        let features: Vec<Value> = ids.iter().filter_map(|id| names.place(&layer, *id)).collect();
        let last = ids.last().filter(|_| more).and_then(|id| u64::try_from(*id).ok());
        (features, matched, last.map(Cursor::at))
    };
    app.work.run(page).await
}

async fn one(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    mut params: Params,
    Path((layer, text)): Path<(String, String)>,
) -> Result<Response> {
    let plane = params.read("coords", Plane::parse).unwrap_or_default();
    let then = params.read("datetime", moment);
    let layer = find(&layer, &reader)?;
    if layer.source != Source::Component {
        only_of_components(&mut params, then);
    }
    params.finish()?;
    let id = id(&layer, &text)?;
    if layer.source != Source::Component {
        let memory = app.index.read();
        let feature = i32::try_from(id).ok().and_then(|id| {
            Names {
                memory: &memory,
                lang: ask.lang,
                plane,
            }
            .place(&layer, id)
        });
        return Ok((
            GEOJSON,
            Json(feature.ok_or_else(|| absent(&layer, &text))?)
                .into_response()
                .into_body(),
        )
            .into_response());
    }
    let mut detail = app.store.details(&[id]).await?.pop();
    let then = past::revision(&app, then).await?;
    let memory = app.index.read();
    let shown = |class: i32| {
        memory
            .classes
            .get(&class)
            .is_some_and(|c| matcher::shows(&memory, &layer, c, reader.rights()))
    };
    // Who may not see it today sees nothing of its past.
    detail = detail.filter(|d| visible(&memory, d.class, reader.rights()));
    if let (Some(_), Some(revision)) = (&detail, then) {
        detail = match app.store.version_at(id, revision).await? {
            Some(version) => app.store.details_of_versions(&[(id, version)]).await?.pop(),
            None => None,
        };
    }
    let detail = detail.filter(|d| shown(d.class)).ok_or_else(|| absent(&layer, &text))?;
    reader.reads_component(&app, detail.class, id);
    let etag = format!("\"{}\"", detail.version);
    let fixed = [(header::ETAG, etag.as_str()), (header::CACHE_CONTROL, "no-cache")];
    // Never 304: names in it (of a party, a road) change without a new version of the component.
    let names = Names {
        memory: &memory,
        lang: ask.lang,
        plane,
    };
    let mut feature = names.feature(&detail);
    feature["properties"]["attributes_read"] = names.attributes_read(&detail);
    Ok((GEOJSON, fixed, Json(feature).into_response().into_body()).into_response())
}

async fn near(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    mut params: Params,
    Path(layer): Path<String>,
) -> Result<Response> {
    let layer = find(&layer, &reader)?;
    let plane = params.read("coords", Plane::parse).unwrap_or_default();
    let point = params.read("point", |s| back(s, plane));
    let cql = super::extract::filter(&mut params, &[&layer]);
    let then = params.read("datetime", moment);
    let k = params.number("k", 1, 100).unwrap_or(10) as usize;
    let within = params.metres("within", f64::MAX).unwrap_or(f64::INFINITY);
    if point.is_none() {
        params.fault("point", Text::new("须给出 point=经度,纬度", "point=lon,lat is needed"));
    }
    if layer.source != Source::Component {
        params.fault(
            "layer",
            Text::new("仅部件图层可求最近", "only layers of components have nearest ones"),
        );
    }
    params.finish()?;
    reader.reads_layer(&app, &layer, "nearest");
    let Some(point) = point else {
        return Err(Error::syntax("point", Text::new("缺少", "missing")));
    };
    let (shared, lang, rights) = (app.clone(), ask.lang, reader.rights().clone());
    let then = past::revision(&app, then).await?;
    let near = |_: &Memory| within.is_finite().then(|| around(point, within));
    let memory = past::memory(&app, then, near).await?;
    let features = app
        .work
        .run(move || {
            let names = Names {
                memory: &memory,
                lang,
                plane,
            };
            let matcher = shared.matchers.of(&memory, &layer, cql.as_ref(), &rights);
            let found = nearest::nearest(&memory, &matcher, point, k, within);
            let feature = |(id, metres): &(u64, f64)| Some(names.near(&memory.components.get(*id)?, *metres));
            found.iter().filter_map(feature).collect::<Vec<Value>>()
        })
        .await?;
    let body = json!({"type": "FeatureCollection", "numberReturned": features.len(), "features": features});
    Ok((
        GEOJSON,
        [(header::CACHE_CONTROL, "no-cache")],
        Json(body).into_response().into_body(),
    )
        .into_response())
}
