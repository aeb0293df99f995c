//! `/styles/onemap`: the one-map style, for the page and for any MapLibre client.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Shared;
use super::extract::{Ask, Params};
use super::reader::Reader;
use crate::domain::word::GeometryKind;
use crate::error::{Error, Result};
use crate::query::summary::Summary;
use crate::text;
use crate::tile::layer::{self, Layer, Source};

/// The routes of styles.
pub fn router() -> Router<Shared> {
    Router::new().route("/styles/{id}", get(style))
}

/// A raster base map that the page offers, as the operator's settings name it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basemap {
    /// Its name in the page's address.
    pub id: String,
    /// 中文名.
    pub title_zh: String,
    /// English title.
    pub title_en: String,
    /// `https://…/{z}/{x}/{y}` templates, drawn one above the other.
    pub tiles: Vec<String>,
    /// `wgs84`, `cgcs2000` or `gcj02`; one in GCJ-02 is refused until tiles can follow it.
    pub datum: String,
    /// Who is to be named on the map.
    #[serde(default)]
    pub attribution: String,
}

async fn style(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    params: Params,
    Path(id): Path<String>,
) -> Result<Response> {
    params.finish()?;
    if id != "onemap" {
        return Err(Error::NotFound(text!(
            "没有样式“{id}”；已有：onemap",
            "there is no style \"{id}\"; there is onemap"
        )));
    }
    // Read first: every tile that is asked for after this answer is at least as new.
    let revision = app.feed.position().revision;
    let summary = app.summaries.get(&app.index.read());
    let extent = summary.extent.unwrap_or([117.0, 39.0, 117.4, 39.2]);
    let carried = reader.carried().map_or_else(String::new, |key| format!("?{key}"));
    let seen = || layer::all().iter().filter(|l| reader.layer(l).is_ok());
    let sources: Map<String, Value> = seen()
        .map(|l| {
            (
                l.id.clone(),
                json!({"type": "vector", "url": format!("{}/tiles/{}{carried}", ask.base, l.id)}),
            )
        })
        .collect();
    let body = json!({
        "version": 8,
        "name": ask.lang.pick("城市部件一张图", "City facilities on one map"),
        "center": [middle(extent[0], extent[2]), middle(extent[1], extent[3])],
        "zoom": zoom(extent),
        "sources": sources,
        "metadata": {
            "lamppost:layers": legend(&app, &summary, &reader),
            "lamppost:basemaps": app.basemaps,
            "lamppost:revision": revision,
        },
        "layers": layers(&reader),
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

/// Half way between two degrees, to about 0.1 m.
fn middle(a: f64, b: f64) -> f64 {
    ((a + b) / 2.0 * 1e6).round() / 1e6
}

/// The zoom at which an extent about fills a window of 1,000 pixels.
fn zoom(extent: [f64; 4]) -> f64 {
    let degrees = (extent[2] - extent[0]).max((extent[3] - extent[1]) * 1.3).max(1e-3);
    let zoom = (360.0 * 1000.0 / (512.0 * degrees)).log2();
    (zoom.clamp(1.0, 17.0) * 10.0).round() / 10.0
}

fn legend(app: &Shared, summary: &Summary, reader: &Reader) -> Vec<Value> {
    let memory = app.index.read();
    let entry = |l: &std::sync::Arc<Layer>| {
        let count = summary.count(&memory, l, reader.rights());
        json!({
            "id": l.id, "title_zh": l.title_zh, "title_en": l.title_en, "group": l.group, "color": l.color,
            "geometry": l.geometry.key(), "source": source_key(l.source), "count": count, "visible": l.visible,
            "detail_zoom": (l.geometry == GeometryKind::Point).then_some(l.detail_zoom),
        })
    };
    let seen = layer::all().iter().filter(|l| reader.layer(l).is_ok());
    seen.map(entry).collect()
}

fn source_key(source: Source) -> &'static str {
    match source {
        Source::Component => "component",
        Source::Cell => "cell",
        Source::Area => "area",
        Source::Road => "road",
        Source::Land => "land",
    }
}

fn layers(reader: &Reader) -> Vec<Value> {
    let mut out = vec![json!({"id": "background", "type": "background", "paint": {"background-color": "#f4f2ec"}})];
    let mut labels = Vec::new();
    for l in layer::all().iter().filter(|l| reader.layer(l).is_ok()) {
        match (l.source, l.geometry) {
            (Source::Land, _) => land(l, &mut out),
            (Source::Road, _) => road(l, &mut out, &mut labels),
            (Source::Area | Source::Cell, _) => outline(l, &mut out, &mut labels),
            (Source::Component, GeometryKind::Point) => points(l, &mut out),
            (Source::Component, _) => surfaces(l, &mut out),
        }
    }
    // Names lie above everything flat and below the points.
    let first_point = out.iter().position(|l| l["type"] == "circle").unwrap_or(out.len());
    out.splice(first_point..first_point, labels);
    out
}

fn piece(layer: &Layer, suffix: &str, kind: &str, rest: Value) -> Value {
    let mut out = json!({
        "id": format!("{}-{suffix}", layer.id), "type": kind, "source": layer.id, "source-layer": layer.id,
        "metadata": {"lamppost:layer": layer.id},
        "layout": {"visibility": if layer.visible { "visible" } else { "none" }},
    });
    for (key, value) in rest.as_object().into_iter().flatten() {
        if key == "layout" {
            for (name, value) in value.as_object().into_iter().flatten() {
                out["layout"][name] = value.clone();
            }
        } else {
            out[key] = value.clone();
        }
    }
    out
}

const SURFACE: &str = "Polygon";

fn land(layer: &Layer, out: &mut Vec<Value>) {
    let kinds = ["residential", "commercial", "industrial", "public", "green"];
    let colors = ["#ece4d8", "#f1dcd3", "#e3dfe6", "#e2e6ee", "#dbe7cf"];
    let mut color = vec![json!("match"), json!(["get", "kind"])];
    if layer.kinds.len() > 1 {
        kinds
            .iter()
            .zip(colors)
            .for_each(|(k, c)| color.extend([json!(k), json!(c)]));
        color.push(json!(layer.color));
    }
    let color = if layer.kinds.len() > 1 {
        Value::Array(color)
    } else {
        json!(layer.color)
    };
    out.push(piece(
        layer,
        "fill",
        "fill",
        json!({"filter": ["==", ["geometry-type"], SURFACE], "paint": {"fill-color": color}}),
    ));
}

fn surfaces(layer: &Layer, out: &mut Vec<Value>) {
    let is = json!(["==", ["geometry-type"], SURFACE]);
    let strength = if layer.group == "base" { 0.9 } else { 0.35 };
    out.push(piece(
        layer,
        "fill",
        "fill",
        json!({"filter": is, "paint": {"fill-color": layer.color, "fill-opacity": strength}}),
    ));
    let line = json!({"filter": is, "paint": {"line-color": layer.color, "line-width": 1.2}, "minzoom": 13});
    out.push(piece(layer, "edge", "line", line));
    let dot = json!({"filter": ["==", ["geometry-type"], "Point"],
        "paint": {"circle-color": layer.color, "circle-radius": 3, "circle-stroke-color": "#ffffff", "circle-stroke-width": 1}});
    out.push(piece(layer, "dot", "circle", dot));
}

fn road(layer: &Layer, out: &mut Vec<Value>, labels: &mut Vec<Value>) {
    let by_class = |factor: f64| {
        let stop = |arterial: f64, secondary: f64, local: f64, lane: f64| {
            let of = |w: f64| w * factor;
            json!([
                "match",
                ["get", "class"],
                "arterial",
                of(arterial),
                "secondary",
                of(secondary),
                "local",
                of(local),
                of(lane)
            ])
        };
        json!([
            "interpolate",
            ["exponential", 1.7],
            ["zoom"],
            10,
            stop(1.4, 0.7, 0.3, 0.1),
            14,
            stop(6.0, 4.0, 2.4, 1.2),
            18,
            stop(60.0, 42.0, 26.0, 14.0)
        ])
    };
    let round = json!({"line-cap": "round", "line-join": "round"});
    let case = json!({"paint": {"line-color": "#d6d1c6", "line-width": by_class(1.22)}, "layout": round});
    out.push(piece(layer, "case", "line", case));
    let fill = json!({"paint": {"line-color": layer.color, "line-width": by_class(1.0)}, "layout": round});
    out.push(piece(layer, "line", "line", fill));
    let name = json!({
        "minzoom": 14,
        "filter": ["has", "name"],
        "layout": {"symbol-placement": "line", "text-field": ["get", "name"], "text-size": ["interpolate", ["linear"], ["zoom"], 14, 11, 18, 14]},
        "paint": {"text-color": "#6b665b", "text-halo-color": "#ffffff", "text-halo-width": 1.4},
    });
    labels.push(piece(layer, "name", "symbol", name));
}

fn outline(layer: &Layer, out: &mut Vec<Value>, labels: &mut Vec<Value>) {
    let cells = layer.source == Source::Cell;
    let width = match cells {
        true => json!(0.8),
        false => json!(["match", ["get", "level"], "district", 2.6, "street", 1.6, 0.7]),
    };
    let mut line = json!({"filter": ["==", ["geometry-type"], SURFACE],
        "paint": {"line-color": layer.color, "line-width": width, "line-opacity": 0.75, "line-dasharray": [3, 2]}});
    if cells {
        line["minzoom"] = json!(13);
    }
    out.push(piece(layer, "line", "line", line));
    let field = if cells {
        json!(["slice", ["get", "code"], -3])
    } else {
        json!(["get", "name"])
    };
    let filter = match cells {
        true => json!(["has", "code"]),
        // A district's name at first, then its streets', then its communities'.
        false => json!([
            "step",
            ["zoom"],
            ["==", ["get", "level"], "district"],
            12,
            ["==", ["get", "level"], "street"],
            14.5,
            ["==", ["get", "level"], "community"]
        ]),
    };
    let name = json!({
        "minzoom": if cells { 16 } else { 9 },
        "filter": filter,
        "layout": {"text-field": field, "text-size": if cells { 11 } else { 13 }, "text-letter-spacing": 0.05},
        "paint": {"text-color": layer.color, "text-halo-color": "#ffffff", "text-halo-width": 1.6},
    });
    labels.push(piece(layer, "name", "symbol", name));
}

fn points(layer: &Layer, out: &mut Vec<Value>) {
    let bin = json!(["has", "point_count"]);
    let dots = json!({
        "filter": bin,
        "minzoom": layer.map_zoom,
        "paint": {
            "circle-color": layer.color,
            "circle-opacity": ["interpolate", ["linear"], ["zoom"], 10, 0.75, 14, 0.5],
            "circle-radius": ["interpolate", ["linear"], ["sqrt", ["get", "point_count"]], 1, 1.5, 4, 3, 12, 5, 60, 12],
        },
    });
    out.push(piece(layer, "bin", "circle", dots));
    let state = ["damaged", "#d64545", "missing", "#d64545", "abandoned", "#7a7a7a"];
    let mut ring = vec![json!("match"), json!(["get", "state"])];
    ring.extend(state.map(Value::from));
    ring.push(json!("#ffffff"));
    let points = json!({
        "filter": ["!", bin],
        "minzoom": layer.map_zoom,
        "paint": {
            "circle-color": layer.color,
            "circle-radius": ["interpolate", ["linear"], ["zoom"], 12, 1.6, 15, 2.8, 18, 6],
            "circle-stroke-color": ring,
            "circle-stroke-width": ["interpolate", ["linear"], ["zoom"], 14, 0.4, 18, 1.6],
        },
    });
    out.push(piece(layer, "point", "circle", points));
}
