//! `/scenarios`: sites that might be built, kept under a name; `scenario=` asks coverage and siting as if they were.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use geo::{CoordsIter, Geometry};
use serde_json::{Value, json};

use super::Shared;
use super::coverage::rule;
use super::draft::geometry_of;
use super::extract::{Ask, Caller, Params};
use super::features::{self, Column, Features, Shape, Wish};
use super::motion::words;
use super::reader::Reader;
use super::resource::find;
use super::work::Progress;
use super::write::object;
use crate::coverage::{Planned, rules};
use crate::domain::text::{Fault, Text};
use crate::error::{Error, Result};
use crate::exchange::write::Kind;
use crate::spatial::local::Local;
use crate::spatial::position::LonLat;
use crate::store::scenario::Scenario;
use crate::text;

/// The routes of scenarios.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route(
            "/scenarios",
            get(list).merge(post(add).layer(DefaultBodyLimit::max(MAX_BODY))),
        )
        .route("/scenarios/{id}", get(one).delete(withdraw))
}

/// Sites of one scenario.
const MAX_SITES: usize = 500;
/// Vertices of all of them.
const MAX_VERTICES: usize = 200_000;
/// Bytes of a body.
const MAX_BODY: usize = 16 << 20;
/// Characters of a name.
const MAX_NAME: usize = 100;
/// Scenarios of one page without `limit`, and at most.
const DEFAULT_LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 1000;

fn none(id: impl std::fmt::Display) -> Error {
    Error::NotFound(text!("没有第 {id} 号方案", "there is no scenario {id}"))
}

/// The sites of a scenario, for a rule that asks for facilities of the same layer.
pub(super) async fn planned(app: &Shared, reader: &Reader, id: i64, name: &str) -> Result<Arc<Planned>> {
    let asked = rule(name)?;
    // Tiles are open layer by layer; scenarios are not.
    reader.admit(Some("/scenarios"))?;
    find(&asked.layer, reader)?;
    let planned = match app.scenarios.get(id) {
        Some(known) => known,
        None => {
            let found = app.store.scenario(id).await?.ok_or_else(|| none(id))?;
            let sites = found.sites.0;
            let read = move || sites.iter().map(shape).collect::<Result<Vec<_>, Text>>();
            let shapes = app.work.run(read).await?;
            let planned = Arc::new(Planned {
                id,
                name: found.name,
                layer: rule(&found.rule)?.layer.clone(),
                shapes: shapes.map_err(|t| Error::internal(t.en))?,
            });
            app.scenarios.put(planned.clone());
            planned
        }
    };
    if planned.layer != asked.layer {
        let detail = text!(
            "第 {id} 号方案不是为这类设施做的",
            "scenario {id} was not made for facilities of this kind"
        );
        return Err(Error::syntax("scenario", detail));
    }
    Ok(planned)
}

/// A GeoJSON geometry that a site may have.
fn shape(value: &Value) -> Result<Geometry<f64>, Text> {
    let parsed = geometry_of(value)?;
    for c in parsed.coords_iter() {
        LonLat::new(c.x, c.y)?;
    }
    match parsed {
        Geometry::Point(_) | Geometry::LineString(_) | Geometry::Polygon(_) | Geometry::MultiPolygon(_)
            if parsed.coords_count() > 0 =>
        {
            Ok(parsed)
        }
        _ => Err(Text::new(
            "应为点、线、面或多面",
            "should be a point, a line, a polygon or several polygons",
        )),
    }
}

/// What a scenario is made of: the answer of `/siting`, or another FeatureCollection, with a name.
struct Read {
    name: String,
    rule: String,
    note: Option<String>,
    sites: Vec<Value>,
}

fn read(body: &[u8]) -> Result<Read> {
    let body = object(body)?;
    let mut faults = Vec::new();
    let name = words(body.get("name"), "/name", &mut faults).filter(|n| n.chars().count() <= MAX_NAME);
    if name.is_none() && faults.is_empty() {
        let detail = text!(
            "应为1至{MAX_NAME}个字符的名称",
            "should be a name of 1 to {MAX_NAME} characters"
        );
        faults.push(Fault::new("/name", detail));
    }
    let note = words(body.get("note"), "/note", &mut faults);
    let wanted = words(body.get("rule"), "/rule", &mut faults);
    let known = wanted.filter(|r| rules::get(r).is_some());
    if known.is_none() {
        let list: Vec<&str> = rules::all().iter().map(|r| r.id.as_str()).collect();
        let list = list.join(", ");
        faults.push(Fault::new(
            "/rule",
            text!("应为规则 {list} 之一", "should be one of the rules {list}"),
        ));
    }
    let empty = Vec::new();
    let features = body.get("features").and_then(Value::as_array).unwrap_or(&empty);
    if features.is_empty() || features.len() > MAX_SITES {
        let detail = text!("应有1至{MAX_SITES}个要素", "should be 1 to {MAX_SITES} features");
        faults.push(Fault::new("/features", detail));
    }
    let (mut sites, mut vertices) = (Vec::new(), 0);
    for (n, feature) in features.iter().take(MAX_SITES).enumerate() {
        let geometry = feature.get("geometry").unwrap_or(&Value::Null);
        match shape(geometry) {
            Ok(shape) => {
                vertices += shape.coords_count();
                sites.push(geometry.clone());
            }
            Err(detail) => faults.push(Fault::new(format!("/features/{n}/geometry"), detail)),
        }
    }
    if vertices > MAX_VERTICES {
        return Err(Error::TooLarge(text!(
            "方案共有 {vertices} 个顶点，至多 {MAX_VERTICES} 个",
            "the scenario has {vertices} vertices, and may have {MAX_VERTICES}"
        )));
    }
    match (name, known) {
        (Some(name), Some(rule)) if faults.is_empty() => Ok(Read {
            name,
            rule,
            note,
            sites,
        }),
        _ => Err(Error::Invalid(faults)),
    }
}

