//! Random conditions that know nothing of the filters under test: each can be written in many ways, answered naively in
//! three-valued logic, and put to PostgreSQL.

use proptest::prelude::*;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plain {
    Text(String),
    Number(f64),
}

/// One row: a value or null for each of [`COLUMNS`].
pub(crate) type Row = Vec<Option<Plain>>;

/// The properties that are asked about; the first two are numbers.
pub(crate) const COLUMNS: [&str; 5] = ["id", "version", "name", "owner", "state"];

const NUMBERS: [f64; 8] = [
    -1.0,
    0.0,
    1.0,
    1.5,
    2.0,
    3.0,
    9_007_199_254_740_990.0,
    9_007_199_254_740_991.0,
];
const TEXTS: [&str; 13] = [
    "",
    "a",
    "A",
    "ab",
    "b",
    "aab",
    "a%",
    "a\\b",
    "it's",
    "灯",
    "路灯",
    "\u{ffe5}",
    "\u{1f4a1}",
];
const STATES: [&str; 5] = ["intact", "damaged", "missing", "abandoned", "retired"];
const STEPS: [&str; 12] = ["%", "%", "_", "a", "b", "A", "灯", "\\%", "\\\\", "\\a", "'", "s"];

/// A condition as somebody may mean it.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Truth(bool),
    All(Vec<Source>),
    Any(Vec<Source>),
    Not(Box<Source>),
    Compare(usize, &'static str, Plain),
    OneOf(usize, Vec<Plain>),
    Between(usize, Plain, Plain),
    Missing(usize),
    Like(usize, String),
}

fn plain(column: usize) -> BoxedStrategy<Plain> {
    let text = |texts: &'static [&'static str]| prop::sample::select(texts).prop_map(|t| Plain::Text(t.to_owned()));
    match column {
        0 | 1 => prop::sample::select(&NUMBERS).prop_map(Plain::Number).boxed(),
        4 => text(&STATES).boxed(),
        _ => text(&TEXTS).boxed(),
    }
}

fn leaf() -> impl Strategy<Value = Source> {
    let column = 0..COLUMNS.len();
    let op = prop::sample::select(vec!["=", "<>", "<", "<=", ">", ">="]);
    let pattern = prop::collection::vec(prop::sample::select(&STEPS), 0..5);
    prop_oneof![
        1 => any::<bool>().prop_map(Source::Truth),
        6 => (column.clone(), op).prop_flat_map(|(c, op)| plain(c).prop_map(move |v| Source::Compare(c, op, v))),
        4 => column.clone().prop_flat_map(|c| prop::collection::vec(plain(c), 1..4).prop_map(move |v| Source::OneOf(c, v))),
        3 => column.clone().prop_flat_map(|c| (plain(c), plain(c)).prop_map(move |(l, h)| Source::Between(c, l, h))),
        2 => column.prop_map(Source::Missing),
        3 => (2..COLUMNS.len(), pattern).prop_map(|(c, p)| Source::Like(c, p.concat())),
    ]
}

/// Any condition of up to three levels.
pub(crate) fn source() -> impl Strategy<Value = Source> {
    leaf().prop_recursive(3, 14, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Source::All),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Source::Any),
            inner.prop_map(|s| Source::Not(Box::new(s))),
        ]
    })
}

/// Any row; its numbers are whole.
pub(crate) fn row() -> impl Strategy<Value = Row> {
    let columns: Vec<_> = (0..COLUMNS.len())
        .map(|c| {
            let whole = |v: &Plain| !matches!(v, Plain::Number(n) if n.fract() != 0.0);
            prop::option::weighted(0.8, plain(c).prop_filter("whole", whole))
        })
        .collect();
    columns
}

impl Source {
    /// The answer for a row, as the definition says; none is "unknown".
    pub(crate) fn answer(&self, row: &Row) -> Option<bool> {
        match self {
            Source::Truth(truth) => Some(*truth),
            Source::Not(inner) => inner.answer(row).map(|truth| !truth),
            Source::All(parts) => {
                let answers: Vec<_> = parts.iter().map(|p| p.answer(row)).collect();
                match answers.contains(&Some(false)) {
                    true => Some(false),
                    false => (!answers.contains(&None)).then_some(true),
                }
            }
            Source::Any(parts) => {
                let answers: Vec<_> = parts.iter().map(|p| p.answer(row)).collect();
                match answers.contains(&Some(true)) {
                    true => Some(true),
                    false => (!answers.contains(&None)).then_some(false),
                }
            }
            Source::Compare(c, op, v) => row[*c].as_ref().map(|x| compare(x, op, v)),
            Source::OneOf(c, set) => row[*c].as_ref().map(|x| set.iter().any(|v| compare(x, "=", v))),
            Source::Between(c, low, high) => row[*c]
                .as_ref()
                .map(|x| compare(x, ">=", low) && compare(x, "<=", high)),
            Source::Missing(c) => Some(row[*c].is_none()),
            Source::Like(c, pattern) => match row[*c].as_ref() {
                Some(Plain::Text(text)) => {
                    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
                    Some(like(&pattern, &text))
                }
                _ => None,
            },
        }
    }
}

fn compare(x: &Plain, op: &str, v: &Plain) -> bool {
    let order = match (x, v) {
        (Plain::Text(x), Plain::Text(v)) => x.chars().cmp(v.chars()),
        (Plain::Number(x), Plain::Number(v)) => x.partial_cmp(v).unwrap(),
        _ => unreachable!("{x:?} and {v:?}"),
    };
    match op {
        "=" => order.is_eq(),
        "<>" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    }
}

fn like(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|n| like(rest, &text[n..])),
        ['_', rest @ ..] => !text.is_empty() && like(rest, &text[1..]),
        ['\\', c, rest @ ..] | [c, rest @ ..] => text.first() == Some(c) && like(rest, &text[1..]),
    }
}
