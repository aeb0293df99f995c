//! `/events`: the revisions as they come, with the tiles that each touched, as server-sent events.
//!
//! A stream holds a mark and nothing else (see [`crate::push`]). All streams look at the same moments, ten times a second, so
//! that those who ask for the same are told the same and it is written once.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;

use super::Shared;
use super::extract::Params;
use super::reader::Reader;
use crate::domain::grant::Rights;
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::push::shown::{Shown, shown};
use crate::push::{Batch, Mark, Missed};
use crate::spatial::tile_id::MAX_ZOOM;
use crate::text;
use crate::tile::layer::{self, Layer, LayerSet};

/// The routes of events.
pub fn router() -> Router<Shared> {
    Router::new().route("/events", get(events))
}

/// What bounds the streams.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Clients at a time.
    pub clients: usize,
    /// How long a client may leave an event untaken.
    pub slow: Duration,
    /// Between signs of life on a quiet stream.
    pub beat: Duration,
    /// Between two events: what comes meanwhile is merged.
    pub pulse: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            clients: 1000,
            slow: Duration::from_secs(10),
            beat: Duration::from_secs(15),
            pulse: Duration::from_millis(100),
        }
    }
}

/// How soon a browser shall come back after its stream has ended.
const RETRY: Duration = Duration::from_secs(1);
/// Written answers kept for other streams that ask for the same.
const KEPT: usize = 16;
/// Windows from which writing is work for another thread.
const HEAVY: usize = 512;

/// All streams of this node.
#[derive(Debug)]
pub struct Events {
    limits: Limits,
    places: Arc<Semaphore>,
    cut_off: AtomicU64,
    began: Instant,
    written: Mutex<VecDeque<(Answered, Data)>>,
}

/// What a client asked for, from which mark to which.
type Answered = (Asked, Mark, Mark);
/// The data of an event; none where the client's layers were not touched.
type Data = Option<Arc<str>>;

impl Events {
    /// No stream yet.
    pub fn new(limits: Limits) -> Events {
        Events {
            limits,
            places: Arc::new(Semaphore::new(limits.clients)),
            cut_off: AtomicU64::new(0),
            began: Instant::now(),
            written: Mutex::default(),
        }
    }

    /// Clients that listen now.
    pub fn clients(&self) -> usize {
        self.limits.clients.saturating_sub(self.places.available_permits())
    }

    /// Clients cut off because they did not take what they were sent.
    pub fn cut_off(&self) -> u64 {
        self.cut_off.load(Ordering::Relaxed)
    }

    /// Until the next moment at which all streams look.
    fn until_pulse(&self) -> Duration {
        let pulse = self.limits.pulse.as_nanos().max(1);
        let rest = pulse - self.began.elapsed().as_nanos() % pulse;
        Duration::from_nanos(u64::try_from(rest).unwrap_or(0))
    }
}

/// What a client wants to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    layers: LayerSet,
    zooms: (u8, u8),
    rights: Rights,
}

impl Asked {
    fn read(params: &mut Params, reader: &Reader) -> Result<Asked> {
        let mut layers = 0;
        for name in params.list("layers") {
            match layer::get(&name) {
                Some(layer) => {
                    reader.layer(layer)?;
                    layers |= layer.bit;
                }
                None => {
                    let known: Vec<&str> = layer::all().iter().map(|l| l.id.as_str()).collect();
                    let known = known.join(", ");
                    let detail = text!(
                        "没有图层“{name}”；已有：{known}",
                        "there is no layer \"{name}\"; there are {known}"
                    );
                    params.fault("layers", detail);
                }
            }
        }
        let seen = layer::all().iter().filter(|l| reader.layer(l).is_ok());
        let all = seen.fold(0, |set, l| set | l.bit);
        Ok(Asked {
            layers: if layers == 0 { all } else { layers },
            zooms: params.read("zoom", zooms).unwrap_or((0, MAX_ZOOM)),
            rights: reader.rights().clone(),
        })
    }
}

