//! `/imports`: a delivery as the page sends it.

use axum::http::Method;
use lamppost::delivery::desk::{Desk, Limits};
use lamppost::domain::word::Access;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{Scratch, one};
use crate::support::{Answer, Town, town_with};

/// Lamps as a district delivers them, with an office that the register knows by another name.
fn lamps(rows: usize) -> String {
    let mut out = String::from("部件编号,部件名称,经度,纬度,状态,权属单位,灯型,备注\n");
    for i in 0..rows {
        let owner = if i % 2 == 0 {
            "河西区城市管理委员会"
        } else {
            "区城管委"
        };
        let lon = 117.2 + i as f64 * 1e-4;
        out += &format!("L{i:05},路灯,{lon:.5},39.1,完好,{owner},高杆,\n");
    }
    out
}

struct Sender {
    town: Town,
    bearer: String,
    scratch: Scratch,
}

impl Sender {
    async fn new(pool: PgPool, name: &str, limits: Limits) -> Sender {
        let scratch = Scratch::new(name);
        let desk = Desk::open(&scratch.0.join("imports"), limits).await.unwrap();
        let town = town_with(pool, |app| app.desk = desk).await;
        sqlx::query("insert into party (code, name) values ('hx', '河西区城市管理委员会')")
            .execute(&town.pool)
            .await
            .unwrap();
        let bearer = format!("Bearer {}", town.token);
        Sender { town, bearer, scratch }
    }

    async fn send(&self, parts: &[(&str, &str)]) -> Answer {
        self.send_as(&self.bearer, parts).await
    }

    async fn send_as(&self, bearer: &str, parts: &[(&str, &str)]) -> Answer {
        let mut body = String::new();
        for (name, value) in parts {
            let file = if *name == "file" {
                "; filename=\"../路灯 2026-03.csv\""
            } else {
                ""
            };
            body += &format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n");
        }
        body += "--xx--\r\n";
        let headers = [
            ("authorization", bearer),
            ("content-type", "multipart/form-data; boundary=xx"),
        ];
        self.town.send(Method::POST, "/imports", &headers, &body).await
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let headers = [("authorization", self.bearer.as_str())];
        self.town.send(method, path, &headers, &body).await
    }

    /// The end of a run, as its events tell it.
    async fn end(&self, id: &str) -> Value {
        let answer = self
            .ask(Method::GET, &format!("/imports/{id}/events"), Value::Null)
            .await;
        assert_eq!(answer.header("content-type"), "text/event-stream");
        let told = String::from_utf8(answer.bytes).unwrap();
        let last = told.rsplit("event: end\ndata: ").next().unwrap();
        serde_json::from_str(last.trim()).unwrap_or_else(|e| panic!("{e}: {told}"))
    }

    async fn run(&self, id: &str, dry_run: bool) -> Value {
        let path = format!("/imports/{id}/runs");
        let answer = self.ask(Method::POST, &path, json!({"dry_run": dry_run})).await;
        assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.bytes));
        assert!(["waiting", "running"].contains(&answer.json()["stage"].as_str().unwrap()));
        self.end(id).await
    }
}

