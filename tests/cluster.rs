//! The private cluster, with real processes and real kills.
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lamppost::cli::database::DatabaseArgs;
use lamppost::error::Error;
use lamppost::store::cluster::Cluster;
use rustix::process::{Pid, Signal, getpgid, getpgrp, kill_process, test_kill_process};
use sqlx::{ConnectOptions, Connection, PgConnection};

/// A directory that the account of PostgreSQL can enter, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let dir = std::env::temp_dir().join(format!("lamppost-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)).unwrap();
        Dir(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // A PostgreSQL that is on its way out may still write.
        for _ in 0..50 {
            if std::fs::remove_dir_all(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

/// A process that has ended but that nobody has asked about yet (the init of a container may not) is not alive.
fn alive(number: u32) -> bool {
    test_kill_process(pid(number)).is_ok()
        && std::fs::read_to_string(format!("/proc/{number}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
}

async fn connect(cluster: &Cluster) -> PgConnection {
    cluster.options().connect().await.unwrap()
}

async fn setting(connection: &mut PgConnection, name: &str) -> String {
    sqlx::query_scalar("select current_setting($1)")
        .bind(name)
        .fetch_one(connection)
        .await
        .unwrap()
}

async fn refused(result: Result<Cluster, Error>) -> String {
    match result {
        Err(Error::Setup(text)) => text.en,
        Err(e) => panic!("another error than expected: {e:?}"),
        Ok(cluster) => {
            cluster.stop().await.unwrap();
            panic!("it was not refused")
        }
    }
}

/// The other process of the tests below, started by [`owner`]: holds a cluster until it is killed. Nothing by itself.
#[tokio::test]
async fn another_process() {
    let Some(dir) = std::env::var_os("LAMPPOST_TEST_DIR") else {
        return;
    };
    let cluster = Cluster::open(Path::new(&dir)).await.unwrap();
    println!("\npostmaster {}", cluster.process().unwrap());
    std::thread::sleep(Duration::from_secs(600));
}

/// Another process that owns the cluster, and its postmaster.
fn owner(dir: &Path) -> (Child, u32) {
    let log = dir.join("owner.out");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cluster::another_process", "--nocapture"])
        .env("LAMPPOST_TEST_DIR", dir)
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        let said = std::fs::read_to_string(&log).unwrap();
        if let Some(number) = said.lines().find_map(|l| l.strip_prefix("postmaster ")?.parse().ok()) {
            return (child, number);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("the other process did not start a cluster");
}

#[tokio::test]
async fn first_start_then_restart_keeps_what_was_written() {
    let dir = Dir::new("first");
    let began = Instant::now();
    let cluster = Cluster::open(&dir.0.join("deep/er")).await.unwrap();
    println!("first start: {:?}", began.elapsed());
    let mut c = connect(&cluster).await;
    for (name, value) in [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("listen_addresses", ""),
        ("is_superuser", "off"),
    ] {
        assert_eq!(setting(&mut c, name).await, value, "{name}");
    }
    // A ctrl-c goes to the terminal's process group, and must not reach PostgreSQL.
    let postmaster = cluster.process().unwrap();
    assert_ne!(getpgid(Some(pid(postmaster))).unwrap(), getpgrp());
    sqlx::raw_sql("create table kept as select st_point(1, 2)::geometry as g, upper('é') as u")
        .execute(&mut c)
        .await
        .unwrap();
    c.close().await.unwrap();
    cluster.stop().await.unwrap();
    assert!(!alive(postmaster));

    let began = Instant::now();
    let cluster = Cluster::open(&dir.0.join("deep/er")).await.unwrap();
    println!("restart: {:?}", began.elapsed());
    let mut c = connect(&cluster).await;
    let upper: String = sqlx::query_scalar("select u from kept")
        .fetch_one(&mut c)
        .await
        .unwrap();
    assert_eq!(upper, "É");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_service_is_refused_and_a_verb_joins() {
    let dir = Dir::new("second");
    let (mut other, postmaster) = owner(&dir.0);
    let said = refused(Cluster::open(&dir.0).await).await;
    assert!(
        said.contains("in use") && said.contains(&other.id().to_string()),
        "{said}"
    );
    let guest = Cluster::open_or_join(&dir.0).await.unwrap();
    assert_eq!(guest.process(), None);
    let mut c = connect(&guest).await;
    assert_eq!(setting(&mut c, "server_encoding").await, "UTF8");
    guest.stop().await.unwrap();
    assert!(alive(postmaster), "a guest does not stop what it does not own");
    other.kill().unwrap();
    other.wait().unwrap();
    Cluster::open(&dir.0).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_verb_that_owns_waits_for_its_guests() {
    let dir = Dir::new("guests");
    let first = Cluster::open_or_join(&dir.0).await.unwrap();
    let postmaster = first.process().unwrap();
    let guest = Cluster::open_or_join(&dir.0).await.unwrap();
    assert_eq!(guest.process(), None);
    let stopping = tokio::spawn(first.stop());
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(alive(postmaster) && !stopping.is_finished());
    connect(&guest).await.close().await.unwrap();
    guest.stop().await.unwrap();
    stopping.await.unwrap().unwrap();
    assert!(!alive(postmaster));
}

#[tokio::test]
async fn what_a_killed_owner_left_running_is_stopped() {
    let dir = Dir::new("orphan");
    let (mut other, postmaster) = owner(&dir.0);
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(alive(postmaster), "PostgreSQL outlives its owner");
    let began = Instant::now();
    let cluster = Cluster::open(&dir.0).await.unwrap();
    println!("start over an orphan: {:?}", began.elapsed());
    assert!(!alive(postmaster) && cluster.process() != Some(postmaster));
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn owner_and_postgres_killed_together_recover() {
    let dir = Dir::new("both");
    let (mut other, postmaster) = owner(&dir.0);
    kill_process(pid(postmaster), Signal::KILL).unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
    let began = Instant::now();
    let cluster = Cluster::open(&dir.0).await.unwrap();
    println!("start after both were killed: {:?}", began.elapsed());
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_postgres_is_started_again() {
    let dir = Dir::new("killed");
    let cluster = Cluster::open(&dir.0).await.unwrap();
    let mut c = connect(&cluster).await;
    sqlx::raw_sql("create table kept as select 1 as one")
        .execute(&mut c)
        .await
        .unwrap();
    for round in 0..2 {
        let postmaster = cluster.process().unwrap();
        kill_process(pid(postmaster), Signal::KILL).unwrap();
        let began = Instant::now();
        while cluster.process().is_none_or(|p| p == postmaster) || cluster.options().connect().await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "it did not come back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("answers again, round {round}: {:?}", began.elapsed());
    }
    let mut c = connect(&cluster).await;
    let one: i32 = sqlx::query_scalar("select one from kept")
        .fetch_one(&mut c)
        .await
        .unwrap();
    assert_eq!(one, 1);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_half_made_cluster_is_finished() {
    let dir = Dir::new("half");
    // initdb was killed: nothing of it is anybody's data.
    std::fs::create_dir_all(dir.0.join("postgres.new/base")).unwrap();
    std::fs::write(dir.0.join("postgres.new/PG_VERSION"), "15\n").unwrap();
    let cluster = Cluster::open(&dir.0).await.unwrap();
    assert!(!dir.0.join("postgres.new").exists());
    // Killed between initdb and the extension: the next start finishes the database.
    let as_postgres = cluster.options().username("postgres").database("postgres");
    let mut c = as_postgres.connect().await.unwrap();
    sqlx::raw_sql("drop database lamppost").execute(&mut c).await.unwrap();
    sqlx::raw_sql("drop role lamppost").execute(&mut c).await.unwrap();
    cluster.stop().await.unwrap();
    let cluster = Cluster::open(&dir.0).await.unwrap();
    connect(&cluster).await.close().await.unwrap();
    cluster.stop().await.unwrap();

    // What may be somebody's data is refused.
    let heart = dir.0.join("postgres/global/pg_control");
    std::fs::rename(&heart, heart.with_extension("away")).unwrap();
    let said = refused(Cluster::open(&dir.0).await).await;
    assert!(said.contains("incomplete (global/pg_control is missing)"), "{said}");
}

#[tokio::test]
async fn a_cluster_of_another_major_is_named() {
    let dir = Dir::new("major");
    Cluster::open(&dir.0).await.unwrap().stop().await.unwrap();
    std::fs::write(dir.0.join("postgres/PG_VERSION"), "13\n").unwrap();
    let said = refused(Cluster::open(&dir.0).await).await;
    assert!(said.contains("belongs to PostgreSQL 13"), "{said}");
    let said = refused(Cluster::open(&dir.0.join("postgres")).await).await;
    assert!(said.contains("itself a PostgreSQL data directory"), "{said}");
}

#[tokio::test]
async fn a_path_that_postgres_cannot_enter_is_named() {
    if !rustix::process::geteuid().is_root() {
        // Anybody else's cluster runs as themselves.
        return;
    }
    let dir = Dir::new("closed");
    let closed = dir.0.join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
    let said = refused(Cluster::open(&closed.join("data")).await).await;
    let expected = format!("cannot enter {}", closed.display());
    assert!(said.contains(&expected), "{said}");
}

#[tokio::test]
async fn a_long_path_and_an_odd_one_work() {
    let dir = Dir::new("long");
    for name in ["a".repeat(90), "路, \"quoted\" 'dir'".to_owned()] {
        let dir = dir.0.join(name);
        let cluster = Cluster::open(&dir).await.unwrap();
        connect(&cluster).await.close().await.unwrap();
        Cluster::open_or_join(&dir).await.unwrap().stop().await.unwrap();
        cluster.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_given_is_checked() {
    let dir = Dir::new("given");
    let cluster = Cluster::open(&dir.0).await.unwrap();
    let socket = cluster.options().get_socket().unwrap().display().to_string();
    let open = async |database: &str| {
        let args = DatabaseArgs {
            database_url: Some(format!("postgres://lamppost@localhost/{database}?host={socket}")),
            data_dir: None,
        };
        args.open(true).await
    };
    let database = open("lamppost").await.unwrap();
    assert!(database.cluster().is_none());
    database.close().await.unwrap();

    let as_postgres = cluster.options().username("postgres").database("postgres");
    let mut c = as_postgres.connect().await.unwrap();
    let said = open("postgres").await.unwrap_err().to_string();
    assert!(
        said.contains("may not create tables") && said.contains("to \"lamppost\""),
        "{said}"
    );
    sqlx::raw_sql("grant usage, create on schema public to lamppost")
        .execute(&mut c)
        .await
        .unwrap();
    let said = open("postgres").await.unwrap_err().to_string();
    assert!(
        said.contains("in database postgres: create extension postgis;"),
        "{said}"
    );
    let said = open("absent").await.unwrap_err().to_string();
    assert!(said.contains("cannot connect"), "{said}");
    c.close().await.unwrap();
    cluster.stop().await.unwrap();
}
