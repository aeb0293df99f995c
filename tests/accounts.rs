//! Accounts, sessions, tokens and keys: who comes in, and what is written down of them.

use std::time::Duration;

use axum::http::Method;
use chrono::Utc;
use lamppost::api::limit::Limiter;
use lamppost::api::reader::Closed;
use lamppost::api::{Shared, app};
use lamppost::domain::grant::Grant;
use lamppost::domain::word::Access;
use lamppost::door;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, Town, node, town, town_with};

const PASSWORD: &str = "一盏路灯，两座井盖";

async fn account(town: &Town, name: &str, access: Access) {
    let mut edit = town.state.store.edit("test", None).await.unwrap();
    let hash = door::hash(PASSWORD).unwrap();
    edit.add_account(&Grant::of(name, access), &hash).await.unwrap();
    edit.commit().await.unwrap();
}

async fn sign_in(town: &Town, name: &str, password: &str) -> Answer {
    let body = json!({"name": name, "password": password}).to_string();
    town.send(Method::POST, "/session", &[], &body).await
}

/// A browser that keeps its cookie.
struct Browser {
    cookie: String,
    csrf: String,
}

impl Browser {
    fn of(answer: &Answer) -> Browser {
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
        let set = answer.header("set-cookie");
        assert!(set.contains("; HttpOnly; SameSite=Strict"), "{set}");
        Browser {
            cookie: set.split(';').next().unwrap().to_owned(),
            csrf: answer.json()["csrf"].as_str().unwrap().to_owned(),
        }
    }

    async fn send(&self, town: &Town, method: Method, path: &str, body: Value) -> Answer {
        let headers = [("cookie", self.cookie.as_str()), ("lamppost-csrf", self.csrf.as_str())];
        town.send(method, path, &headers, &body.to_string()).await
    }

    async fn who(&self, town: &Town) -> Value {
        self.send(town, Method::GET, "/session", json!(null)).await.json()["name"].clone()
    }
}

fn lamp() -> Value {
    json!({"type": "Feature", "geometry": {"type": "Point", "coordinates": [117.2, 39.1]}, "properties": {"class": "0118"}})
}

/// The first password opens nothing but the change of it, and then one edits under one's own name.
#[sqlx::test]
async fn a_person_signs_in_changes_the_first_password_and_edits(pool: PgPool) {
    let town = town(pool).await;
    account(&town, "王芳", Access::Clerk).await;
    let answer = sign_in(&town, "王芳", PASSWORD).await;
    assert_eq!(answer.header("cache-control"), "private, no-store");
    assert_eq!(answer.json()["must_change"], true);
    let first = Browser::of(&answer);
    let refused = first
        .send(&town, Method::GET, "/collections/lamps/items", json!(null))
        .await;
    assert_eq!(refused.status, 403);
    let change = |old: &str, new: &str| json!({"old": old, "new": new});
    let weak = first
        .send(&town, Method::POST, "/session/password", change(PASSWORD, "short"))
        .await;
    assert_eq!(
        (weak.status.as_u16(), &weak.json()["errors"][0]["pointer"]),
        (422, &json!("/new"))
    );
    let wrong = first
        .send(&town, Method::POST, "/session/password", change("no", "a good new one"))
        .await;
    assert_eq!(
        (wrong.status.as_u16(), &wrong.json()["errors"][0]["pointer"]),
        (422, &json!("/old"))
    );
    let elsewhere = Browser::of(&sign_in(&town, "王芳", PASSWORD).await);
    let done = first
        .send(
            &town,
            Method::POST,
            "/session/password",
            change(PASSWORD, "a good new one"),
        )
        .await;
    assert_eq!(done.status, 204);
    assert_eq!(elsewhere.who(&town).await, Value::Null, "every other session has ended");
    assert_eq!(first.who(&town).await, "王芳");
    let added = first
        .send(&town, Method::POST, "/collections/lamps/items", lamp())
        .await;
    assert_eq!(added.status, 201, "{}", added.json());
    let id = added.json()["id"].clone();
    let history = town.json(&format!("/components/{id}/history")).await;
    assert_eq!(history["versions"][0]["by"], "王芳");
    assert_eq!(sign_in(&town, "王芳", PASSWORD).await.status, 401);
}