/// `POST`: keeps one.
async fn add(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    Caller(grant): Caller,
    body: Bytes,
) -> Result<Response> {
    let read = app.work.run(move || read(&body)).await??;
    find(&rule(&read.rule)?.layer, &reader)?;
    let id = app
        .store
        .add_scenario(&read.name, &read.rule, &read.sites, read.note.as_deref(), &grant.name)
        .await?;
    let found = app.store.scenario(id).await?.ok_or_else(|| none(id))?;
    let href = format!("{}/scenarios/{id}", ask.base);
    let headers = [(header::LOCATION, href)];
    Ok((StatusCode::CREATED, headers, Json(summary(&found, &ask))).into_response())
}

fn summary(found: &Scenario, ask: &Ask) -> Value {
    let (id, rule, base) = (found.id, &found.rule, &ask.base);
    json!({
        "id": id, "name": found.name, "rule": rule, "sites": found.count, "note": found.note,
        "by": found.made_by, "made": found.made, "withdrawn": found.withdrawn,
        "links": [
            {"rel": "item", "href": format!("{base}/scenarios/{id}"), "type": "application/geo+json"},
            {"rel": "related", "href": format!("{base}/coverage/{rule}?scenario={id}"), "type": "application/json"},
            {"rel": "related", "href": format!("{base}/coverage/{rule}/change?scenario={id}"), "type": "application/geo+json"},
            {"rel": "tiles", "href": format!("{base}/tiles/coverage-{rule}?scenario={id}"), "type": "application/json"},
        ],
    })
}

/// `GET`: those that stand, the newest first.
async fn list(State(app): State<Shared>, ask: Ask, reader: Reader, mut params: Params) -> Result<Json<Value>> {
    let of = params.text("rule");
    let limit = params.number("limit", 1, MAX_LIMIT).unwrap_or(DEFAULT_LIMIT) as usize;
    let before = params
        .number("cursor", 1, i64::MAX as u64)
        .map_or(i64::MAX, |n| n as i64);
    params.finish()?;
    let of = of.map(|name| rule(&name)).transpose()?;
    let seen = rules::all()
        .iter()
        .filter(|r| find(&r.layer, &reader).is_ok() && of.as_ref().is_none_or(|of| of.layer == r.layer));
    let seen: Vec<String> = seen.map(|r| r.id.clone()).collect();
    let mut rows = app.store.scenarios(&seen, before, limit as i64 + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|s| s.id);
    let shown: Vec<Value> = rows.iter().map(|s| summary(s, &ask)).collect();
    Ok(Json(json!({"scenarios": shown, "next": next})))
}

async fn found(app: &Shared, reader: &Reader, text: &str) -> Result<Scenario> {
    let id: i64 = text.parse().map_err(|_| none(text))?;
    let found = app.store.scenario(id).await?.ok_or_else(|| none(id))?;
    // A rule may have gone since.
    find(&rule(&found.rule)?.layer, reader)?;
    Ok(found)
}

const COLUMNS: [Column; 1] = [("order", "建设顺序", "Order", Kind::Integer)];

/// `GET`: its sites.
async fn one(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    mut params: Params,
    Path(id): Path<String>,
) -> Result<Response> {
    let wish = Wish::read(&mut params);
    params.finish()?;
    let found = found(&app, &reader, &id).await?;
    let own = ask.clone();
    let make = move |_: &Progress| {
        let bad = |t: Text| Error::internal(t.en);
        let shapes = found.sites.0.iter().map(shape).collect::<Result<Vec<_>, Text>>();
        let shapes = shapes.map_err(bad)?;
        let any = shapes.iter().find_map(|s| s.coords_iter().next()).unwrap_or_default();
        let local = LonLat::new(any.x, any.y).and_then(Local::about).map_err(bad)?;
        let rows = (1..)
            .zip(shapes)
            .map(|(n, shape): (usize, _)| (json!({"order": n}), Shape::Degrees(shape)));
        Ok(Features {
            name: format!("scenario-{}", found.id),
            title: found.name.clone(),
            members: summary(&found, &own).as_object().cloned().unwrap_or_default(),
            columns: &COLUMNS,
            rows: rows.collect(),
            local,
            foot: vec![(Text::new("规则", "Rule"), found.rule.clone())],
        })
    };
    features::answer(&app, &reader, &ask, wish, make).await
}

/// `DELETE`: withdraws it; whoever has its number can still look at it.
async fn withdraw(
    State(app): State<Shared>,
    reader: Reader,
    Caller(grant): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let found = found(&app, &reader, &id).await?;
    match app.store.withdraw_scenario(found.id, &grant.name).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Error::Conflict(text!(
            "第 {id} 号方案已撤回",
            "scenario {id} is withdrawn already"
        ))),
    }
}
