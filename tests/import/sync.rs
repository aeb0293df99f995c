//! Keeping in step with a source, and taking a delivery back.

use lamppost::delivery::{Options, deliver};
use lamppost::error::Error;
use lamppost::exchange::report::Report;
use lamppost::store::Store;
use lamppost::store::import::sync::Shrink;
use sqlx::PgPool;

use super::real::{shared, shipped};
use super::{Scratch, one, options, store};

const BOUND: Shrink = Shrink {
    most: 0.1,
    allowed: false,
};

async fn sync(store: &Store, scratch: &Scratch, name: &str, csv: &str, shrink: Shrink) -> Result<Report, Error> {
    let file = scratch.file(name, csv.as_bytes());
    let own = Options {
        sync: Some(shrink),
        changes: scratch.0.join("changes.csv"),
        ..options(scratch, TREES, name)
    };
    deliver(store, &file, &own, &|_, _| {}).await
}

const TREES: &str = "
source = 'trees'
key = 'k'
x = 'lon'
y = 'lat'
keep_rest = true
ignore = ['updated']
[class]
value = 'CJT214-2007/0402'
[fields]
note = 'note'
[attributes]
height = 'height'
";

fn csv(rows: &[&str]) -> String {
    format!("k,lon,lat,note,height,updated\n{}\n", rows.join("\n"))
}

fn row(k: u32, note: &str, height: u32, updated: u32) -> String {
    format!("T{k},117.{:04},39.1,{note},{height},{updated}", k + 1000)
}

#[sqlx::test]
async fn a_source_is_followed_row_by_row_and_local_edits_stand(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("sync"));
    let first: Vec<String> = (0..30).map(|k| row(k, "a", 10, 1)).collect();
    let refs = |rows: &[String]| csv(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    let report = sync(&store, &scratch, "1.csv", &refs(&first), BOUND).await.unwrap();
    assert_eq!((report.tally.added, report.tally.retired), (30, 0));
    // Another source's trees and this source's lamps are none of this delivery's business.
    sqlx::query("insert into component (class, geom, source, source_key) select id, st_setsrid(st_makepoint(117, 39), 4326), 'other', 'x' from class where code = '0402' and scheme = 'CJT214-2007'")
        .execute(&pool).await.unwrap();
    sqlx::query("insert into component (class, geom, source, source_key) select id, st_setsrid(st_makepoint(117, 39), 4326), 'trees', 'lamp' from class where code = '0118' and scheme = 'CJT214-2007'")
        .execute(&pool).await.unwrap();
    sqlx::query("update component set note = '改过' where source_key = 'T5'")
        .execute(&pool)
        .await
        .unwrap();
    // One is gone, one moved, one changed, one is new; a day that is ignored changes everywhere; one row cannot be read.
    let mut second: Vec<String> = (1..30).map(|k| row(k, "a", 10, 2)).collect();
    second[0] = second[0].replace("39.1,", "39.2,");
    second[1] = row(2, "b", 12, 2);
    second[2] = row(3, "a", 10, 2).replace("39.1,", "north,");
    second.push(row(99, "new", 1, 2));
    let report = sync(&store, &scratch, "2.csv", &refs(&second), BOUND).await.unwrap();
    let t = report.tally;
    assert_eq!(
        (
            t.added,
            t.changed,
            t.moved,
            t.altered,
            t.unchanged,
            t.kept,
            t.retired,
            report.rejected
        ),
        (1, 2, 1, 1, 25, 1, 1, 1),
        "{:?}",
        report.reasons
    );
    let listed = std::fs::read_to_string(report.changes.unwrap()).unwrap();
    for line in [
        "changed,T2,",
        "note: \"\"a\"\" → \"\"b\"\"; attributes.height: 10.0 → 12.0",
        "kept,T5,",
        "note: \"\"改过\"\" → \"\"a\"\"",
        "retired,T0,",
        "added,T99,",
        "unchanged,T7,",
    ] {
        assert!(listed.contains(line), "{line}\n{listed}");
    }
    assert!(!listed.contains("T3,"), "a row that cannot be read is not gone");
    assert_eq!(listed.lines().count(), 1 + 1 + 2 + 25 + 1 + 1);
    assert_eq!(
        one::<i64>(&pool, "select count(*) from component where state = 'retired'").await,
        1
    );
    let updated: String = one(&pool, "select string_agg(distinct attributes ->> 'updated', ',') from component where source = 'trees' and source_key not in ('T99', 'lamp')").await;
    assert_eq!(updated, "1", "what is ignored is no change");
    // What comes back lives again.
    let report = sync(
        &store,
        &scratch,
        "3.csv",
        &refs(&first),
        Shrink {
            most: 0.1,
            allowed: true,
        },
    )
    .await
    .unwrap();
    assert_eq!(report.rejected, 0, "{:?}", report.reasons);
    assert_eq!(
        one::<String>(&pool, "select state from component where source_key = 'T0'").await,
        "intact"
    );
}

