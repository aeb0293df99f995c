//! Checks of a row against other rows and the register.

use lamppost::delivery::{Options, deliver};
use lamppost::domain::delivery::Reason;
use lamppost::store::import::sync::Shrink;
use sqlx::PgPool;

use super::{Scratch, counts, options, reason, store, take};

const MAPPING: &str = "
source = 'a'
key = 'k'
x = 'lon'
y = 'lat'
class = 'class'
authority = { column = 'authority', create = true }
[fields]
accuracy = 'accuracy'
";

fn rows(rows: &[(&str, f64, &str, &str, &str)]) -> String {
    let mut out = "k,lon,lat,class,accuracy,authority\n".to_owned();
    for (key, metres, class, accuracy, authority) in rows {
        // A metre at this latitude.
        let lon = 117.2 + metres / 86_500.0;
        out += &format!("{key},{lon:.8},39.1,CJT214-2007/{class},{accuracy},{authority}\n");
    }
    out
}

#[sqlx::test]
async fn another_of_the_class_within_its_accuracy_is_refused(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("near"));
    let first = rows(&[
        ("1", 0.0, "0118", "A", ""),
        ("2", 0.45, "0118", "A", "某局"),
        ("3", 0.45, "0102", "A", "某局"),
        ("4", 0.9, "0118", "A", "某局"),
        // C lies anywhere within ten metres; of what nobody states nothing is known.
        ("5", 0.95, "0118", "C", "某局"),
        ("6", 0.96, "0118", "", "某局"),
        ("7", 1.6, "0118", "B", "某局"),
    ]);
    let file = scratch.file("a.csv", first.as_bytes());
    let report = take(&store, &scratch, &file, MAPPING).await.unwrap();
    assert_eq!(
        (counts(&report), reason(&report, Reason::Duplicate)),
        ((7, 5, 0, 0, 2), 2)
    );
    let told: Vec<&str> = report.reasons[&Reason::Duplicate]
        .1
        .iter()
        .map(|(_, f)| f.detail.en.as_str())
        .collect();
    assert!(told[0].starts_with("0.45 m from row 2 of the same class"), "{told:?}");
    assert!(told[1].starts_with("0.64 m from row 7 of the same class"), "{told:?}");
    let parties = &report.findings["party_missing"].1;
    let told: Vec<&str> = parties.iter().map(|f| f.detail.en.as_str()).collect();
    assert_eq!(
        told,
        [
            "1 rows have no authority",
            "5 rows have no owner",
            "5 rows have no maintainer"
        ]
    );

    // The same rows again are not in their own way, nor is a component moved by its source.
    let again = take(&store, &scratch, &file, MAPPING).await.unwrap();
    assert_eq!(counts(&again), (7, 0, 0, 5, 2));
    // Another source finds them, unless it is told that they are two.
    let other = MAPPING.replace("source = 'a'", "source = 'b'");
    let file = scratch.file(
        "b.csv",
        rows(&[("1", 0.1, "0118", "A", ""), ("2", 9.0, "0118", "A", "")]).as_bytes(),
    );
    let report = take(&store, &scratch, &file, &other).await.unwrap();
    assert_eq!(counts(&report), (2, 1, 0, 0, 1));
    assert!(
        report.reasons[&Reason::Duplicate].1[0]
            .1
            .detail
            .zh
            .starts_with("距同类部件")
    );
    let both = Options {
        allow_duplicates: true,
        ..options(&scratch, &other, "b.csv")
    };
    assert_eq!(
        counts(&deliver(&store, &file, &both, &|_, _| {}).await.unwrap()),
        (2, 1, 0, 1, 0)
    );

    // A source that has given all its rows new keys is followed.
    let renamed = rows(&[("11", 20.0, "0118", "A", "")]);
    let sync = |allowed| Options {
        sync: Some(Shrink { most: 1.0, allowed }),
        changes: scratch.0.join("changes.csv"),
        ..options(&scratch, &MAPPING.replace("'a'", "'c'"), "c.csv")
    };
    let file = scratch.file("c.csv", renamed.as_bytes());
    deliver(&store, &file, &sync(false), &|_, _| {}).await.unwrap();
    let file = scratch.file("c.csv", renamed.replace("11,", "12,").as_bytes());
    let report = deliver(&store, &file, &sync(true), &|_, _| {}).await.unwrap();
    assert_eq!((report.tally.added, report.tally.retired), (1, 1));
}

/// Degrees, minutes and seconds in all the ways in which they are written; one of them cannot be read.
#[sqlx::test]
async fn sexagesimal_positions_go_in_by_suggestion_alone(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("sexagesimal"));
    let file = scratch.file(
        "lamps.csv",
        "编号,部件名称,经度,纬度\n\
         1,路灯,117°13′01.9″,39°06′00″\n\
         2,路灯,117度13分1.9秒,39度6分\n\
         3,路灯,１１７°１３′０１．９″E,39°06′00″N\n\
         4,路灯,\"117:13:01.9\",39.1\n\
         5,路灯,117°73′01.9″,39°06′00″\n"
            .as_bytes(),
    );
    let args = lamppost::cli::import::Args {
        suggest: true,
        column: vec![("编号".into(), "id".into())],
        allow_duplicates: true,
        ..Default::default()
    };
    let report = lamppost::cli::import::take(&store, &file, &args).await.unwrap();
    assert_eq!((report.tally.added, report.rejected), (4, 1), "{:?}", report.reasons);
    let off: f64 = sqlx::query_scalar(
        "select max(st_distance(geom::geography, st_setsrid(st_makepoint(117 + 13 / 60.0 + 1.9 / 3600.0, 39.1), 4326)::geography))
         from component where source = 'lamps'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!(off < 0.001, "{off} m");
}
