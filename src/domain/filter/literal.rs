//! The values that stand in a filter, and those that it is held against.

use std::cmp::Ordering;
use std::fmt;

use super::field::Kind;

/// A property's value that is not null.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// A number; ids are whole and below 2^53, so that they stand exactly.
    Number(f64),
}

/// A finite number of one spelling: `1.0` is `1`, and `-0` is `0`. Literals are read as IEEE doubles.
#[derive(Clone, Copy, Debug)]
pub struct Number(f64);

impl Number {
    /// None if it is infinite or not a number.
    pub fn new(value: f64) -> Option<Number> {
        value.is_finite().then_some(Number(value + 0.0))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl std::hash::Hash for Number {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.abs() {
            size if size == 0.0 || (1e-6..1e16).contains(&size) => write!(f, "{}", self.0),
            _ => write!(f, "{:e}", self.0),
        }
    }
}

/// A value written in a filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Literal {
    /// Text.
    Text(String),
    /// A number.
    Number(Number),
}

impl Literal {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Literal::Text(_) => Kind::Text,
            Literal::Number(_) => Kind::Number,
        }
    }

    /// The same as a value.
    pub fn value(&self) -> Value<'_> {
        match self {
            Literal::Text(text) => Value::Text(text),
            Literal::Number(number) => Value::Number(number.get()),
        }
    }

    /// How a value stands to it; none for a value of another kind, which the reader of filters lets nobody ask for.
    pub(super) fn order_of(&self, value: Value<'_>) -> Option<Ordering> {
        match (value, self) {
            (Value::Text(value), Literal::Text(text)) => Some(value.cmp(text.as_str())),
            (Value::Number(value), Literal::Number(number)) => value.partial_cmp(&number.get()),
            _ => None,
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Literal::Number(number) => number.fmt(f),
        }
    }
}
