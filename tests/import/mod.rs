//! Deliveries: real files where ../shared/data is at hand, small ones of our own everywhere.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use lamppost::delivery::{Options, deliver};
use lamppost::domain::delivery::Reason;
use lamppost::domain::text::Lang;
use lamppost::error::{Error, Result};
use lamppost::exchange::report::Report;
use lamppost::store::{Store, dictionary};
use sqlx::PgPool;

mod checks;
mod codes;
mod district;
mod formats;
mod fuzz;
mod hostile;
mod http;
mod lists;
mod quality;
mod real;
mod recode;
mod sync;
mod tables;

/// A directory of one test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("lamppost-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn reject(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.reject"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn store(pool: &PgPool) -> Store {
    let store = Store::from_pool(pool.clone());
    dictionary::install(&store).await.unwrap();
    store
}

fn options(scratch: &Scratch, mapping: &str, name: &str) -> Options {
    Options {
        mapping: Some(mapping.to_owned()),
        rejects: scratch.reject(name),
        lang: Lang::En,
        ..Options::default()
    }
}

async fn take(store: &Store, scratch: &Scratch, file: &Path, mapping: &str) -> Result<Report> {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    deliver(store, file, &options(scratch, mapping, &name), &|_, _| {}).await
}

fn counts(r: &Report) -> (u64, u64, u64, u64, u64) {
    (r.read, r.tally.added, r.tally.changed, r.tally.unchanged, r.rejected)
}

fn reason(r: &Report, reason: Reason) -> u64 {
    r.reasons.get(&reason).map_or(0, |(n, _)| *n)
}

async fn one<T>(pool: &PgPool, sql: &'static str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

const LAMPS: &str = "
source = 'lamps'
key = 'no'
x = 'lon'
y = 'lat'
null = ['N/A']
[class]
column = 'kind'
[class.values]
'路灯' = 'CJT214-2007/0118'
'公厕' = 'CJT214-2007/0301'
[state]
column = 'state'
[state.values]
'好' = 'intact'
'坏' = 'damaged'
[owner]
column = 'owner'
create = true
[fields]
name = 'name'
code = { column = 'code', scheme = 'LOCAL-TEST' }
[attributes]
wattage = 'watt'
";

const LAMPS_CSV: &str = "no,kind,lon,lat,state,owner,name,code,watt
1,路灯,117.2001,39.1001,好,区市政局,一号灯,L-1,150
2,路灯,117.2002,39.1002,坏,区市政局,,L-2,N/A
3,公厕,117.2003,39.1003,好,,三号公厕,,
";

#[sqlx::test]
async fn utf8_bom_gb18030_and_gzip_read_alike_and_the_second_time_nothing_changes(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("encodings"));
    let gb = encoding_rs::GB18030.encode(LAMPS_CSV).0.into_owned();
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(&gb).unwrap();
    let gz = gz.finish().unwrap();
    let files = [
        ("plain.csv", LAMPS_CSV.as_bytes().to_vec(), "UTF-8 (detected)"),
        ("bom.csv", format!("\u{feff}{LAMPS_CSV}").into_bytes(), "UTF-8 (BOM)"),
        ("gb.csv", gb, "GB18030 (detected: not UTF-8)"),
        ("gb.csv.gz", gz, "GB18030 (detected: not UTF-8)"),
    ];
    for (i, (name, bytes, encoding)) in files.iter().enumerate() {
        let report = take(&store, &scratch, &scratch.file(name, bytes), LAMPS).await.unwrap();
        let expected = if i == 0 { (3, 3, 0, 0, 0) } else { (3, 0, 0, 3, 0) };
        assert_eq!(
            (counts(&report), report.encoding.as_str()),
            (expected, *encoding),
            "{name}"
        );
    }
    assert_eq!(one::<i64>(&pool, "select count(*) from component_version").await, 3);
    assert_eq!(
        one::<String>(&pool, "select string_agg(name, ',') from party").await,
        "区市政局"
    );
    let statuses: String = one(
        &pool,
        "select string_agg(ownership_status, ',' order by source_key) from component",
    )
    .await;
    assert_eq!(statuses, "proposed,proposed,unsurveyed");
    assert_eq!(
        one::<String>(&pool, "select attributes::text from component where code = 'L-1'").await,
        r#"{"wattage": 150}"#
    );
    assert_eq!(
        one::<String>(
            &pool,
            "select actor || ' ' || reason from revision order by number desc limit 1"
        )
        .await,
        "import plain.csv"
    );
}

