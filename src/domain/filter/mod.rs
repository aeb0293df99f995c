//! Filters of features, written as CQL2 text: read, brought into one form, and asked.
//!
//! ```
//! use lamppost::domain::filter::{Field, Filter, Value};
//! let filter = Filter::parse("not (1 > version) and State = 'x'", Field::OF_COMPONENTS);
//! assert!(filter.unwrap_err()[0].detail.en.starts_with("at character 23: there is no property \"State\""));
//! let filter = Filter::parse("'damaged'=state or state='missing'", Field::OF_COMPONENTS).unwrap();
//! assert_eq!(filter.to_string(), "state IN ('damaged', 'missing')");
//! assert_eq!(filter.holds(&|_| Some(Value::Text("missing"))), Some(true));
//! assert_eq!(filter.holds(&|_| None), None);
//! ```

mod condition;
mod fault;
mod field;
mod like;
mod literal;
mod read;
mod scan;
mod show;
mod test;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use field::{Field, Kind};
pub use like::Pattern;
pub use literal::{Literal, Number, Value};
pub use read::LONGEST;
pub use scan::{MOST_NESTED, MOST_TERMS};
pub use test::Test;

use super::text::Fault;

/// A filter in its one form: two that differ in spaces, brackets, case of keywords or order are equal, hash alike and print
/// alike. `NOT` stands only inside tests; [`Filter::parse`], [`Filter::all`] and
/// [`Filter::any`] keep the form, so build filters with nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Filter {
    /// One property passes a test.
    Test {
        /// The property.
        field: Field,
        /// The test.
        test: Test,
    },
    /// Each holds; with none, always true. Sorted, different, none of them `All`.
    All(Vec<Filter>),
    /// At least one holds; with none, always false. Sorted, different, none of them `Any`.
    Any(Vec<Filter>),
}

impl Filter {
    /// Always true: `TRUE`.
    pub const TRUE: Filter = Filter::All(Vec::new());
    /// Always false: `FALSE`.
    pub const FALSE: Filter = Filter::Any(Vec::new());

    /// Reads CQL2 text about the allowed properties. The faults are all that were found, or the first that kept the text from
    /// being read; each names a character of the text, counted from 1. What is understood:
    ///
    /// - `=`, `<>`, `<`, `<=`, `>`, `>=` between a property and a value in either order, `[NOT] IN (…)`,
    ///   `[NOT] BETWEEN … AND …`, `[NOT] LIKE '…'`, `IS [NOT] NULL`, `AND`, `OR`, `NOT`, `TRUE`, `FALSE` and brackets. The same
    ///   between two values is worked out at once: `1 = 1` is `TRUE`.
    /// - Keywords in large or small letters; properties exactly as they are called, in double quotes or bare; text in single
    ///   quotes, a quote inside it doubled.
    ///
    /// What the standard has and the parser of crate `cql2` has not: `.5` (write `0.5`), `\'` (write `''`), names
    /// that begin with `_` or `:`, and a blank between sign and number after `NOT`. Functions, arithmetic, arrays, places and times are refused.
    ///
    /// The limits hold for what is sent. The printed form of a filter at a limit may lie beyond it: `x BETWEEN 1 AND 2` prints
    /// as `x >= 1 AND x <= 2`.
    pub fn parse(text: &str, allowed: &[Field]) -> Result<Filter, Vec<Fault>> {
        read::read(text, allowed)
    }

    /// The filter that a truth value is.
    pub fn constant(truth: bool) -> Filter {
        if truth { Filter::TRUE } else { Filter::FALSE }
    }

    /// The filter that holds where each of these does.
    pub fn all(parts: Vec<Filter>) -> Filter {
        joined(parts, true)
    }

    /// The filter that holds where at least one of these does.
    pub fn any(parts: Vec<Filter>) -> Filter {
        joined(parts, false)
    }

    /// Whether it holds, given each property's value; none is "unknown", which in a list is as good as no. `value` answers
    /// none for null.
    pub fn holds<'v>(&self, value: &impl Fn(Field) -> Option<Value<'v>>) -> Option<bool> {
        match self {
            Filter::All(parts) => first_or_unknown(parts, value, false),
            Filter::Any(parts) => first_or_unknown(parts, value, true),
            Filter::Test { field, test } => test.holds(value(*field)),
        }
    }

    /// The properties that it names.
    pub fn fields(&self) -> BTreeSet<Field> {
        match self {
            Filter::All(parts) | Filter::Any(parts) => parts.iter().flat_map(Filter::fields).collect(),
            Filter::Test { field, .. } => BTreeSet::from([*field]),
        }
    }

    /// Whether it names none but these.
    pub fn only(&self, fields: &[Field]) -> bool {
        match self {
            Filter::All(parts) | Filter::Any(parts) => parts.iter().all(|part| part.only(fields)),
            Filter::Test { field, .. } => fields.contains(field),
        }
    }
}

/// `deciding` as soon as one part answers that, else unknown if one is unknown.
fn first_or_unknown<'v>(parts: &[Filter], value: &impl Fn(Field) -> Option<Value<'v>>, deciding: bool) -> Option<bool> {
    let mut answer = Some(!deciding);
    for part in parts {
        match part.holds(value) {
            Some(truth) if truth == deciding => return Some(deciding),
            Some(_) => {}
            None => answer = None,
        }
    }
    answer
}

/// `AND` (`all`) or `OR` of parts that are in their one form.
fn joined(parts: Vec<Filter>, all: bool) -> Filter {
    // What decides the whole, whatever the rest is.
    let deciding = Filter::constant(!all);
    let mut sets: BTreeMap<Field, Vec<Literal>> = BTreeMap::new();
    let mut others = BTreeSet::new();
    let flat = parts.into_iter().flat_map(|part| match part {
        Filter::All(inner) if all => inner,
        Filter::Any(inner) if !all => inner,
        part => vec![part],
    });
    for part in flat {
        match part {
            // `x = 1 OR x = 2` is `x IN (1, 2)`, and `x <> 1 AND x <> 2` is `x NOT IN (1, 2)`.
            Filter::Test {
                field,
                test: Test::In(set),
            } if !all => sets.entry(field).or_default().extend(set),
            Filter::Test {
                field,
                test: Test::NotIn(set),
            } if all => sets.entry(field).or_default().extend(set),
            part if part == deciding => return deciding,
            part => {
                others.insert(part);
            }
        }
    }
    for (field, set) in sets {
        let set = test::sorted(set);
        let test = if all { Test::NotIn(set) } else { Test::In(set) };
        others.insert(Filter::Test { field, test });
    }
    // Null or not null: one of the two is always so.
    let has = |field: Field, test: Test| others.contains(&Filter::Test { field, test });
    if Field::ALL
        .iter()
        .any(|f| has(*f, Test::Missing) && has(*f, Test::Present))
    {
        return deciding;
    }
    match others.pop_first() {
        Some(sole) if others.is_empty() => sole,
        Some(first) => {
            let parts = std::iter::once(first).chain(others).collect();
            if all { Filter::All(parts) } else { Filter::Any(parts) }
        }
        None => Filter::constant(all),
    }
}
