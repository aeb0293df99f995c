//! Who may see and do what: every route with every access, and a world with restricted components that looks to all others like one
//! without them.

mod bounds;
mod matrix;

use axum::body::Body;
use axum::http::{Method, Request};
use lamppost::api::reader::Closed;
use lamppost::delivery::desk::{Desk, Limits};
use lamppost::domain::component::Draft;
use lamppost::domain::grant::{Grant, Rights};
use lamppost::domain::word::Access;
use serde_json::Value;
use sqlx::PgPool;
use tower::ServiceExt;

use crate::events::ears::Ears;
use crate::support::{Answer, Town, point, town, town_with};

async fn ask(town: &Town, method: &Method, path: &str, bearer: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {bearer}");
    let headers = [("authorization", bearer.as_str()), ("if-match", "\"1\"")];
    let headers = if bearer.len() > 7 { &headers[..] } else { &headers[1..] };
    if path.split('?').next().unwrap().ends_with("/events") {
        // A stream, of which nothing but the head is waited for.
        let request = headers.iter().fold(Request::get(path), |r, (k, v)| r.header(*k, *v));
        let response = town
            .door
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let (head, _) = response.into_parts();
        return Answer {
            status: head.status,
            headers: head.headers,
            bytes: Vec::new(),
        };
    }
    town.send(method.clone(), path, headers, body).await
}

/// A path of a route, of nothing that is there.
fn nowhere(pattern: &str) -> String {
    pattern
        .replace("{layer}", "components")
        .replace("{layers}", "components")
        .replace("{*tile}", "1/0/0")
        .replace("{*path}", "none.js")
        .replace(
            "{id}",
            if pattern.starts_with("/styles") {
                "onemap"
            } else {
                "999999"
            },
        )
        .replace("{list}", "rejects")
        .replace("{code}", "none")
}

#[sqlx::test]
async fn every_route_takes_the_access_that_it_takes(pool: PgPool) {
    let town = town(pool).await;
    let mut tokens = vec![(None, String::new())];
    for access in [
        Access::Reader,
        Access::Clerk,
        Access::Surveyor,
        Access::Adjudicator,
        Access::Admin,
    ] {
        let token = town.state.store.add_token(access.key(), access).await.unwrap();
        tokens.push((Some(access), token));
    }
    for route in matrix::all() {
        for (access, token) in &tokens {
            let answer = ask(&town, &route.method, &nowhere(route.path), token, "").await;
            let what = format!("{} {} with {access:?}", route.method, route.path);
            let refused = [401, 403].contains(&answer.status.as_u16());
            match route.takes {
                Some(takes) if access.is_none_or(|a| a < takes) => {
                    let right = if access.is_none() { 401 } else { 403 };
                    assert_eq!(answer.status, right, "{what}");
                }
                // Signing in with nothing, and changing a password without a session.
                _ if route.path.starts_with("/session") && route.method == Method::POST => {}
                _ => assert!(!refused && answer.status != 500, "{what}: {}", answer.status),
            }
        }
    }
}