#[sqlx::test]
async fn a_delivery_leaves_alone_what_it_has_no_column_for_and_empties_what_it_leaves_empty(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("columns"));
    take(&store, &scratch, &scratch.file("a.csv", LAMPS_CSV.as_bytes()), LAMPS)
        .await
        .unwrap();
    let narrow = "source = 'lamps'\nkey = 'no'\nx = 'lon'\ny = 'lat'\n[class]\nvalue = '路灯'\n[attributes]\nwattage = 'watt'\nheight = 'h'";
    let file = scratch.file(
        "b.csv",
        b"no,lon,lat,watt,h\n1,117.2001,39.1001,,9.5\n2,117.2009,39.1002,60,\n",
    );
    let report = take(&store, &scratch, &file, narrow).await.unwrap();
    assert_eq!(counts(&report), (2, 0, 2, 0, 0));
    let row: (String, String, String, i64) =
        sqlx::query_as("select name, code, attributes::text, version from component where source_key = '1'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(row, ("一号灯".into(), "L-1".into(), r#"{"height": "9.5"}"#.into(), 2));
}

#[sqlx::test]
async fn every_fault_of_a_row_is_told_and_the_corrected_reject_file_goes_in_as_it_is(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("rejects"));
    let csv = "no,kind,lon,lat,state,owner,name,code,watt
1,路灯,117.2001,39.1001,好,,,L-1,150
2,路灯x,,39.1002,好,,,L-2,
3,路灯,39.1003,117.2003,好,,,L-3,
4,路灯,117.2004,39.1004,半坏,,,L-4,many
1,路灯,117.2005,39.1005,好,,,L-5,
6,路灯,117.2006,39.1006,好,,,L-1,
7,路灯,117.2007,39.1007
,路灯,117.2008,39.1008,好,,,L-8,
";
    let report = take(&store, &scratch, &scratch.file("bad.csv", csv.as_bytes()), LAMPS)
        .await
        .unwrap();
    assert_eq!(counts(&report), (8, 1, 0, 0, 7));
    for (r, n) in [
        (Reason::Class, 1),
        (Reason::PositionWrong, 1),
        (Reason::Value, 1),
        (Reason::KeyRepeated, 1),
        (Reason::CodeTaken, 1),
        (Reason::Columns, 1),
        (Reason::KeyMissing, 1),
    ] {
        assert_eq!(reason(&report, r), n, "{r:?}");
    }
    let path = scratch.0.join("bad.csv.reject.csv");
    let rejects = std::fs::read_to_string(&path).unwrap();
    assert!(
        rejects.starts_with("\u{feff}no,kind,lon,lat,state,owner,name,code,watt,_row,_column,_reason,_expected\n"),
        "{rejects}"
    );
    for told in [
        "kind; lon",
        "swapped",
        "半坏",
        "many",
        "row 2",
        ",4,lon,",
        "one of 公厕, 路灯",
    ] {
        assert!(rejects.contains(told), "{told}: {rejects}");
    }
    let fixed = rejects
        .replace("路灯x,,", "路灯,117.2002,")
        .replace("39.1003,117.2003", "117.2003,39.1003")
        .replace("半坏,,,L-4,many", "坏,,,L-4,70")
        .replace("\n1,路灯", "\n5,路灯")
        .replace("39.1006,好,,,L-1", "39.1006,好,,,L-6")
        .replace("39.1007,,", "39.1007,好,")
        .replace("\n,路灯", "\n8,路灯");
    let file = scratch.file("fixed.csv", fixed.as_bytes());
    let report = take(&store, &scratch, &file, LAMPS).await.unwrap();
    assert_eq!(counts(&report), (7, 7, 0, 0, 0), "{:?}", report.reasons);
    assert!(report.rejects.is_none());
}

