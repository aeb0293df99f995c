//! Edits, claims and deliveries stay within what bounds whoever makes them.

use axum::http::Method;
use lamppost::domain::grant::Grant;
use lamppost::domain::word::Access;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{ask, world};
use crate::support::town;

/// Who may not edit it one by one does not reach it with a file either.
#[sqlx::test]
async fn a_delivery_reaches_nothing_that_its_sender_could_not_edit(pool: PgPool) {
    let w = world(pool).await;
    w.hide().await;
    w.town
        .sql("update component set source = 'gps', source_key = 'K1', address = '密道' where id = 7318844")
        .await;
    w.town
        .sql(
            "insert into area (code, level, name, geom) values ('120103', 'district', '河西区',
             st_multi(st_makeenvelope(117.2, 39.0, 117.25, 39.2, 4326)))",
        )
        .await;
    let area = w.town.state.store.area_id("120103").await.unwrap();
    let hx = w.town.state.store.party_names().await.unwrap()["hx"];
    let bounded = |name: &str| Grant {
        area,
        ..Grant::of(name, Access::Clerk)
    };
    let own = Grant {
        party: Some(hx),
        own_party_only: true,
        ..bounded("本单位")
    };
    let (area_token, own_token) = {
        let store = &w.town.state.store;
        (
            store.issue(&bounded("本区")).await.unwrap(),
            store.issue(&own).await.unwrap(),
        )
    };
    let mapping = "source = 'gps'\nkey = 'k'\nx = 'x'\ny = 'y'\ncrs = 'EPSG:4326'\nclass = 'c'\nallow_duplicates = true\nowner = 'o'\n[fields]\naddress = 'a'\n";
    let rows = "k,x,y,c,a,o\nK1,117.2103,39.1003,0118,新,hx\nK2,117.21,39.11,0136,新,hx\nK3,117.21,39.12,0118,新,\nK4,117.26,39.12,0118,新,hx\nK5,117.22,39.12,0118,新,hx\n";
    let deliver = async |token: &str| {
        let part = |name: &str, value: &str| {
            let file = if name == "file" { "; filename=\"a.csv\"" } else { "" };
            format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n")
        };
        let body = [part("file", rows), part("mapping", mapping), part("run", "load")].concat() + "--xx--\r\n";
        let bearer = format!("Bearer {token}");
        let kind = ("content-type", "multipart/form-data; boundary=xx");
        let sent = w
            .town
            .send(Method::POST, "/imports", &[("authorization", &bearer), kind], &body)
            .await;
        assert_eq!(sent.status, 201, "{}", sent.json());
        let id = sent.json()["id"].as_str().unwrap().to_owned();
        for _ in 0..400 {
            let now = ask(&w.town, &Method::GET, &format!("/imports/{id}"), token, "")
                .await
                .json();
            if now["stage"] == "done" || now["stage"] == "failed" {
                let rejects = ask(&w.town, &Method::GET, &format!("/imports/{id}/rejects"), token, "").await;
                return (now, String::from_utf8(rejects.bytes).unwrap());
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("the delivery did not end");
    };
    let refused = |rejects: &str| -> Vec<String> {
        let keys = rejects
            .lines()
            .skip(1)
            .filter_map(|l| l.split(',').find(|f| f.starts_with('K')));
        keys.map(str::to_owned).collect()
    };
    let (now, rejects) = deliver(&own_token).await;
    assert_eq!(refused(&rejects), ["K1", "K2", "K3", "K4"], "{now}\n{rejects}");
    let (_, rejects) = deliver(&area_token).await;
    assert_eq!(refused(&rejects), ["K1", "K2", "K4"], "{rejects}");
    let (_, rejects) = deliver(&w.blind[5].1).await;
    assert_eq!(refused(&rejects), ["K1", "K2"], "{rejects}");
    assert!(!rejects.contains("7318844") && !rejects.contains("密道"), "{rejects}");
    // Who may see it is told as anybody is of anything: somebody has edited it since.
    let (now, rejects) = deliver(&w.seeing).await;
    assert_eq!(refused(&rejects), ["K1"], "{now}\n{rejects}");
    assert!(rejects.contains("已修改此部件"), "{rejects}");
}

/// An edit one by one, and a claim, stay within area and party.
#[sqlx::test]
async fn edits_stay_within_the_area_and_the_party(pool: PgPool) {
    let town = town(pool).await;
    let [inside, outside] = town.lamps(&[(117.21, 39.10), (117.30, 39.10)]).await[..] else {
        panic!()
    };
    town.sql(
        "insert into area (code, level, name, geom) values ('120103', 'district', '河西区',
           st_multi(st_makeenvelope(117.2, 39.0, 117.25, 39.2, 4326)));
         insert into party (code, name) values ('hx', '河西区城管委'), ('nk', '南开区城管委');
         update component set owner = (select id from party where code = 'hx') where id = 1",
    )
    .await;
    let store = &town.state.store;
    let names = store.party_names().await.unwrap();
    let area = Grant {
        area: store.area_id("120103").await.unwrap(),
        ..Grant::of("本区", Access::Clerk)
    };
    let party = |name: &str, party: &str| Grant {
        party: Some(names[party]),
        own_party_only: true,
        ..Grant::of(name, Access::Clerk)
    };
    let area = store.issue(&area).await.unwrap();
    let hx = store.issue(&party("河西", "hx")).await.unwrap();
    let nk = store.issue(&party("南开", "nk")).await.unwrap();
    let patch = async |token: &str, id: i64, version: i64, body: Value| {
        let bearer = format!("Bearer {token}");
        let tag = format!("\"{version}\"");
        let headers = [("authorization", bearer.as_str()), ("if-match", tag.as_str())];
        let path = format!("/collections/lamps/items/{id}");
        town.send(Method::PATCH, &path, &headers, &body.to_string())
            .await
            .status
            .as_u16()
    };
    let damaged = || json!({"properties": {"state": "damaged"}});
    let moved = || json!({"geometry": {"type": "Point", "coordinates": [117.3, 39.1]}});
    assert_eq!(patch(&area, outside, 1, damaged()).await, 403);
    assert_eq!(patch(&area, inside, 2, moved()).await, 403, "nor out of it");
    assert_eq!(patch(&nk, inside, 2, damaged()).await, 403);
    assert_eq!(patch(&hx, inside, 2, damaged()).await, 200);
    assert_eq!(patch(&hx, outside, 1, damaged()).await, 403);
    assert_eq!(
        patch(&area, inside, 3, json!({"properties": {"state": "intact"}})).await,
        200
    );
    let claim = async |token: &str, id: i64, party: &str| {
        let body = json!({"role": "owner", "parties": [party], "from": "2026-01-01"});
        ask(
            &town,
            &Method::POST,
            &format!("/components/{id}/claims"),
            token,
            &body.to_string(),
        )
        .await
        .status
        .as_u16()
    };
    assert_eq!(claim(&area, outside, "hx").await, 403);
    assert_eq!(claim(&nk, inside, "hx").await, 403);
    assert_eq!(
        claim(&nk, inside, "nk").await,
        201,
        "a party claims for itself what another one holds"
    );
}
