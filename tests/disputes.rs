//! Disputes have a place to go: who answers meanwhile, until when, and the list of all that waits.

use lamppost::domain::component::Draft;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::claims::{newest, office};
use crate::support::point;

#[sqlx::test]
async fn a_dispute_names_who_answers_meanwhile_and_has_a_deadline(pool: PgPool) {
    let o = office(pool).await;
    let book = async || o.town.json(&format!("/components/{}/claims", o.lamp)).await["roles"]["owner"].clone();
    let first = newest(&o.claim(&o.clerk, "A", json!({})).await);
    assert_eq!(book().await["dispute"], Value::Null);
    o.act(&o.other, &first, json!({"act": "review"})).await;
    o.act(&o.judge, &first, json!({"act": "confirm"})).await;
    let path = format!("/components/{}/dispute", o.lamp);
    let none = o.post(&o.judge, &path, &json!({"interim": "C"})).await;
    assert_eq!(none.status, 409, "there is no dispute yet");

    let second = newest(&o.claim(&o.clerk, "B", json!({})).await);
    let today = lamppost::calendar::today();
    let dispute = book().await["dispute"].clone();
    let deadline = today + chrono::Days::new(30);
    assert_eq!(dispute["interim"]["code"], "A", "who held it");
    assert_eq!(
        (
            dispute["since"].clone(),
            dispute["deadline"].clone(),
            dispute["overdue"].clone()
        ),
        (json!(today), json!(deadline), json!(false))
    );

    // An adjudicator names another one, and another day; nobody else does.
    let body = json!({"interim": "交管局", "deadline": today, "reason": "属地兜底"});
    assert_eq!(o.post(&o.clerk, &path, &body).await.status, 403);
    let wrong = json!({"interim": "谁", "deadline": "2020-01-01", "role": "owner", "until": 1});
    let wrong = o.post(&o.judge, &path, &wrong).await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.json()["errors"].as_array().unwrap().len()),
        (422, 3),
        "{}",
        wrong.json()
    );
    let said = o.post(&o.judge, &path, &body).await;
    assert_eq!(said.status, 200, "{}", said.json());
    assert_eq!(book().await["dispute"]["interim"]["code"], "C");
    let answers = o.town.json(&format!("/components/{}/responsible", o.lamp)).await;
    assert_eq!(answers["roles"]["owner"]["dispute"]["interim"]["code"], "C");
    assert_eq!(answers["roles"]["owner"]["parties"][0]["code"], "A");

    // Ruled, it is over; the next one is another one.
    o.act(&o.other, &second, json!({"act": "review"})).await;
    assert_eq!(o.act(&o.judge, &second, json!({"act": "rule"})).await.status, 200);
    assert_eq!(book().await["dispute"], Value::Null);
    o.claim(&o.clerk, "A", json!({"from": "2021-01-01"})).await;
    assert_eq!(book().await["dispute"]["interim"]["code"], "B");
    assert_eq!(book().await["dispute"]["deadline"], json!(deadline));
    assert_eq!(o.town.differences().await, Vec::<String>::new());
}

#[sqlx::test]
async fn what_waits_is_listed_oldest_first(pool: PgPool) {
    let o = office(pool).await;
    let waiting = async |query: &str| {
        let list = o.town.json(&format!("/claims{query}")).await;
        let ids: Vec<i64> = list["claims"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["id"].as_i64().unwrap())
            .collect();
        (ids, list["next"].clone())
    };
    assert_eq!(waiting("").await, (vec![], Value::Null));
    let number = |v: Value| v.as_i64().unwrap();
    let first = number(newest(&o.claim(&o.clerk, "A", json!({})).await));
    assert_eq!(waiting("?disputed=true").await.0, Vec::<i64>::new());
    let second = number(newest(&o.claim(&o.clerk, "B", json!({})).await));
    let third = number(newest(&o.claim(&o.clerk, "C", json!({"role": "maintainer"})).await));
    assert_eq!(waiting("").await.0, [first, second, third]);
    assert_eq!(waiting("?disputed=true").await.0, [first, second]);
    assert_eq!(waiting("?disputed=false").await.0, [third]);
    assert_eq!(waiting("?role=maintainer").await.0, [third]);
    assert_eq!(waiting("?party=B").await.0, [second]);
    assert_eq!(waiting("?limit=2").await, (vec![first, second], json!(second)));
    assert_eq!(
        waiting(&format!("?limit=2&cursor={second}")).await,
        (vec![third], Value::Null)
    );
    o.act(&o.other, &json!(third), json!({"act": "review"})).await;
    assert_eq!(waiting("?stage=reviewed").await.0, [third]);
    assert_eq!(waiting("?overdue=true").await.0, Vec::<i64>::new());
    o.town
        .sql("alter table dispute disable trigger user; update dispute set arisen = '2020-01-01', deadline = '2020-02-01'; alter table dispute enable trigger user")
        .await;
    assert_eq!(waiting("?overdue=true").await.0, [first, second]);
    o.act(&o.judge, &json!(third), json!({"act": "confirm"})).await;
    o.act(&o.clerk, &json!(second), json!({"act": "withdraw"})).await;
    assert_eq!(
        waiting("").await.0,
        [first],
        "what is decided or withdrawn waits for nobody"
    );
    assert_eq!(o.town.get("/claims?stage=open,lost&party=谁").await.status, 400);

    // What one may not see waits for others.
    let gas = o.town.class("CJT214-2007", "0111").await;
    let cover = o.town.add(&[Draft::new(gas, point(117.2, 39.1))]).await[0];
    let sql = format!(
        "insert into motion (component, role, kind, parties, first_day, evidence, stage, handed_in_by)
         values ({cover}, 'owner', 'claim', array[1], '2020-01-01', '{{}}', 'open', 'x')"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&o.town.pool)
        .await
        .unwrap();
    assert_eq!(waiting("").await.0, [first]);
}