fn zooms(s: &str) -> Result<(u8, u8), Text> {
    let zoom = |s: &str| s.parse::<u8>().ok().filter(|z| *z <= MAX_ZOOM);
    let (from, to) = s.split_once('-').unwrap_or((s, s));
    let both = zoom(from).zip(zoom(to)).filter(|(from, to)| from <= to);
    both.ok_or_else(|| {
        text!(
            "“{s}”应为0至{MAX_ZOOM}的级别，或两个级别之间，如10-16",
            "\"{s}\" should be a zoom from 0 to {MAX_ZOOM}, or two with a hyphen, such as 10-16"
        )
    })
}

fn revision(s: &str) -> Result<i64, Text> {
    let number = s.parse().ok().filter(|n| *n >= 0);
    number.ok_or_else(|| text!("“{s}”应为修订号", "\"{s}\" should be a revision number"))
}

/// The revision that the client knows already, if it says so; an unreadable one is like one that is too old.
fn resumes(params: &mut Params, headers: &HeaderMap) -> Option<i64> {
    let since = params.read("since", revision);
    let last = headers.get("last-event-id").map(|v| v.to_str().unwrap_or("").trim());
    // What the browser heard last is newer than what the address says.
    match last.filter(|id| !id.is_empty()) {
        Some(id) => Some(revision(id).unwrap_or(-1)),
        None => since,
    }
}

async fn events(State(app): State<Shared>, reader: Reader, mut params: Params, headers: HeaderMap) -> Result<Response> {
    let asked = Asked::read(&mut params, &reader)?;
    let known = resumes(&mut params, &headers);
    params.finish()?;
    let full = |_| {
        Error::Busy(Text::new(
            "接收推送的连接已满，请稍后重试",
            "too many clients listen already; try again shortly",
        ))
    };
    let place = app.events.places.clone().try_acquire_owned().map_err(full)?;
    // Another node may have told the client of a revision that is still on its way here.
    if let Some(known) = known.filter(|k| *k > app.feed.hub().mark().revision) {
        app.feed.reached(known).await;
    }
    let mark = app.feed.hub().mark();
    let mut listener = Listener {
        changes: app.feed.hub().listen(),
        stopping: app.stopping.subscribe(),
        generation: app.door.generation(),
        app,
        reader,
        asked,
        known: Mark {
            revision: known.unwrap_or(mark.revision),
            ..mark
        },
        due: VecDeque::new(),
        ended: false,
        _place: place,
    };
    listener.greet(mark).await?;
    let events = stream::unfold(listener, async |mut listener| {
        let event = listener.next().await?;
        Some((Ok::<Event, Infallible>(event), listener))
    });
    Ok(([("x-accel-buffering", "no")], Sse::new(events)).into_response())
}

