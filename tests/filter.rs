//! Filters against PostgreSQL, which answers the same conditions, and against the examples of the standard.

use std::path::Path;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use sqlx::{AssertSqlSafe, PgPool};

use lamppost::domain::filter::{Field, Filter, Value};
use source::{COLUMNS, Plain, Row, Source, row, source};

#[path = "../src/domain/filter/tests/source.rs"]
mod source;
#[path = "../src/domain/filter/tests/spelling.rs"]
mod spelling;

fn sql_value(value: &Plain) -> String {
    match value {
        Plain::Number(n) => n.to_string(),
        Plain::Text(t) => format!("'{}'", t.replace('\'', "''")),
    }
}

/// A condition as PostgreSQL writes it, over columns named as the properties are.
fn sql(source: &Source) -> String {
    let joined = |parts: &[Source], word: &str| {
        let parts: Vec<_> = parts.iter().map(|p| format!("({})", sql(p))).collect();
        parts.join(word)
    };
    match source {
        Source::Truth(truth) => truth.to_string(),
        Source::Not(inner) => format!("not ({})", sql(inner)),
        Source::All(parts) => joined(parts, " and "),
        Source::Any(parts) => joined(parts, " or "),
        Source::Compare(c, op, v) => format!("{} {op} {}", COLUMNS[*c], sql_value(v)),
        Source::OneOf(c, set) => {
            let set: Vec<_> = set.iter().map(sql_value).collect();
            format!("{} in ({})", COLUMNS[*c], set.join(", "))
        }
        Source::Between(c, low, high) => {
            format!("{} between {} and {}", COLUMNS[*c], sql_value(low), sql_value(high))
        }
        Source::Missing(c) => format!("{} is null", COLUMNS[*c]),
        Source::Like(c, p) => format!("{} like {}", COLUMNS[*c], sql_value(&Plain::Text(p.clone()))),
    }
}

fn answer(filter: &Filter, row: &Row) -> Option<bool> {
    filter.holds(&|field: Field| {
        let column = COLUMNS.iter().position(|c| *c == field.key())?;
        row[column].as_ref().map(|value| match value {
            Plain::Text(text) => Value::Text(text),
            Plain::Number(number) => Value::Number(*number),
        })
    })
}

#[sqlx::test(migrations = false)]
async fn postgres_answers_as_filters_do(pool: PgPool) {
    let mut runner = TestRunner::deterministic();
    let rows: Vec<Row> = (0..150)
        .map(|_| row().new_tree(&mut runner).unwrap().current())
        .collect();
    let mut db = pool.acquire().await.unwrap();
    sqlx::query(
        r#"create temp table thing (n int, id bigint, version int8, name text collate "C", owner text collate "C", state text collate "C")"#,
    )
    .execute(&mut *db)
    .await
    .unwrap();
    for (n, row) in rows.iter().enumerate() {
        let values: Vec<_> = row
            .iter()
            .map(|v| v.as_ref().map_or("null".to_owned(), sql_value))
            .collect();
        let insert = format!("insert into thing values ({n}, {})", values.join(", "));
        sqlx::query(AssertSqlSafe(insert)).execute(&mut *db).await.unwrap();
    }
    let mut seen = [0; 3];
    for turn in 0..400 {
        let source = source().new_tree(&mut runner).unwrap().current();
        let text = spelling::Pen::new(turn).write(&source);
        let filter = Filter::parse(&text, Field::OF_COMPONENTS).unwrap();
        let condition = sql(&source);
        let select = format!("select ({condition}) from thing order by n");
        let wanted: Vec<Option<bool>> = sqlx::query_scalar(AssertSqlSafe(select))
            .fetch_all(&mut *db)
            .await
            .unwrap();
        // What we print is SQL as well: double quotes, doubled single quotes and backslashes mean the same there.
        let select = format!("select ({filter}) from thing order by n");
        let printed: Vec<Option<bool>> = sqlx::query_scalar(AssertSqlSafe(select))
            .fetch_all(&mut *db)
            .await
            .unwrap();
        assert_eq!(printed, wanted, "{filter} and {condition}");
        for (row, wanted) in rows.iter().zip(wanted) {
            assert_eq!(answer(&filter, row), wanted, "{text} and {condition} of {row:?}");
            assert_eq!(source.answer(row), wanted, "{condition} of {row:?}");
            seen[wanted.map_or(2, usize::from)] += 1;
        }
    }
    assert!(seen.iter().all(|n| *n > 5_000), "no, yes and unknown: {seen:?}");
}

