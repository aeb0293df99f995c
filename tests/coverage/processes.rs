//! OGC API - Processes: the same answers as at once, and later.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::service::city;
use crate::support::{Answer, Town};

async fn ask(town: &Town, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    town.send(method, path, headers, &body.to_string()).await
}

const LATER: [(&str, &str); 1] = [("prefer", "respond-async, wait=1")];

#[sqlx::test]
async fn a_process_answers_what_its_address_does_at_once_and_later(pool: PgPool) {
    let (town, _) = city(pool).await;
    let listed = town.json("/processes").await;
    assert_eq!(listed["processes"][0]["id"], "coverage", "{listed}");
    let told = town.json("/processes/coverage").await;
    let rules = told["inputs"]["rule"]["schema"]["enum"].as_array().unwrap();
    assert!(rules.contains(&json!("toilets")), "{told}");
    assert_eq!(
        (&told["inputs"]["rule"]["minOccurs"], &told["inputs"]["by"]["minOccurs"]),
        (&json!(1), &json!(0))
    );

    let path = "/processes/coverage/execution";
    let inputs = json!({"inputs": {"rule": "parks", "radius": 200, "state": ["intact"], "by": "street", "limit": 5}});
    let figures = town.json("/coverage/parks?radius=200&state=intact&by=street").await;
    let blind = town.json("/coverage/parks/blind?radius=200&state=intact&limit=5").await;
    let now = ask(&town, Method::POST, path, &[], &inputs).await;
    assert_eq!(now.json(), json!({"figures": figures, "blind": blind}));
    let mut only = inputs.clone();
    only["outputs"] = json!({"figures": {}});
    only["response"] = json!("raw");
    assert_eq!(ask(&town, Method::POST, path, &[], &only).await.json(), figures);

    let begun = ask(&town, Method::POST, path, &LATER, &inputs).await;
    assert_eq!(
        (begun.status.as_u16(), begun.header("preference-applied")),
        (201, "respond-async")
    );
    let id = begun.json()["jobID"].as_str().unwrap().to_owned();
    assert!(begun.header("location").ends_with(&format!("/jobs/{id}")));
    let job = format!("/jobs/{id}");
    let ended = loop {
        let job = town.json(&job).await;
        match job["status"].as_str().unwrap() {
            "accepted" | "running" => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => break job,
        }
    };
    assert_eq!(
        (&ended["status"], &ended["progress"]),
        (&json!("successful"), &json!(100)),
        "{ended}"
    );
    assert_eq!(town.json(&format!("{job}/results")).await, now.json());
    // Another one does not see it, nor does anybody once it is dismissed.
    let bearer = format!("Bearer {}", town.token);
    let other = [("authorization", bearer.as_str())];
    assert_eq!(ask(&town, Method::GET, &job, &other, &json!({})).await.status, 404);
    let gone = ask(&town, Method::DELETE, &job, &[], &json!({})).await;
    assert_eq!(gone.json()["status"], "dismissed");
    assert_eq!(town.get(&job).await.status, 404);
    // Whoever is known finds their jobs again.
    let own = [LATER[0], other[0]];
    let begun = ask(&town, Method::POST, path, &own, &inputs).await.json();
    let jobs = ask(&town, Method::GET, "/jobs", &other, &json!({})).await.json();
    assert_eq!(jobs["jobs"][0]["jobID"], begun["jobID"], "{jobs}");
    assert_eq!(town.json("/jobs").await["jobs"], json!([]));
}

#[sqlx::test]
async fn jobs_are_bounded_dismissed_and_fail_in_words(pool: PgPool) {
    let (town, _) = city(pool).await;
    let path = "/processes/coverage/execution";
    let bad = json!({"inputs": {"radius": {"metres": 3}, "planet": 1}, "outputs": {"gold": {}}, "response": "raw", "mode": "sync"});
    let refused = ask(&town, Method::POST, path, &LATER, &bad).await;
    let said = refused.json().to_string();
    assert_eq!(refused.status, 422, "{said}");
    for part in [
        "/inputs/rule",
        "/inputs/radius",
        "/inputs/planet",
        "/outputs/gold",
        "/response",
        "/mode",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let wrong = json!({"inputs": {"rule": "parks", "radius": 0, "limit": 0}});
    assert_eq!(ask(&town, Method::POST, path, &LATER, &wrong).await.status, 400);
    let nothing = json!({"inputs": {"rule": "nothing"}});
    assert_eq!(ask(&town, Method::POST, path, &[], &nothing).await.status, 404);
    assert_eq!(
        ask(&town, Method::POST, "/processes/magic/execution", &[], &nothing)
            .await
            .status,
        404
    );

    // The only place is taken: jobs wait, no more than eight of one reader; one that is dismissed while it waits never begins.
    let (free, hold) = std::sync::mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel::<()>();
    let state = town.state.clone();
    let held = tokio::spawn(async move {
        let hold = move || began.send(()).is_ok() && hold.recv().is_ok();
        state.analyses.run(hold).await
    });
    begun.await.unwrap();
    let siting = json!({"inputs": {"rule": "toilets", "denominator": "residential", "on": ["commercial"], "sites": 2}});
    let mut jobs = Vec::new();
    for _ in 0..8 {
        let begun = ask(&town, Method::POST, "/processes/siting/execution", &LATER, &siting).await;
        assert_eq!(begun.status, 201, "{}", String::from_utf8_lossy(&begun.bytes));
        jobs.push(begun.json()["jobID"].as_str().unwrap().to_owned());
    }
    let ninth = ask(&town, Method::POST, "/processes/siting/execution", &LATER, &siting).await;
    assert_eq!(ninth.status, 503);
    assert_eq!(town.json(&format!("/jobs/{}", jobs[0])).await["status"], "accepted");
    assert_eq!(town.get(&format!("/jobs/{}/results", jobs[0])).await.status, 404);
    ask(&town, Method::DELETE, &format!("/jobs/{}", jobs[0]), &[], &json!({})).await;
    free.send(()).unwrap();
    assert!(held.await.unwrap().unwrap());
    for id in &jobs[1..] {
        let ended = loop {
            let job = town.json(&format!("/jobs/{id}")).await;
            if !job["finished"].is_null() {
                break job;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(ended["status"], "successful", "{ended}");
    }
    let sites = town.json(&format!("/jobs/{}/results", jobs[1])).await;
    assert_eq!(sites["sites"]["numberReturned"], 2, "{sites}");
    // What fails says why, as its address would.
    let far = json!({"inputs": {"rule": "toilets", "denominator": "residential", "points": "121.4,31.2", "sites": 1}});
    let begun = ask(&town, Method::POST, "/processes/siting/execution", &LATER, &far)
        .await
        .json();
    let job = format!("/jobs/{}", begun["jobID"].as_str().unwrap());
    let ended = loop {
        let job = town.json(&job).await;
        if !job["finished"].is_null() {
            break job;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(
        (&ended["status"], &ended["exception"]["status"]),
        (&json!("failed"), &json!(400)),
        "{ended}"
    );
    assert_eq!(town.get(&format!("{job}/results")).await.status, 400);
}
