//! Edits that meet: versions that are not said, proposals, several at once, a version that comes back; and many clients at the same
//! components.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::http::Method;
use lamppost::domain::word::Access;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, Town, town};

async fn send(town: &Town, token: &str, method: Method, path: &str, tag: Option<i64>, body: &Value) -> Answer {
    let bearer = format!("Bearer {token}");
    let tag = tag.map(|v| format!("\"{v}\""));
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(tag.as_deref().map(|t| ("if-match", t)));
    town.send(method, path, &headers, &body.to_string()).await
}

/// Two trees, and two surveyors.
async fn park(pool: PgPool) -> (Town, i64, String, String) {
    let town = town(pool).await;
    let class = town.class("CJT214-2007", "0401").await;
    let draft = lamppost::domain::component::Draft::new(class, crate::support::point(117.2, 39.1));
    let tree = town.add(&[draft.clone(), draft]).await[0];
    let token = async |name: &str| town.state.store.add_token(name, Access::Surveyor).await.unwrap();
    let (a, b) = (token("甲").await, token("乙").await);
    (town, tree, a, b)
}

#[sqlx::test]
async fn an_edit_of_no_version_meets_another_and_is_kept(pool: PgPool) {
    let (town, tree, a, b) = park(pool).await;
    let item = format!("/collections/trees/items/{tree}");
    let patch = async |token: &str, body: Value| send(&town, token, Method::PATCH, &item, None, &body).await;
    // Of a layer that does not take it, nobody makes one.
    let other = format!("/collections/components/items/{tree}");
    let body = json!({"properties": {"state": "damaged"}});
    assert_eq!(send(&town, &a, Method::PATCH, &other, None, &body).await.status, 428);
    assert_eq!(
        send(&town, &a, Method::DELETE, &item, None, &json!({})).await.status,
        428
    );
    // Nobody has edited it: it is taken, and says so.
    let made = patch(
        &a,
        json!({"properties": {"state": "damaged", "attributes": {"树种": "槐"}}}),
    )
    .await;
    assert_eq!(
        (made.status.as_u16(), made.header("lamppost-unconditional")),
        (200, "true"),
        "{}",
        made.json()
    );
    let history = town.json(&format!("/components/{tree}/history")).await;
    assert_eq!(
        (
            history["versions"][0]["unconditional"].clone(),
            history["versions"][1]["unconditional"].clone()
        ),
        (json!(true), json!(false))
    );
    // One's own edit of the same field, another's of another field, and another's of the same field to the same value are none that meet.
    assert_eq!(patch(&a, json!({"properties": {"state": "missing"}})).await.status, 200);
    assert_eq!(patch(&b, json!({"properties": {"note": "靠近路口"}})).await.status, 200);
    assert_eq!(patch(&b, json!({"properties": {"state": "missing"}})).await.status, 200);
    // Another's of the same field to something else is.
    let met = patch(
        &b,
        json!({"properties": {"state": "intact", "attributes": {"树种": "柳", "胸径": 20}}}),
    )
    .await;
    assert_eq!(met.status, 409, "{}", met.json());
    let text = met.json().to_string();
    for part in [
        "/properties/state",
        "/properties/attributes/树种",
        "missing",
        "intact",
        "槐",
        "柳",
        "甲",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("胸径"), "nobody else has set it: {text}");
    assert_eq!(town.json_of(tree, "state").await, "missing");
    // It is not lost: somebody takes it up, once.
    let bearer = format!("Bearer {a}");
    let listed = town
        .send(Method::GET, "/proposals?state=open", &[("authorization", &bearer)], "")
        .await
        .json();
    let proposal = &listed["proposals"][0];
    assert_eq!(
        (
            proposal["by"].clone(),
            proposal["clashes"].as_array().unwrap().len(),
            proposal["clashes"][1].clone()
        ),
        (
            json!("乙"),
            2,
            json!({"pointer": "/properties/state", "proposed": "intact", "current": "missing"})
        )
    );
    let path = format!("/proposals/{}", proposal["id"]);
    let done = send(
        &town,
        &a,
        Method::POST,
        &path,
        None,
        &json!({"act": "apply", "reason": "现场核实"}),
    )
    .await;
    assert_eq!(done.status, 200, "{}", done.json());
    assert_eq!(town.json_of(tree, "state").await, "intact");
    assert_eq!(
        town.json_of(tree, "attributes").await,
        json!({"树种": "柳", "胸径": 20})
    );
    let history = town.json(&format!("/components/{tree}/history")).await;
    assert_eq!(history["versions"][0]["by"], "甲");
    assert!(
        history["versions"][0]["reason"].as_str().unwrap().contains("乙"),
        "{history}"
    );
    assert_eq!(
        send(&town, &a, Method::POST, &path, None, &json!({"act": "reject"}))
            .await
            .status,
        409
    );
    // A day later it meets nobody.
    town.sql("update revision set recorded = recorded - interval '25 hours'")
        .await;
    assert_eq!(patch(&b, json!({"properties": {"state": "damaged"}})).await.status, 200);
    assert_eq!(town.differences().await, Vec::<String>::new());
}

