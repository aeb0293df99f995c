//! Imports under fire.
use std::fmt::Write as _;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use lamppost::store::cluster::Cluster;
use serde_json::Value;
use sqlx::{ConnectOptions, Connection};
use tokio::process::Child;

use super::service::{Place, Service};

const MAPPING: &str = r#"into = "components"
source = "crash"
key = "key"
x = "lon"
y = "lat"
class = { value = "0118", scheme = "CJT214-2007" }
[fields]
name = "name"
"#;

/// A file of street lamps, and how many of them an import has said to have written.
pub struct Delivery {
    round: u64,
    rows: usize,
    file: PathBuf,
    mapping: PathBuf,
    acknowledged: usize,
}

impl Delivery {
    pub fn write(place: &Place, round: u64, rows: usize) -> Delivery {
        let mut text = String::from("key,lon,lat,name\n");
        for row in 0..rows {
            // A street of lamps for each delivery, one every ten metres or so.
            let lon = 120.0 + row as f64 * 1e-4;
            let lat = 30.0 + round as f64 * 1e-3;
            writeln!(text, "crash-{round}-{row},{lon:.6},{lat:.6},lamp {row} of {round}").unwrap();
        }
        let file = place.dir.join(format!("delivery-{round}.csv"));
        let mapping = place.dir.join("mapping.toml");
        std::fs::write(&file, text).unwrap();
        std::fs::write(&mapping, MAPPING).unwrap();
        Delivery {
            round,
            rows,
            file,
            mapping,
            acknowledged: 0,
        }
    }

    /// `lamppost import` of the file.
    pub fn start(&mut self, place: &Place) -> Import {
        let log = place.dir.join(format!("import-{}.log", self.round));
        let out = File::create(&log).unwrap();
        let child = place
            .command(&[
                "import",
                self.file.to_str().unwrap(),
                "--mapping",
                self.mapping.to_str().unwrap(),
            ])
            // Each committed batch is told there.
            .env("LAMPPOST_LOG", "lamppost=debug,warn")
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Import { child, log }
    }

    /// The same over HTTP: the file is taken, and loaded without further words.
    pub async fn send(&self, service: &Service, token: &str) -> String {
        let part = |name: &str, value: &str| {
            format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let file = std::fs::read_to_string(&self.file).unwrap();
        let name = self.file.file_name().unwrap().to_str().unwrap();
        let body = part("mapping", MAPPING)
            + &part("run", "load")
            + &part("file", &file).replacen("name=\"file\"", &format!("name=\"file\"; filename=\"{name}\""), 1)
            + "--xx--\r\n";
        let request = service
            .client()
            .post(format!("{}/imports", service.url))
            .bearer_auth(token);
        let answer = request
            .header("content-type", "multipart/form-data; boundary=xx")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201);
        let taken: Value = answer.json().await.unwrap();
        taken["id"].as_str().unwrap().to_owned()
    }

    /// Waits until what was sent is loaded. It goes on by itself when the service is started again; only where the database died
    /// under a living service it is asked for once more.
    pub async fn await_loaded(&mut self, service: &Service, token: &str, id: &str, may_fail: bool) {
        let url = format!("{}/imports/{id}", service.url);
        for _ in 0..600 {
            let answer = service.client().get(&url).bearer_auth(token).send().await.unwrap();
            assert_eq!(answer.status(), 200, "an upload that was answered is lost");
            let upload: Value = answer.json().await.unwrap();
            match upload["stage"].as_str().unwrap() {
                "done" => {
                    self.acknowledged = self.rows;
                    println!("  sent in round {}: {}", self.round, upload["report"]["notes"]);
                    return;
                }
                "failed" => {
                    assert!(may_fail, "{}", upload["error"]);
                    let run = service.client().post(format!("{url}/runs")).bearer_auth(token);
                    assert_eq!(run.body(r#"{"dry_run": false}"#).send().await.unwrap().status(), 202);
                }
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        panic!("round {}: never loaded", self.round);
    }

    /// Takes an import's word.
    pub fn acknowledge(&mut self, ended: Ended) {
        let written = if ended.success { self.rows } else { written(&ended.said) };
        self.acknowledged = self.acknowledged.max(written.min(self.rows));
        println!(
            "  import of round {}: {} of {} rows acknowledged",
            self.round, self.acknowledged, self.rows
        );
    }

    async fn present(&self, place: &Place) -> usize {
        let cluster = Cluster::open_or_join(&place.data).await.unwrap();
        let mut c = cluster.options().connect().await.unwrap();
        // A row counts when its version is there, too: both or neither were committed.
        let present: i64 = sqlx::query_scalar(
            "select count(*) from component c join component_version v using (id, version)
             where c.source = 'crash' and c.source_key like 'crash-' || $1 || '-%' and v.name = c.name",
        )
        .bind(self.round.to_string())
        .fetch_one(&mut c)
        .await
        .unwrap();
        c.close().await.unwrap();
        cluster.stop().await.unwrap();
        usize::try_from(present).unwrap()
    }

    /// What was acknowledged is there.
    pub async fn check(&self, place: &Place) {
        let present = self.present(place).await;
        assert!(
            present >= self.acknowledged,
            "import of round {}: {} rows were acknowledged, {present} are there",
            self.round,
            self.acknowledged
        );
    }

    /// Every row is there, once.
    pub async fn check_whole(&self, place: &Place) {
        assert_eq!(self.present(place).await, self.rows, "import of round {}", self.round);
    }
}

/// The largest number of rows that an import's progress said to be written: `written: 1000` or `1000 written`.
fn written(said: &str) -> usize {
    said.match_indices("written")
        .filter_map(|(at, word)| {
            let after = said[at + word.len()..].trim_start_matches([' ', ':', '=', '"']);
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            after[..end].parse().ok().or_else(|| {
                let before = said[..at].trim_end();
                before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
            })
        })
        .max()
        .unwrap_or(0)
}

/// How an import ended.
pub struct Ended {
    success: bool,
    said: String,
}

/// A running `lamppost import`.
pub struct Import {
    child: Child,
    log: PathBuf,
}

impl Import {
    /// Kill -9.
    pub async fn kill(&mut self) {
        let _ = self.child.kill().await;
    }

    /// Waits for the end, good or bad; an import without a database must not wait for ever.
    pub async fn end(mut self) -> Ended {
        let status = tokio::time::timeout(Duration::from_secs(120), self.child.wait()).await;
        let success = status
            .expect("the import neither went on nor gave up")
            .unwrap()
            .success();
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        Ended { success, said }
    }

    /// Waits for an end that ought to be good.
    pub async fn finish(self) -> bool {
        let ended = self.end().await;
        if !ended.success {
            println!("{}", ended.said);
        }
        ended.success
    }
}

#[test]
fn progress_is_read_in_either_order() {
    assert_eq!(written("batch 1: written 500\nbatch 2: written 1000\n"), 1000);
    assert_eq!(written("1500 written, 3 refused"), 1500);
    assert_eq!(written("nothing yet"), 0);
}