#[sqlx::test]
async fn where_one_must_sign_in_strangers_see_the_page_and_public_layers(pool: PgPool) {
    let town = town_with(pool, |app| app.closed = Closed::Always).await;
    for route in matrix::all() {
        let path = nowhere(route.path);
        let status = ask(&town, &route.method, &path, "", "").await.status;
        let what = format!("{} {path}: {status}", route.method);
        match route.closed {
            matrix::Closed::Shut => assert_eq!(status, 401, "{what}"),
            matrix::Closed::Open => assert!(
                route.path == "/session/password" || status != 401 && status != 403,
                "{what}"
            ),
            matrix::Closed::Layered if path.contains("components") => assert_eq!(status, 401, "{what}"),
            matrix::Closed::Layered => assert_eq!(status, 200, "{what}"),
        }
        if path.contains("components") && route.closed == matrix::Closed::Layered && route.takes.is_none() {
            let public = ask(&town, &route.method, &path.replace("components", "toilets"), "", "")
                .await
                .status;
            assert!(public != 401 && public != 403, "{what}: {public}");
        }
    }
    let listed = town.json("/collections").await;
    let ids: Vec<&str> = listed["collections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["id"].as_str().unwrap())
        .collect();
    let public = lamppost::tile::layer::all()
        .iter()
        .filter(|l| l.public)
        .map(|l| l.id.as_str());
    assert_eq!(ids, public.collect::<Vec<_>>());
    let style = town.json("/styles/onemap").await;
    assert!(style["sources"].get("toilets").is_some() && style["sources"].get("lamps").is_none());
    assert_eq!(town.get("/events?layers=lamps").await.status, 401);
    // What a public layer says of others is for those who may see these.
    assert_eq!(town.get("/tiles/areas/1/0/0").await.status, 204);
    for path in ["/tiles/areas?figures=true", "/tiles/areas/1/0/0?figures=true"] {
        assert_eq!(town.get(path).await.status, 401, "{path}");
    }
    let token = town.state.store.add_token("读者", Access::Reader).await.unwrap();
    let answer = ask(&town, &Method::GET, "/tiles/lamps/1/0/0", &token, "").await;
    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.header("cache-control"),
        "private, no-cache",
        "no cache in between may keep it"
    );
}

/// Through a proxy it takes signing in; on this machine it does not.
#[sqlx::test]
async fn a_proxy_makes_a_stranger(pool: PgPool) {
    let town = town_with(pool, |app| app.closed = Closed::Forwarded).await;
    assert_eq!(town.get("/collections/lamps/items").await.status, 200);
    let through = [("x-forwarded-for", "203.0.113.7")];
    let answer = town.send(Method::GET, "/collections/lamps/items", &through, "").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), "Bearer");
}

const SECRET: i64 = 7_318_844;