#[sqlx::test]
async fn half_a_file_retires_nothing(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("shrink"));
    let rows: Vec<String> = (0..40).map(|k| row(k, "a", 10, 1)).collect();
    let refs = |rows: &[String]| csv(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    sync(&store, &scratch, "1.csv", &refs(&rows), BOUND).await.unwrap();
    let told = sync(&store, &scratch, "2.csv", &refs(&rows[..30]), BOUND)
        .await
        .unwrap_err()
        .to_string();
    assert!(told.contains("10 of 40") && told.contains("--allow-shrink"), "{told}");
    let keyless = format!("{}\n,117.1,39.1,,,1\n", refs(&rows[1..]));
    let told = sync(&store, &scratch, "2.csv", &keyless, BOUND)
        .await
        .unwrap_err()
        .to_string();
    assert!(told.contains("1 rows have no key"), "{told}");
    assert_eq!(
        one::<i64>(&pool, "select count(*) from component where state = 'retired'").await,
        0
    );
    let allowed = Shrink {
        most: 0.1,
        allowed: true,
    };
    let report = sync(&store, &scratch, "2.csv", &refs(&rows[..30]), allowed)
        .await
        .unwrap();
    assert_eq!(report.tally.retired, 10);
    assert_eq!(
        one::<i64>(&pool, "select count(*) from component where state = 'retired'").await,
        10
    );
}

#[sqlx::test]
async fn a_delivery_is_undone_as_one_but_for_what_was_edited_since(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("undo"));
    let rows: Vec<String> = (0..20).map(|k| row(k, "a", 10, 1)).collect();
    let refs = |rows: &[String]| csv(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    sync(&store, &scratch, "1.csv", &refs(&rows), BOUND).await.unwrap();
    let before: String = one(&pool, "select string_agg(c::text, '|' order by id) from (select id, class, geom, note, state, attributes from component) c").await;
    let mut changed: Vec<String> = (1..20).map(|k| row(k, "b", 11, 1).replace("39.1,", "39.3,")).collect();
    changed.push(row(77, "c", 1, 1));
    let report = sync(&store, &scratch, "2.csv", &refs(&changed), BOUND).await.unwrap();
    assert_eq!(
        (report.tally.changed, report.tally.added, report.tally.retired),
        (19, 1, 1)
    );
    sqlx::query("update component set note = '改过' where source_key = 'T7'")
        .execute(&pool)
        .await
        .unwrap();
    let seven: i64 = one(&pool, "select id from component where source_key = 'T7'").await;
    let done = store.undo_delivery(report.delivery.unwrap()).await.unwrap();
    assert_eq!((done.restored, done.retired, done.kept), (19, 1, vec![seven]));
    let after: String = one(&pool, "select string_agg(c::text, '|' order by id) from (select id, class, geom, note, state, attributes from component where source_key <> 'T77' and source_key <> 'T7') c").await;
    let expected: Vec<&str> = before
        .split('|')
        .filter(|c| !c.starts_with(&format!("({seven},")))
        .collect();
    assert_eq!(after, expected.join("|"));
    assert!(matches!(
        store.undo_delivery(report.delivery.unwrap()).await,
        Err(Error::Conflict(_))
    ));
    assert!(matches!(store.undo_delivery(9999).await, Err(Error::NotFound(_))));
    // The corrected delivery brings in again what the undone one had added.
    let report = sync(
        &store,
        &scratch,
        "3.csv",
        &refs(&changed),
        Shrink {
            most: 1.0,
            allowed: true,
        },
    )
    .await
    .unwrap();
    assert_eq!(
        one::<String>(&pool, "select state from component where source_key = 'T77'").await,
        "intact"
    );
    assert_eq!(report.tally.added, 0);
}

