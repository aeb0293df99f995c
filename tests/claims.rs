//! Claims through the door: handed in, reviewed, decided, disputed, ruled; by three persons, with evidence, seen on the map at once.

use axum::http::Method;
use lamppost::domain::word::Access;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, Dice, Town, town};

/// Three persons and an adjudicator more.
pub struct Office {
    pub town: Town,
    pub clerk: String,
    pub other: String,
    pub judge: String,
    pub lamp: i64,
}

pub async fn office(pool: PgPool) -> Office {
    let town = town(pool).await;
    town.sql("insert into party (code, name, aliases) values ('A', '河西区照明所', '{照明所}'), ('B', '水务公司', '{}'), ('C', '交管局', '{}')")
        .await;
    let lamp = town.lamps(&[(117.2, 39.1)]).await[0];
    town.settle().await;
    let token = async |name: &str, access| town.state.store.add_token(name, access).await.unwrap();
    Office {
        clerk: token("张经办", Access::Clerk).await,
        other: token("李审核", Access::Clerk).await,
        judge: token("王审批", Access::Adjudicator).await,
        lamp,
        town,
    }
}

impl Office {
    pub async fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        self.town.send(Method::POST, path, &headers, &body.to_string()).await
    }

    pub async fn claim(&self, token: &str, party: &str, more: Value) -> Answer {
        let mut body = json!({"role": "owner", "parties": [party], "from": "2020-01-01",
            "evidence": [{"kind": "竣工验收资料", "number": "津路灯〔2019〕7号", "issuer": "市政工程质监站", "date": "2019-12-20"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let path = format!("/components/{}/claims", self.lamp);
        self.post(token, &path, &body).await
    }

    pub async fn act(&self, token: &str, no: &Value, body: Value) -> Answer {
        self.post(token, &format!("/claims/{no}"), &body).await
    }

    /// How the owner stands in the feature, in the book, and who it is.
    async fn owner(&self) -> String {
        let lamp = self.lamp;
        let item = self.town.json(&format!("/collections/lamps/items/{lamp}")).await;
        let book = self.town.json(&format!("/components/{lamp}/claims")).await;
        let (p, b) = (&item["properties"], &book["roles"]["owner"]);
        assert_eq!(p["ownership_status"], b["status"]);
        let word = |v: &Value| v.as_str().unwrap_or("-").to_owned();
        format!("{} {}", word(&b["status"]), word(&p["owner"]))
    }
}

pub fn newest(answer: &Answer) -> Value {
    assert!(answer.status.is_success(), "{}", String::from_utf8_lossy(&answer.bytes));
    answer.json()["book"]["claims"].as_array().unwrap().last().unwrap()["id"].clone()
}

#[sqlx::test]
async fn a_lamp_goes_from_nobody_through_a_dispute_to_a_transfer(pool: PgPool) {
    let o = office(pool).await;
    let (clerk, other, judge) = (&o.clerk, &o.other, &o.judge);
    assert_eq!(o.owner().await, "unsurveyed -");
    let made = o.claim(clerk, "照明所", json!({})).await;
    assert_eq!(made.status, 201);
    assert!(made.header("lamppost-revision").parse::<i64>().is_ok());
    let first = newest(&made);
    assert!(made.header("location").ends_with(&format!("/claims/{first}")));
    assert_eq!(o.owner().await, "proposed -");

    // Three persons, in their order.
    let refused = async |token: &str, act: &str, status: u16| {
        let answer = o.act(token, &first, json!({"act": act})).await;
        assert_eq!(
            answer.status,
            status,
            "{act}: {}",
            String::from_utf8_lossy(&answer.bytes)
        );
    };
    refused(judge, "confirm", 409).await;
    refused(clerk, "review", 409).await;
    refused(other, "confirm", 403).await;
    assert_eq!(o.act(other, &first, json!({"act": "review"})).await.status, 200);
    refused(other, "review", 409).await;
    assert_eq!(
        o.act(judge, &first, json!({"act": "confirm", "reason": "证据充分"}))
            .await
            .status,
        200
    );
    assert_eq!(o.owner().await, "confirmed A");
    refused(judge, "confirm", 409).await;

    // Another one claims it: a dispute, which blocks a transfer and is ruled.
    let second = newest(&o.claim(clerk, "B", json!({"from": "2022-05-01"})).await);
    assert_eq!(o.owner().await, "disputed A");
    assert_eq!(o.claim(clerk, "C", json!({"kind": "transfer"})).await.status, 409);
    assert_eq!(o.act(other, &second, json!({"act": "review"})).await.status, 200);
    assert_eq!(
        o.act(judge, &second, json!({"act": "confirm"})).await.status,
        409,
        "a ruling decides"
    );
    assert_eq!(
        o.act(judge, &second, json!({"act": "rule", "reason": "合同在先"}))
            .await
            .status,
        200
    );
    assert_eq!(o.owner().await, "confirmed B");

    // Handed over from a day on; before it the former owner stands in the timeline.
    let third = newest(
        &o.claim(clerk, "C", json!({"kind": "transfer", "from": "2023-01-01"}))
            .await,
    );
    assert_eq!(o.act(other, &third, json!({"act": "review"})).await.status, 200);
    let done = o.act(judge, &third, json!({"act": "confirm"})).await.json();
    assert_eq!(o.owner().await, "confirmed C");
    let days: Vec<String> = done["book"]["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| format!("{} {} {}", s["parties"][0]["code"], s["from"], s["to"]).replace('"', ""))
        .collect();
    assert_eq!(
        days,
        [
            "A 2020-01-01 2022-04-30",
            "B 2022-05-01 2022-12-31",
            "C 2023-01-01 null"
        ]
    );

    // Who did what stands in the history, and every step of a claim with its revision.
    let history = o.town.json(&format!("/components/{}/history", o.lamp)).await;
    assert_eq!(history["versions"][0]["by"], "王审批");
    let steps: i64 = sqlx::query_scalar("select count(*) from motion_step s join revision r using (txn)")
        .fetch_one(&o.town.pool)
        .await
        .unwrap();
    assert_eq!(steps, 9);
    let mut handed_over = Vec::new();
    let part = lamppost::store::handover::Part::Claims;
    let keep = |piece: &[u8]| {
        handed_over.extend_from_slice(piece);
        Ok(())
    };
    o.town.state.store.hand_over(part, keep).await.unwrap();
    let rows: Vec<csv::StringRecord> = csv::Reader::from_reader(&handed_over[..])
        .records()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        rows.iter().map(|r| &r[4]).collect::<Vec<_>>(),
        ["河西区照明所", "水务公司", "交管局"]
    );
    assert!(rows[1][15].contains("合同在先") && rows[0][14].contains("津路灯〔2019〕7号"));
    assert!(o.town.differences().await.is_empty());
}

#[sqlx::test]
async fn a_holding_that_begins_later_or_is_over_is_not_todays(pool: PgPool) {
    let o = office(pool).await;
    let decided = async |more: Value| {
        let no = newest(&o.claim(&o.clerk, "A", more).await);
        o.act(&o.other, &no, json!({"act": "review"})).await;
        assert_eq!(o.act(&o.judge, &no, json!({"act": "confirm"})).await.status, 200);
    };
    decided(json!({"role": "maintainer", "from": "2999-01-01"})).await;
    decided(json!({"role": "authority", "from": "2001-01-01", "to": "2999-12-31"})).await;
    let item = o.town.json(&format!("/collections/lamps/items/{}", o.lamp)).await;
    let p = &item["properties"];
    assert_eq!((&p["maintainer"], &p["authority"]), (&Value::Null, &json!("A")));
    let book = o.town.json(&format!("/components/{}/claims", o.lamp)).await;
    assert_eq!(book["roles"]["maintainer"]["timeline"][0]["from"], "2999-01-01");
    assert_eq!(book["roles"]["owner"]["claims"], json!([]));
}

#[sqlx::test]
async fn what_is_wrong_with_a_claim_is_told_all_at_once_and_nothing_is_kept(pool: PgPool) {
    let o = office(pool).await;
    let path = format!("/components/{}/claims", o.lamp);
    let wrong = json!({"role": "landlord", "kind": "wish", "parties": ["照明所", "谁"], "from": "1 May", "to": 5,
        "evidence": [{"number": "7"}], "colour": "red"});
    let answer = o.post(&o.clerk, &path, &wrong).await;
    assert_eq!(answer.status, 422);
    let body = answer.json();
    let mut at: Vec<&str> = body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|e| e["pointer"].as_str())
        .collect();
    at.sort_unstable();
    assert_eq!(
        at,
        ["/colour", "/evidence/0", "/from", "/kind", "/parties/1", "/role", "/to"]
    );
    for (body, status) in [
        (json!({"role": "owner", "parties": [], "from": "2020-01-01"}), 409),
        (
            json!({"role": "owner", "parties": ["A"], "from": "2020-01-01", "to": "2019-01-01"}),
            409,
        ),
        (
            json!({"role": "owner", "kind": "designation", "parties": ["A"], "from": "2020-01-01"}),
            409,
        ),
    ] {
        assert_eq!(o.post(&o.clerk, &path, &body).await.status, status, "{body}");
    }
    let nothing: i64 = sqlx::query_scalar("select count(*) from motion")
        .fetch_one(&o.town.pool)
        .await
        .unwrap();
    assert_eq!((nothing, o.owner().await.as_str()), (0, "unsurveyed -"));
    // Without evidence it can be claimed, and not be confirmed.
    let bare = newest(&o.claim(&o.clerk, "A", json!({"evidence": []})).await);
    o.act(&o.other, &bare, json!({"act": "review"})).await;
    assert_eq!(o.act(&o.judge, &bare, json!({"act": "confirm"})).await.status, 409);
    for sql in [
        "update motion set stage = 'confirmed', decided_by = 'x'",
        "update motion set stage = 'confirmed', evidence = '{1}', decided_by = handed_in_by",
        "delete from motion",
    ] {
        let done = sqlx::query(sql).execute(&o.town.pool).await;
        assert!(done.is_err(), "{sql}");
    }
    let no_one = o.town.send(Method::POST, &path, &[], "{}").await;
    assert_eq!(no_one.status, 401);
    assert_eq!(o.act(&o.judge, &json!(99), json!({"act": "review"})).await.status, 404);
    assert_eq!(o.act(&o.judge, &bare, json!({"act": "announce"})).await.status, 422);
    assert_eq!(o.act(&o.other, &bare, json!({"act": "withdraw"})).await.status, 403);
    assert_eq!(o.act(&o.clerk, &bare, json!({"act": "withdraw"})).await.status, 200);
    assert_eq!(o.owner().await, "unsurveyed -");
}

#[sqlx::test]
async fn claims_on_a_restricted_class_are_seen_by_nobody(pool: PgPool) {
    let o = office(pool).await;
    let no = newest(&o.claim(&o.clerk, "A", json!({})).await);
    o.town
        .sql("update class set restricted = true where code = '0118'")
        .await;
    o.town.settle().await;
    let path = format!("/components/{}/claims", o.lamp);
    assert_eq!(o.town.get(&path).await.status, 404);
    assert_eq!(o.claim(&o.clerk, "B", json!({})).await.status, 404);
    assert_eq!(o.act(&o.judge, &no, json!({"act": "review"})).await.status, 404);
    assert_eq!(o.town.get("/components/12345/claims").await.status, 404);
    assert_eq!(o.town.get("/components/x/claims").await.status, 404);
}

/// A source delivers the lamp, somebody else is decided to own it, and the source goes on saying what it says.
#[sqlx::test]
async fn no_delivery_replaces_what_was_decided(pool: PgPool) {
    let mut o = office(pool).await;
    let (store, town) = (o.town.state.store.clone(), o.town.pool.clone());
    let deliver = async |owner: &str, note: &str, overwrite: bool| {
        let mapping = "source = 'a'\nkey = 'k'\nx = 'x'\ny = 'y'\nclass = { value = 'CJT214-2007/0118' }\nowner = 'owner'\n[fields]\nnote = 'note'";
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("a.csv");
        std::fs::write(&file, format!("k,x,y,owner,note\n1,117.3,39.2,{owner},{note}\n")).unwrap();
        let options = lamppost::delivery::Options {
            mapping: Some(mapping.into()),
            rejects: scratch.path().join("r"),
            changes: scratch.path().join("c"),
            overwrite,
            ..Default::default()
        };
        let r = lamppost::delivery::deliver(&store, &file, &options, &|_, _| {})
            .await
            .unwrap();
        format!(
            "{} added, {} changed, {} kept, {} refused",
            r.tally.added, r.tally.changed, r.tally.kept, r.rejected
        )
    };
    assert_eq!(deliver("A", "", false).await, "1 added, 0 changed, 0 kept, 0 refused");
    o.lamp = sqlx::query_scalar("select id from component where source = 'a'")
        .fetch_one(&town)
        .await
        .unwrap();
    o.town.settle().await;
    assert_eq!(o.owner().await, "proposed A");
    let no = newest(&o.claim(&o.clerk, "B", json!({})).await);
    o.act(&o.other, &no, json!({"act": "review"})).await;
    assert_eq!(o.act(&o.judge, &no, json!({"act": "confirm"})).await.status, 200);
    assert_eq!(deliver("A", "", false).await, "0 added, 0 changed, 1 kept, 0 refused");
    assert_eq!(deliver("C", "", false).await, "0 added, 0 changed, 0 kept, 1 refused");
    assert_eq!(deliver("C", "", true).await, "0 added, 0 changed, 0 kept, 1 refused");
    assert_eq!(deliver("B", "new", true).await, "0 added, 1 changed, 0 kept, 0 refused");
    o.town.settle().await;
    assert_eq!(o.owner().await, "confirmed B");
}

/// What a clerk would find by leafing through the decisions: the last one made by then that covers the day.
type Decided = Vec<(chrono::DateTime<chrono::Utc>, &'static str, i64, Option<i64>)>;

#[sqlx::test]
async fn who_is_responsible_is_what_leafing_through_the_decisions_finds(pool: PgPool) {
    let o = office(pool).await;
    let mut dice = Dice::new(5);
    let day = |n: i64| chrono::NaiveDate::from_ymd_opt(2024, 1, 1).unwrap() + chrono::Duration::days(n);
    let path = format!("/components/{}/responsible", o.lamp);
    o.town
        .sql("update component set owner = (select id from party where code = 'C')")
        .await;
    o.town.settle().await;
    let mut decided: Decided = Vec::new();
    let mut moments = vec![chrono::Utc::now()];
    for n in 0..12 {
        let (party, from) = (["A", "B", "C"][dice.below(3)], dice.below(60) as i64);
        let to = (dice.below(2) == 0).then(|| from + dice.below(20) as i64);
        let no = newest(
            &o.claim(&o.clerk, party, json!({"from": day(from), "to": to.map(day)}))
                .await,
        );
        assert_eq!(o.act(&o.other, &no, json!({"act": "review"})).await.status, 200);
        let act = if n == 0 || o.owner().await.starts_with("proposed") {
            "confirm"
        } else {
            "rule"
        };
        let answer = o.act(&o.judge, &no, json!({"act": act})).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
        let recorded: chrono::DateTime<chrono::Utc> = sqlx::query_scalar("select max(recorded) from revision")
            .fetch_one(&o.town.pool)
            .await
            .unwrap();
        decided.push((recorded, party, from, to));
        moments.extend([recorded, chrono::Utc::now()]);
    }
    for _ in 0..200 {
        let (on, known) = (dice.below(100) as i64 - 10, moments[dice.below(moments.len())]);
        let known_then = || decided.iter().filter(|d| d.0 <= known);
        let covers =
            |d: &&(chrono::DateTime<chrono::Utc>, &str, i64, Option<i64>)| d.2 <= on && d.3.is_none_or(|to| on <= to);
        let expected = match known_then().rfind(covers) {
            Some(d) => json!(d.1),
            // Before anything was decided the register itself named one.
            None if known_then().all(|d| on < d.2) => json!("C"),
            None => Value::Null,
        };
        let moment = known.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let said = o.town.json(&format!("{path}?on={}&known={moment}", day(on))).await;
        assert_eq!(
            said["roles"]["owner"]["parties"][0]["code"],
            expected,
            "{} {known} {decided:?}",
            day(on)
        );
    }
    // The same by code and by place; nobody is named who is not there.
    o.town
        .sql("update component set scheme = 'CJT214-2007', code = '1201030118000001'")
        .await;
    o.town.settle().await;
    let now = o.town.json(&path).await;
    let same = async |query: &str| o.town.json(&format!("/responsible?{query}")).await["components"].clone();
    assert_eq!(same("code=1201030118000001").await, json!([now]));
    assert_eq!(same("point=117.2,39.1&within=5&class=0118").await, json!([now]));
    assert_eq!(same("point=117.2,39.1&class=0101").await, json!([]));
    for (query, status) in [
        ("", 400),
        ("code=1&point=1,1", 400),
        ("code=1&on=May", 400),
        ("code=1&known=x", 400),
        ("point=1,1&within=9999", 400),
    ] {
        assert_eq!(
            o.town.get(&format!("/responsible?{query}")).await.status,
            status,
            "{query}"
        );
    }
    assert_eq!(
        o.town.get(&format!("{path}?known=1999-01-01")).await.status,
        404,
        "it was not registered then"
    );
}

#[sqlx::test]
async fn what_begins_and_ends_by_itself_is_written_down_once_at_the_turn_of_the_day(pool: PgPool) {
    let o = office(pool).await;
    let today = lamppost::calendar::today();
    let day = |n: u64| today + chrono::Days::new(n);
    let reviewed = async |more: Value| {
        let no = newest(&o.claim(&o.clerk, "A", more).await);
        assert_eq!(o.act(&o.other, &no, json!({"act": "review"})).await.status, 200);
        no
    };
    let announced = reviewed(json!({"from": day(0)})).await;
    assert_eq!(
        o.act(&o.judge, &announced, json!({"act": "announce", "until": day(2)}))
            .await
            .status,
        200
    );
    let later = reviewed(json!({"role": "maintainer", "from": day(5), "to": day(6)})).await;
    assert_eq!(o.act(&o.judge, &later, json!({"act": "confirm"})).await.status, 200);
    let store = &o.town.state.store;
    let mut seen = Vec::new();
    for n in [0, 2, 3, 4, 5, 6, 7, 9] {
        // As two nodes do, at the same moment.
        let (a, b) = tokio::join!(
            lamppost::calendar::turn(store, day(n)),
            lamppost::calendar::turn(store, day(n))
        );
        let turned = a.unwrap() + b.unwrap();
        o.town.settle().await;
        let maintainer = o.town.json_of(o.lamp, "maintainer").await;
        seen.push(format!(
            "{n}: {turned} {} {}",
            o.owner().await,
            maintainer.as_str().unwrap_or("-")
        ));
    }
    assert_eq!(
        seen.join("\n"),
        "0: 0 proposed - -\n2: 0 proposed - -\n3: 1 confirmed A -\n4: 0 confirmed A -\n5: 1 confirmed A A\n\
         6: 0 confirmed A A\n7: 1 confirmed A -\n9: 0 confirmed A -"
    );
    let history = o.town.json(&format!("/components/{}/history", o.lamp)).await;
    assert_eq!(history["versions"][0]["by"], "lamppost");
    // After a standstill all of it at once.
    assert!(o.town.differences().await.is_empty());
}
