//! A copy of everything, taken while others edit, put back elsewhere and found sound.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use lamppost::archive::Archive;
use lamppost::domain::evidence::Described;
use lamppost::domain::word::State;
use lamppost::store::edit::Patch;
use sqlx::PgPool;

use crate::support::{Dice, town_with};

/// The test server's database of a name, as a URL.
fn url(database: &str) -> String {
    let base = std::env::var("DATABASE_URL").unwrap();
    let (head, query) = base
        .split_once('?')
        .map_or((base.as_str(), String::new()), |(h, q)| (h, format!("?{q}")));
    let server = head.rsplit_once('/').unwrap().0;
    format!("{server}/{database}{query}")
}

fn lamppost(args: &[&str], database: &str, evidence: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lamppost"))
        .args(args)
        .args(["--database-url", &url(database)])
        .env("LAMPPOST_EVIDENCE", evidence)
        .env_remove("DATABASE_URL")
        .env_remove("LAMPPOST_DATA_DIR")
        .output()
        .unwrap()
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

#[sqlx::test]
async fn a_backup_under_edits_is_put_back_elsewhere_and_is_sound(pool: PgPool) {
    let scratch = tempfile::tempdir().unwrap();
    let own = scratch.path().join("evidence");
    let archive = Archive::open(&own, 1 << 20).await.unwrap();
    let town = town_with(pool, |app| app.archive = archive).await;
    let mut dice = Dice::new(5);
    let spots: Vec<(f64, f64)> = (0..300).map(|_| dice.spot()).collect();
    let lamps = town.lamps(&spots).await;
    let database = town.pool.connect_options().get_database().unwrap().to_owned();

    // Edits and documents come all the time, at least 200 a second where the machine can.
    let (stop, edits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..3u64)
        .map(|writer| {
            let (state, stop, edits, lamps) = (town.state.clone(), stop.clone(), edits.clone(), lamps.clone());
            tokio::spawn(async move {
                let mut dice = Dice::new(writer);
                while !stop.load(Ordering::Relaxed) {
                    let lamp = lamps[dice.below(100) * 3 + writer as usize];
                    let mut edit = state.store.edit("编辑者", None).await.unwrap();
                    let condition = [State::Intact, State::Damaged, State::Missing][dice.below(3)];
                    let patch = Patch {
                        state: Some(condition),
                        ..Patch::default()
                    };
                    edit.patch(lamp, &patch).await.unwrap();
                    if dice.roll() < 0.1 {
                        let mut arrival = state.archive.receive("a.pdf").await.unwrap();
                        let n = edits.load(Ordering::Relaxed);
                        arrival
                            .write(format!("%PDF-1.7 {writer} {n}").as_bytes())
                            .await
                            .unwrap();
                        let kept = arrival.keep().await.unwrap();
                        let described = Described {
                            kind: "现场照片".into(),
                            ..Described::default()
                        };
                        edit.keep_document(&described, Some(&kept), "编辑者").await.unwrap();
                    }
                    state.feed.commit(edit).await.unwrap();
                    edits.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    while edits.load(Ordering::Relaxed) < 100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let copy = scratch.path().join("copy");
    let (args, from, evidence) = (copy.display().to_string(), database.clone(), own.clone());
    let before = edits.load(Ordering::Relaxed);
    let began = std::time::Instant::now();
    let taken = tokio::task::spawn_blocking(move || lamppost(&["backup", &args], &from, &evidence))
        .await
        .unwrap();
    assert!(taken.status.success(), "{}", said(&taken));
    let made = edits.load(Ordering::Relaxed) - before;
    println!(
        "{:.0} edits a second while it was taken",
        made as f64 / began.elapsed().as_secs_f64()
    );
    assert!(made > 0, "nobody was kept waiting");
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(!scratch.path().join("copy.partial").exists());
    for part in ["lamppost.dump", "backup.json", "tiles/lamps.toml"] {
        assert!(copy.join(part).exists(), "{part}");
    }
    let again = lamppost(&["backup", &copy.display().to_string()], &database, &own);
    assert!(!again.status.success(), "a copy is never written over");

    // Names end at 63 bytes, which those of the tests reach.
    let other = format!("lamppost_again_{}", std::process::id());
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("drop database if exists \"{other}\"")))
        .execute(&town.pool)
        .await
        .unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create database \"{other}\"")))
        .execute(&town.pool)
        .await
        .unwrap();
    let elsewhere = scratch.path().join("elsewhere");
    let args = copy.display().to_string();
    let (to, place) = (other.clone(), elsewhere.clone());
    let back = tokio::task::spawn_blocking(move || lamppost(&["restore", &args], &to, &place))
        .await
        .unwrap();
    assert!(back.status.success(), "{}", said(&back));
    let read = async |pool: &PgPool| {
        let sql = "select number, txn, recorded::text, actor from revision order by number desc limit 1";
        sqlx::query_as::<_, (i64, i64, String, String)>(sql)
            .fetch_one(pool)
            .await
            .unwrap()
    };
    let pool = PgPool::connect(&url(&other)).await.unwrap();
    let newest = read(&pool).await;
    let about: serde_json::Value = serde_json::from_slice(&std::fs::read(copy.join("backup.json")).unwrap()).unwrap();
    assert!(newest.0 >= about["revision"].as_i64().unwrap(), "{newest:?} {about}");
    // As many rows of each kind as revisions of then had made.
    let existed: Option<(i64, String)> = sqlx::query_as("select txn, actor from revision where txn = $1")
        .bind(newest.1)
        .fetch_optional(&town.pool)
        .await
        .unwrap();
    assert_eq!(existed, Some((newest.1, newest.3.clone())));
    let row = "select jsonb_agg(to_jsonb(v) order by id, version) from component_version v where txn = $1";
    let there: serde_json::Value = sqlx::query_scalar(row).bind(newest.1).fetch_one(&pool).await.unwrap();
    let here: serde_json::Value = sqlx::query_scalar(row)
        .bind(newest.1)
        .fetch_one(&town.pool)
        .await
        .unwrap();
    assert_eq!(there, here);
    // Also into a private cluster, whose extension is not the register's own.
    let private = scratch.path().join("private");
    std::fs::create_dir(&private).unwrap();
    for dir in [scratch.path(), &private] {
        std::fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let (args, data) = (copy.display().to_string(), private.join("d"));
    let restore = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lamppost"));
        command.args(["restore", &args, "--data-dir"]).arg(data);
        command
            .env_remove("DATABASE_URL")
            .env_remove("LAMPPOST_EVIDENCE")
            .output()
            .unwrap()
    };
    let back = tokio::task::spawn_blocking(restore).await.unwrap();
    assert!(back.status.success(), "{}", said(&back));
    assert!(private.join("d/evidence").exists());
    // Once more over it is refused.
    let over = lamppost(&["restore", &copy.display().to_string()], &other, &elsewhere);
    assert!(
        !over.status.success() && said(&over).contains("empty"),
        "{}",
        said(&over)
    );
    pool.close().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("drop database \"{other}\"")))
        .execute(&town.pool)
        .await
        .unwrap();
}