/// What can be asked. `{id}` is the restricted component, or one that is not there.
fn questions() -> Vec<(Method, String, &'static str)> {
    let get = [
        "/collections",
        "/collections/components",
        "/collections/wells",
        "/collections/components/items?limit=1000",
        "/collections/components/items?limit=1000&sortby=-code&state=intact,damaged,retired",
        "/collections/components/items?class=0136",
        "/collections/components/items?q=CAM",
        "/collections/components/items?code=CAM-7731",
        "/collections/components/items?bbox=117.2,39.0,117.3,39.2",
        "/collections/components/items?near=117.21,39.1&within=500",
        "/collections/components/items?filter=class%20IN%20('0136','0118')",
        "/collections/components/items?filter=name%20LIKE%20'%25探头'",
        "/collections/components/items?f=csv",
        "/collections/components/items?f=geojson&sortby=name",
        "/collections/components/nearest?point=117.21,39.1&k=50",
        "/tiles/components",
        "/tiles/components/0/0/0",
        "/tiles/components/12/3381/1563",
        "/tiles/components/14/13526/6255",
        "/tiles/components/17/108208/50043",
        "/tiles/components/14/13526/6255?filter=state='intact'",
        "/tiles/components/14/13526/6255?coords=gcj02",
        "/tiles/lamps,components/10/845/390",
        "/styles/onemap",
        "/codes/CAM-7731",
        "/responsible?code=CAM-7731",
        "/responsible?point=117.21,39.1&within=500",
        "/components/1/history",
        "/components/1/claims",
        "/components/1/responsible",
        "/collections/components/items/1",
        "/components/{id}/history",
        "/components/{id}/claims",
        "/components/{id}/responsible",
        "/collections/components/items/{id}",
        "/collections/wells/items/{id}",
        "/imports",
        "/components/{id}/file",
        "/components/1/file",
        "/claims",
        "/claims?disputed=false&limit=1",
        "/claims?party=hx",
        "/tiles/components/14/13526/6255?datetime={today}",
        "/collections/components/items?limit=1000&datetime={today}",
        "/statistics?by=class",
        "/statistics?by=cell&class=0136",
        "/statistics?by=party&datetime={today}",
        "/statistics?by=district&f=csv",
        "/coverage",
        "/coverage/collection-points",
        "/coverage/toilets/blind",
        "/tiles/coverage-collection-points",
        "/tiles/coverage-collection-points/14/13526/6255",
    ];
    let mut all: Vec<_> = get.iter().map(|p| (Method::GET, (*p).to_owned(), "")).collect();
    let item = || "/collections/components/items/{id}".to_owned();
    all.push((Method::PATCH, item(), r#"{"properties": {"state": "missing"}}"#));
    all.push((Method::DELETE, item(), "{}"));
    let claim = r#"{"role": "owner", "parties": ["hx"], "from": "2026-01-01"}"#;
    all.push((Method::POST, "/components/{id}/claims".to_owned(), claim));
    all.push((Method::POST, "/components/{id}/restore".to_owned(), r#"{"version": 1}"#));
    let several = r#"{"edits": [{"act": "patch", "layer": "components", "id": {id}, "version": 1, "feature": {"properties": {"note": "x"}}},
        {"act": "retire", "layer": "wells", "id": {id}}]}"#;
    all.push((Method::POST, "/edits".to_owned(), several));
    let interim = r#"{"role": "owner", "interim": "hx"}"#;
    all.push((Method::POST, "/components/{id}/dispute".to_owned(), interim));
    all.push((Method::POST, "/claims/{claim}".to_owned(), r#"{"act": "review"}"#));
    let new = r#"{"type": "Feature", "geometry": {"type": "Point", "coordinates": [117.2, 39.1]}, "properties": {"class": "0136"}}"#;
    all.push((Method::POST, "/collections/components/items".to_owned(), new));
    all
}

/// An answer without what may differ: the newest revision.
fn plain(answer: &Answer) -> (u16, Vec<u8>, String, String, String) {
    let mut body = answer.bytes.clone();
    if answer.header("content-type").contains("json") {
        let mut json: Value = serde_json::from_slice(&body).unwrap();
        if let Some(metadata) = json.get_mut("metadata") {
            metadata["lamppost:revision"] = Value::Null;
        }
        body = json.to_string().into_bytes();
    }
    let header = |name: &str| {
        let all = answer.headers.get_all(name).iter().map(|v| v.to_str().unwrap());
        all.collect::<Vec<_>>().join(", ")
    };
    (
        answer.status.as_u16(),
        body,
        header("etag"),
        header("cache-control"),
        header("vary"),
    )
}

/// Lamps and a well of a restricted class that has gone through everything: edits, a claim, a former code, a part.
struct World {
    town: Town,
    blind: Vec<(&'static str, String)>,
    seeing: String,
    other: String,
    lamp_tile: String,
}

async fn world(pool: PgPool) -> World {
    let scratch = std::env::temp_dir().join(format!("lamppost-rights-{}", std::process::id()));
    let desk = Desk::open(&scratch, Limits::default()).await.unwrap();
    let town = town_with(pool, |app| app.desk = desk).await;
    sqlx::query("insert into party (code, name) values ('hx', '河西区城管委')")
        .execute(&town.pool)
        .await
        .unwrap();
    town.lamps(&[(117.21, 39.10), (117.2101, 39.1001), (117.2102, 39.1002)])
        .await;
    let camera = town.class("CJT214-2007", "0136").await;
    let pylon = town.class("CJT214-2007", "0133").await;
    let store = &town.state.store;
    let issue = async |name: &str, access, classes: &[i32]| {
        let grant = Grant {
            rights: Rights::to(classes.iter().copied()),
            ..Grant::of(name, access)
        };
        store.issue(&grant).await.unwrap()
    };
    let mut blind = vec![("nobody", String::new())];
    for access in [
        Access::Reader,
        Access::Clerk,
        Access::Surveyor,
        Access::Adjudicator,
        Access::Admin,
    ] {
        blind.push((access.key(), issue(access.key(), access, &[]).await));
    }
    blind.push(("another class", issue("another class", Access::Admin, &[pylon]).await));
    let seeing = issue("看得见", Access::Admin, &[camera]).await;
    let other = issue("也看得见", Access::Reader, &[camera, pylon]).await;
    World {
        town,
        blind,
        seeing,
        other,
        lamp_tile: "/tiles/lamps/14/13526/6255".into(),
    }
}

impl World {
    async fn answer(&self, token: &str, (method, path, body): &(Method, String, &str), id: i64, claim: i64) -> Answer {
        let path = path
            .replace("{id}", &id.to_string())
            .replace("{claim}", &claim.to_string())
            .replace("{today}", &lamppost::calendar::today().to_string());
        ask(&self.town, method, &path, token, &body.replace("{id}", &id.to_string())).await
    }

    /// The restricted component comes and is edited, claimed, renamed and given a new code.
    async fn hide(&self) -> i64 {
        let town = &self.town;
        sqlx::query("alter table component alter column id restart with 7318844")
            .execute(&town.pool)
            .await
            .unwrap();
        let camera = town.class("CJT214-2007", "0136").await;
        let mut draft = Draft::new(camera, point(117.2103, 39.1003));
        draft.name = Some("秘密探头".into());
        assert_eq!(town.add(&[draft]).await, [SECRET]);
        town.sql("update component set scheme = 'LOCAL-X', code = 'CAM-0001' where id = 7318844")
            .await;
        town.sql("update component set code = 'CAM-7731' where id = 7318844")
            .await;
        let claim = r#"{"role": "owner", "parties": ["hx"], "from": "2026-01-01"}"#;
        let path = format!("/components/{SECRET}/claims");
        let answer = ask(town, &Method::POST, &path, &self.seeing, claim).await;
        assert_eq!(answer.status, 201, "{}", answer.json());
        answer.json()["book"]["claims"][0]["id"].as_i64().unwrap()
    }
}

#[sqlx::test]
async fn to_who_has_no_right_to_it_a_restricted_component_is_not_there(pool: PgPool) {
    let w = world(pool).await;
    let questions = questions();
    // The schemes that there are do not tell what has a code of one of them.
    w.town
        .sql("insert into scheme (name, title) values ('LOCAL-X', 'x')")
        .await;
    w.town
        .sql("update component set scheme = 'LOCAL-X', code = 'L-1' where id = 1")
        .await;
    let mut before = Vec::new();
    for (who, token) in &w.blind {
        for question in &questions {
            before.push((*who, question, plain(&w.answer(token, question, SECRET, 999_999).await)));
        }
    }
    let mut ears = Ears::open(&w.town.door, "/events?zoom=22", None).await;
    ears.expect("hello").await;
    let claim = w.hide().await;
    w.town.settle().await;
    let version = |v: Value| v.to_string();
    let whole = "select to_jsonb(c) from component c where id = 7318844";
    let row: Value = sqlx::query_scalar(whole).fetch_one(&w.town.pool).await.unwrap();
    let mut now = before.iter();
    for (_, token) in &w.blind {
        for question in &questions {
            let (who, question, before) = {
                let (who, _, before) = now.next().unwrap();
                (who, question, before)
            };
            let mut after = plain(&w.answer(token, question, SECRET, claim).await);
            // The number that was asked for stands in the answer that there is none.
            let said = String::from_utf8_lossy(&after.1).replace(&format!(" {claim}"), " 999999");
            if question.1.contains("{claim}") {
                after.1 = said.into_bytes();
            }
            assert_eq!(
                *before,
                after,
                "{who}: {} {}\n{}\n{}",
                question.0,
                question.1,
                String::from_utf8_lossy(&before.1),
                String::from_utf8_lossy(&after.1)
            );
        }
    }
    let same: Value = sqlx::query_scalar(whole).fetch_one(&w.town.pool).await.unwrap();
    assert_eq!(version(row), version(same), "nobody who cannot see it has changed it");
    // The next event is of a lamp that everybody may see.
    let lamp: i64 = sqlx::query_scalar("select min(id) from component")
        .fetch_one(&w.town.pool)
        .await
        .unwrap();
    w.town.move_to(lamp, 117.3, 39.2).await;
    let heard = ears.expect("tiles").await;
    let tile = |lon, lat| {
        let t = lamppost::spatial::tile_id::World::at(lon, lat).tile(22);
        format!("22/{}/{}", t.x(), t.y())
    };
    let shown = heard.data["tiles"]["components"].as_array().unwrap();
    assert!(shown.iter().any(|t| *t == tile(117.21, 39.10)), "{shown:?}");
    assert!(!shown.iter().any(|t| *t == tile(117.2103, 39.1003)), "{shown:?}");
}

/// That the questions above find what is there, if one may.
#[sqlx::test]
async fn who_has_the_right_sees_it_and_that_is_written_down(pool: PgPool) {
    let w = world(pool).await;
    let questions = questions();
    let mut before = Vec::new();
    for question in questions.iter().filter(|q| q.0 == Method::GET) {
        before.push((question, plain(&w.answer(&w.seeing, question, SECRET, 0).await)));
    }
    w.hide().await;
    w.town.settle().await;
    for (question, before) in &before {
        let after = plain(&w.answer(&w.seeing, question, SECRET, 0).await);
        let unmoved = [
            "/components/1",
            "items/1",
            "/wells",
            "/tiles/components\"",
            "/imports",
            "ages",
            // Nobody lives there.
            "coverage",
        ];
        if unmoved.iter().any(|p| question.1.contains(p)) || question.1 == "/tiles/components" {
            continue;
        }
        assert_ne!(*before, after, "{} does not show it", question.1);
        assert!(after.3.contains("no-store"), "{}: {}", question.1, after.3);
        assert!(after.4.contains("authorization, cookie"), "{}: {}", question.1, after.4);
    }
    // Two callers of whom each may see it, and one with more, are shown the same by one tile; layers without such a class are kept.
    let tile = "/tiles/components/14/13526/6255";
    let etag = async |token: &str, path: &str| {
        ask(&w.town, &Method::GET, path, token, "")
            .await
            .header("etag")
            .to_owned()
    };
    let nobody = etag("", tile).await;
    assert_ne!(etag(&w.seeing, tile).await, nobody);
    assert_eq!(etag(&w.other, tile).await, etag(&w.seeing, tile).await);
    assert_eq!(etag("", tile).await, nobody);
    assert_eq!(etag(&w.seeing, &w.lamp_tile).await, etag("", &w.lamp_tile).await);
    let kept = ask(&w.town, &Method::GET, &w.lamp_tile, &w.seeing, "").await;
    assert_eq!(kept.header("cache-control"), "private, no-cache");
    let open = w.town.get(tile).await;
    assert!(
        plain(&open).4.contains("authorization, cookie"),
        "{}",
        open.header("vary")
    );
    assert!(!w.town.get(&w.lamp_tile).await.header("vary").contains("cookie"));

    w.town.state.audit.write(&w.town.state.store, true).await.unwrap();
    let log = w.town.state.store.accesses(1000).await.unwrap();
    let has = |act: &str, who: &str, subject: &str| {
        log.iter()
            .any(|r| r.act == act && r.who == who && r.subject.starts_with(subject))
    };
    for subject in [
        "tiles components",
        "list components",
        "nearest components",
        "file components",
        "component 7318844",
    ] {
        assert!(has("restricted", "看得见", subject), "{subject}: {log:#?}");
    }
    assert!(has("export", "看得见", "components.csv"), "{log:#?}");
    assert!(!log.iter().any(|r| r.act == "restricted" && r.who.is_empty()));
    let deleted = sqlx::query("delete from access_log").execute(&w.town.pool).await;
    assert!(deleted.unwrap_err().to_string().contains("six months"));
}