#[sqlx::test]
async fn a_version_comes_back_as_a_new_one(pool: PgPool) {
    let (town, tree, a, _) = park(pool).await;
    let item = format!("/collections/trees/items/{tree}");
    let edits = [
        json!({"properties": {"name": "古槐", "note": "一级", "attributes": {"胸径": 80}}}),
        json!({"geometry": {"type": "Point", "coordinates": [117.25, 39.15]}, "properties": {"note": null}}),
        json!({"properties": {"attributes": {"胸径": null}}}),
    ];
    for (version, body) in (1..).zip(&edits) {
        assert_eq!(
            send(&town, &a, Method::PATCH, &item, Some(version), body).await.status,
            200
        );
    }
    let then = send(&town, &a, Method::DELETE, &item, Some(4), &json!({})).await;
    assert_eq!(then.status, 200);
    let path = format!("/components/{tree}/restore");
    let restore = async |tag, body: Value| send(&town, &a, Method::POST, &path, tag, &body).await;
    assert_eq!(restore(None, json!({"version": 2})).await.status, 428);
    assert_eq!(restore(Some(4), json!({"version": 2})).await.status, 412);
    assert_eq!(restore(Some(5), json!({"version": 99})).await.status, 422);
    assert_eq!(restore(Some(5), json!({"to": 2})).await.status, 422);
    let back = restore(Some(5), json!({"version": 2})).await;
    assert_eq!(back.status, 200, "{}", back.json());
    let now = town.json(&item).await;
    assert_eq!(
        (
            now["geometry"]["coordinates"].clone(),
            now["properties"]["version"].clone()
        ),
        (json!([117.2, 39.1]), json!(6))
    );
    let p = &now["properties"];
    assert_eq!(
        (
            p["state"].clone(),
            p["name"].clone(),
            p["note"].clone(),
            p["attributes"].clone()
        ),
        (json!("intact"), json!("古槐"), json!("一级"), json!({"胸径": 80}))
    );
    let history = town.json(&format!("/components/{tree}/history")).await;
    assert!(history["versions"][0]["reason"].as_str().unwrap().contains('2'));
    assert_eq!(town.differences().await, Vec::<String>::new());
}

#[sqlx::test]
async fn several_edits_are_made_once_all_or_none_or_each_by_itself(pool: PgPool) {
    let (town, tree, a, b) = park(pool).await;
    let edits = async |token: &str, body: &Value| send(&town, token, Method::POST, "/edits", None, body).await;
    let point = json!({"type": "Point", "coordinates": [117.21, 39.11]});
    let add = json!({"act": "add", "layer": "trees", "feature": {"geometry": point, "properties": {"class": "0401", "name": "新栽"}}});
    let good =
        json!({"act": "patch", "layer": "trees", "id": tree, "version": 1, "feature": {"properties": {"note": "一"}}});
    let stale = json!({"act": "retire", "layer": "trees", "id": tree + 1, "version": 7});
    let wrong = json!({"act": "patch", "layer": "trees", "id": tree + 1, "version": 1, "feature": {"properties": {"state": "gone"}}});

    let none = edits(&a, &json!({"edits": [add, good, stale, wrong]})).await;
    assert_eq!(none.status, 422);
    let text = none.json().to_string();
    assert!(
        text.contains("/edits/2/version") && text.contains("/edits/3/feature/properties/state"),
        "{text}"
    );
    assert_eq!(
        town.json("/collections/trees/items").await["numberMatched"],
        2,
        "nothing was written"
    );
    assert_eq!(town.json_of(tree, "note").await, Value::Null);
    let unread = edits(
        &a,
        &json!({"atomic": "no", "edits": [{"act": "add", "id": 1}, {"act": "mend", "layer": "none"}]}),
    )
    .await;
    assert_eq!(
        (
            unread.status.as_u16(),
            unread.json()["errors"].as_array().unwrap().len()
        ),
        (422, 7),
        "{}",
        unread.json()
    );

    // Each by itself: what can be made is made, in one revision, once under its key.
    let body = json!({"key": "离线-17", "atomic": false, "reason": "离线采集", "edits": [add, good, stale, wrong]});
    let made = edits(&a, &body).await;
    assert_eq!(made.status, 200, "{}", made.json());
    let answer = made.json();
    assert_eq!((answer["done"].clone(), answer["failed"].clone()), (json!(2), json!(2)));
    let status = |i: usize| answer["results"][i]["problem"]["status"].clone();
    assert_eq!((status(0), status(2), status(3)), (Value::Null, json!(412), json!(422)));
    assert_eq!(answer["results"][1]["version"], 2);
    let again = edits(&a, &body).await;
    assert_eq!(
        (again.status.as_u16(), again.header("lamppost-repeated")),
        (200, "true")
    );
    assert_eq!(again.json(), answer);
    assert_eq!(
        town.json("/collections/trees/items").await["numberMatched"],
        3,
        "added once"
    );
    assert_eq!(edits(&a, &json!({"key": "离线-17", "edits": [good]})).await.status, 409);
    // Another one's key is another key.
    let others = json!({"key": "离线-17", "edits": [{"act": "restore", "layer": "trees", "id": tree, "version": 2, "restore": 1}]});
    assert_eq!(edits(&b, &others).await.status, 200);
    assert_eq!(town.json_of(tree, "note").await, Value::Null);
    assert_eq!(edits(&a, &json!({"edits": vec![good.clone(); 1001]})).await.status, 422);
    // One that is sent many times at once is made once.
    let body = json!({"key": "同时", "edits": [add]});
    let all = futures_util::future::join_all((0..8).map(|_| edits(&a, &body))).await;
    let first = all[0].json();
    assert!(all.iter().all(|r| r.status == 200 && r.json() == first), "{first}");
    assert_eq!(
        all.iter().filter(|r| r.header("lamppost-repeated").is_empty()).count(),
        1
    );
    assert_eq!(town.json("/collections/trees/items").await["numberMatched"], 4);
    assert_eq!(town.differences().await, Vec::<String>::new());
}