/// A file, its property names with names of ours, and the filter in its one form.
type Example = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// Examples of the standard that filters understand once their properties are called by names of ours.
const UNDERSTOOD: &[Example] = &[
    ("clause6_02a", &[("city", "name")], "name = 'Toronto'"),
    ("clause6_03", &[("geometry", "name")], "name IS NOT NULL"),
    ("clause7_01", &[], "name LIKE 'Smith%'"),
    (
        "clause7_02",
        &[("depth", "version")],
        "version >= 100 AND version <= 150",
    ),
    (
        "clause7_03a",
        &[("cityName", "name")],
        "name IN ('Frankfurt', 'New York', 'Tokyo', 'Toronto')",
    ),
    ("clause7_03b", &[("category", "version")], "version NOT IN (1, 2, 3, 4)"),
    (
        "example01",
        &[("landsat:scene_id", "code")],
        "code = 'LC82030282019133LGN00'",
    ),
    ("example02", &[("eo:instrument", "name")], "name LIKE 'OLI%'"),
    (
        "example03",
        &[("landsat:wrs_path", "code")],
        "code IN ('153', '154', '15X')",
    ),
    (
        "example04",
        &[
            ("eo:cloud_cover", "version"),
            ("landsat:wrs_row", "id"),
            ("landsat:wrs_path", "id"),
        ],
        "id = 28 AND id = 203 AND version < 0.1",
    ),
    ("example05a", &[("eo:cloud_cover", "version")], "version IN (0.1, 0.2)"),
    ("example05b", &[("eo:cloud_cover", "version")], "version IN (0.1, 0.2)"),
    (
        "example06a",
        &[
            ("eo:cloud_cover", "version"),
            ("landsat:wrs_row", "id"),
            ("landsat:wrs_path", "id"),
        ],
        "id = 28 AND id = 203 AND version >= 0.1 AND version <= 0.2",
    ),
    (
        "example06b",
        &[
            ("eo:cloud_cover", "version"),
            ("landsat:wrs_row", "id"),
            ("landsat:wrs_path", "id"),
        ],
        "id = 28 AND id = 203 AND version >= 0.1 AND version <= 0.2",
    ),
    ("example09", &[("floors", "version")], "version > 5"),
    ("example10", &[("taxes", "version")], "version <= 500"),
    ("example11", &[], "owner LIKE '%Jones%'"),
    ("example12", &[], "owner LIKE 'Mike%'"),
    ("example13", &[], "owner NOT LIKE '%Mike%'"),
    (
        "example19",
        &[("floors", "version")],
        "version < 4 AND (owner LIKE 'Mike%' OR owner LIKE 'mike%')",
    ),
    (
        "example29",
        &[("\"id\"", "\"code\"")],
        "code = 'fa7e1920-9107-422d-a3db-c468cbc5d6df'",
    ),
    (
        "example30",
        &[("\"id\"", "\"code\"")],
        "code <> 'fa7e1920-9107-422d-a3db-c468cbc5d6df'",
    ),
    ("example31", &[("value", "version")], "version < 10"),
    ("example32", &[("value", "version")], "version > 10"),
    ("example33", &[("value", "version")], "version <= 10"),
    ("example34", &[("value", "version")], "version >= 10"),
    ("example35", &[], "name LIKE 'foo%'"),
    ("example36-alt01", &[], "name NOT LIKE 'foo%'"),
    ("example36", &[], "name NOT LIKE 'foo%'"),
    ("example37", &[("value", "version")], "version >= 10 AND version <= 20"),
    (
        "example38-alt01",
        &[("value", "version")],
        "version > 20 OR version < 10",
    ),
    ("example38", &[("value", "version")], "version > 20 OR version < 10"),
    ("example39", &[("value", "version")], "version IN (1, 2, 3)"),
    ("example40-alt01", &[("value", "code")], "code NOT IN ('a', 'b', 'c')"),
    ("example40", &[("value", "code")], "code NOT IN ('a', 'b', 'c')"),
    ("example41", &[("value", "version")], "version IS NULL"),
    ("example42-alt01", &[("value", "version")], "version IS NOT NULL"),
    ("example42", &[("value", "version")], "version IS NOT NULL"),
    (
        "example43-alt01",
        &[("value", "version")],
        "name NOT LIKE 'foo%' AND version > 10",
    ),
    (
        "example43",
        &[("value", "version")],
        "name NOT LIKE 'foo%' AND version > 10",
    ),
    (
        "example44-alt01",
        &[("value", "version")],
        "version IS NULL OR version >= 10 AND version <= 20",
    ),
    (
        "example44",
        &[("value", "version")],
        "version IS NULL OR version >= 10 AND version <= 20",
    ),
];

#[test]
fn the_standards_examples_are_read_or_kindly_refused() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/fixtures/cql2/examples/text");
    let Ok(files) = std::fs::read_dir(dir) else {
        println!("SKIPPED the_standards_examples_are_read_or_kindly_refused: needs ../shared/data/fixtures/cql2");
        return;
    };
    let mut read = 0;
    for file in files.flatten() {
        let name = file.path().file_stem().unwrap().to_string_lossy().into_owned();
        let mut text = std::fs::read_to_string(file.path()).unwrap();
        let Some((_, renamed, canonical)) = UNDERSTOOD.iter().find(|u| u.0 == name) else {
            for fault in Filter::parse(&text, Field::ALL).unwrap_err() {
                assert!(fault.detail.en.starts_with("at character "), "{name}: {fault}");
                assert!(!fault.detail.en.contains("cannot be read"), "{name}: {fault}");
            }
            continue;
        };
        for (theirs, ours) in *renamed {
            text = text.replace(theirs, ours);
        }
        let filter = Filter::parse(&text, Field::ALL).unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
        assert_eq!(filter.to_string(), *canonical, "{name}: {text}");
        read += 1;
    }
    assert_eq!(read, UNDERSTOOD.len());
}
