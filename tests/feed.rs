//! The change log, the feed and memory: invariants 1 to 6 of the design, against real PostgreSQL.

use lamppost::domain::word::State;
use lamppost::feed::Settled;
use lamppost::store::edit::Patch;
use sqlx::PgPool;

use crate::support::{Dice, node, point, town};

#[sqlx::test]
async fn memory_equals_a_rebuild_after_any_sequence_of_edits(pool: PgPool) {
    let town = town(pool).await;
    let mut dice = Dice::new(7);
    let park = town.class("CJT214-2007", "0405").await;
    let spots: Vec<_> = (0..60).map(|_| dice.spot()).collect();
    let mut ids = town.lamps(&spots).await;
    for _ in 0..10 {
        let (x, y) = dice.spot();
        let draft =
            lamppost::domain::component::Draft::new(park, crate::support::rectangle(x, y, x + 0.002, y + 0.001));
        ids.extend(town.add(&[draft]).await);
    }
    for turn in 0..120 {
        let id = ids[dice.below(ids.len())];
        match dice.below(4) {
            0 if id <= ids[59] => {
                let (x, y) = dice.spot();
                town.move_to(id, x, y).await;
            }
            1 => {
                town.set_state(id, State::ALL[dice.below(State::ALL.len())]).await;
            }
            2 => {
                let attributes = serde_json::json!({"turn": turn}).as_object().cloned();
                town.set(
                    id,
                    Patch {
                        attributes,
                        ..Patch::default()
                    },
                )
                .await;
            }
            _ => ids.extend(town.lamps(&[dice.spot()]).await),
        }
    }
    // By hand, past every layer of ours: the triggers leave it in the change log all the same.
    town.sql("insert into party (name) values ('手工录入单位'); update component set owner = (select max(id) from party), name = '甲' where id % 3 = 0").await;
    assert_eq!(town.differences().await, Vec::<String>::new());
    assert_eq!(town.state.store.check().await.unwrap(), Vec::<String>::new());
}