#[sqlx::test]
async fn a_file_is_looked_at_decided_tried_loaded_and_taken_back(pool: PgPool) {
    let s = Sender::new(pool, "http", Limits::default()).await;
    let answer = s.send(&[("file", &lamps(40))]).await;
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.bytes));
    let taken = answer.json();
    let id = taken["id"].as_str().unwrap();
    assert!(answer.header("location").ends_with(&format!("/imports/{id}")));
    assert_eq!(taken["file"], "路灯 2026-03.csv");
    assert_eq!(taken["by"], "测量员甲");
    assert_eq!(taken["seen"]["format"], "CSV");
    assert_eq!(taken["seen"]["rows"].as_array().unwrap().len(), 10);
    assert_eq!(taken["seen"]["rows"][1][5], "区城管委");
    let columns = taken["seen"]["columns"].as_array().unwrap();
    let field = |name: &str| columns.iter().find(|c| c["column"] == name).unwrap()["field"].clone();
    assert_eq!(field("权属单位"), "owner");
    assert_eq!(field("灯型"), Value::Null);

    // 路灯 is the name of a class of two dictionaries; nothing is open.
    assert_eq!(taken["stage"], "ready", "{}", taken["seen"]["open"]);
    let tried = s.run(id, true).await;
    assert_eq!(tried["stage"], "done", "{tried}");
    assert_eq!(tried["report"]["dry_run"], true);
    assert_eq!(tried["report"]["rows"]["added"], 20);
    assert_eq!(
        tried["report"]["unknown_parties"],
        json!([{"name": "区城管委", "rows": 20, "nearest": "河西区城市管理委员会"}])
    );
    assert_eq!(one::<i64>(&s.town.pool, "select count(*) from component").await, 0);

    // Settings are merged; a wrong one changes nothing, all that is wrong is told.
    let path = format!("/imports/{id}");
    let wrong = s
        .ask(
            Method::PATCH,
            &path,
            json!({"crs": "EPSG:1", "max_shrink": 101, "into": "trees"}),
        )
        .await;
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.json()["errors"].as_array().unwrap().len(), 3);
    let wrong = s.ask(Method::PATCH, &path, json!({"crss": "EPSG:4490"})).await;
    assert_eq!(wrong.json()["errors"][0]["parameter"], "crss");
    let wrong = s.ask(Method::PATCH, &path, json!({"columns": {"灯型": "lamp"}})).await;
    assert_eq!(wrong.json()["errors"][0]["parameter"], "灯型");
    let patch = json!({"aliases": {"区城管委": "河西区城市管理委员会"}, "columns": {"灯型": "note", "备注": ""}});
    let patched = s.ask(Method::PATCH, &path, patch).await.json();
    assert_eq!(patched["settings"]["crs"], Value::Null);
    assert!(patched["seen"]["mapping"].as_str().unwrap().contains("note = \"灯型\""));

    let loaded = s.run(id, false).await;
    assert_eq!(loaded["report"]["rows"]["added"], 40, "{loaded}");
    let (owned, first, by): (i64, i64, String) = sqlx::query_as(
        "select count(*), min(c.id), min(d.by) from component c join party p on p.id = c.owner cross join delivery d
         where p.code = 'hx' and c.note = '高杆'",
    )
    .fetch_one(&s.town.pool)
    .await
    .unwrap();
    assert_eq!((owned, by.as_str()), (40, "测量员甲"));
    let history = s.town.json(&format!("/components/{first}/history")).await;
    assert_eq!(history["versions"][0]["reason"], "路灯 2026-03.csv · 测量员甲");
    let list = s.ask(Method::GET, "/imports", Value::Null).await.json();
    assert_eq!(list["imports"][0]["id"], id);
    assert_eq!(list["imports"][0]["stage"], "done");

    let undone = s
        .ask(Method::POST, &format!("/imports/{id}/undo"), Value::Null)
        .await
        .json();
    assert_eq!(
        (&undone["stage"], &undone["undone"]["retired"]),
        (&json!("undone"), &json!(40))
    );
    let again = s.ask(Method::POST, &format!("/imports/{id}/undo"), Value::Null).await;
    assert_eq!(again.status, 409);
    // Taken back is not lost: the same delivery brings them in again.
    let again = s.run(id, false).await;
    assert_eq!(again["report"]["rows"]["rejected"], 0, "{again}");
    let living = one::<i64>(&s.town.pool, "select count(*) from component where state = 'intact'").await;
    assert_eq!(living, 40);

    assert_eq!(s.ask(Method::DELETE, &path, Value::Null).await.status, 204);
    assert_eq!(s.ask(Method::GET, &path, Value::Null).await.status, 404);
    assert_eq!(std::fs::read_dir(s.scratch.0.join("imports")).unwrap().count(), 0);
}

