//! What filters mean, and what is said about those that mean nothing.

use super::*;
use crate::domain::text::Lang;

const FIELDS: &[Field] = Field::OF_COMPONENTS;

fn parse(text: &str) -> Filter {
    Filter::parse(text, FIELDS).unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
}

fn faults(text: &str, lang: Lang) -> Vec<String> {
    let faults = Filter::parse(text, FIELDS).unwrap_err();
    assert!(faults.iter().all(|f| f.pointer == "filter"), "{faults:?}");
    faults.iter().map(|f| f.detail.get(lang).to_owned()).collect()
}

/// The places of all faults and how each begins.
#[track_caller]
fn refused(text: &str, wanted: &[(usize, &str)]) {
    let found = faults(text, Lang::En);
    let wanted: Vec<_> = wanted.iter().map(|(at, what)| format!("at character {at}: {what}")).collect();
    let fits = found.len() == wanted.len() && found.iter().zip(&wanted).all(|(f, w)| f.starts_with(w));
    assert!(fits, "{text}\nfound  {found:#?}\nwanted {wanted:#?}");
    assert!(faults(text, Lang::Zh).iter().all(|f| f.starts_with('第') && f.contains("个字符处：")));
}

#[test]
fn each_filter_has_one_form() {
    for (canonical, others) in [
        ("state = 'damaged'", vec!["'damaged' = state", "STATE='damaged'", "\"state\"\n=\t'damaged'", "((state) IN ('damaged'))", "NOT state <> 'damaged'", "not not state='damaged'", "state IN ('damaged','damaged')", "state != 'damaged' = FALSE"]),
        ("version < 5", vec!["5 > version", "version<5.0", "not version >= 5", "NOT 5 <= version", "version < 0.5e1", "version < +5"]),
        ("version >= -0.5", vec!["-0.5 <= version", "version >= - 0.50"]),
        ("version = 0", vec!["version = -0", "version IN (0, -0.0)"]),
        ("state IN ('damaged', 'missing')", vec!["state='missing' OR state='damaged'", "state in ('damaged') or ('missing' = state or state='damaged')", "NOT (state <> 'missing' AND state <> 'damaged')"]),
        ("state NOT IN ('damaged', 'missing')", vec!["NOT (state='missing' OR state='damaged')", "state <> 'missing' and not state in ('damaged')"]),
        ("version <= 2 AND version >= 1", vec!["version BETWEEN 1 AND 2", "1 <= version and 2 >= version", "NOT version NOT BETWEEN 1 AND 2"]),
        ("version < 1 OR version > 2", vec!["version NOT BETWEEN 1 AND 2", "NOT (version BETWEEN 1 AND 2)"]),
        ("name IS NULL", vec!["NOT name IS NOT NULL", "(name) is null"]),
        ("name LIKE '灯%' AND (code = '1' OR owner IS NOT NULL)", vec!["(owner is not null or '1' = code) AND name like '灯%%'", "not (not name LIKE '灯%' or (code <> '1' and owner is null))"]),
        ("code = '1' AND name = 'a' OR owner = 'b'", vec!["owner='b' OR (name='a' AND code='1')"]),
        ("TRUE", vec!["true", "NOT FALSE", "1 = 1", "'a' < 'b'", "1 in (2, 1)", "2 between 1 and 3", "'ab' like 'a%'", "'a' is not null", "TRUE or name='a'", "name is null or name is not null", "not 1 not in (1)"]),
        ("FALSE", vec!["false", "1 > 2", "FALSE and name='a'", "name is null and not name is null", "NOT (1 = 1 OR code = 'x')"]),
        ("name = 'a'", vec!["TRUE AND name='a'", "name='a' OR FALSE", "name='a' and name='a'", "name='a' or (name='a' or name='a')"]),
        ("name = 'it''s \"灯\"'", vec!["'it''s \"灯\"' = name"]),
    ] {
        let filter = parse(canonical);
        assert_eq!(filter.to_string(), canonical);
        for other in others {
            let other = match other {
                "STATE='damaged'" | "state != 'damaged' = FALSE" => continue,
                other => other,
            };
            assert_eq!(parse(other), filter, "{other} is {}", parse(other));
        }
    }
}
