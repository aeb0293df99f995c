//! Random filters against a naive reading of them.

use proptest::prelude::*;

use super::source::{COLUMNS, Plain, row, source};
use super::spelling::Pen;
use crate::domain::filter::{Field, Filter, Pattern, Value};

fn read(text: &str) -> Filter {
    Filter::parse(text, Field::OF_COMPONENTS).unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
}

/// Whether the parts are sorted and different, and nothing stands directly in its like.
fn well_formed(filter: &Filter) -> bool {
    let sorted = |parts: &[Filter]| parts.len() != 1 && parts.windows(2).all(|p| p[0] < p[1]);
    match filter {
        Filter::All(parts) => {
            sorted(parts)
                && parts
                    .iter()
                    .all(|p| !matches!(p, Filter::All(_)) && *p != Filter::FALSE && well_formed(p))
        }
        Filter::Any(parts) => {
            sorted(parts)
                && parts
                    .iter()
                    .all(|p| !matches!(p, Filter::Any(_)) && *p != Filter::TRUE && well_formed(p))
        }
        Filter::Test { .. } => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_filter_answers_as_its_source_does(source in source(), rows in prop::collection::vec(row(), 8), seed: u64) {
        let text = Pen::new(seed).write(&source);
        let filter = read(&text);
        for row in rows {
            let value = |field: Field| {
                let column = COLUMNS.iter().position(|c| *c == field.key()).unwrap();
                row[column].as_ref().map(|v| match v {
                    Plain::Text(text) => Value::Text(text),
                    Plain::Number(number) => Value::Number(*number),
                })
            };
            prop_assert_eq!(filter.holds(&value), source.answer(&row), "{} read as {} on {:?}", text, filter, row);
        }
    }

    #[test]
    fn every_spelling_has_one_form_which_reads_back(source in source(), one: u64, other: u64) {
        let (one, other) = (Pen::new(one).write(&source), Pen::new(other).write(&source));
        let filter = read(&one);
        prop_assert_eq!(&filter, &read(&other), "{} and {}", one, other);
        prop_assert!(well_formed(&filter), "{:?}", filter);
        let printed = filter.to_string();
        prop_assert_eq!(&filter, &read(&printed), "{}", &printed);
        prop_assert_eq!(printed, read(&other).to_string());
    }

    #[test]
    fn any_text_and_pattern_reads_back(text: String, pattern: String) {
        let quoted = |s: &str| format!("name = '{}'", s.replace('\'', "''"));
        let filter = read(&quoted(&text));
        prop_assert_eq!(filter.holds(&|_| Some(Value::Text(&text))), Some(true));
        prop_assert_eq!(&read(&filter.to_string()), &filter);
        if let Some(read) = Pattern::parse(&pattern) {
            prop_assert_eq!(Pattern::parse(&read.to_string()), Some(read));
        }
    }

    #[test]
    fn no_text_crashes(text: String, words in prop::collection::vec(prop::sample::select(vec![
        "id", "name", "=", "<>", "(", ")", ",", "'a'", "1", "-", "NOT", "AND", "OR", "IN", "LIKE", "BETWEEN", "IS", "NULL", "TRUE", "\"", "'", "f(", "灯",
    ]), 0..30)) {
        for text in [text, words.join(" "), words.concat()] {
            if let Err(faults) = Filter::parse(&text, Field::OF_COMPONENTS) {
                prop_assert!(!faults.is_empty());
            }
        }
    }
}
