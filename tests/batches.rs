//! The same act on many roles: from a sheet that an office has filled in, reviewed and confirmed by two more persons, and undone as one.

use axum::http::Method;
use lamppost::domain::grant::{Grant, Rights};
use lamppost::domain::word::Access;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, Town, town};

struct Office {
    town: Town,
    clerk: String,
    other: String,
    judge: String,
    lamps: Vec<i64>,
}

async fn office(pool: PgPool, lamps: usize) -> Office {
    let town = town(pool).await;
    town.sql(
        "insert into party (code, name, aliases) values ('A', '河西区照明所', '{照明所}'), ('B', '水务公司', '{}')",
    )
    .await;
    let at: Vec<(f64, f64)> = (0..lamps).map(|i| (117.2 + i as f64 * 1e-4, 39.1)).collect();
    let lamps = town.lamps(&at).await;
    let token = async |name: &str, access| town.state.store.add_token(name, access).await.unwrap();
    Office {
        clerk: token("张经办", Access::Clerk).await,
        other: token("李审核", Access::Clerk).await,
        judge: token("王审批", Access::Adjudicator).await,
        lamps,
        town,
    }
}

impl Office {
    async fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        self.town.send(Method::POST, path, &headers, &body.to_string()).await
    }

    async fn batch(&self, token: &str, body: Value) -> Answer {
        self.post(token, "/claims/batches", &body).await
    }

    async fn sheet(&self, name: &str, sheet: &str, settings: Value) -> Answer {
        let body = format!(
            "--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{sheet}\r\n--xx\r\nContent-Disposition: form-data; name=\"settings\"\r\n\r\n{settings}\r\n--xx--\r\n"
        );
        let bearer = format!("Bearer {}", self.clerk);
        let kind = ("content-type", "multipart/form-data; boundary=xx");
        self.town
            .send(
                Method::POST,
                "/claims/batches",
                &[("authorization", &bearer), kind],
                &body,
            )
            .await
    }

    /// Version, status and owner of each lamp.
    async fn stand(&self) -> Vec<(i64, String, Option<String>)> {
        let sql = "select c.version, c.ownership_status, p.code from component c left join party p on p.id = c.owner order by c.id";
        sqlx::query_as(sql).fetch_all(&self.town.pool).await.unwrap()
    }

    /// How many lamps the tile of all of them shows in each status.
    async fn map(&self) -> Value {
        let list = async |status: &str| {
            let path = format!("/collections/lamps/items?limit=0&filter=ownership_status='{status}'");
            self.town.json(&path).await["numberMatched"].clone()
        };
        json!([
            list("unsurveyed").await,
            list("proposed").await,
            list("confirmed").await
        ])
    }
}

fn all(version: i64, status: &str, owner: Option<&str>, n: usize) -> Vec<(i64, String, Option<String>)> {
    vec![(version, status.to_owned(), owner.map(str::to_owned)); n]
}

