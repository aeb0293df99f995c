//! What is printed: the file of one component, and what a party confirms that it owns.

use axum::http::Method;
use lamppost::domain::component::Draft;
use serde_json::json;
use sqlx::PgPool;

use crate::claims::{newest, office};
use crate::support::point;

#[sqlx::test]
async fn the_file_of_a_component_has_all_that_is_known_of_it(pool: PgPool) {
    let o = office(pool).await;
    o.town
        .sql("insert into road (name, class, geom) values ('南京路', 'arterial', st_geomfromtext('MULTILINESTRING((117.19 39.1001, 117.21 39.1001))', 4326))")
        .await;
    o.town.lamps(&[(117.2002, 39.1), (117.3, 39.1)]).await;
    let gas = o.town.class("CJT214-2007", "0111").await;
    o.town.add(&[Draft::new(gas, point(117.2001, 39.1))]).await;
    let body = json!({"properties": {"name": "<script>alert(1)</script>", "note": "\"引号\" & 符号", "attributes": {"灯源": "LED"}}, "reason": "补录"});
    assert_eq!(o.town.patch(o.lamp, 1, &body.to_string()).await.status, 200);
    let claim = newest(&o.claim(&o.clerk, "A", json!({})).await);
    o.act(&o.other, &claim, json!({"act": "review"})).await;
    o.act(&o.judge, &claim, json!({"act": "confirm"})).await;
    let file = o.town.get(&format!("/components/{}/file", o.lamp)).await;
    assert_eq!(
        (file.status.as_u16(), file.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(file.header("content-security-policy").starts_with("default-src 'none'"));
    let html = String::from_utf8(file.bytes).unwrap();
    for part in [
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "&quot;引号&quot; &amp; 符号",
        "LED",
        "河西区照明所",
        "津路灯〔2019〕7号",
        "市政工程质监站",
        "2020-01-01",
        "补录",
        "南京路",
        "117.2000000, 39.1000000",
        "测量员甲",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("<script"), "no text becomes markup");
    // The code, the sketch, and in it this one twice and the one lamp that is near, not the gas cover that nobody sees here.
    assert_eq!(html.matches("<svg").count(), 2);
    assert_eq!(html.matches("<circle").count(), 3);
    let english = o
        .town
        .send(
            Method::GET,
            &format!("/components/{}/file", o.lamp),
            &[("accept-language", "en")],
            "",
        )
        .await;
    assert!(
        String::from_utf8(english.bytes)
            .unwrap()
            .contains("Responsible parties")
    );
    assert_eq!(o.town.get("/components/999/file").await.status, 404);
}

#[sqlx::test]
async fn a_party_confirms_what_it_owns(pool: PgPool) {
    let o = office(pool).await;
    let gas = o.town.class("CJT214-2007", "0111").await;
    o.town.add(&[Draft::new(gas, point(117.2001, 39.1))]).await;
    o.town.lamps(&[(117.21, 39.1), (117.22, 39.1)]).await;
    o.town
        .sql("update component set owner = (select id from party where code = 'A'), ownership_status = 'confirmed', scheme = 'LOCAL-X', code = 'L-' || id where id <> 2")
        .await;
    let sheet = async |path: &str| {
        let answer = o.town.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        String::from_utf8(answer.bytes).unwrap()
    };
    let own = sheet("/parties/A/confirmation").await;
    let rows = |html: &str| html.matches("<tr><td>").count();
    assert_eq!(rows(&own), 3, "restricted classes are not listed");
    assert!(own.contains("河西区照明所") && own.contains("L-1") && own.contains("权属单位（盖章）"));
    assert_eq!(
        rows(&sheet("/parties/河西区照明所/confirmation?bbox=117.205,39,117.3,39.2").await),
        2
    );
    assert_eq!(rows(&sheet("/parties/B/confirmation").await), 0);
    assert_eq!(o.town.get("/parties/Z/confirmation").await.status, 404);
    assert_eq!(o.town.get("/parties/A/confirmation?owner=B").await.status, 400);
}
