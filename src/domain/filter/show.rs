//! Printing a filter as CQL2 text.

use std::fmt;

use super::{Filter, Literal, Test};

impl fmt::Display for Filter {
    /// CQL2 text that reads back as the same filter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::All(parts) if parts.is_empty() => f.write_str("TRUE"),
            Filter::Any(parts) if parts.is_empty() => f.write_str("FALSE"),
            Filter::All(parts) => {
                for (n, part) in parts.iter().enumerate() {
                    f.write_str(if n > 0 { " AND " } else { "" })?;
                    match part {
                        Filter::Any(_) => write!(f, "({part})")?,
                        _ => part.fmt(f)?,
                    }
                }
                Ok(())
            }
            Filter::Any(parts) => list(f, parts, " OR "),
            Filter::Test { field, test } => {
                f.write_str(field.key())?;
                test.fmt(f)
            }
        }
    }
}

impl fmt::Display for Test {
    /// What follows the property.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Missing => f.write_str(" IS NULL"),
            Test::Present => f.write_str(" IS NOT NULL"),
            Test::In(set) => one_of(f, set, " = ", " IN ("),
            Test::NotIn(set) => one_of(f, set, " <> ", " NOT IN ("),
            Test::Less(limit) => write!(f, " < {limit}"),
            Test::AtMost(limit) => write!(f, " <= {limit}"),
            Test::AtLeast(limit) => write!(f, " >= {limit}"),
            Test::More(limit) => write!(f, " > {limit}"),
            Test::Like(pattern) => write!(f, " LIKE {}", Literal::Text(pattern.to_string())),
            Test::NotLike(pattern) => write!(f, " NOT LIKE {}", Literal::Text(pattern.to_string())),
        }
    }
}

fn one_of(f: &mut fmt::Formatter<'_>, set: &[Literal], sole: &str, several: &str) -> fmt::Result {
    if let [value] = set {
        return write!(f, "{sole}{value}");
    }
    f.write_str(several)?;
    list(f, set, ", ")?;
    f.write_str(")")
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T], between: &str) -> fmt::Result {
    for (n, item) in items.iter().enumerate() {
        f.write_str(if n > 0 { between } else { "" })?;
        item.fmt(f)?;
    }
    Ok(())
}