/// The list goes out, comes back filled in, and 60 lamps are settled by three persons in three batches: one version each.
#[sqlx::test]
async fn a_sheet_that_an_office_has_filled_in_settles_its_lamps(pool: PgPool) {
    let o = office(pool, 60).await;
    let list = o
        .town
        .get("/collections/lamps/items?f=csv&names=headings&sheet=claims")
        .await;
    let text = String::from_utf8(list.bytes).unwrap();
    let mut rows = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let header = rows.headers().unwrap().clone();
    let place = |name: &str| {
        header
            .iter()
            .position(|h| h == name)
            .unwrap_or_else(|| panic!("{name} in {header:?}"))
    };
    let (owner, paper, from) = (place("权属单位"), place("文号"), place("起始日期"));
    let mut filled = csv::Writer::from_writer(Vec::new());
    filled.write_record(&header).unwrap();
    for (i, row) in rows.records().enumerate() {
        let mut row: Vec<String> = row.unwrap().iter().map(str::to_owned).collect();
        if i < 50 {
            row[owner] = if i % 2 == 0 {
                "照明所".into()
            } else {
                "河西区照明所、水务公司".into()
            };
            row[paper] = if i < 40 {
                "津路灯〔2019〕7号".into()
            } else {
                "津路灯〔2020〕1号".into()
            };
            row[from] = "2020/1/1".into();
        }
        filled.write_record(&row).unwrap();
    }
    let filled = String::from_utf8(filled.into_inner().unwrap()).unwrap();
    let tried = o.sheet("清单.csv", &filled, json!({"dry_run": true})).await;
    assert_eq!(tried.status, 200, "{}", tried.json());
    assert_eq!(
        tried.json(),
        json!({"batch": null, "dry_run": true, "components": 50, "blank": 10, "faults": 0, "listed": []})
    );
    assert_eq!(
        o.stand().await,
        all(1, "unsurveyed", None, 60),
        "a trial writes nothing"
    );
    let papers: i64 = sqlx::query_scalar("select count(*) from evidence")
        .fetch_one(&o.town.pool)
        .await
        .unwrap();
    assert_eq!(papers, 0);

    let made = o.sheet("清单.csv", &filled, json!({"reason": "照明所报送"})).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let batch = made.json()["batch"].clone();
    let mut expected = all(2, "proposed", None, 50);
    expected.extend(all(1, "unsurveyed", None, 10));
    assert_eq!(o.stand().await, expected);
    assert_eq!(o.map().await, json!([10, 50, 0]));
    let book = o.town.json(&format!("/components/{}/claims", o.lamps[1])).await;
    let claim = &book["roles"]["owner"]["claims"][0];
    assert_eq!(claim["parties"].as_array().unwrap().len(), 2, "{claim}");
    assert_eq!(claim["evidence"][0]["number"], "津路灯〔2019〕7号");
    let papers: i64 = sqlx::query_scalar("select count(*) from evidence")
        .fetch_one(&o.town.pool)
        .await
        .unwrap();
    assert_eq!(papers, 2, "one letter backs all that name it");

    // Nobody takes two parts, and a clerk does not decide: each is told of every lamp, and nothing is written.
    let own = o.batch(&o.clerk, json!({"act": "review", "batch": batch})).await;
    assert_eq!(own.status, 422);
    assert_eq!(own.json()["errors"].as_array().unwrap().len(), 50);
    assert_eq!(
        o.batch(&o.other, json!({"act": "confirm", "batch": batch}))
            .await
            .status,
        403
    );
    let reviewed = o.batch(&o.other, json!({"act": "review", "batch": batch})).await;
    assert_eq!(reviewed.status, 201, "{}", reviewed.json());
    assert_eq!(o.stand().await, expected, "a review is no version of the lamp");
    // Selected as a list is: what the map's filter shows.
    let list = "lamps?filter=ownership_status='proposed'";
    let tried = o
        .batch(&o.judge, json!({"act": "confirm", "list": list, "dry_run": true}))
        .await;
    assert_eq!(
        (tried.status.as_u16(), tried.json()["components"].clone()),
        (200, json!(50))
    );
    let confirmed = o
        .batch(&o.judge, json!({"act": "confirm", "list": list, "reason": "会议纪要"}))
        .await;
    assert_eq!(confirmed.status, 201, "{}", confirmed.json());
    let mut settled = all(3, "confirmed", Some("A"), 50);
    settled.extend(all(1, "unsurveyed", None, 10));
    assert_eq!(o.stand().await, settled);
    assert_eq!(o.map().await, json!([10, 0, 50]));
    let revision = confirmed.header("lamppost-revision").parse::<i64>().unwrap();
    let changed: i64 = sqlx::query_scalar(
        "select count(*) from change where entity = 'component' and txn = (select txn from revision where number = $1)",
    )
    .bind(revision)
    .fetch_one(&o.town.pool)
    .await
    .unwrap();
    assert_eq!(changed, 50, "one change each");

    // Since then somebody has edited one and claimed another.
    o.town
        .set_state(o.lamps[3], lamppost::domain::word::State::Damaged)
        .await;
    let claim = json!({"role": "owner", "parties": ["B"], "from": "2021-01-01"});
    let path = format!("/components/{}/claims", o.lamps[4]);
    assert_eq!(o.post(&o.clerk, &path, &claim).await.status, 201);
    let no = confirmed.json()["batch"].clone();
    let path = format!("/claims/batches/{no}/undo");
    assert_eq!(o.post(&o.other, &path, &json!({})).await.status, 403);
    let undone = o.post(&o.judge, &path, &json!({})).await;
    assert_eq!(undone.status, 200, "{}", undone.json());
    let left: Vec<i64> = undone.json()["listed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["component"].as_i64().unwrap())
        .collect();
    assert_eq!(
        (undone.json()["undone"].clone(), left),
        (json!(48), vec![o.lamps[3], o.lamps[4]])
    );
    let now = o.stand().await;
    for (i, now) in now.iter().enumerate() {
        let right = match i {
            3 => (4, "confirmed".to_owned(), Some("A".to_owned())),
            4 => (4, "disputed".to_owned(), Some("A".to_owned())),
            0..50 => (4, "proposed".to_owned(), None),
            _ => (1, "unsurveyed".to_owned(), None),
        };
        assert_eq!(*now, right, "lamp {i}");
    }
    assert_eq!(o.post(&o.judge, &path, &json!({})).await.status, 409);
    // What was known then is known still: who held it as of then, and who does as of now.
    let responsible = async |known: &str| {
        let path = format!("/components/{}/responsible?on=2026-01-01{known}", o.lamps[0]);
        o.town.json(&path).await["roles"]["owner"]["parties"].clone()
    };
    assert_eq!(responsible("").await, json!([]));
    let when: chrono::DateTime<chrono::Utc> = sqlx::query_scalar("select recorded from revision where number = $1")
        .bind(revision)
        .fetch_one(&o.town.pool)
        .await
        .unwrap();
    let known = format!("&known={}", when.to_rfc3339().replace('+', "%2B"));
    assert_eq!(responsible(&known).await[0]["code"], "A");
    // And it can be decided again.
    let again = o
        .batch(&o.judge, json!({"act": "confirm", "components": o.lamps[..3]}))
        .await;
    assert_eq!(again.status, 201, "{}", again.json());
    assert_eq!(o.stand().await[..3], all(5, "confirmed", Some("A"), 3));
    assert!(o.town.differences().await.is_empty());
}

#[sqlx::test]
async fn what_is_wrong_with_a_sheet_is_told_row_by_row_and_nothing_is_written(pool: PgPool) {
    let o = office(pool, 3).await;
    let [a, b, c] = o.lamps[..] else { panic!() };
    let sheet = format!(
        "编号,权属单位,文号,起始日期,截止日期\n{a},照明局,7号,2020-01-01,\n{b},照明所,,2020-01-01,\n{c},照明所,7号,去年,\n999,照明所,7号,2020-01-01,\n{a},照明所,7号,2020-01-01,2019-01-01\n{b},照明所,7号,2020-01-01,\n{b},照明所,7号,2020-01-01,\n,,,,\n"
    );
    let refused = o.sheet("a.csv", &sheet, json!({})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.json()["errors"][0]["pointer"].clone()),
        (422, json!("/rows/2"))
    );
    let answer = o.sheet("a.csv", &sheet, json!({"dry_run": true})).await.json();
    let rows: Vec<i64> = answer["listed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["row"].as_i64().unwrap())
        .collect();
    assert_eq!(rows, [2, 3, 4, 5, 6, 8], "{answer:#}");
    assert!(
        answer["listed"][0]["detail"]["zh"].as_str().unwrap().contains("照明所"),
        "it names the nearest: {answer}"
    );
    assert_eq!(
        (&answer["faults"], &answer["blank"], &answer["batch"]),
        (&json!(6), &json!(1), &json!(null))
    );
    assert_eq!(o.stand().await, all(1, "unsurveyed", None, 3));
    let missing = o.sheet("a.csv", "编号,名称\n1,x\n", json!({})).await;
    assert_eq!(
        (
            missing.status.as_u16(),
            missing.json()["errors"].as_array().unwrap().len()
        ),
        (400, 3)
    );
    let bad = o
        .sheet("a.csv", &sheet, json!({"role": "king", "dry_run": 1, "x": 1}))
        .await;
    assert_eq!(
        (bad.status.as_u16(), bad.json()["errors"].as_array().unwrap().len()),
        (422, 3)
    );
    for (body, status) in [
        (json!({"act": "review"}), 422),
        (json!({"act": "dance", "components": [1]}), 422),
        (json!({"act": "review", "components": [1], "batch": 2}), 422),
        (json!({"act": "review", "components": []}), 422),
        (json!({"act": "review", "list": "lambs"}), 404),
        (json!({"act": "review", "list": "lamps?nonsense=1"}), 400),
        (json!({"act": "announce", "components": [1]}), 422),
        (json!({"act": "review", "components": [a]}), 422),
        (json!({"components": [a], "parties": ["Z"], "from": "2020-01-01"}), 422),
    ] {
        let answer = o.batch(&o.judge, body.clone()).await;
        assert_eq!(
            answer.status,
            status,
            "{body}: {}",
            String::from_utf8_lossy(&answer.bytes)
        );
    }
    assert_eq!(
        o.post(&o.judge, "/claims/batches/77/undo", &json!({})).await.status,
        404
    );
}

/// Undone from the last to the first, every batch leaves what was there before it; what was brought along comes back too.
#[sqlx::test]
async fn undone_one_after_the_other_everything_is_as_it_was(pool: PgPool) {
    let o = office(pool, 8).await;
    o.town
        .sql("update component set owner = (select id from party where code = 'B'), ownership_status = 'proposed' where id % 2 = 0")
        .await;
    let facts = async || {
        let sql = "select jsonb_agg(jsonb_build_array(c.id, c.owner, c.ownership_status, (select jsonb_agg(jsonb_build_array(m.stage, m.reviewed_by, m.decided_by) order by m.id)
            from motion m where m.component = c.id and m.stage <> 'withdrawn')) order by c.id) from component c";
        sqlx::query_scalar::<_, Value>(sql)
            .fetch_one(&o.town.pool)
            .await
            .unwrap()
    };
    let claim = |party: &str, from: &str| json!({"components": o.lamps, "parties": [party], "from": from, "evidence": [{"kind": "设施清单"}]});
    let mut steps = vec![facts().await];
    let mut batches = Vec::new();
    let acts = [
        (&o.clerk, claim("A", "2020-01-01")),
        (&o.other, json!({"act": "review", "components": o.lamps})),
        (&o.judge, json!({"act": "confirm", "components": o.lamps})),
        (&o.clerk, claim("B", "2022-01-01")),
        (&o.other, json!({"act": "review", "components": o.lamps})),
        (&o.judge, json!({"act": "reject", "components": o.lamps})),
    ];
    for (token, body) in acts {
        let made = o.batch(token, body).await;
        assert_eq!(made.status, 201, "{}", made.json());
        batches.push(made.json()["batch"].clone());
        steps.push(facts().await);
    }
    steps.pop();
    while let (Some(batch), Some(before)) = (batches.pop(), steps.pop()) {
        let undone = o
            .post(&o.judge, &format!("/claims/batches/{batch}/undo"), &json!({}))
            .await;
        assert_eq!(
            (undone.status.as_u16(), undone.json()["undone"].clone()),
            (200, json!(8)),
            "{}",
            undone.json()
        );
        assert_eq!(facts().await, before, "batch {batch}");
    }
}

