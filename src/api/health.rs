//! `/healthz`, `/readyz`, `/metrics`.

use std::hash::{Hash, Hasher};
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{MatchedPath, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::Shared;
use crate::domain::grant::Rights;
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::text;
use crate::tile::layer;

/// The routes of health.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
}

/// The pattern of a path, as the routes name it; none for addresses that there are not.
#[derive(Clone, Debug)]
struct Pattern(Option<MatchedPath>);

impl Pattern {
    fn as_str(&self) -> &str {
        self.0.as_ref().map_or("none", MatchedPath::as_str)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl EncodeLabelValue for Pattern {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        self.as_str().encode(encoder)
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    path: Pattern,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    path: Pattern,
}

/// Figures that only requests know; everything else is read when it is asked for.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Family<Answered, Counter>,
    duration: Family<Route, Duration50>,
}

/// A histogram from 50 µs to 13 s.
#[derive(Clone, Debug)]
struct Duration50(Histogram);

impl Default for Duration50 {
    fn default() -> Self {
        Duration50(Histogram::new(exponential_buckets(50e-6, 2.0, 19)))
    }
}

impl prometheus_client::encoding::EncodeMetric for Duration50 {
    fn encode(&self, encoder: prometheus_client::encoding::MetricEncoder<'_>) -> std::fmt::Result {
        self.0.encode(encoder)
    }
    fn metric_type(&self) -> prometheus_client::metrics::MetricType {
        self.0.metric_type()
    }
}

impl prometheus_client::metrics::TypedMetric for Duration50 {
    const TYPE: prometheus_client::metrics::MetricType = prometheus_client::metrics::MetricType::Histogram;
}

impl Metrics {
    /// Notes an answered request by its matched path, never by its own.
    pub fn record(&self, path: Option<MatchedPath>, status: u16, took: Duration) {
        let path = Pattern(path);
        let route = Route { path: path.clone() };
        self.requests.get_or_create(&Answered { path, status }).inc();
        self.duration.get_or_create(&route).0.observe(took.as_secs_f64());
    }
}

/// Revisions by which a node may lag and still be ready.
const MAX_BEHIND: i64 = 100;

async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn readyz(State(app): State<Shared>) -> Result<Json<Value>> {
    let position = app.feed.position();
    if !position.ready {
        return Err(Error::Busy(Text::new("正在载入登记簿", "the register is being loaded")));
    }
    let newest = app.store.newest_revision().await?;
    let behind = newest.saturating_sub(position.revision).max(0);
    if behind > MAX_BEHIND {
        return Err(Error::Busy(text!(
            "本节点落后{behind}个修订",
            "this node is {behind} revisions behind"
        )));
    }
    Ok(Json(
        json!({"status": "ready", "revision": position.revision, "behind": behind}),
    ))
}

async fn metrics(State(app): State<Shared>) -> Result<Response> {
    let mut registry = Registry::with_prefix("lamppost");
    registry.register("http_requests", "Requests answered", app.metrics.requests.clone());
    registry.register(
        "http_request_duration_seconds",
        "Time to the answer's head",
        app.metrics.duration.clone(),
    );
    let gauge = |registry: &mut Registry, name: &str, help: &str, value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    let position = app.feed.position();
    let (tiles, bytes) = app.cache.size();
    let everybody = layer::get("components").map(|layer| {
        let memory = app.index.read();
        app.summaries.get(&memory).count(&memory, layer, &Rights::default())
    });
    let components = everybody.unwrap_or(0);
    let count = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
    for (name, help, value) in [
        (
            "feed_revision",
            "Newest revision in memory",
            u64::try_from(position.revision).unwrap_or(0),
        ),
        (
            "feed_ready",
            "Whether memory is loaded and follows",
            u64::from(position.ready),
        ),
        (
            "index_components",
            "Components that everybody may see",
            components as u64,
        ),
        ("tile_cache_tiles", "Finished tiles kept", tiles as u64),
        ("tile_cache_bytes", "Weight of the tiles kept", bytes),
        (
            "event_clients",
            "Clients that listen for edits",
            app.events.clients() as u64,
        ),
    ] {
        gauge(&mut registry, name, help, value);
    }
    for (name, help, value) in [
        (
            "tile_cache_hits",
            "Tiles answered from the cache",
            count(&app.cache.hits),
        ),
        (
            "tile_cache_misses",
            "Tiles that had to be made",
            count(&app.cache.misses),
        ),
        (
            "tile_cache_dropped",
            "Tiles dropped by edits",
            count(&app.cache.dropped),
        ),
    ] {
        registry.register(name, help, ConstCounter::new(value));
    }
    registry.register(
        "event_clients_cut_off",
        "Listeners that did not take what they were sent",
        ConstCounter::new(app.events.cut_off()),
    );
    registry.register(
        "feed_publish_seconds",
        "Time to put a changed memory in place; readers keep the one they have",
        app.feed.visible().replacing(),
    );
    registry.register(
        "commit_to_visible_seconds",
        "From the commit of this node's edits, and from the recorded time of others', until tiles show them",
        app.feed.visible().histograms(),
    );
    let mut out = String::new();
    encode(&mut out, &registry).map_err(Error::internal)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], out).into_response())
}
