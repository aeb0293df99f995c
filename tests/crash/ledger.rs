//! What clients were told about each component, and the clients.
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lamppost::store::cluster::Cluster;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use tokio::task::JoinHandle;

use super::service::{Place, Service};

const WRITERS: usize = 4;
const EACH: usize = 50;

/// One component as a client knows it.
#[derive(Clone, Debug)]
struct Known {
    version: i64,
    state: String,
    /// An edit that was sent and never answered: it may have happened or not, until the next answer settles it.
    unanswered: Option<String>,
}

#[derive(Debug, Default)]
struct Book {
    known: HashMap<i64, Known>,
    revision: i64,
    acknowledged: u64,
    unanswered: u64,
}

/// What clients were told. Each component is edited by one writer only, so that every version is accounted for.
#[derive(Clone)]
pub struct Ledger {
    book: Arc<Mutex<Book>>,
    ids: Vec<i64>,
}

impl Ledger {
    /// The components of the first delivery, as the record has them before any edit.
    pub async fn read(place: &Place) -> Ledger {
        let cluster = Cluster::open_or_join(&place.data).await.unwrap();
        let mut c = cluster.options().connect().await.unwrap();
        let rows: Vec<(i64, i64, String)> =
            sqlx::query_as("select id, version, state from component where source = 'crash' order by id limit $1")
                .bind((WRITERS * EACH) as i64)
                .fetch_all(&mut c)
                .await
                .unwrap();
        drop(c);
        cluster.stop().await.unwrap();
        assert_eq!(rows.len(), WRITERS * EACH);
        let ids = rows.iter().map(|r| r.0).collect();
        let known = rows
            .into_iter()
            .map(|(id, version, state)| {
                let known = Known {
                    version,
                    state,
                    unanswered: None,
                };
                (id, known)
            })
            .collect();
        let book = Book {
            known,
            ..Book::default()
        };
        Ledger {
            book: Arc::new(Mutex::new(book)),
            ids,
        }
    }

    fn known(&self, id: i64) -> Known {
        self.book.lock().unwrap().known[&id].clone()
    }

    fn update(&self, id: i64, change: impl FnOnce(&mut Known)) {
        change(self.book.lock().unwrap().known.get_mut(&id).unwrap());
    }

    /// The newest revision that a client was given.
    pub fn revision(&self) -> i64 {
        self.book.lock().unwrap().revision
    }

    pub fn summary(&self) -> String {
        let book = self.book.lock().unwrap();
        format!(
            "{} edits were acknowledged, {} never answered; revision {} was the newest given out",
            book.acknowledged, book.unanswered, book.revision
        )
    }

    /// Compares a component as it is read with what is known: an acknowledged version is never lost or altered, and beyond it
    /// there can only be the edit that was never answered.
    fn compare(&self, id: i64, version: i64, state: &str) {
        self.update(id, |known| {
            let expected = match version - known.version {
                0 => Some(known.state.as_str()),
                1 => known.unanswered.as_deref(),
                _ => None,
            };
            assert_eq!(
                expected,
                Some(state),
                "component {id} is version {version}, {state}; clients knew {known:?}"
            );
            if version > known.version {
                *known = Known {
                    version,
                    state: state.to_owned(),
                    unanswered: None,
                };
            }
        });
    }

    /// Reads every component again.
    pub async fn check(&self, service: &Service) {
        let client = service.client();
        for &id in &self.ids {
            let (version, state) = get(&client, &service.url, id)
                .await
                .unwrap_or_else(|| panic!("component {id} cannot be read"));
            self.compare(id, version, &state);
        }
    }
}

fn path(url: &str, id: i64) -> String {
    format!("{url}/collections/components/items/{id}")
}

async fn get(client: &Client, url: &str, id: i64) -> Option<(i64, String)> {
    let response = client.get(path(url, id)).send().await.ok()?;
    if response.status() != StatusCode::OK {
        return None;
    }
    let feature: Value = response.json().await.ok()?;
    let properties = &feature["properties"];
    let version = properties["version"].as_i64().or_else(|| feature["version"].as_i64());
    Some((version?, properties["state"].as_str()?.to_owned()))
}

/// Clients that edit until they are stopped.
pub struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    pub fn start(service: &Service, token: &str, ledger: &Ledger, seed: u64) -> Writers {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = ledger
            .ids
            .chunks(EACH)
            .enumerate()
            .map(|(n, ids)| {
                let writer = Writer {
                    client: service.client(),
                    url: service.url.clone(),
                    token: token.to_owned(),
                    ledger: ledger.clone(),
                    ids: ids.to_vec(),
                };
                let stop = Arc::clone(&stop);
                let rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(n as u64));
                tokio::spawn(writer.run(stop, rng))
            })
            .collect();
        Writers { stop, tasks }
    }

    /// Stops them; one that found something wrong fails the test here.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::Release);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

struct Writer {
    client: Client,
    url: String,
    token: String,
    ledger: Ledger,
    ids: Vec<i64>,
}

impl Writer {
    async fn run(self, stop: Arc<AtomicBool>, mut rng: ChaCha8Rng) {
        while !stop.load(Ordering::Acquire) {
            let id = self.ids[rng.random_range(0..self.ids.len())];
            if self.ledger.known(id).unanswered.is_some() {
                // First find out what became of it; a service that is down cannot say.
                let Some((version, state)) = get(&self.client, &self.url, id).await else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                self.ledger.compare(id, version, &state);
                // Where it reads as before, the same edit again tells: it is the first of its version, or it is stale.
            }
            self.edit(id).await;
        }
    }

    async fn edit(&self, id: i64) {
        let known = self.ledger.known(id);
        let state = if known.state == "intact" { "damaged" } else { "intact" };
        let response = self
            .client
            .patch(path(&self.url, id))
            .header("If-Match", format!("\"{}\"", known.version))
            .header("Content-Type", "application/merge-patch+json")
            .bearer_auth(&self.token)
            .body(json!({ "properties": { "state": state } }).to_string())
            .send()
            .await;
        let Ok(response) = response else {
            return self.unanswered(id, state);
        };
        match response.status() {
            StatusCode::OK => {}
            // What failed inside may still have been committed.
            status if status.is_server_error() => return self.unanswered(id, state),
            StatusCode::PRECONDITION_FAILED if known.unanswered.is_some() => return,
            status => {
                let text = response.text().await.unwrap_or_default();
                panic!("an edit of component {id} at {known:?} was answered with {status}: {text}");
            }
        }
        let header = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            value.trim_matches('"').parse::<i64>().ok()
        };
        let version = header("ETag").expect("an ETag that is the version");
        let revision = header("Lamppost-Revision").expect("a revision");
        assert_eq!(version, known.version + 1, "component {id}");
        self.ledger.update(id, |known| {
            *known = Known {
                version,
                state: state.to_owned(),
                unanswered: None,
            };
        });
        let mut book = self.ledger.book.lock().unwrap();
        book.revision = book.revision.max(revision);
        book.acknowledged += 1;
    }

    fn unanswered(&self, id: i64, state: &str) {
        self.ledger
            .update(id, |known| known.unanswered = Some(state.to_owned()));
        self.ledger.book.lock().unwrap().unanswered += 1;
    }
}
