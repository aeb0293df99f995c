//! What holds for every request, whatever answers it.

use axum::Router;
use axum::http::Method;
use axum::routing::get;
use lamppost::api::frame::Frame;
use sqlx::PgPool;

use crate::support::{Answer, Town, town};

/// A problem in the reader's language that any page may read, and the revision that was held.
fn sound(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.json()["type"], format!("http://localhost/problems/{code}"));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(
        answer
            .header("access-control-expose-headers")
            .contains("lamppost-revision")
    );
    assert!(answer.header("vary").contains("accept-language"));
}

async fn metrics(town: &Town) -> String {
    String::from_utf8(town.get("/metrics").await.bytes).unwrap()
}

#[sqlx::test]
async fn an_answer_of_any_kind_has_what_every_answer_has(pool: PgPool) {
    let town = town(pool).await;
    town.lamps(&[(117.2172, 39.1096)]).await;
    let revision = town.state.feed.position().revision.to_string();
    for (path, status) in [
        ("/tiles/lamps/14/13526/6255", 200),
        ("/tiles/lamps/14/0/0", 204),
        ("/tiles/lamps", 200),
        ("/collections/lamps/items", 200),
        ("/tiles/lamps/14/13526", 404),
        ("/tiles/lamps/14/13526/6255/1", 404),
        ("/nowhere", 404),
    ] {
        let answer = town.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("lamppost-revision"), revision, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        if status == 404 {
            sound(&answer, 404, "not-found");
        }
    }
    let answer = town.send(Method::POST, "/tiles/lamps/14/13526/6255", &[], "").await;
    sound(&answer, 405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "GET,HEAD");
    // Counted by the pattern of the path, never by the path.
    let metrics = metrics(&town).await;
    for line in [
        r#"http_requests_total{path="/tiles/{layers}/{*tile}",status="200"} 1"#,
        r#"http_requests_total{path="/tiles/{layers}/{*tile}",status="404"} 2"#,
        r#"http_requests_total{path="none",status="404"} 1"#,
        r#"http_request_duration_seconds_count{path="/tiles/{layers}/{*tile}"} 5"#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[sqlx::test]
async fn a_tile_waits_for_the_revision_that_is_asked_for(pool: PgPool) {
    let town = town(pool).await;
    town.lamps(&[(117.2172, 39.1096)]).await;
    let path = "/tiles/lamps/14/13526/6255";
    let revision = town.state.feed.position().revision;
    let ask = async |wanted: &str| {
        town.send(Method::GET, path, &[("lamppost-min-revision", wanted)], "")
            .await
    };
    assert_eq!(ask(&revision.to_string()).await.status, 200);
    sound(&ask("soon").await, 400, "bad-syntax");
    let later = ask(&(revision + 1000).to_string()).await;
    sound(&later, 503, "busy");
    assert_eq!(later.header("retry-after"), "1");
}

#[sqlx::test]
async fn a_handler_that_panics_is_an_answer_and_not_the_end(pool: PgPool) {
    async fn broken() {
        panic!("as it should");
    }
    let mut town = town(pool).await;
    town.door = Router::new()
        .route("/broken", get(broken))
        .layer(Frame(town.state.clone()));
    for _ in 0..2 {
        sound(&town.get("/broken").await, 500, "internal");
    }
    town.door = lamppost::api::app(town.state.clone());
    let metrics = metrics(&town).await;
    assert!(
        metrics.contains(r#"http_requests_total{path="/broken",status="500"} 2"#),
        "{metrics}"
    );
}