/// Every accepted edit is in the history once, whoever was faster; nothing deadlocks and nothing fails but for a version that has passed.
#[sqlx::test]
async fn sixteen_clients_at_a_hundred_components_lose_nothing(pool: PgPool) {
    let town = town(pool).await;
    let at: Vec<(f64, f64)> = (0..100).map(|i| (117.2 + f64::from(i) * 1e-4, 39.1)).collect();
    let ids = town.lamps(&at).await;
    let mut tokens = Vec::new();
    for i in 0..16 {
        tokens.push(
            town.state
                .store
                .add_token(&format!("第{i}人"), Access::Surveyor)
                .await
                .unwrap(),
        );
    }
    let seconds = std::env::var("LAMPPOST_MEETING_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(3);
    let end = Instant::now() + Duration::from_secs(seconds);
    let client = async |n: usize| {
        let mut dice = crate::support::Dice::new(n as u64 + 1);
        let (mut known, mut accepted, mut refused) = (HashMap::<i64, i64>::new(), Vec::new(), 0);
        while Instant::now() < end {
            let id = ids[dice.below(ids.len())];
            let version = *known.entry(id).or_insert(1);
            let note = format!("{n}-{}", accepted.len());
            let path = format!("/collections/lamps/items/{id}");
            let answer = match dice.below(10) {
                // Some send several at once, in whatever order.
                0 => {
                    let two = [id, ids[dice.below(ids.len())]];
                    let one = |id: &i64| json!({"act": "patch", "layer": "lamps", "id": id, "version": known.get(id).copied().unwrap_or(1), "feature": {"properties": {"note": note}}});
                    let body = json!({"atomic": false, "edits": two.iter().map(one).collect::<Vec<_>>()});
                    let answer = send(&town, &tokens[n], Method::POST, "/edits", None, &body).await;
                    assert_eq!(answer.status, 200, "{}", answer.json());
                    let results = answer.json()["results"].clone();
                    for result in results.as_array().unwrap() {
                        let id = result["id"].as_i64().unwrap();
                        match result["version"].as_i64() {
                            Some(version) => {
                                accepted.push((id, version, note.clone()));
                                known.insert(id, version);
                            }
                            None => {
                                assert_eq!(result["problem"]["status"], 412, "{result}");
                                known.remove(&id);
                            }
                        }
                    }
                    continue;
                }
                _ => {
                    send(
                        &town,
                        &tokens[n],
                        Method::PATCH,
                        &path,
                        Some(version),
                        &json!({"properties": {"note": note}}),
                    )
                    .await
                }
            };
            match answer.status.as_u16() {
                200 => {
                    let version = answer.json()["properties"]["version"].as_i64().unwrap();
                    accepted.push((id, version, note));
                    known.insert(id, version);
                }
                412 => {
                    refused += 1;
                    known.insert(id, town.json_of(id, "version").await.as_i64().unwrap());
                }
                other => panic!("{other}: {}", answer.json()),
            }
        }
        (accepted, refused)
    };
    let all = futures_util::future::join_all((0..16).map(client)).await;
    let refused: usize = all.iter().map(|c| c.1).sum();
    let mut accepted: Vec<(i64, i64, String)> = all.into_iter().flat_map(|c| c.0).collect();
    accepted.sort();
    println!("{} edits accepted, {refused} refused, in {seconds} s", accepted.len());
    assert!(
        accepted.len() as u64 > seconds * 34,
        "{} in {seconds} s",
        accepted.len()
    );
    let sql = "select id, version, coalesce(note, '') from component_version where version > 1 order by 1, 2, 3";
    let kept: Vec<(i64, i64, String)> = sqlx::query_as(sql).fetch_all(&town.pool).await.unwrap();
    assert_eq!(accepted, kept);
    assert_eq!(town.differences().await, Vec::<String>::new());
}