/// Another site can make a browser send its cookie, but not the header.
#[sqlx::test]
async fn a_change_by_cookie_shows_that_it_is_the_page_s_own(pool: PgPool) {
    let town = town(pool).await;
    account(&town, "王芳", Access::Clerk).await;
    town.sql("update account set must_change = false").await;
    let browser = Browser::of(&sign_in(&town, "王芳", PASSWORD).await);
    let forged = [("cookie", browser.cookie.as_str())];
    let path = "/collections/lamps/items";
    assert_eq!(
        town.send(Method::POST, path, &forged, &lamp().to_string()).await.status,
        403
    );
    assert_eq!(town.send(Method::DELETE, "/session", &forged, "").await.status, 403);
    assert_eq!(town.send(Method::GET, path, &forged, "").await.status, 200);
    let again = town.send(Method::GET, "/session", &forged, "").await.json();
    assert_eq!(again["csrf"], browser.csrf.as_str(), "the page finds it again");
    let done = browser.send(&town, Method::DELETE, "/session", json!(null)).await;
    assert_eq!(done.status, 204);
    assert!(done.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(browser.who(&town).await, Value::Null);
}

#[sqlx::test]
async fn wrong_passwords_lock_the_account_and_tell_nothing(pool: PgPool) {
    let town = town_with(pool, |app| app.sign_ins = Limiter::new(100, 1)).await;
    account(&town, "王芳", Access::Clerk).await;
    let told = sign_in(&town, "nobody", "x").await;
    assert_eq!(told.status, 401);
    for _ in 0..5 {
        let wrong = sign_in(&town, "王芳", "x").await;
        assert_eq!((wrong.status, wrong.bytes), (told.status, told.bytes.clone()));
    }
    let locked = sign_in(&town, "王芳", PASSWORD).await;
    assert_eq!(
        (locked.status, locked.bytes),
        (told.status, told.bytes.clone()),
        "nor that it is locked"
    );
    town.sql("update account set locked_until = now() - interval '1 s'")
        .await;
    assert_eq!(sign_in(&town, "王芳", PASSWORD).await.status, 200);
    town.sql("update account set disabled = true").await;
    assert_eq!(sign_in(&town, "王芳", PASSWORD).await.status, 401);
    town.state.audit.write(&town.state.store, true).await.unwrap();
    let log = town.state.store.accesses(10).await.unwrap();
    let failed: i32 = log
        .iter()
        .filter(|r| r.act == "sign-in-failed" && r.who == "王芳")
        .map(|r| r.times)
        .sum();
    assert_eq!(failed, 7, "{log:#?}");
    assert!(log.iter().any(|r| r.act == "sign-in" && r.who == "王芳"));
}

#[sqlx::test]
async fn who_tries_too_often_waits(pool: PgPool) {
    let town = town_with(pool, |app| {
        app.sign_ins = Limiter::new(3, 1);
        app.writes = Limiter::new(2, 1);
    })
    .await;
    account(&town, "王芳", Access::Clerk).await;
    for _ in 0..3 {
        assert_eq!(sign_in(&town, "nobody", "x").await.status, 401);
    }
    let waits = sign_in(&town, "王芳", PASSWORD).await;
    assert_eq!(waits.status, 429);
    assert!(waits.header("retry-after").parse::<u64>().unwrap() > 30);
    let bearer = format!("Bearer {}", town.token);
    let post = || async {
        let headers = [("authorization", bearer.as_str())];
        town.send(Method::POST, "/collections/lamps/items", &headers, &lamp().to_string())
            .await
            .status
            .as_u16()
    };
    assert_eq!([post().await, post().await, post().await], [201, 201, 429]);
}

/// A day's work does not end it, half an hour of nothing does.
#[sqlx::test]
async fn an_idle_session_ends_and_one_in_use_does_not(pool: PgPool) {
    let town = town(pool).await;
    town.state.door.set_idle(Duration::from_secs(2));
    account(&town, "王芳", Access::Clerk).await;
    let browser = Browser::of(&sign_in(&town, "王芳", PASSWORD).await);
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(browser.who(&town).await, "王芳");
    }
    tokio::time::sleep(Duration::from_millis(3200)).await;
    assert_eq!(browser.who(&town).await, Value::Null);
}