#[sqlx::test]
async fn revisions_have_one_order_and_none_is_skipped_with_many_writers(pool: PgPool) {
    let town = town(pool.clone()).await;
    let ids = town.lamps(&[(117.21, 39.10), (117.22, 39.10), (117.23, 39.10)]).await;
    let (other, follower) = node(&pool).await;
    let before = town.state.feed.position().revision;
    let mut writers = Vec::new();
    for writer in 0..8u32 {
        // Half of the writers go through this node, half through the other; all fight for the same three lamps.
        let state = if writer % 2 == 0 {
            town.state.clone()
        } else {
            other.clone()
        };
        let ids = ids.clone();
        writers.push(tokio::spawn(async move {
            let mut seen = Vec::new();
            for turn in 0..25u32 {
                let id = ids[((writer + turn) % 3) as usize];
                let mut edit = state.store.edit(&format!("writer {writer}"), None).await.unwrap();
                let spot = point(117.2 + f64::from(writer) / 1e3, 39.1 + f64::from(turn) / 1e3);
                edit.patch(
                    id,
                    &Patch {
                        geometry: Some(spot),
                        ..Patch::default()
                    },
                )
                .await
                .unwrap();
                match state.feed.commit(edit).await.unwrap() {
                    Settled::Applied(revision) => seen.push(revision),
                    other => panic!("{other:?}"),
                }
            }
            seen
        }));
    }
    let mut seen = Vec::new();
    for writer in writers {
        let mine = writer.await.unwrap();
        assert!(mine.is_sorted(), "a writer's own revisions rise: {mine:?}");
        seen.extend(mine);
    }
    seen.sort_unstable();
    assert_eq!(
        seen,
        (before + 1..=before + 200).collect::<Vec<i64>>(),
        "every edit has its own revision and none is skipped"
    );

    // The order of revisions is the order of versions of each component.
    let swapped: i64 = sqlx::query_scalar(
        "select count(*) from component_version a join component_version b on b.id = a.id and b.version = a.version + 1
         join revision ra on ra.txn = a.txn join revision rb on rb.txn = b.txn where ra.number >= rb.number",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(swapped, 0);
    let early: i64 = sqlx::query_scalar(
        "select count(*) from revision a join revision b on b.number = a.number + 1 where b.recorded <= a.recorded",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(early, 0, "recorded time rises with the number");
    assert_eq!(town.differences().await, Vec::<String>::new());
    assert!(other.feed.reached(before + 200).await);
    let memories =
        lamppost::query::difference::differences(("one", &town.state.index.read()), ("other", &other.index.read()));
    assert_eq!(memories, Vec::<String>::new());
    follower.abort();
}

#[sqlx::test]
async fn an_open_transaction_elsewhere_stalls_nobody_and_is_never_lost(pool: PgPool) {
    let town = town(pool.clone()).await;
    let ids = town.lamps(&[(117.21, 39.10), (117.22, 39.10)]).await;
    let mut slow = pool.begin().await.unwrap();
    sqlx::query("update component set name = '慢' where id = $1")
        .bind(ids[0])
        .execute(&mut *slow)
        .await
        .unwrap();
    // The slow one has drawn its change numbers already; the quick one overtakes it.
    let quick = town.set_state(ids[1], State::Damaged).await;
    assert!(matches!(quick, Settled::Applied(_)), "{quick:?}");
    slow.commit().await.unwrap();
    town.settle().await;
    let row = |id| {
        let memory = town.state.index.read();
        let found = memory.components.get(id as u64).unwrap();
        (found.version, found.name().map(str::to_owned))
    };
    assert_eq!(row(ids[0]), (2, Some("慢".to_owned())));
    assert_eq!(town.differences().await, Vec::<String>::new());
}

#[sqlx::test]
async fn an_edit_that_changes_nothing_makes_no_version_and_no_revision(pool: PgPool) {
    let town = town(pool).await;
    let ids = town.lamps(&[(117.21, 39.10)]).await;
    let before = town.state.feed.position().revision;
    assert_eq!(town.set_state(ids[0], State::Intact).await, Settled::Unchanged);
    assert_eq!(town.move_to(ids[0], 117.21, 39.10).await, Settled::Unchanged);
    assert_eq!(town.state.feed.position().revision, before);
}

#[sqlx::test]
async fn applying_a_version_twice_or_late_does_nothing(pool: PgPool) {
    let town = town(pool.clone()).await;
    let ids = town.lamps(&[(117.21, 39.10)]).await;
    town.move_to(ids[0], 117.22, 39.11).await;
    let mut connection = town.state.store.reader().await.unwrap();
    let first = lamppost::store::record::component_version(&mut connection, ids[0], 1)
        .await
        .unwrap()
        .unwrap();
    assert!(!town.state.index.read().components.clone().apply(&first));
    assert_eq!(town.differences().await, Vec::<String>::new());
}

#[sqlx::test]
async fn a_database_that_went_back_is_noticed_and_loaded_again(pool: PgPool) {
    let town = town(pool.clone()).await;
    let ids = town.lamps(&[(117.21, 39.10)]).await;
    town.set_state(ids[0], State::Damaged).await;
    // A restore to before the last revision, by hand: the newest transaction never happened.
    sqlx::raw_sql(
        "alter table component_version disable trigger all; alter table component disable trigger all;
         delete from change where txn = (select txn from revision order by number desc limit 1);
         delete from component_version where version = 2;
         update component set state = 'intact', version = 1;
         delete from revision where number = (select max(number) from revision);
         alter table component_version enable trigger all; alter table component enable trigger all;",
    )
    .execute(&pool)
    .await
    .unwrap();
    let state = || {
        let memory = town.state.index.read();
        memory.components.get(ids[0] as u64).unwrap().state()
    };
    for _ in 0..100 {
        if state() == State::Intact {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(state(), State::Intact);
    assert_eq!(town.differences().await, Vec::<String>::new());
}

#[sqlx::test]
async fn nothing_is_deleted_even_by_hand(pool: PgPool) {
    let town = town(pool.clone()).await;
    town.lamps(&[(117.21, 39.10)]).await;
    for sql in [
        "delete from component",
        "truncate component cascade",
        "delete from component_version",
        "delete from class",
    ] {
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&pool)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("nothing is deleted"), "{sql}: {refused}");
    }
}

#[sqlx::test]
async fn a_component_on_a_border_has_exactly_one_cell_the_one_with_the_lowest_code(pool: PgPool) {
    let town = town(pool.clone()).await;
    town.sql(
        "insert into cell (scheme, code, geom) values
           ('GBT30428.1-2013', '120103001001002', st_multi(st_makeenvelope(117.21, 39.10, 117.22, 39.11, 4326))),
           ('GBT30428.1-2013', '120103001001001', st_multi(st_makeenvelope(117.20, 39.10, 117.21, 39.11, 4326)))",
    )
    .await;
    let ids = town
        .lamps(&[
            (117.21, 39.105),
            (117.205, 39.105),
            (117.215, 39.105),
            (117.3, 39.3),
            (117.22, 39.11),
        ])
        .await;
    let mut cells = Vec::new();
    for id in &ids {
        cells.push(town.json(&format!("/collections/lamps/items/{id}")).await["properties"]["cell"].clone());
    }
    let expected = [
        "120103001001001",
        "120103001001001",
        "120103001001002",
        "",
        "120103001001002",
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|c| {
            if c.is_empty() {
                serde_json::Value::Null
            } else {
                (*c).into()
            }
        })
        .collect();
    assert_eq!(cells, expected);
    // A move takes the new cell; leaving the grid leaves none.
    town.move_to(ids[1], 117.219, 39.101).await;
    town.move_to(ids[2], 118.0, 39.0).await;
    let now = |id| town.json_of(id, "cell");
    assert_eq!(now(ids[1]).await, "120103001001002");
    assert_eq!(now(ids[2]).await, serde_json::Value::Null);
}

#[sqlx::test]
async fn an_edit_is_acknowledged_as_lagging_while_nobody_can_number_it_and_arrives_later(pool: PgPool) {
    let town = town(pool.clone()).await;
    let id = town.lamps(&[(117.21, 39.10)]).await[0];
    let mut holder = pool.acquire().await.unwrap();
    // The numbering lock, held by somebody who does not number.
    sqlx::query("select pg_advisory_lock(7261002)")
        .execute(&mut *holder)
        .await
        .unwrap();
    let late = town.patch(id, 1, r#"{"properties":{"state":"damaged"}}"#).await;
    assert_eq!((late.status.as_u16(), late.header("lamppost-lagging")), (200, "true"));
    assert_eq!(late.json()["properties"]["version"], 2, "it is durable all the same");
    sqlx::query("select pg_advisory_unlock(7261002)")
        .execute(&mut *holder)
        .await
        .unwrap();
    drop(holder);
    assert_eq!(town.differences().await, Vec::<String>::new());
    let memory = town.state.index.read();
    assert_eq!(memory.components.get(id as u64).unwrap().version, 2);
}

#[sqlx::test]
async fn readers_never_wait_and_see_whole_revisions(pool: PgPool) {
    let town = town(pool.clone()).await;
    let mut dice = crate::support::Dice::new(2);
    let spots: Vec<_> = (0..600).map(|_| dice.spot()).collect();
    town.lamps(&spots).await;
    let damaged = |memory: &lamppost::index::Memory| {
        let rows = memory.components.rows().iter();
        rows.filter(|f| f.state() == State::Damaged).count()
    };
    // A reader holds on to memory for as long as the edits take.
    let held = town.state.index.read();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (state, ended) = (town.state.clone(), stop.clone());
    let watcher = tokio::task::spawn_blocking(move || {
        let mut seen = std::collections::BTreeSet::new();
        while !ended.load(std::sync::atomic::Ordering::Relaxed) {
            let memory = state.index.read();
            let rows = memory.components.rows().iter();
            let count = rows.filter(|f| f.state() == State::Damaged).count();
            let counters: u32 = memory
                .components
                .pyramid
                .cell(0, 0)
                .iter()
                .filter(|c| c.mark.state == State::Damaged as u8)
                .map(|c| c.count)
                .sum();
            assert_eq!(count, counters as usize, "rows and counters of one memory agree");
            seen.insert(count);
        }
        seen
    });
    for state in ["damaged", "intact", "damaged"] {
        sqlx::query("update component set state = $1")
            .bind(state)
            .execute(&pool)
            .await
            .unwrap();
        town.state.store.number_revisions().await.unwrap();
        town.settle().await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let seen = watcher.await.unwrap();
    assert!(seen.is_subset(&[0, 600].into()) && seen.contains(&600), "{seen:?}");
    assert_eq!((damaged(&held), damaged(&town.state.index.read())), (0, 600));
    assert_eq!(town.differences().await, Vec::<String>::new());
}
