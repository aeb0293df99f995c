//! Kill -9 at random moments, with edits and an import under way: nothing that a client was told may be lost.
//!
//! `make crash ROUNDS=20` runs it for long; `LAMPPOST_CRASH_ROUNDS=0` leaves it out; `LAMPPOST_CRASH_SEED` repeats a run (the
//! victims and the pauses; what the machine does between them is its own affair).
mod deliveries;
mod documents;
mod ledger;
mod service;

use std::time::Duration;

use lamppost::store::cluster::Cluster;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use sqlx::{ConnectOptions, Connection};

use deliveries::Delivery;
use documents::Documents;
use ledger::{Ledger, Writers};
use service::{Place, Service};

/// Who is killed in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Serve,
    Postgres,
    ServeThenPostgres,
    PostgresThenServe,
    Import,
}

const VICTIMS: [Victim; 5] = [
    Victim::Serve,
    Victim::Postgres,
    Victim::ServeThenPostgres,
    Victim::PostgresThenServe,
    Victim::Import,
];

fn number(key: &str) -> Option<u64> {
    std::env::var(key).ok()?.trim().parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost() {
    let rounds = number("LAMPPOST_CRASH_ROUNDS").unwrap_or(3);
    if rounds == 0 {
        return;
    }
    let seed = number("LAMPPOST_CRASH_SEED").unwrap_or_else(rand_seed);
    println!("LAMPPOST_CRASH_SEED={seed} repeats this run of {rounds} rounds");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);

    let place = Place::new();
    let mut base = Delivery::write(&place, 0, 2_000);
    let mut service = Service::start(&place).await;
    assert!(base.start(&place).finish().await, "the first import failed");
    let token = place.run(&["token", "new", "--access", "surveyor"]).await;
    let token = token.expect("a token").trim().to_owned();
    assert!(!token.is_empty() && !token.contains(char::is_whitespace));
    assert_durable(&place).await;

    let ledger = Ledger::read(&place).await;
    let mut deliveries = vec![base];
    for round in 1..=rounds {
        let writers = Writers::start(&service, &token, &ledger, rng.random());
        let documents = Documents::start(&service, &token, round);
        let mut delivery = Delivery::write(&place, round, 40_000);
        // Every other one over HTTP.
        let sent = match round % 2 {
            0 => Some(delivery.send(&service, &token).await),
            _ => None,
        };
        let mut import = sent.is_none().then(|| delivery.start(&place));
        let victim = VICTIMS[rng.random_range(0..VICTIMS.len())];
        let pause = Duration::from_millis(rng.random_range(20..1_500));
        tokio::time::sleep(pause).await;
        println!("round {round}: {victim:?} after {pause:?}");
        let gap = Duration::from_millis(rng.random_range(0..300));
        match victim {
            Victim::Import if import.is_some() => import.as_mut().unwrap().kill().await,
            Victim::Import | Victim::Serve => service.kill().await,
            Victim::Postgres => place.kill_postgres(),
            Victim::ServeThenPostgres => {
                service.kill().await;
                tokio::time::sleep(gap).await;
                place.kill_postgres();
            }
            Victim::PostgresThenServe => {
                place.kill_postgres();
                tokio::time::sleep(gap).await;
                service.kill().await;
            }
        }
        if service.killed() {
            writers.stop().await;
            service = Service::start(&place).await;
        } else {
            service.await_ready().await;
            writers.stop().await;
        }
        let kept = documents.stop().await;
        documents::check(&service, &token, &kept).await;
        println!("  {} documents acknowledged", kept.len());
        // Cut off from its database, or through; either way what it said it wrote counts.
        if let Some(import) = import {
            delivery.acknowledge(import.end().await);
        }
        if let Some(id) = sent {
            let may_fail = matches!(victim, Victim::Postgres | Victim::PostgresThenServe);
            delivery.await_loaded(&service, &token, &id, may_fail).await;
        }

        assert_durable(&place).await;
        delivery.check(&place).await;
        ledger.check(&service).await;
        assert_order(&place, ledger.revision()).await;
        place.run(&["verify"]).await.expect("verify after a crash");
        let files = place
            .run(&["verify", "--evidence", place.data.join("evidence").to_str().unwrap()])
            .await;
        files.expect("no row names a file that is not there");

        // The same delivery again finishes the import and repeats nothing.
        assert!(delivery.start(&place).finish().await, "a repeated import failed");
        deliveries.push(delivery);
        for delivery in &deliveries {
            delivery.check_whole(&place).await;
        }
    }
    println!("{}", ledger.summary());
    place.run(&["verify"]).await.expect("verify at the end");
    assert!(
        service.stop(Signal::TERM).await,
        "SIGTERM ends the service in good order"
    );
    assert!(!place.postgres_lives(), "PostgreSQL ended with its service");
}

fn rand_seed() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos() as u64 % 1_000_000)
}

/// The settings without which the rest would prove nothing.
async fn assert_durable(place: &Place) {
    let cluster = Cluster::open_or_join(&place.data).await.unwrap();
    let mut c = cluster.options().connect().await.unwrap();
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        let value: String = sqlx::query_scalar("select current_setting($1)")
            .bind(name)
            .fetch_one(&mut c)
            .await
            .unwrap();
        assert_eq!(value, "on", "{name}");
    }
    c.close().await.unwrap();
    cluster.stop().await.unwrap();
}

/// No number was skipped or went back, and none that a client was given is missing.
async fn assert_order(place: &Place, acknowledged: i64) {
    let cluster = Cluster::open_or_join(&place.data).await.unwrap();
    let mut c = cluster.options().connect().await.unwrap();
    let (newest, count, rises): (i64, i64, bool) = sqlx::query_as(
        "select coalesce(max(number), 0), count(*), coalesce(bool_and(rises), true)
         from (select number, recorded > lag(recorded, 1, '-infinity') over (order by number) as rises from revision) r",
    )
    .fetch_one(&mut c)
    .await
    .unwrap();
    assert_eq!(newest, count, "a revision number was skipped");
    assert!(rises, "recorded time went back");
    assert!(
        newest >= acknowledged,
        "revision {acknowledged} was acknowledged, {newest} is the newest"
    );
    c.close().await.unwrap();
    cluster.stop().await.unwrap();
}
