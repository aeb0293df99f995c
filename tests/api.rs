//! Through the door: lists, items, edits, errors, languages.

use axum::http::Method;
use lamppost::domain::code::{ComponentCode, Scheme};
use lamppost::domain::component::Draft;
use serde_json::json;
use sqlx::PgPool;

use crate::support::{point, town};

#[sqlx::test]
async fn a_list_filters_by_every_parameter_and_names_stand_beside_codes(pool: PgPool) {
    let town = town(pool).await;
    town.sql(
        "insert into party (code, name) values ('HX01', '河西区照明所'), ('HX02', '水务公司');
         insert into road (name, class, geom) values ('解放南路', 'arterial', st_geomfromtext('MULTILINESTRING((117 39, 118 39))', 4326));
         insert into area (code, level, name, geom) values
           ('120103', 'district', '示范区', st_multi(st_makeenvelope(117, 39, 118, 40, 4326))),
           ('120103001', 'street', '甲街道', st_multi(st_makeenvelope(117, 39, 118, 40, 4326))),
           ('120103001001', 'community', '甲社区', st_multi(st_makeenvelope(117, 39, 118, 40, 4326)));
         insert into cell (scheme, code, area, geom) values ('GBT30428.1-2013', '120103001001001',
           (select id from area where level = 'community'), st_multi(st_makeenvelope(117.2, 39.1, 117.21, 39.11, 4326)))",
    )
    .await;
    let class = town.lamp_class().await;
    let code =
        |n: u32| ComponentCode::parse(Scheme::parse("CJT214-2007").unwrap(), &format!("1201030118{n:06}")).unwrap();
    let drafts: Vec<Draft> = (1..=5)
        .map(|n| Draft {
            code: Some(code(n)),
            name: Some(format!("灯{n}")),
            ..Draft::new(class, point(117.2 + f64::from(n) * 0.004, 39.105))
        })
        .collect();
    let ids = town.add(&drafts).await;
    town.sql("update component set owner = 1, road = 1, ownership_status = 'confirmed' where code like '%1' or code like '%2'").await;
    town.sql("update component set state = 'damaged' where code like '%4'; update component set state = 'retired' where code like '%5'").await;
    let matched =
        async |query: &str| town.json(&format!("/collections/lamps/items?{query}")).await["numberMatched"].clone();
    assert_eq!(matched("").await, 4);
    for (query, n) in [
        ("state=retired", 1),
        ("state=damaged,retired", 2),
        ("state=破损", 1),
        ("code=1201030118000003", 1),
        ("code=1201030118000005", 0),
        ("owner=HX01", 2),
        ("owner=%E6%B2%B3%E8%A5%BF%E5%8C%BA%E7%85%A7%E6%98%8E%E6%89%80,HX02", 2),
        ("class=0118", 4),
        ("class=CJT214-2007/0118", 4),
        ("cell=120103001001001", 2),
        ("road=%E8%A7%A3%E6%94%BE%E5%8D%97%E8%B7%AF", 2),
        ("q=%E7%81%AF3", 1),
        ("q=%E8%A7%A3%E6%94%BE", 2),
        ("q=0118000004", 1),
        ("q=120103001001001", 2),
        ("within-area=120103001", 4),
        ("bbox=117.2,39,117.21,39.2&owner=HX01", 2),
        ("near=117.204,39.105&within=1", 1),
    ] {
        assert_eq!(matched(query).await, n, "{query}");
    }
    assert_eq!(town.json("/collections/wells/items").await["numberMatched"], 0);
    let item = town.json(&format!("/collections/lamps/items/{}", ids[0])).await;
    let p = &item["properties"];
    let said = [
        "class_name",
        "state_name",
        "owner",
        "owner_name",
        "ownership_status_name",
        "cell",
        "community_name",
        "street_name",
        "road",
        "road_class",
    ];
    let said = said.map(|k| p[k].as_str().unwrap_or("null"));
    assert_eq!(
        said,
        [
            "路灯",
            "完好",
            "HX01",
            "河西区照明所",
            "已确权",
            "120103001001001",
            "甲社区",
            "甲街道",
            "解放南路",
            "arterial"
        ]
    );
    let english = town
        .send(
            Method::GET,
            &format!("/collections/lamps/items/{}", ids[0]),
            &[("accept-language", "en")],
            "",
        )
        .await
        .json();
    assert_eq!(english["properties"]["class_name"], "street lamp");
    // Sorted by code, highest first, two at a time.
    let page = town.json("/collections/lamps/items?sortby=-code&limit=2").await;
    assert_eq!(page["features"][0]["properties"]["code"], "1201030118000004");
    let next = page["links"][1]["href"]
        .as_str()
        .unwrap()
        .replace("http://localhost", "");
    let page = town.json(&next).await;
    assert_eq!(page["features"][0]["properties"]["code"], "1201030118000002");
    assert_eq!(page["links"].as_array().unwrap().len(), 1);
}