#[sqlx::test]
async fn what_must_be_decided_is_open_and_refused_rows_come_back(pool: PgPool) {
    let s = Sender::new(pool, "http-open", Limits::default()).await;
    // No class, and a row in the air.
    let file = "编号,经度,纬度\nA1,117.2,39.1\nA2,217.2,39.1\nA3,117.3,39.1\n";
    let answer = s
        .send(&[("file", file), ("run", "load"), ("settings", r#"{"lang": "en"}"#)])
        .await
        .json();
    assert_eq!(answer["stage"], "open", "{answer}");
    let id = answer["id"].as_str().unwrap();
    let path = format!("/imports/{id}");
    let early = s
        .ask(Method::POST, &format!("{path}/runs"), json!({"dry_run": false}))
        .await;
    assert_eq!(early.status, 409);
    let decided = s
        .ask(Method::PATCH, &path, json!({"class": "CJT214-2007/0301"}))
        .await
        .json();
    assert_eq!(decided["stage"], "ready", "{decided}");
    let done = s.run(id, false).await;
    assert_eq!(
        (&done["report"]["rows"]["added"], &done["report"]["rows"]["rejected"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(done["report"]["rejects"], "rejects.csv");
    let rejects = s.ask(Method::GET, &format!("{path}/rejects"), Value::Null).await;
    assert_eq!(rejects.status, 200);
    let text = String::from_utf8(rejects.bytes.clone()).unwrap();
    assert!(text.contains("A2,217.2") && !text.contains("A1,"), "{text}");
    let none = s.ask(Method::GET, &format!("{path}/changes"), Value::Null).await;
    assert_eq!(none.status, 404);

    // Of two who ask at once one is told that it is under way.
    let twice = format!("{path}/runs");
    let (a, b) = tokio::join!(
        s.ask(Method::POST, &twice, json!({"dry_run": true})),
        s.ask(Method::POST, &twice, json!({"dry_run": true}))
    );
    let mut told = [a.status.as_u16(), b.status.as_u16()];
    told.sort_unstable();
    assert_eq!(told, [202, 409]);
    s.end(id).await;

    // A mapping of one's own, and settings, in one request.
    let mapping =
        "source = \"x\"\nkey = \"编号\"\nx = \"经度\"\ny = \"纬度\"\nclass = { value = \"CJT214-2007/0301\" }\n";
    let answer = s
        .send(&[("mapping", mapping), ("file", file), ("run", "dry")])
        .await
        .json();
    let done = s.end(answer["id"].as_str().unwrap()).await;
    assert_eq!(done["report"]["rows"]["rejected"], 1, "{done}");
    assert_eq!(done["report"]["dry_run"], true);
}

#[sqlx::test]
async fn nobody_sends_or_sees_what_they_may_not(pool: PgPool) {
    let limits = Limits {
        file: 4096,
        kept: 4,
        ..Limits::default()
    };
    let s = Sender::new(pool, "http-rights", limits).await;
    let store = &s.town.state.store;
    let bearer = async |label: &str, access| format!("Bearer {}", store.add_token(label, access).await.unwrap());
    let (reader, other, admin) = (
        bearer("读者", Access::Reader).await,
        bearer("别人", Access::Surveyor).await,
        bearer("管理员", Access::Admin).await,
    );
    let small = lamps(3);
    assert_eq!(s.send_as("", &[("file", &small)]).await.status, 401);
    assert_eq!(s.send_as(&reader, &[("file", &small)]).await.status, 403);
    let id = s.send(&[("file", &small)]).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/imports/{id}");
    for (who, status) in [(&other, 404), (&admin, 200), (&s.bearer, 200)] {
        for place in [path.clone(), format!("{path}/events")] {
            let got = s
                .town
                .send(Method::GET, &place, &[("authorization", who.as_str())], "")
                .await;
            assert_eq!(got.status, status, "{place}");
        }
    }
    let got = s
        .town
        .send(Method::DELETE, &path, &[("authorization", &other)], "")
        .await;
    assert_eq!(got.status, 404);
    let got = s
        .town
        .send(Method::GET, "/imports", &[("authorization", &other)], "")
        .await;
    assert_eq!(got.json(), json!({"imports": []}));

    // What is too large, is no file, or breaks off leaves nothing behind.
    for (parts, status) in [
        (vec![("file", "x".repeat(5000))], 413),
        (vec![("file", small.clone()), ("file", small.clone())], 400),
        (vec![("file", small.clone()), ("settings", "[]".to_owned())], 400),
        (vec![("file", small.clone()), ("run", "now".to_owned())], 400),
        (vec![("fil", small.clone())], 400),
        (vec![("run", "dry".to_owned())], 400),
        (vec![("file", String::new())], 400),
        (vec![("file", "\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}".to_owned())], 400),
    ] {
        let parts: Vec<(&str, &str)> = parts.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let answer = s.send(&parts).await;
        assert_eq!(
            answer.status,
            status,
            "{parts:?}: {}",
            String::from_utf8_lossy(&answer.bytes)
        );
    }
    let headers = [
        ("authorization", s.bearer.as_str()),
        ("content-type", "multipart/form-data; boundary=xx"),
    ];
    let broken = "--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\na,b";
    assert_eq!(
        s.town.send(Method::POST, "/imports", &headers, broken).await.status,
        400
    );
    let plain = s.town.send(Method::POST, "/imports", &headers[..1], "{}").await;
    assert_eq!(plain.status, 400);
    let imports = s.scratch.0.join("imports");
    assert_eq!(std::fs::read_dir(&imports).unwrap().count(), 1);

    // Only the two lists are handed out, whatever a report says and whoever wrote it.
    let mapping = "source = \"../../../../../../etc/passwd\"\nkey = \"部件编号\"\nx = \"经度\"\ny = \"纬度\"\nclass = { value = \"CJT214-2007/0301\" }\n";
    let sly = s
        .send(&[("file", &small), ("mapping", mapping), ("run", "dry")])
        .await
        .json();
    let sly = sly["id"].as_str().unwrap();
    s.end(sly).await;
    for kind in ["source", "file", "import.json", "..%2Fimport.json"] {
        let got = s.ask(Method::GET, &format!("/imports/{sly}/{kind}"), Value::Null).await;
        assert_eq!(got.status, 404, "{kind}");
    }
    // What is no component is an administrator's.
    let areas = "into = \"areas\"\nwkt = \"wkt\"\n[fields]\ncode = \"code\"\nname = \"name\"\n";
    let shape = "code,name,wkt\n120103,甲,\"POLYGON((117 39,118 39,118 40,117 39))\"\n";
    let refused = s.send(&[("file", shape), ("mapping", areas)]).await;
    assert_eq!(refused.status, 403);
    let patch = json!({"mapping": areas});
    let refused = s.ask(Method::PATCH, &path, patch).await;
    assert_eq!(refused.status, 403);
    let taken = s
        .send_as(&admin, &[("file", shape), ("mapping", areas), ("run", "dry")])
        .await;
    assert_eq!(taken.status, 201, "{}", String::from_utf8_lossy(&taken.bytes));

    // The oldest makes room.
    for _ in 0..5 {
        assert_eq!(s.send(&[("file", &small)]).await.status, 201);
    }
    assert_eq!(std::fs::read_dir(&imports).unwrap().count(), 4);
    assert_eq!(s.ask(Method::GET, &path, Value::Null).await.status, 404);
}

#[sqlx::test]
async fn a_service_that_starts_again_goes_on(pool: PgPool) {
    let s = Sender::new(pool, "http-again", Limits::default()).await;
    let imports = s.scratch.0.join("imports");
    let answer = s
        .send(&[
            ("file", &lamps(12)),
            ("settings", r#"{"aliases": {"区城管委": "河西区城市管理委员会"}}"#),
        ])
        .await
        .json();
    let id = answer["id"].as_str().unwrap();
    // As a kill would leave it: answered, begun, not ended; and an upload that never came whole.
    let kept = imports.join(id).join("import.json");
    let mut upload: Value = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
    upload["stage"] = "running".into();
    upload["dry_run"] = false.into();
    std::fs::write(&kept, upload.to_string()).unwrap();
    std::fs::create_dir_all(imports.join("half/file")).unwrap();

    let desk = Desk::open(&imports, Limits::default()).await.unwrap();
    assert!(!imports.join("half").exists());
    desk.resume(&s.town.state.store);
    let mut watch = desk.watch(id).unwrap();
    let done = watch.wait_for(|u| !u.is_busy()).await.unwrap().clone();
    assert_eq!(done.report.unwrap()["rows"]["added"], 12, "{:?}", done.error);
}
