//! HTTP. `app` is the only door: the server and the tests both come through it.
mod batch;
mod change;
mod claim;
mod code;
pub mod collection;
pub mod component;
mod confirmation;
mod coverage;
mod coverage_change;
mod coverage_report;
mod coverage_tile;
mod dispute;
mod dossier;
mod draft;
mod edits;
pub mod encoding;
pub mod events;
mod evidence;
mod export;
pub mod extract;
mod features;
pub mod frame;
mod gaps;
pub mod health;
mod import;
mod indicator;
pub mod item;
mod job;
pub mod limit;
mod motion;
mod multipart;
pub mod page;
mod past;
mod print;
pub mod problem;
mod process;
mod proposal;
pub mod reader;
pub mod resource;
mod responsible;
mod scenario;
mod session;
mod siting;
mod statistics;
pub mod style;
pub mod tile;
pub mod work;
pub mod write;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderName;

pub use coverage::warm;
pub use frame::{MIN_REVISION, REVISION};

use crate::archive::Archive;
use crate::audit::Audit;
use crate::coverage::{Coverages, Known};
use crate::delivery::desk::Desk;
use crate::door::Door;
use crate::feed::Feed;
use crate::index::Index;
use crate::past::Past;
use crate::query::matcher::Matchers;
use crate::query::summary::Summaries;
use crate::store::Store;
use crate::tile::cache::Cache;
use frame::Frame;
use limit::Limiter;
use reader::Closed;
use work::Work;

/// The header that says that an edit is durable but not yet in memory.
pub const LAGGING: HeaderName = HeaderName::from_static("lamppost-lagging");

/// The longest that a request may take to the head of its answer.
const MAX_TIME: Duration = Duration::from_secs(30);

/// How long a session may be idle.
pub const IDLE: Duration = Duration::from_secs(30 * 60);
/// Changes by one name in a minute.
pub const WRITES: u32 = 6000;

/// Files that are made at a time: each keeps a thread and a connection busy.
const MAX_EXPORTS: usize = 2;

/// What every handler shares.
#[derive(Debug)]
pub struct App {
    /// The record.
    pub store: Store,
    /// Memory.
    pub index: Index,
    /// Finished tiles.
    pub cache: Arc<Cache>,
    /// The follower.
    pub feed: Feed,
    /// The register as it was.
    pub past: Past,
    /// Counts and extents, by revision.
    pub summaries: Summaries,
    /// What layers show, looked up once.
    pub matchers: Matchers,
    /// What the facilities serve, by rules.
    pub coverages: Coverages,
    /// Scenarios that were asked for.
    pub scenarios: Known,
    /// CPU work off the async threads.
    pub work: Work,
    /// Analyses: one at a time, so that tiles go on.
    pub analyses: Work,
    /// Analyses that somebody comes back for.
    pub jobs: job::Jobs,
    /// Places for files that are being made.
    pub exports: Arc<tokio::sync::Semaphore>,
    /// Deliveries over HTTP.
    pub desk: Desk,
    /// Who somebody is.
    pub door: Door,
    /// The access log.
    pub audit: Arc<Audit>,
    /// To whom the service is closed who is not signed in.
    pub closed: Closed,
    /// Changes by one name.
    pub writes: Limiter,
    /// Failed attempts to sign in from one place.
    pub sign_ins: Limiter,
    /// The place for a batch of claims: one at a time.
    pub batches: Arc<tokio::sync::Semaphore>,
    /// Documents.
    pub archive: Archive,
    /// Figures for Prometheus.
    pub metrics: health::Metrics,
    /// Clients that listen for edits.
    pub events: events::Events,
    /// True from when the service is told to stop: what never ends by itself ends then.
    pub stopping: tokio::sync::watch::Sender<bool>,
    /// The longest that a request may take to the head of its answer.
    pub max_time: Duration,
    /// The address under which the world sees this service, if it is fixed.
    pub public_url: Option<String>,
    /// Base maps offered by the page.
    pub basemaps: Vec<style::Basemap>,
}

/// The state of the router.
pub type Shared = Arc<App>;

impl App {
    /// An app over a store, with memory still empty and at most `cache_bytes` of tiles.
    pub fn new(store: Store, cache_bytes: u64) -> App {
        let (index, cache) = (Index::default(), Arc::new(Cache::new(cache_bytes)));
        let (matchers, coverages) = (Matchers::default(), Coverages::default());
        let door = Door::new(store.clone(), IDLE);
        let feed = Feed::new(
            store.clone(),
            index.clone(),
            cache.clone(),
            matchers.clone(),
            coverages.clone(),
            door.clone(),
        );
        App {
            past: Past::new(store.clone(), index.clone(), feed.clone()),
            feed,
            store,
            index,
            cache,
            summaries: Summaries::default(),
            matchers,
            coverages,
            scenarios: Known::default(),
            work: Work::tiles(),
            analyses: Work::analyses(),
            jobs: job::Jobs::default(),
            exports: Arc::new(tokio::sync::Semaphore::new(MAX_EXPORTS)),
            desk: Desk::default(),
            door,
            audit: Arc::default(),
            closed: Closed::default(),
            writes: Limiter::new(WRITES, WRITES),
            sign_ins: Limiter::new(20, 10),
            batches: Arc::new(tokio::sync::Semaphore::new(1)),
            archive: Archive::default(),
            metrics: health::Metrics::default(),
            events: events::Events::new(events::Limits::default()),
            stopping: tokio::sync::watch::Sender::new(false),
            max_time: MAX_TIME,
            public_url: None,
            basemaps: Vec::new(),
        }
    }
}

/// The whole service.
pub fn app(state: Shared) -> Router {
    let routes = Router::new()
        .merge(collection::router())
        .merge(item::router())
        .merge(component::router())
        .merge(claim::router())
        .merge(batch::router())
        .merge(dispute::router())
        .merge(dossier::router())
        .merge(confirmation::router())
        .merge(edits::router())
        .merge(proposal::router())
        .merge(evidence::router())
        .merge(responsible::router())
        .merge(code::router())
        .merge(tile::router())
        .merge(events::router())
        .merge(style::router())
        .merge(import::router())
        .merge(session::router())
        .merge(statistics::router())
        .merge(coverage::router())
        .merge(coverage_change::router())
        .merge(coverage_report::router())
        .merge(siting::router())
        .merge(process::router())
        .merge(gaps::router())
        .merge(indicator::router())
        .merge(scenario::router())
        .merge(health::router())
        .merge(problem::router())
        .merge(page::router())
        .with_state(state.clone());
    routes.layer(Frame(state))
}