#[sqlx::test]
async fn every_wrong_parameter_is_named_at_once_in_the_reader_s_language(pool: PgPool) {
    let town = town(pool).await;
    let path = "/collections/lamps/items?bbox=1,2,3&state=broken&limit=9999&colour=red&near=200,1&cursor=x";
    let answer = town.send(Method::GET, path, &[("accept-language", "en")], "").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (400, "application/problem+json")
    );
    insta::assert_json_snapshot!(answer.json(), @r#"
    {
      "type": "http://localhost/problems/bad-syntax",
      "title": "The request cannot be read",
      "status": 400,
      "detail": "some of the request cannot be read",
      "errors": [
        {
          "parameter": "limit",
          "detail": "\"9999\" should be a whole number from 0 to 1000"
        },
        {
          "parameter": "cursor",
          "detail": "the cursor \"x\" was not given by this service"
        },
        {
          "parameter": "near",
          "detail": "position 200,1 is not on the earth; it should be lon,lat in degrees"
        },
        {
          "parameter": "state",
          "detail": "state cannot be \"broken\"; known are intact, damaged, missing, abandoned, retired"
        },
        {
          "parameter": "bbox",
          "detail": "\"1,2,3\" should be four degrees west,south,east,north such as 117.19,39.08,117.25,39.12"
        },
        {
          "parameter": "colour",
          "detail": "there is no such parameter here"
        }
      ]
    }
    "#);
    let chinese = town.get("/collections/lamps/items?limit=-1").await;
    assert_eq!(chinese.json()["errors"][0]["detail"], "“-1”应为0至1000的整数");
}