#[sqlx::test]
async fn a_dry_run_counts_and_keeps_nothing(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("dry"));
    let before: i64 = one(&pool, "select count(*) from change").await;
    let file = scratch.file("a.csv", LAMPS_CSV.as_bytes());
    let dry = Options {
        dry_run: true,
        ..options(&scratch, LAMPS, "a.csv")
    };
    let report = deliver(&store, &file, &dry, &|_, _| {}).await.unwrap();
    assert_eq!(
        (counts(&report), report.new_parties.len(), report.revision),
        ((3, 3, 0, 0, 0), 1, None)
    );
    assert_eq!(one::<i64>(&pool, "select count(*) from change").await, before);
    assert_eq!(
        one::<i64>(
            &pool,
            "select (select count(*) from component) + (select count(*) from party)"
        )
        .await,
        0
    );
}

#[sqlx::test]
async fn features_in_a_collection_or_one_a_line_are_the_same_delivery(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("geojson"));
    let feature = |id: u32, lon: f64, x: &str| {
        format!(
            r#"{{"type":"Feature","id":{id},"geometry":{{"type":"Point","coordinates":[{lon},39.1]}},"properties":{{"kind":"路灯","h":{x},"s":"a"}}}}"#
        )
    };
    let (a, b, bad) = (
        feature(1, 117.2, "9.5"),
        feature(2, 117.3, "null"),
        feature(3, 217.3, "1"),
    );
    let mapping = "source = 'g'\nkey = 'id'\nkeep_rest = true\n[class]\ncolumn = 'kind'\n";
    let lines = scratch.file("l.geojsonl", format!("{a}\n{b}\n{bad}\n").as_bytes());
    let report = take(&store, &scratch, &lines, mapping).await.unwrap();
    assert_eq!(counts(&report), (3, 2, 0, 0, 1));
    let collection = format!("{{\"type\":\"FeatureCollection\",\"features\":[{a},{b},{bad}]}}");
    let report = take(
        &store,
        &scratch,
        &scratch.file("c.geojson", collection.as_bytes()),
        mapping,
    )
    .await
    .unwrap();
    assert_eq!(counts(&report), (3, 0, 0, 2, 1));
    let rejects = std::fs::read_to_string(scratch.0.join("c.geojson.reject.geojson")).unwrap();
    let fixed = scratch.file("fixed.geojson", rejects.replace("217.3", "117.4").as_bytes());
    let report = take(&store, &scratch, &fixed, mapping).await.unwrap();
    assert_eq!(counts(&report), (1, 1, 0, 0, 0));
    let kept: String = one(
        &pool,
        "select string_agg(attributes::text, ';' order by source_key) from component",
    )
    .await;
    assert_eq!(kept, r#"{"h": 9.5, "s": "a"};{"s": "a"};{"h": 1, "s": "a"}"#);
}

#[sqlx::test]
async fn without_a_key_equal_rows_stay_apart_and_the_same_file_changes_nothing(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("keyless"));
    let mapping = "source = 'k'\nx = 'lon'\ny = 'lat'\n[class]\nvalue = '0118'\n";
    let file = scratch.file("k.csv", b"lat,lon\n39.1,117.1\n39.1,117.1\n39.2,117.1\n");
    for expected in [(3, 3, 0, 0, 0), (3, 0, 0, 3, 0)] {
        assert_eq!(counts(&take(&store, &scratch, &file, mapping).await.unwrap()), expected);
    }
}

