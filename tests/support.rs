//! A town to test in: the real service over a fresh PostGIS database, spoken to through its only door.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use geo::{Geometry, Point};
use lamppost::api::{App, Shared, app};
use lamppost::domain::component::Draft;
use lamppost::domain::word::{Access, State};
use lamppost::feed::Settled;
use lamppost::store::Store;
use lamppost::store::edit::Patch;
use serde_json::Value;
use sqlx::PgPool;
use tower::ServiceExt;

pub struct Town {
    pub pool: PgPool,
    pub state: Shared,
    pub door: Router,
    pub token: String,
    follower: tokio::task::JoinHandle<()>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|e| panic!("{e}: {} {}", self.status, String::from_utf8_lossy(&self.bytes)))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// A second node, or the first one: a service over this database that follows.
pub async fn node(pool: &PgPool) -> (Shared, tokio::task::JoinHandle<()>) {
    node_with(pool, |_| {}).await
}

/// The same with other settings.
pub async fn node_with(pool: &PgPool, set: impl FnOnce(&mut App)) -> (Shared, tokio::task::JoinHandle<()>) {
    let mut state = App::new(Store::from_pool(pool.clone()), 64 << 20);
    set(&mut state);
    let state = Arc::new(state);
    state.feed.load().await.unwrap();
    let feed = state.feed.clone();
    (state, tokio::spawn(async move { feed.follow().await }))
}

/// An empty register with the built-in dictionary.
pub async fn town(pool: PgPool) -> Town {
    town_with(pool, |_| {}).await
}

/// The same with other settings.
pub async fn town_with(pool: PgPool, set: impl FnOnce(&mut App)) -> Town {
    let store = Store::from_pool(pool.clone());
    lamppost::store::dictionary::install(&store).await.unwrap();
    store.number_revisions().await.unwrap();
    let token = store.add_token("测量员甲", Access::Surveyor).await.unwrap();
    let (state, follower) = node_with(&pool, set).await;
    Town {
        pool,
        door: app(state.clone()),
        state,
        token,
        follower,
    }
}

impl Town {
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.bytes));
        answer.json()
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let request = headers
            .iter()
            .fold(Request::builder().method(method).uri(path), |r, (k, v)| {
                r.header(*k, *v)
            });
        let response = self
            .door
            .clone()
            .oneshot(request.body(Body::from(body.to_owned())).unwrap())
            .await
            .unwrap();
        let (head, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer {
            status: head.status,
            headers: head.headers,
            bytes,
        }
    }

    /// PATCH as the surveyor, editing a version.
    pub async fn patch(&self, id: i64, version: i64, body: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let tag = format!("\"{version}\"");
        let headers = [("authorization", bearer.as_str()), ("if-match", tag.as_str())];
        self.send(
            Method::PATCH,
            &format!("/collections/components/items/{id}"),
            &headers,
            body,
        )
        .await
    }

    /// One property of a component, as it is answered now.
    pub async fn json_of(&self, id: i64, property: &str) -> Value {
        self.json(&format!("/collections/components/items/{id}")).await["properties"][property].clone()
    }

    pub async fn class(&self, scheme: &str, code: &str) -> i32 {
        let sql = "select id from class where scheme = $1 and code = $2";
        sqlx::query_scalar(sql)
            .bind(scheme)
            .bind(code)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    pub async fn lamp_class(&self) -> i32 {
        self.class("CJT214-2007", "0118").await
    }

    /// Adds components in one revision, and waits for it. Answers their ids.
    pub async fn add(&self, drafts: &[Draft]) -> Vec<i64> {
        let mut edit = self.state.store.edit("test", Some("added")).await.unwrap();
        let mut ids = Vec::new();
        for draft in drafts {
            ids.push(edit.add(draft).await.unwrap());
        }
        let settled = self.state.feed.commit(edit).await.unwrap();
        assert!(matches!(settled, Settled::Applied(_)), "{settled:?}");
        ids
    }

    /// A lamp at each position.
    pub async fn lamps(&self, at: &[(f64, f64)]) -> Vec<i64> {
        let class = self.lamp_class().await;
        let drafts: Vec<Draft> = at.iter().map(|(x, y)| Draft::new(class, point(*x, *y))).collect();
        self.add(&drafts).await
    }

    pub async fn set(&self, id: i64, patch: Patch) -> Settled {
        let mut edit = self.state.store.edit("test", None).await.unwrap();
        edit.patch(id, &patch).await.unwrap();
        self.state.feed.commit(edit).await.unwrap()
    }

    pub async fn move_to(&self, id: i64, lon: f64, lat: f64) -> Settled {
        self.set(
            id,
            Patch {
                geometry: Some(point(lon, lat)),
                ..Patch::default()
            },
        )
        .await
    }

    pub async fn set_state(&self, id: i64, state: State) -> Settled {
        self.set(
            id,
            Patch {
                state: Some(state),
                ..Patch::default()
            },
        )
        .await
    }

    /// Runs plain SQL and waits until memory holds what it did.
    pub async fn sql(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.pool).await.unwrap();
        self.settle().await;
    }

    /// Waits until memory holds everything that has committed.
    pub async fn settle(&self) {
        self.state.store.number_revisions().await.unwrap();
        let newest: i64 = sqlx::query_scalar("select coalesce(max(number), 0) from revision")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        assert!(self.state.feed.reached(newest).await, "the feed did not reach {newest}");
    }

    /// What memory and a rebuild of it say differently; nothing in a sound service.
    pub async fn differences(&self) -> Vec<String> {
        self.settle().await;
        let rebuilt = lamppost::feed::load(&self.state.store).await.unwrap();
        let replayed = lamppost::feed::replay(&self.state.store, 3).await.unwrap();
        let memory = self.state.index.read();
        let mut out = lamppost::query::difference::differences(("memory", &memory), ("a rebuild", &rebuilt));
        out.extend(lamppost::query::difference::differences(
            ("memory", &memory),
            ("a replay", &replayed),
        ));
        out
    }
}

pub fn point(lon: f64, lat: f64) -> Geometry<f64> {
    Point::new(lon, lat).into()
}

/// A rectangle as a polygon.
pub fn rectangle(west: f64, south: f64, east: f64, north: f64) -> Geometry<f64> {
    geo::Rect::new((west, south), (east, north)).to_polygon().into()
}

/// Seeded random numbers in [0, 1); the seed is fixed so that a failure repeats.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub fn roll(&mut self) -> f64 {
        // SplitMix64, Steele and others 2014.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.roll() * n as f64) as usize
    }

    /// A position within the few kilometres of the test town.
    pub fn spot(&mut self) -> (f64, f64) {
        (117.20 + self.roll() * 0.05, 39.08 + self.roll() * 0.04)
    }
}