/// A batch reaches nothing that its maker could not act on one by one.
#[sqlx::test]
async fn a_batch_stays_within_rights_and_bounds(pool: PgPool) {
    let o = office(pool, 4).await;
    o.town
        .sql("update class set restricted = true where code = '0111'")
        .await;
    let gas = o.town.class("CJT214-2007", "0111").await;
    let draft = lamppost::domain::component::Draft::new(gas, crate::support::point(117.2, 39.2));
    let gas_cover = o.town.add(&[draft]).await[0];
    let claim = |ids: &[i64]| json!({"components": ids, "parties": ["A"], "from": "2020-01-01", "dry_run": true});
    let hidden = o.batch(&o.clerk, claim(&[gas_cover])).await.json();
    let nothing = o.batch(&o.clerk, claim(&[99_999])).await.json();
    assert_eq!(
        hidden.to_string().replace(&gas_cover.to_string(), "99999"),
        nothing.to_string()
    );
    let seeing = Grant {
        rights: Rights::to([gas]),
        ..Grant::of("看得见", Access::Clerk)
    };
    let seeing = o.town.state.store.issue(&seeing).await.unwrap();
    assert_eq!(o.batch(&seeing, claim(&[gas_cover])).await.json()["components"], 1);
    let names = o.town.state.store.party_names().await.unwrap();
    let own = Grant {
        party: Some(names["B"]),
        own_party_only: true,
        ..Grant::of("水务", Access::Clerk)
    };
    let own = o.town.state.store.issue(&own).await.unwrap();
    assert_eq!(o.batch(&own, claim(&o.lamps)).await.json()["faults"], 4);
    // A batch that reaches what its reader may not see is none to them.
    let both = json!({"components": [gas_cover, o.lamps[0]], "parties": ["A"], "from": "2020-01-01", "evidence": [{"kind": "设施清单"}]});
    let made = o.batch(&seeing, both).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let batch = made.json()["batch"].clone();
    let tried = o
        .batch(&o.other, json!({"act": "review", "batch": batch, "dry_run": true}))
        .await
        .json();
    assert_eq!(
        (tried["components"].clone(), tried["faults"].clone()),
        (json!(1), json!(0))
    );
    assert!(
        !tried.to_string().contains(&format!("\"component\":{gas_cover}")),
        "{tried}"
    );
    let undo = format!("/claims/batches/{batch}/undo");
    assert_eq!(o.post(&o.judge, &undo, &json!({})).await.status, 404);
    let rights = Rights::to([gas]);
    let bounded = Grant {
        rights: rights.clone(),
        party: Some(names["A"]),
        own_party_only: true,
        ..Grant::of("有界", Access::Adjudicator)
    };
    let bounded = o.town.state.store.issue(&bounded).await.unwrap();
    assert_eq!(o.post(&bounded, &undo, &json!({})).await.status, 403);
    let judge = Grant {
        rights,
        ..Grant::of("无界", Access::Adjudicator)
    };
    let judge = o.town.state.store.issue(&judge).await.unwrap();
    assert_eq!(o.post(&judge, &undo, &json!({})).await.status, 200);
}
