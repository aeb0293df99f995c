//! Edits of one component: as a whole, in part, and refused with every fault at once.

use axum::http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, Town, town};

async fn send(town: &Town, method: Method, id: i64, version: i64, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", town.token);
    let tag = format!("\"{version}\"");
    let headers = [("authorization", bearer.as_str()), ("if-match", tag.as_str())];
    let path = format!("/collections/lamps/items/{id}");
    town.send(method, &path, &headers, &body.to_string()).await
}

fn whole() -> Value {
    json!({
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [117.21, 39.11]},
        "properties": {
            "class": "0118", "code": "1201030118000007", "scheme": "CJT214-2007", "name": "高杆灯", "state": "damaged",
            "property_kind": "social", "management_kind": "professional", "address": "南京路北侧", "surveyed_on": "2026-03-01",
            "accuracy": "B", "note": "灯罩破损", "attributes": {"pole_height": 12},
        },
        "reason": "普查",
    })
}

/// What is written is what is read, and the history says which fields.
#[sqlx::test]
async fn a_component_is_replaced_as_a_whole_and_patched_in_part(pool: PgPool) {
    let town = town(pool).await;
    let id = town.lamps(&[(117.2, 39.1)]).await[0];
    let put = send(&town, Method::PUT, id, 1, &whole()).await;
    assert_eq!(put.status, 200, "{}", put.json());
    assert_eq!(put.header("etag"), "\"2\"");
    let read = town.json(&format!("/collections/lamps/items/{id}")).await;
    assert_eq!(read["geometry"], whole()["geometry"]);
    for (name, value) in whole()["properties"].as_object().unwrap() {
        assert_eq!(read["properties"][name], *value, "{name}");
    }
    // In part: what is not named stays, null takes away, objects are merged.
    let patch = json!({"properties": {"note": null, "state": "intact", "attributes": {"wattage": 250}}});
    let patched = send(&town, Method::PATCH, id, 2, &patch).await.json();
    let p = &patched["properties"];
    assert_eq!(
        (&p["note"], &p["state"], &p["address"]),
        (&json!(null), &json!("intact"), &json!("南京路北侧"))
    );
    assert_eq!(p["attributes"], json!({"pole_height": 12, "wattage": 250}));
    assert_eq!(p["code"], "1201030118000007");
    // Without a place in the body it stands where it stands, to the last digit.
    town.sql("update component set geom = st_point(117.2123456789012, 39.1098765432109, 4326)")
        .await;
    send(&town, Method::PATCH, id, 4, &json!({"properties": {"name": "中杆灯"}})).await;
    let exact: String = sqlx::query_scalar("select st_x(geom)::text from component")
        .fetch_one(&town.pool)
        .await
        .unwrap();
    assert_eq!(exact, "117.2123456789012");
    // As a whole: what is not named is empty.
    let bare = json!({"geometry": {"type": "Point", "coordinates": [117.2, 39.1]}, "properties": {"class": "0118"}});
    let put = send(&town, Method::PUT, id, 5, &bare).await.json();
    let p = &put["properties"];
    assert_eq!(
        (&p["code"], &p["name"], &p["attributes"]),
        (&json!(null), &json!(null), &json!({}))
    );
    // The same again changes nothing and makes no version.
    let again = send(&town, Method::PUT, id, 6, &bare).await;
    assert_eq!((again.status.as_u16(), again.header("etag")), (200, "\"6\""));
    // Its own former code may come back.
    assert_eq!(send(&town, Method::PUT, id, 6, &whole()).await.status, 200);
    let history = town.json(&format!("/components/{id}/history")).await;
    assert_eq!(history["versions"][0]["reason"], "普查");
    assert!(town.differences().await.is_empty());
}

#[sqlx::test]
async fn every_fault_of_a_body_is_told_at_once(pool: PgPool) {
    let town = town(pool).await;
    let id = town.lamps(&[(117.2, 39.1)]).await[0];
    let mut wrong = whole();
    wrong["colour"] = json!("red");
    wrong["geometry"] = json!({"type": "Point", "coordinates": [200, 39.1]});
    for (name, value) in [
        ("state", json!("broken")),
        ("property_kind", json!(7)),
        ("surveyed_on", json!("yesterday")),
        ("accuracy", json!("Z")),
        ("part_of", json!(424_242)),
        ("owner", json!("A")),
        ("cell", json!("x")),
        ("attributes", json!([])),
        ("code", json!("12")),
    ] {
        wrong["properties"][name] = value;
    }
    for method in [Method::PUT, Method::PATCH] {
        let answer = send(&town, method.clone(), id, 1, &wrong).await;
        assert_eq!(answer.status, 422);
        let errors = answer.json()["errors"].clone();
        let mut told: Vec<&str> = errors
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["pointer"].as_str().unwrap())
            .collect();
        told.sort_unstable();
        // What nobody writes here is told before anything is read of a patch.
        let all = [
            "/colour",
            "/geometry",
            "/properties/accuracy",
            "/properties/attributes",
            "/properties/cell",
            "/properties/code",
            "/properties/owner",
            "/properties/part_of",
            "/properties/property_kind",
            "/properties/state",
            "/properties/surveyed_on",
        ];
        match method {
            Method::PUT => assert_eq!(told, all, "{errors:#}"),
            _ => assert_eq!(told, ["/colour", "/properties/cell", "/properties/owner"], "{errors:#}"),
        }
    }
    assert_eq!(send(&town, Method::PUT, id, 7, &whole()).await.status, 412);
    let bearer = format!("Bearer {}", town.token);
    let path = format!("/collections/lamps/items/{id}");
    let unnamed = town
        .send(Method::PUT, &path, &[("authorization", &bearer)], &whole().to_string())
        .await;
    assert_eq!(unnamed.status, 428);
    assert_eq!(
        send(&town, Method::PATCH, id, 1, &json!({"properties": {"part_of": id}}))
            .await
            .status,
        422
    );
}

/// A rule that came later keeps nobody from saying that a lamp is broken.
#[sqlx::test]
async fn what_was_wrong_before_keeps_nobody_from_mending_something_else(pool: PgPool) {
    let town = town(pool).await;
    let id = town.lamps(&[(117.2, 39.1)]).await[0];
    town.sql("update component set attributes = '{\"pole_height\": \"tall\"}'")
        .await;
    let mended = send(
        &town,
        Method::PATCH,
        id,
        2,
        &json!({"properties": {"state": "damaged"}}),
    )
    .await;
    assert_eq!(mended.status, 200, "{}", mended.json());
    assert_eq!(mended.json()["properties"]["attributes"]["pole_height"], "tall");
    let own = json!({"properties": {"attributes": {"pole_height": "taller"}}});
    assert_eq!(send(&town, Method::PATCH, id, 3, &own).await.status, 422);
}