#[sqlx::test]
async fn an_edit_needs_a_token_the_version_and_a_sound_body(pool: PgPool) {
    let town = town(pool).await;
    let id = town.lamps(&[(117.21, 39.10)]).await[0];
    let path = format!("/collections/lamps/items/{id}");
    let bearer = format!("Bearer {}", town.token);
    let auth = ("authorization", bearer.as_str());
    let body = r#"{"properties":{"state":"damaged"},"reason":"巡查"}"#;
    for method in [Method::PATCH, Method::DELETE] {
        assert_eq!(
            town.send(method.clone(), &path, &[("if-match", "\"1\"")], body)
                .await
                .status,
            401
        );
        assert_eq!(
            town.send(
                method,
                &path,
                &[("authorization", "Bearer lp_wrong"), ("if-match", "\"1\"")],
                body
            )
            .await
            .status,
            401
        );
    }
    assert_eq!(
        town.send(Method::POST, "/collections/lamps/items", &[], "{}")
            .await
            .status,
        401
    );
    assert_eq!(town.send(Method::PATCH, &path, &[auth], body).await.status, 428);
    assert_eq!(
        town.send(Method::PATCH, &path, &[auth, ("if-match", "\"7\"")], body)
            .await
            .status,
        412
    );
    assert_eq!(
        town.send(Method::PATCH, &path, &[auth, ("if-match", "seven")], body)
            .await
            .status,
        400
    );
    assert_eq!(town.patch(999_999, 1, body).await.status, 404);
    assert_eq!(town.patch(id, 1, "{").await.status, 400);
    let faults = town
        .patch(id, 1, r#"{"geometry":{"type":"LineString","coordinates":[[1,1],[2,2]]},"properties":{"state":"broken","code":"1","attributes":{"wattage":"x"}}}"#)
        .await;
    assert_eq!(faults.status, 422);
    let places: Vec<_> = faults.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["pointer"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        places,
        [
            "/geometry",
            "/properties/state",
            "/properties/code",
            "/properties/attributes/wattage"
        ]
    );
    assert_eq!(
        town.json_of(id, "version").await,
        1,
        "nothing of a refused edit is kept"
    );

    let done = town.patch(id, 1, body).await;
    assert_eq!((done.status.as_u16(), done.header("etag")), (200, "\"2\""));
    let revision: i64 = done.header("lamppost-revision").parse().unwrap();
    assert!(
        town.state.feed.position().revision >= revision,
        "the writer reads its own write"
    );
    let stale = town.patch(id, 1, body).await;
    assert_eq!(stale.status, 412);
    let moved = town.patch(id, 2, r#"{"geometry":{"type":"Point","coordinates":[117.22,39.11]},"properties":{"attributes":{"wattage":100,"remark":"新"}}}"#).await;
    assert_eq!(moved.json()["geometry"]["coordinates"], json!([117.22, 39.11]));
    let removed = town
        .patch(id, 3, r#"{"properties":{"attributes":{"remark":null}}}"#)
        .await;
    assert_eq!(removed.json()["properties"]["attributes"], json!({"wattage": 100}));
    let history = town.json(&format!("/components/{id}/history?lang=en")).await;
    let said: Vec<_> = history["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| {
            let fields: Vec<_> = v["diff"]
                .as_array()
                .unwrap()
                .iter()
                .map(|d| format!("{} {}→{}", d["field"].as_str().unwrap(), d["old"], d["new"]))
                .collect();
            format!(
                "{} {} {}: {}",
                v["version"],
                v["by"].as_str().unwrap(),
                v["reason"],
                fields.join("; ") + "."
            )
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    4 测量员甲 null: attributes.remark "新"→null.
    3 测量员甲 null: geometry {"type":"Point","coordinates":[117.21,39.1]}→{"type":"Point","coordinates":[117.22,39.11]}; attributes.remark null→"新"; attributes.wattage null→100.
    2 测量员甲 "巡查": state "Intact"→"Damaged".
    1 test "added": .
    "#);
    let reader = town
        .state
        .store
        .add_token("访客", lamppost::domain::word::Access::Reader)
        .await
        .unwrap();
    let reader = format!("Bearer {reader}");
    assert_eq!(
        town.send(
            Method::PATCH,
            &path,
            &[("authorization", &reader), ("if-match", "\"4\"")],
            body
        )
        .await
        .status,
        403
    );
}

#[sqlx::test]
async fn a_component_is_added_and_retired_over_http(pool: PgPool) {
    let town = town(pool).await;
    let bearer = format!("Bearer {}", town.token);
    let auth = ("authorization", bearer.as_str());
    let body = json!({"type": "Feature", "geometry": {"type": "Point", "coordinates": [117.21, 39.10]},
        "properties": {"class": "0118", "code": "1201030118000001", "attributes": {"wattage": 60}}});
    let made = town
        .send(Method::POST, "/collections/lamps/items", &[auth], &body.to_string())
        .await;
    assert_eq!((made.status.as_u16(), made.header("etag")), (201, "\"1\""));
    let id = made.json()["id"].as_i64().unwrap();
    assert!(
        made.header("location")
            .ends_with(&format!("/collections/lamps/items/{id}"))
    );
    let twice = town
        .send(Method::POST, "/collections/lamps/items", &[auth], &body.to_string())
        .await;
    assert_eq!(twice.status, 409, "a code belongs to one component");
    let wrong = json!({"type": "Feature", "geometry": null, "properties": {"class": "0101", "code": "12"}});
    assert_eq!(
        town.send(Method::POST, "/collections/lamps/items", &[auth], &wrong.to_string())
            .await
            .status,
        422
    );
    for body in [
        json!({"geometry": {"type": "Point", "coordinates": [117.2, 39.1]}, "properties": {"class": "0118", "code": 12, "attributes": []}}),
        json!({"geometry": {"type": "Point", "coordinates": [117.2, 39.1]}, "properties": {"class": "0118"}, "reason": 5}),
    ] {
        let refused = town
            .send(Method::POST, "/collections/lamps/items", &[auth], &body.to_string())
            .await;
        assert_eq!(refused.status, 422, "{body}");
    }
    let nul =
        r#"{"geometry":{"type":"Point","coordinates":[117.2,39.1]},"properties":{"class":"0118","name":"a\u0000"}}"#;
    let nul = town.send(Method::POST, "/collections/lamps/items", &[auth], nul).await;
    assert_eq!(nul.status, 400);
    let path = format!("/collections/lamps/items/{id}");
    let gone = town
        .send(
            Method::DELETE,
            &path,
            &[auth, ("if-match", "\"1\"")],
            r#"{"reason":"拆除"}"#,
        )
        .await;
    assert_eq!(
        (gone.status.as_u16(), gone.json()["properties"]["state"].clone()),
        (200, json!("retired"))
    );
    assert_eq!(town.json("/collections/lamps/items").await["numberMatched"], 0);
    assert_eq!(
        town.json("/collections/lamps/items?state=retired").await["numberMatched"],
        1
    );
    assert_eq!(
        town.json(&format!("/components/{id}/history")).await["versions"][0]["reason"],
        "拆除"
    );
}

#[sqlx::test]
async fn a_reader_may_ask_for_a_revision_and_every_error_is_a_problem(pool: PgPool) {
    let town = town(pool).await;
    let id = town.lamps(&[(117.21, 39.10)]).await[0];
    let now = town.state.feed.position().revision.to_string();
    let path = format!("/collections/lamps/items/{id}");
    let answer = town
        .send(Method::GET, &path, &[("lamppost-min-revision", &now)], "")
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("lamppost-revision")),
        (200, now.as_str())
    );
    let future = town
        .send(Method::GET, &path, &[("lamppost-min-revision", "999999")], "")
        .await;
    assert_eq!((future.status.as_u16(), future.header("retry-after")), (503, "1"));
    for (method, path, status, kind) in [
        (Method::GET, "/nowhere", 404, "not-found"),
        (Method::GET, "/collections/lamps/items/x%00", 404, "not-found"),
        (
            Method::GET,
            "/collections/lamps/items/9223372036854775808",
            404,
            "not-found",
        ),
        (Method::GET, "/collections/lampposts/items", 404, "not-found"),
        (Method::PUT, "/collections/lamps/items", 405, "method-not-allowed"),
        (Method::GET, "/collections/lamps/items?q=%00", 400, "bad-syntax"),
        (Method::GET, "/collections/lamps/nearest", 400, "bad-syntax"),
        (Method::GET, "/components/0/history", 404, "not-found"),
    ] {
        let answer = town.send(method, path, &[], "").await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(
            answer.json()["type"],
            format!("http://localhost/problems/{kind}"),
            "{path}"
        );
    }
    let big = " ".repeat(9 << 20);
    let headers = [
        ("authorization", format!("Bearer {}", town.token)),
        ("if-match", "\"1\"".to_owned()),
    ];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(k, v)| (*k, v.as_str())).collect();
    assert_eq!(town.send(Method::PATCH, &path, &headers, &big).await.status, 413);
    let table: Vec<_> = lamppost::api::problem::TABLE
        .iter()
        .map(|(code, status, ..)| format!("{} {code}", status.as_u16()))
        .collect();
    insta::assert_snapshot!(table.join("\n"), @"
    400 bad-syntax
    401 unauthenticated
    403 forbidden
    404 not-found
    405 method-not-allowed
    409 conflict
    412 stale
    413 too-large
    415 unsupported
    422 invalid
    428 version-required
    429 too-many
    500 internal
    503 busy
    ");
}

#[sqlx::test]
async fn the_front_door_answers_people_programs_and_other_origins(pool: PgPool) {
    let town = town(pool).await;
    let html = town.send(Method::GET, "/", &[("accept", "text/html,*/*")], "").await;
    assert!(html.header("content-type").starts_with("text/html"));
    let json = town.get("/").await.json();
    assert_eq!(json["links"][1]["href"], "http://localhost/collections");
    let cors = town
        .send(
            Method::GET,
            "/collections",
            &[("origin", "https://elsewhere.example")],
            "",
        )
        .await;
    assert_eq!(cors.header("access-control-allow-origin"), "*");
    assert!(
        cors.header("access-control-expose-headers")
            .contains("lamppost-revision")
    );
    let asked = [
        ("origin", "https://elsewhere.example"),
        ("access-control-request-method", "PATCH"),
        ("access-control-request-headers", "authorization,if-match"),
    ];
    let preflight = town
        .send(Method::OPTIONS, "/collections/lamps/items/1", &asked, "")
        .await;
    assert!(
        preflight
            .header("access-control-allow-headers")
            .contains("authorization")
    );
    assert!(preflight.header("access-control-allow-methods").contains("PATCH"));
    assert_eq!(town.get("/healthz").await.status, 200);
    assert_eq!(town.json("/readyz").await["status"], "ready");
    let metrics = String::from_utf8(town.get("/metrics").await.bytes).unwrap();
    assert!(metrics.contains("lamppost_feed_ready 1"), "{metrics}");
    let style = town.json("/styles/onemap?lang=en").await;
    assert_eq!(style["version"], 8);
    let drawn: Vec<&str> = style["layers"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|l| l["metadata"]["lamppost:layer"].as_str())
        .collect();
    for layer in lamppost::tile::layer::all() {
        assert!(drawn.contains(&layer.id.as_str()), "{} is not drawn", layer.id);
    }
}

#[sqlx::test]
async fn a_restricted_class_is_seen_by_nobody_yet(pool: PgPool) {
    let town = town(pool).await;
    let id = town.lamps(&[(117.21, 39.10)]).await[0];
    assert_eq!(town.json("/collections/lamps/items").await["numberMatched"], 1);
    town.sql("update class set restricted = true where code = '0118'").await;
    assert_eq!(town.json("/collections/lamps/items").await["numberMatched"], 0);
    assert_eq!(
        town.json("/collections/components/nearest?point=117.21,39.10").await["numberReturned"],
        0
    );
    for path in [
        format!("/collections/components/items/{id}"),
        format!("/components/{id}/history"),
    ] {
        assert_eq!(town.get(&path).await.status, 404, "{path}");
    }
    assert_eq!(town.get("/tiles/components/0/0/0").await.status, 204);
}