#[sqlx::test]
async fn mapping_faults_come_all_at_once(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("faults"));
    let file = scratch.file("a.csv", LAMPS_CSV.as_bytes());
    let faults = async |mapping: &str| match take(&store, &scratch, &file, mapping).await {
        Err(Error::Syntax(faults)) => faults.iter().map(|f| f.to_string()).collect::<Vec<_>>().join("\n"),
        other => panic!("{other:?}"),
    };
    let told = faults("source = 's'\nkey = 'nos'\nx = 'lom'\ny = 'lat'\n[class]\nvalue = '0118'\n").await;
    assert!(
        told.contains("do you mean \"no\"") && told.contains("do you mean \"lon\""),
        "{told}"
    );
    let told =
        faults("source = 's'\nx = 'lon'\ny = 'lat'\n[class]\nvalue = 'CJT214-2007/0999'\n[state]\nvalue = 'fine'\n")
            .await;
    assert!(
        told.contains("there is no class") && told.contains("state cannot be"),
        "{told}"
    );
    let told = faults("source = 's'\n[class]\nvalue = '0118'\n").await;
    assert!(told.contains("CSV needs x and y"), "{told}");
}

#[sqlx::test]
async fn an_edit_is_never_silently_overwritten_and_the_retired_stay_retired(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("edits"));
    let file = scratch.file("a.csv", LAMPS_CSV.as_bytes());
    take(&store, &scratch, &file, LAMPS).await.unwrap();
    for sql in [
        "update component set name = '新名' where source_key = '1'",
        "update component set note = 'seen' where source_key = '2'",
        "update component set state = 'retired' where source_key = '3'",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    // The source still says what it said: the surveyor's name stays.
    let report = take(&store, &scratch, &file, LAMPS).await.unwrap();
    assert_eq!(
        (counts(&report), reason(&report, Reason::Retired)),
        ((3, 0, 0, 1, 1), 1)
    );
    assert_eq!(
        report.tally.kept, 1,
        "the edit that the source knows nothing of stands, and is told"
    );
    // The source changes rows 1 and 2: row 1 was edited in what is mapped, row 2 only in its note, which is not.
    let next = LAMPS_CSV.replace("L-1,150", "L-1,151").replace("L-2,N/A", "L-2,90");
    let file = scratch.file("b.csv", next.as_bytes());
    let report = take(&store, &scratch, &file, LAMPS).await.unwrap();
    assert_eq!(
        (counts(&report), reason(&report, Reason::Edited)),
        ((3, 0, 1, 0, 2), 1),
        "{:?}",
        report.reasons
    );
    let name: String = one(&pool, "select name from component where source_key = '1'").await;
    assert_eq!(name, "新名");
    let force = Options {
        overwrite: true,
        ..options(&scratch, LAMPS, "b.csv")
    };
    let report = deliver(&store, &file, &force, &|_, _| {}).await.unwrap();
    assert_eq!(counts(&report), (3, 0, 1, 1, 1));
    assert_eq!(
        one::<String>(&pool, "select name from component where source_key = '1'").await,
        "一号灯"
    );
}

#[sqlx::test]
async fn the_verb_writes_report_and_rejects_beside_the_file(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("verb"));
    let args = lamppost::cli::import::Args {
        file: Some(scratch.file("a.csv", LAMPS_CSV.replace("3,公厕", "3,公侧").as_bytes())),
        mapping: Some(scratch.file("m.toml", LAMPS.as_bytes())),
        ..Default::default()
    };
    lamppost::cli::import::run(&store, &args).await.unwrap();
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(scratch.0.join("a.csv.report.json")).unwrap()).unwrap();
    assert_eq!(
        (&report["rows"]["added"], &report["rows"]["rejected"]),
        (&2.into(), &1.into())
    );
    let example = &report["rejected"][0]["examples"][0];
    assert_eq!(
        (&report["rejected"][0]["reason"], &example["row"], &example["column"]),
        (&"class".into(), &4.into(), &"kind".into())
    );
    assert!(example["reason"]["zh"].as_str().unwrap().contains("公侧"));
    assert!(scratch.0.join("a.csv.reject.csv").exists());
}

#[test]
fn every_shipped_mapping_reads() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/mappings");
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        if let Err(e) = lamppost::exchange::mapping::Mapping::parse(&text, None) {
            panic!("{}: {e}", path.display());
        }
    }
}