#[sqlx::test]
async fn the_halves_of_an_interrupted_delivery_are_undone_as_one(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("halves"));
    let file = |n: u32, note: &str| {
        let rows: Vec<String> = (0..n).map(|k| row(k, note, 10, 1)).collect();
        csv(&rows.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let whole = file(40, "b");
    let first = sync(&store, &scratch, "a.csv", &file(20, "a"), BOUND).await.unwrap();
    // As a kill leaves it; and meanwhile somebody has been there.
    sqlx::query("update delivery set state = 'running'")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("update component set address = '看过' where source_key = 'T7'")
        .execute(&pool)
        .await
        .unwrap();
    let second = sync(&store, &scratch, "a.csv", &whole, BOUND).await.unwrap();
    assert_eq!(second.delivery, first.delivery);
    assert!(second.notes[0].en.contains("after 20 components"), "{:?}", second.notes);
    assert_eq!((second.tally.added, second.tally.changed), (20, 20));
    let undone = store.undo_delivery(second.delivery.unwrap()).await.unwrap();
    assert_eq!((undone.retired, undone.restored, undone.kept.len()), (39, 0, 1));
    // A delivery that came to its end is not gone on with, and nobody else delivers from a source meanwhile.
    let third = sync(&store, &scratch, "a.csv", &whole, BOUND).await.unwrap();
    assert_ne!(third.delivery, second.delivery);
    let held = store
        .begin_delivery("trees", "b.csv", "components", None)
        .await
        .unwrap();
    let fourth = sync(&store, &scratch, "a.csv", &whole, BOUND).await;
    assert!(matches!(fourth, Err(Error::Conflict(_))), "{fourth:?}");
    drop(held);
}

#[sqlx::test]
async fn graz_and_taipei_from_one_month_to_the_next(pool: PgPool) {
    let Some(first) = shared("graz_and_taipei", "graz_trees_z18tiles_2014-06-09.zip") else {
        return;
    };
    let (store, scratch) = (store(&pool).await, Scratch::new("months"));
    let next = async |file: &str, mapping: &str| {
        let own = Options {
            sync: Some(BOUND),
            changes: scratch.0.join("changes.csv"),
            ..options(&scratch, &shipped(mapping), file)
        };
        deliver(&store, &first.with_file_name(file), &own, &|_, _| {})
            .await
            .unwrap()
    };
    let tally = |r: &Report| {
        let t = r.tally;
        (t.added, t.moved, t.altered, t.retired, r.rejected)
    };
    let graz = next("graz_trees_z18tiles_2014-06-09.zip", "graz-trees.toml").await;
    assert_eq!(tally(&graz), (17_538, 0, 0, 0, 0), "{:?}", graz.reasons);
    let graz = next("graz_trees_z18tiles_2014-08-23.zip", "graz-trees.toml").await;
    assert_eq!(
        (tally(&graz), graz.tally.changed),
        ((158, 21, 277, 27, 0), 294),
        "{:?}",
        graz.reasons
    );
    let taipei = next("taipei_street_trees_2026-08-02.csv.gz", "taipei-trees.toml").await;
    assert_eq!(tally(&taipei), (91_368, 0, 0, 0, 0));
    let taipei = next("taipei_street_trees_2026-08-04.csv.gz", "taipei-trees.toml").await;
    assert_eq!((tally(&taipei), taipei.tally.unchanged), ((0, 0, 0, 0, 0), 91_368));
    let taipei = next("taipei_street_trees_2026-08-18.csv.gz", "taipei-trees.toml").await;
    assert_eq!(
        (taipei.tally.added, taipei.tally.retired),
        (1, 56),
        "{}",
        taipei.summary(lamppost::domain::text::Lang::En)
    );
}
