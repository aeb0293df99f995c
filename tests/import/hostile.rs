//! Files that nobody should send, and writers at the same moment.

use lamppost::domain::delivery::Reason;
use lamppost::error::Error;
use lamppost::exchange::read::{Hints, Table};
use proptest::prelude::*;
use sqlx::PgPool;

use super::{LAMPS, LAMPS_CSV, Scratch, counts, one, reason, store, take};

#[sqlx::test]
async fn rows_that_a_database_cannot_keep_cost_only_themselves(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("hostile"));
    let long = "k".repeat(5000);
    let name = "n".repeat(5000);
    let csv = format!(
        "no,kind,lon,lat,state,owner,name,code,watt
1,路灯,117.1,39.1,好,,a\0b,,
{long},路灯,117.1,39.1,好,,,,
3,路灯,117.1,39.1,好,{name},,,
4,路灯,117.1,39.1,好,,{name},,
5,路灯,NaN,39.1,好,,,,
6,路灯,1e400,39.1,好,,,,
7,路灯,117.1,39.1,好,,,,99999999999999999999
8,路灯,117.1,39.1,好,,,bad code,
9,路灯,117.1,39.1,好,,',\"\"\"\",
10,路灯,117.1,39.1,好,,ok,,
"
    );
    let report = take(&store, &scratch, &scratch.file("h.csv", csv.as_bytes()), LAMPS)
        .await
        .unwrap();
    assert_eq!((report.tally.added, report.rejected), (2, 8), "{:?}", report.reasons);
}

#[sqlx::test]
async fn bytes_of_another_encoding_are_refused_row_by_row(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("bytes"));
    let mut csv = LAMPS_CSV.replace("一号灯", "@@").into_bytes();
    let at = csv.windows(2).position(|w| w == b"@@").unwrap();
    csv[at] = 0xff;
    let stated = format!("encoding = 'utf-8'\n{LAMPS}");
    let report = take(&store, &scratch, &scratch.file("b.csv", &csv), &stated)
        .await
        .unwrap();
    assert_eq!(
        (counts(&report), reason(&report, Reason::Encoding)),
        ((3, 2, 0, 0, 1), 1)
    );
}

#[sqlx::test]
async fn an_unknown_party_is_told_with_the_nearest(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("party"));
    sqlx::query("insert into party (name, aliases) values ('区市政养护所', '{养护所}')")
        .execute(&pool)
        .await
        .unwrap();
    let csv = LAMPS_CSV
        .replace("坏,区市政局", "坏,养护所")
        .replace("好,区市政局", "好,区市政养护");
    let strict = LAMPS.replace("create = true", "");
    let report = take(&store, &scratch, &scratch.file("p.csv", csv.as_bytes()), &strict)
        .await
        .unwrap();
    assert_eq!((counts(&report), reason(&report, Reason::Party)), ((3, 2, 0, 0, 1), 1));
    let (_, examples) = &report.reasons[&Reason::Party];
    assert!(examples[0].1.detail.zh.contains("是否为“区市政养护所”"), "{examples:?}");
}

#[sqlx::test]
async fn a_missing_file_an_array_and_an_empty_file_are_told_apart(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("none"));
    let missing = take(&store, &scratch, &scratch.0.join("none.csv"), LAMPS).await;
    assert!(matches!(missing, Err(Error::Setup(_))), "{missing:?}");
    for (name, bytes) in [("a.json", "[{}]"), ("e.csv", ""), ("e.geojson", "{}")] {
        let file = scratch.file(name, bytes.as_bytes());
        let told = take(&store, &scratch, &file, LAMPS).await;
        assert!(
            told.is_err() || told.as_ref().is_ok_and(|r| r.rejected == 1),
            "{name}: {told:?}"
        );
    }
}

/// While a delivery changes a thousand lamps again and again, somebody edits them one by one: nothing is lost, nothing fails.
#[sqlx::test]
async fn a_delivery_and_an_editor_at_the_same_moment(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("moment"));
    let mapping = "source = 'm'\nkey = 'k'\nx = 'lon'\ny = 'lat'\n[class]\nvalue = '0118'\n[attributes]\nwattage = 'w'";
    let csv = |w: u32| (0..1000).fold("k,lon,lat,w\n".to_owned(), |s, i| s + &format!("{i},117.1,39.1,{w}\n"));
    take(&store, &scratch, &scratch.file("0.csv", csv(0).as_bytes()), mapping)
        .await
        .unwrap();
    let editor = async {
        for i in 0..200 {
            sqlx::query("update component set note = $1 where source_key = $1")
                .bind(i.to_string())
                .execute(&pool)
                .await
                .unwrap();
        }
    };
    let delivery = async {
        for w in 1..6 {
            let report = take(
                &store,
                &scratch,
                &scratch.file(&format!("{w}.csv"), csv(w).as_bytes()),
                mapping,
            )
            .await
            .unwrap();
            assert_eq!(counts(&report), (1000, 0, 1000, 0, 0));
        }
    };
    tokio::join!(editor, delivery);
    let state: String = one(
        &pool,
        "select min(attributes ->> 'wattage') || max(attributes ->> 'wattage') || count(note) from component",
    )
    .await;
    assert_eq!(state, "55200");
    let whole: bool = one(&pool, "select bool_and(n = version) from (select id, count(*) n, max(version) as version from component_version group by 1) v").await;
    assert!(whole);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), json in "[{}\\[\\]\",:a-f0-9 \\n]{0,200}") {
        let scratch = Scratch::new("bytes-any");
        for content in [bytes.as_slice(), json.as_bytes(), format!("{{\"type\":\"FeatureCollection\",\"features\":[{json}").as_bytes()] {
            let path = scratch.file("x", content);
            let Ok(table) = Table::open(&path, Hints::default()) else { continue };
            let mut rows = 0;
            let _ = table.rows(&mut |_| {
                rows += 1;
                true
            });
            prop_assert!(rows <= 300);
        }
    }
}
