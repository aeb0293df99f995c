//! What filters mean, and what is said about those that mean nothing.

mod random;
mod refusals;
mod source;
mod spelling;

use super::*;

fn parse(text: &str) -> Filter {
    Filter::parse(text, Field::OF_COMPONENTS).unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
}

/// A form, and other ways to write it.
const FORMS: &[(&str, &[&str])] = &[
    (
        "state = 'damaged'",
        &[
            "'damaged' = state",
            "\"state\"\n=\t'damaged'",
            "((state) IN ('damaged'))",
            "NOT state <> 'damaged'",
            "not not state='damaged'",
            "state IN ('damaged','damaged')",
            "nOt(state != 'damaged')",
        ],
    ),
    (
        "version < 5",
        &[
            "5 > version",
            "version<5.0",
            "not version >= 5",
            "NOT 5 <= version",
            "version < 0.5e1",
            "version < +5",
        ],
    ),
    ("version >= -0.5", &["-0.5 <= version", "version >= - 0.50"]),
    ("version = 0", &["version = -0", "version IN (0, -0.0)"]),
    ("id = 9007199254740991", &["9007199254740991.0 = id"]),
    ("id < 1e300", &["id < 10e299"]),
    (
        "state IN ('damaged', 'missing')",
        &[
            "state='missing' OR state='damaged'",
            "state in ('damaged') or ('missing' = state or state='damaged')",
            "NOT (state <> 'missing' AND state <> 'damaged')",
        ],
    ),
    (
        "state NOT IN ('damaged', 'missing')",
        &[
            "NOT (state='missing' OR state='damaged')",
            "state <> 'missing' and not state in ('damaged')",
        ],
    ),
    (
        "version >= 1 AND version <= 2",
        &[
            "version BETWEEN 1 AND 2",
            "2 >= version and 1 <= version",
            "NOT version NOT BETWEEN 1 AND 2",
        ],
    ),
    (
        "version > 2 OR version < 1",
        &["version NOT BETWEEN 1 AND 2", "NOT (version BETWEEN 1 AND 2)"],
    ),
    ("name IS NULL", &["NOT name IS NOT NULL", "(name) is null"]),
    (
        "name LIKE '灯%' AND (code = '1' OR owner IS NOT NULL)",
        &[
            "(owner is not null or '1' = code) AND name like '灯%%'",
            "not (not name LIKE '灯%' or (code <> '1' and owner is null))",
        ],
    ),
    (
        "owner = 'b' OR code = '1' AND name = 'a'",
        &["(name='a' AND code='1')OR owner='b'"],
    ),
    (
        "TRUE",
        &[
            "true",
            "NOT FALSE",
            "1 = 1",
            "'a' < 'b'",
            "1 in (2, 1)",
            "2 between 1 and 3",
            "0 not between 1 and 3",
            "'ab' like 'a%'",
            "'a' is not null",
            "TRUE or name='a'",
            "name is null or name is not null",
            "1 not in (2)",
        ],
    ),
    (
        "FALSE",
        &[
            "false",
            "1 > 2",
            "FALSE and name='a'",
            "name is null and not name is null",
            "NOT (1 = 1 OR code = 'x')",
        ],
    ),
    (
        "name = 'a'",
        &[
            "TRUE AND name='a'",
            "name='a' OR FALSE",
            "name='a' and name='a'",
            "name='a' or (name='a' or name='a')",
        ],
    ),
    ("name = 'it''s \"灯\"'", &["'it''s \"灯\"' = name"]),
    ("name <> ''", &["not name = ''"]),
];

#[test]
fn each_filter_has_one_form() {
    for (canonical, others) in FORMS {
        let filter = parse(canonical);
        assert_eq!(filter.to_string(), *canonical);
        for other in *others {
            assert_eq!(parse(other), filter, "{other} is {}", parse(other));
        }
    }
    // Bounds of no value and lists that exclude each other stay: for null they are unknown.
    for canonical in [
        "version >= 5 AND version <= 1",
        "name = 'a' AND name = 'b'",
        "name = 'a' OR name <> 'a'",
    ] {
        assert_eq!(parse(canonical).to_string(), canonical);
    }
}

#[test]
fn null_is_unknown_and_not_is_null() {
    let row = |field| match field {
        Field::State => Some(Value::Text("damaged")),
        Field::Version => Some(Value::Number(3.0)),
        Field::Id => Some(Value::Number(9_007_199_254_740_991.0)),
        Field::Name => Some(Value::Text("路灯100%")),
        _ => None,
    };
    for (text, wanted) in [
        ("state = 'damaged'", Some(true)),
        ("owner = 'x'", None),
        ("NOT owner = 'x'", None),
        ("owner NOT IN ('x')", None),
        ("owner NOT LIKE '%'", None),
        ("owner IS NULL", Some(true)),
        ("owner IS NOT NULL", Some(false)),
        ("state = 'damaged' OR owner = 'x'", Some(true)),
        ("state = 'missing' OR owner = 'x'", None),
        ("state = 'damaged' AND owner = 'x'", None),
        ("state = 'missing' AND owner = 'x'", Some(false)),
        ("version BETWEEN 3 AND 3", Some(true)),
        ("version NOT BETWEEN 1 AND 3", Some(false)),
        ("id = 9007199254740991", Some(true)),
        ("id = 9007199254740990", Some(false)),
        ("id > 9007199254740990", Some(true)),
        ("id >= 9007199254740992", Some(false)),
        ("name LIKE '路灯%\\%'", Some(true)),
        ("name LIKE '路灯___\\_'", Some(false)),
        ("name > '路'", Some(true)),
        // By code points, which the upper plane's come last in.
        ("'\u{1f4a1}' > '\u{ffe5}'", Some(true)),
    ] {
        assert_eq!(parse(text).holds(&row), wanted, "{text}");
    }
}

#[test]
fn a_filter_says_which_properties_it_names() {
    let filter = parse("state = 'damaged' AND (owner IS NULL OR version > 1 OR owner = 'x')");
    assert_eq!(
        Vec::from_iter(filter.fields()),
        [Field::State, Field::Owner, Field::Version]
    );
    assert!(filter.only(&[Field::Version, Field::Owner, Field::State]));
    assert!(!filter.only(&[Field::Owner, Field::State]));
    assert!(Filter::TRUE.only(&[]));
}

#[test]
fn every_offer_of_properties_is_sorted_and_known() {
    for fields in [
        Field::OF_COMPONENTS,
        Field::OF_AREAS,
        Field::OF_CELLS,
        Field::OF_ROADS,
        Field::OF_LAND,
    ] {
        for field in fields {
            assert_eq!(read::find(field.key(), Field::ALL), Some(*field));
            let text = format!("{} IS NULL", field.key());
            assert_eq!(Filter::parse(&text, fields).unwrap().to_string(), text);
        }
    }
}