/// What is taken back on one node is taken back on all of them, though each keeps what it knows.
#[sqlx::test]
async fn what_is_taken_back_ends_on_every_node(pool: PgPool) {
    let town = town(pool).await;
    let (other, follower) = node(&town.pool).await;
    let token = town.state.store.add_token("机器", Access::Clerk).await.unwrap();
    let asked = async |state: &Shared| {
        let request = axum::http::Request::get("/session").header("authorization", format!("Bearer {token}"));
        let request = request.body(axum::body::Body::empty()).unwrap();
        tower::ServiceExt::oneshot(app(state.clone()), request)
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!((asked(&town.state).await, asked(&other).await), (200, 200));
    town.sql("update token set used = now()").await;
    let mut edit = town.state.store.edit("admin", None).await.unwrap();
    let id = town.state.store.tokens().await.unwrap()[0].id;
    assert!(edit.revoke_token(id).await.unwrap());
    town.state.feed.commit(edit).await.unwrap();
    assert_eq!(asked(&town.state).await, 401);
    let newest = town.state.feed.position().revision;
    assert!(other.feed.reached(newest).await);
    assert_eq!(asked(&other).await, 401);
    follower.abort();
}

/// A stream of events ends when the grant that it was opened with does.
#[sqlx::test]
async fn a_stream_ends_with_its_grant(pool: PgPool) {
    let town = town_with(pool, |app| app.closed = Closed::Always).await;
    let grant = Grant {
        layers: Some(vec!["lamps".into()]),
        ..Grant::of("大屏", Access::Reader)
    };
    let key = town.state.store.issue(&grant).await.unwrap();
    let path = format!("/events?layers=lamps&key={key}");
    let mut ears = crate::events::ears::Ears::open(&town.door, &path, None).await;
    ears.expect("hello").await;
    town.lamps(&[(117.2, 39.1)]).await;
    ears.expect("tiles").await;
    town.sql("update token set revoked = now() where label = '大屏'").await;
    while let Some(block) = ears.block().await {
        assert_eq!(block.event, "", "{block:?}");
    }
    let again = crate::events::ears::Ears::open(&town.door, &path, None).await;
    assert_eq!(again.status, 401);
}

/// QGIS and Leaflet cannot send a header: the key stands in the address, and in every address that is answered.
#[sqlx::test]
async fn a_key_opens_its_layers_to_its_pages(pool: PgPool) {
    let town = town_with(pool, |app| app.closed = Closed::Always).await;
    let ids = town.lamps(&[(117.2, 39.1), (117.21, 39.1)]).await;
    let grant = Grant {
        layers: Some(vec!["lamps".into()]),
        origins: vec!["https://map.example.cn".into()],
        expires: Some(Utc::now() + Duration::from_secs(3600)),
        ..Grant::of("大屏", Access::Reader)
    };
    let key = town.state.store.issue(&grant).await.unwrap();
    assert!(key.starts_with("lpk_") && key.len() == 4 + 64);
    let page = [("origin", "https://map.example.cn")];
    let get = async |path: &str, headers: &[(&str, &str)]| {
        let and = if path.contains('?') { '&' } else { '?' };
        town.send(Method::GET, &format!("{path}{and}key={key}"), headers, "")
            .await
    };
    let tilejson = get("/tiles/lamps", &page).await.json();
    let template = tilejson["tiles"][0].as_str().unwrap().to_owned();
    assert!(template.ends_with(&format!("?key={key}")), "{template}");
    let tile = template.replace("http://localhost", "").replace("{z}/{x}/{y}", "0/0/0");
    let tile = town
        .send(
            Method::GET,
            &tile,
            &[("referer", "https://map.example.cn/city/?x=1")],
            "",
        )
        .await;
    assert_eq!(tile.status, 200);
    let list = get("/collections/lamps/items?limit=1", &page).await.json();
    let next = list["links"]
        .as_array()
        .unwrap()
        .iter()
        .find(|l| l["rel"] == "next")
        .unwrap();
    assert!(next["href"].as_str().unwrap().contains(&format!("key={key}")));
    assert_eq!(get("/tiles/lamps", &[]).await.status, 403);
    assert_eq!(
        get("/tiles/lamps", &[("origin", "https://map.example.cn.evil.net")])
            .await
            .status,
        403
    );
    for path in [
        "/tiles/trees",
        "/tiles/lamps,trees",
        "/collections/wells/items",
        "/events?layers=wells",
    ] {
        assert_eq!(get(path, &page).await.status, 403, "{path}");
    }
    for path in [
        format!("/components/{}/history", ids[0]),
        "/codes/x".into(),
        "/imports".into(),
        "/metrics".into(),
    ] {
        assert_eq!(get(&path, &page).await.status, 403, "{path}");
    }
    let style = get("/styles/onemap", &page).await.json();
    let sources: Vec<&String> = style["sources"].as_object().unwrap().keys().collect();
    assert_eq!(sources, ["lamps"]);
    let body = lamp().to_string();
    let write = town
        .send(
            Method::POST,
            &format!("/collections/lamps/items?key={key}"),
            &page,
            &body,
        )
        .await;
    assert_eq!(write.status, 403);
    // Neither is a key a token, nor a token a key.
    let bearer = format!("Bearer {key}");
    assert_eq!(
        town.send(Method::GET, "/tiles/lamps", &[("authorization", &bearer)], "")
            .await
            .status,
        401
    );
    assert_eq!(town.get(&format!("/tiles/lamps?key={}", town.token)).await.status, 401);
    town.state.audit.write(&town.state.store, true).await.unwrap();
    let log = town.state.store.accesses(100).await.unwrap();
    assert!(
        log.iter()
            .any(|r| r.act == "refused" && r.who == "大屏" && r.subject == "GET /tiles/trees?key=…"),
        "{log:#?}"
    );
    assert!(!log.iter().any(|r| r.subject.contains("lpk_")));
    town.sql("update token set expires = now() - interval '1 s'").await;
    assert_eq!(get("/tiles/lamps", &page).await.status, 401);
}

/// The history must tell who is who.
#[sqlx::test]
async fn no_two_have_one_name(pool: PgPool) {
    let town = town(pool).await;
    account(&town, "王芳", Access::Clerk).await;
    let store = &town.state.store;
    assert!(store.add_token("王芳", Access::Clerk).await.is_err());
    let mut edit = store.edit("test", None).await.unwrap();
    assert!(
        edit.add_account(&Grant::of("测量员甲", Access::Clerk), "x")
            .await
            .is_err()
    );
    assert!(edit.add_account(&Grant::of("王芳", Access::Clerk), "x").await.is_err());
}
