//! What is asked of one property's value.

use std::cmp::Ordering;

use super::like::Pattern;
use super::literal::{Literal, Value};

/// A question about one value. All but the first two are unknown when there is no value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Test {
    /// `IS NULL`.
    Missing,
    /// `IS NOT NULL`.
    Present,
    /// One of these, sorted: `=` and `IN`.
    In(Vec<Literal>),
    /// None of these, sorted: `<>` and `NOT IN`.
    NotIn(Vec<Literal>),
    /// `>=`.
    AtLeast(Literal),
    /// `>`.
    More(Literal),
    /// `<`.
    Less(Literal),
    /// `<=`.
    AtMost(Literal),
    /// `LIKE`.
    Like(Pattern),
    /// `NOT LIKE`.
    NotLike(Pattern),
}

impl Test {
    /// Whether a value that is not null passes.
    pub fn accepts(&self, value: Value<'_>) -> bool {
        let order = |literal: &Literal| literal.order_of(value);
        match self {
            Test::Missing => false,
            Test::Present => true,
            Test::In(set) => is_in(set, value),
            Test::NotIn(set) => !is_in(set, value),
            Test::Less(limit) => order(limit).is_some_and(Ordering::is_lt),
            Test::AtMost(limit) => order(limit).is_some_and(Ordering::is_le),
            Test::AtLeast(limit) => order(limit).is_some_and(Ordering::is_ge),
            Test::More(limit) => order(limit).is_some_and(Ordering::is_gt),
            Test::Like(pattern) => matches!(value, Value::Text(text) if pattern.fits(text)),
            Test::NotLike(pattern) => matches!(value, Value::Text(text) if !pattern.fits(text)),
        }
    }

    /// The answer for a value that may be null; none is "unknown".
    pub fn holds(&self, value: Option<Value<'_>>) -> Option<bool> {
        match self {
            Test::Missing => Some(value.is_none()),
            Test::Present => Some(value.is_some()),
            _ => value.map(|value| self.accepts(value)),
        }
    }

    /// The test that is true where this one is false, false where it is true, and unknown where it is unknown.
    pub fn negated(self) -> Test {
        match self {
            Test::Missing => Test::Present,
            Test::Present => Test::Missing,
            Test::In(set) => Test::NotIn(set),
            Test::NotIn(set) => Test::In(set),
            Test::Less(limit) => Test::AtLeast(limit),
            Test::AtMost(limit) => Test::More(limit),
            Test::AtLeast(limit) => Test::Less(limit),
            Test::More(limit) => Test::AtMost(limit),
            Test::Like(pattern) => Test::NotLike(pattern),
            Test::NotLike(pattern) => Test::Like(pattern),
        }
    }
}

fn is_in(set: &[Literal], value: Value<'_>) -> bool {
    // `order_of` says how the value stands to a literal; the search asks the other way round.
    let reversed = |literal: &Literal| literal.order_of(value).map_or(Ordering::Less, Ordering::reverse);
    set.binary_search_by(reversed).is_ok()
}

/// The form in which sets are kept.
pub(super) fn sorted(mut set: Vec<Literal>) -> Vec<Literal> {
    set.sort();
    set.dedup();
    set
}