/// One client.
struct Listener {
    app: Shared,
    reader: Reader,
    /// Of the door: when it changes, the reader may not be who they were.
    generation: u64,
    asked: Asked,
    /// What the client knows once it has taken what is due.
    known: Mark,
    due: VecDeque<Event>,
    changes: watch::Receiver<Mark>,
    stopping: watch::Receiver<bool>,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Its connection broke before it took what has long been there.
        if !self.ended && matches!(self.app.feed.hub().missed(self.known), Missed::Batches(_, b) if self.is_slow(&b)) {
            self.app.events.cut_off.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Listener {
    fn is_slow(&self, missed: &[Arc<Batch>]) -> bool {
        missed
            .first()
            .is_some_and(|b| b.at.elapsed() > self.app.events.limits.slow)
    }

    /// The first event, and what the client has missed since the revision that it knows.
    async fn greet(&mut self, now: Mark) -> Result<()> {
        let hello = Event::default()
            .event("hello")
            .retry(RETRY)
            .data(json!({"revision": now.revision}).to_string());
        match self.app.feed.hub().missed(self.known) {
            Missed::Everything(mark) => {
                let reset = self.reset(mark);
                self.due.extend([hello, reset]);
            }
            Missed::Batches(mark, batches) => {
                // Not the newest: if the connection breaks right now, the client still lacks what follows.
                self.due.push_back(hello.id(self.known.revision.to_string()));
                let tiles = self.tiles(mark, batches).await?;
                self.due.extend(tiles);
            }
        }
        Ok(())
    }

    /// The next event, when there is one; none at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.due.pop_front() {
                return Some(event);
            }
            if self.ended || *self.stopping.borrow() {
                self.ended = true;
                return None;
            }
            let (known, beat) = (self.known, self.app.events.limits.beat);
            let mut beats = false;
            let changed = async {
                // An error means that the hub is gone, and this with it.
                let _ = self.changes.wait_for(|m| *m != known).await;
                sleep(self.app.events.until_pulse()).await;
            };
            tokio::select! {
                () = changed => {}
                () = sleep(beat) => beats = true,
                _ = self.stopping.wait_for(|s| *s) => continue,
            }
            if !self.same_reader().await {
                // Who comes back is looked at again.
                self.ended = true;
                return None;
            }
            if beats {
                return Some(Event::default().comment("").id(known.revision.to_string()));
            }
            match self.app.feed.hub().missed(known) {
                Missed::Everything(mark) if mark.epoch != known.epoch => {
                    let reset = self.reset(mark);
                    self.due.push_back(reset);
                }
                Missed::Batches(mark, batches) if !self.is_slow(&batches) => {
                    // Refused when this node is overloaded: then the client comes back.
                    let tiles = self.tiles(mark, batches).await.ok()?;
                    self.due.extend(tiles);
                }
                _ => {
                    self.app.events.cut_off.fetch_add(1, Ordering::Relaxed);
                    self.ended = true;
                    return Some(told("slow", known.revision));
                }
            }
        }
    }

    /// Whether the reader may still see what they might when they began.
    async fn same_reader(&mut self) -> bool {
        let generation = self.app.door.generation();
        if generation == self.generation {
            return true;
        }
        self.generation = generation;
        self.reader.is_same(&self.app).await
    }

    fn reset(&mut self, mark: Mark) -> Event {
        self.known = mark;
        told("reset", mark.revision)
    }

    /// What batches touched, as an event; none where the client's layers were not touched.
    async fn tiles(&mut self, mark: Mark, batches: Vec<Arc<Batch>>) -> Result<Option<Event>> {
        let answered = (self.asked.clone(), self.known, mark);
        let kept = {
            let written = self.app.events.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.iter().find(|w| w.0 == answered).map(|w| w.1.clone())
        };
        let data = match kept {
            Some(data) => data,
            None => {
                let windows: usize = batches.iter().flat_map(|b| b.touched.values()).map(Vec::len).sum();
                let asked = self.asked.clone();
                let data = match windows > HEAVY {
                    true => self.app.work.run(move || write(&asked, mark, &batches)).await?,
                    false => write(&asked, mark, &batches),
                };
                let mut written = self.app.events.written.lock().unwrap_or_else(PoisonError::into_inner);
                written.push_back((answered, data.clone()));
                if written.len() > KEPT {
                    written.pop_front();
                }
                data
            }
        };
        self.known = mark;
        let event = |data: Arc<str>| Event::default().event("tiles").id(mark.revision.to_string()).data(data);
        Ok(data.map(event))
    }
}

/// An event that says only where the client stands.
fn told(event: &str, revision: i64) -> Event {
    let data = json!({"revision": revision}).to_string();
    Event::default().event(event).id(revision.to_string()).data(data)
}

fn write(asked: &Asked, mark: Mark, batches: &[Arc<Batch>]) -> Data {
    let layers: Vec<Arc<Layer>> = layer::all()
        .iter()
        .filter(|l| asked.layers & l.bit != 0)
        .cloned()
        .collect();
    let tiles: Map<String, Value> = shown(batches, &layers, asked.zooms.0..=asked.zooms.1, &asked.rights)
        .into_iter()
        .map(|(layer, shown)| (layer.id.clone(), names(&shown)))
        .collect();
    let event = || json!({"revision": mark.revision, "tiles": tiles}).to_string().into();
    (!tiles.is_empty()).then(event)
}

fn names(shown: &Shown) -> Value {
    match shown {
        Shown::All => "all".into(),
        Shown::Tiles(tiles) => tiles
            .iter()
            .map(|t| Value::from(format!("{}/{}/{}", t.z(), t.x(), t.y())))
            .collect(),
    }
}
