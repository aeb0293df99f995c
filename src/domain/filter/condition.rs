//! From what the parser read to a filter in its one form: `NOT` goes down to the tests, and each property and value is
//! checked where it stands.

use cql2::Expr;

use super::literal::{Literal, Number};
use super::read::{find, follows_comparison};
use super::scan::{Token, What};
use super::{Field, Filter, Kind, Pattern, Test, fault, test};
use crate::domain::text::Fault;

/// Why there is no filter.
pub(super) enum Stop {
    /// The parser read something else than stands at this character.
    Unlike(usize),
    /// Everything that is wrong.
    Faults(Vec<Fault>),
}

/// Turns what the parser read into a filter.
pub(super) fn read(expr: &Expr, tokens: &[Token<'_>], allowed: &[Field]) -> Result<Filter, Stop> {
    let mut reader = Reader {
        tokens,
        next: 0,
        allowed,
        unlike: None,
        faults: Vec::new(),
    };
    let filter = reader.condition(expr, false);
    let left = tokens.iter().skip(reader.next).find(|t| t.is_operand()).map(|t| t.at);
    match reader.unlike.or(left) {
        Some(at) => Err(Stop::Unlike(at)),
        None if !reader.faults.is_empty() => Err(Stop::Faults(reader.faults)),
        None => Ok(filter),
    }
}

/// What a question is about: a property, or a value that answers it at once.
enum Subject {
    Field(Field),
    Value(Literal),
}

impl Subject {
    fn kind(&self) -> Kind {
        match self {
            Subject::Field(field) => field.kind(),
            Subject::Value(value) => value.kind(),
        }
    }
}

/// A property or a value, and where it stands.
struct Operand {
    at: usize,
    is: Subject,
}

/// Goes through the parser's tree and the tokens side by side. What is wrong is noted and stands as `TRUE`.
struct Reader<'a> {
    tokens: &'a [Token<'a>],
    next: usize,
    allowed: &'a [Field],
    unlike: Option<usize>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// The filter of a truth value, or of the opposite.
    fn condition(&mut self, expr: &Expr, negated: bool) -> Filter {
        let Expr::Operation { op, args } = expr else {
            let at = self.skip(expr);
            if let Expr::Bool(truth) = expr {
                return Filter::constant(*truth != negated);
            }
            self.fault(fault::no_condition(at));
            return Filter::TRUE;
        };
        let args: Vec<&Expr> = args.iter().map(Box::as_ref).collect();
        let read = match (op.as_str(), args.as_slice()) {
            ("not", [inner]) => return self.condition(inner, !negated),
            ("and" | "or", [_, ..]) => {
                let parts = args.iter().map(|part| self.condition(part, negated)).collect();
                return if (op == "and") != negated {
                    Filter::all(parts)
                } else {
                    Filter::any(parts)
                };
            }
            ("=" | "<>" | "!=" | "<" | "<=" | ">" | ">=", [left, right]) => self.comparison(op, left, right),
            ("in", [subject, Expr::Array(items)]) => self.one_of(subject, items),
            ("between", [subject, low, high]) => return self.between(subject, low, high, negated),
            ("like", [subject, pattern]) => self.like(subject, pattern),
            ("isNull", [subject]) => self.operand(subject).map(|o| (o.is, Test::Missing)),
            _ => {
                let at = self.skip(expr);
                self.fault(fault::no_condition(at));
                None
            }
        };
        read.map_or(Filter::TRUE, |(subject, test)| asked(subject, test, negated))
    }

    fn comparison(&mut self, op: &str, left: &Expr, right: &Expr) -> Option<(Subject, Test)> {
        let (left, right) = (self.operand(left), self.operand(right));
        let (left, right) = (left?, right?);
        let (subject, value, turned) = match (left.is, right.is) {
            (Subject::Field(_), Subject::Field(_)) => {
                self.fault(fault::two_properties(right.at));
                return None;
            }
            (Subject::Value(value), subject @ Subject::Field(_)) => (subject, (left.at, value), true),
            (subject, Subject::Value(value)) => (subject, (right.at, value), false),
        };
        self.same_kind(&subject, value.0, &value.1)?;
        if matches!(op, "=" | "<>" | "!=") {
            self.known_word(&subject, value.0, &value.1)?;
        }
        let value = value.1;
        let test = match (op, turned) {
            ("=", _) => Test::In(vec![value]),
            ("<>" | "!=", _) => Test::NotIn(vec![value]),
            ("<", false) | (">", true) => Test::Less(value),
            ("<=", false) | (">=", true) => Test::AtMost(value),
            (">=", false) | ("<=", true) => Test::AtLeast(value),
            _ => Test::More(value),
        };
        Some((subject, test))
    }

    fn one_of(&mut self, subject: &Expr, items: &[Box<Expr>]) -> Option<(Subject, Test)> {
        let subject = self.operand(subject).map(|o| o.is);
        let values: Vec<_> = items.iter().map(|item| self.value(item, subject.as_ref())).collect();
        let subject = subject?;
        let mut set = Vec::new();
        for (at, value) in values.into_iter().flatten() {
            self.known_word(&subject, at, &value);
            set.push(value);
        }
        Some((subject, Test::In(test::sorted(set))))
    }

    fn between(&mut self, subject: &Expr, low: &Expr, high: &Expr, negated: bool) -> Filter {
        let subject = self.operand(subject).map(|o| o.is);
        let low = self.value(low, subject.as_ref());
        let high = self.value(high, subject.as_ref());
        let (Some(subject), Some((_, low)), Some((_, high))) = (subject, low, high) else {
            return Filter::TRUE;
        };
        let again = match &subject {
            Subject::Field(field) => Subject::Field(*field),
            Subject::Value(value) => Subject::Value(value.clone()),
        };
        let bounds = vec![
            asked(subject, Test::AtLeast(low), negated),
            asked(again, Test::AtMost(high), negated),
        ];
        if negated {
            Filter::any(bounds)
        } else {
            Filter::all(bounds)
        }
    }

    fn like(&mut self, subject: &Expr, pattern: &Expr) -> Option<(Subject, Test)> {
        let (subject, pattern) = (self.operand(subject), self.operand(pattern));
        let (subject, pattern) = (subject?, pattern?);
        if subject.is.kind() != Kind::Text {
            self.fault(fault::no_pattern(subject.at));
            return None;
        }
        let Subject::Value(Literal::Text(text)) = pattern.is else {
            self.fault(fault::no_pattern(pattern.at));
            return None;
        };
        let Some(read) = Pattern::parse(&text) else {
            self.fault(fault::open_escape(pattern.at));
            return None;
        };
        Some((subject.is, Test::Like(read)))
    }

    /// A value that a subject is held against.
    fn value(&mut self, expr: &Expr, subject: Option<&Subject>) -> Option<(usize, Literal)> {
        let operand = self.operand(expr)?;
        let Subject::Value(value) = operand.is else {
            self.fault(fault::two_properties(operand.at));
            return None;
        };
        if let Some(subject) = subject {
            self.same_kind(subject, operand.at, &value)?;
        }
        Some((operand.at, value))
    }

    fn same_kind(&mut self, subject: &Subject, at: usize, value: &Literal) -> Option<()> {
        if subject.kind() == value.kind() {
            return Some(());
        }
        self.fault(fault::wrong_kind(at, subject.kind(), value));
        None
    }

    fn known_word(&mut self, subject: &Subject, at: usize, value: &Literal) -> Option<()> {
        let (Subject::Field(field), Literal::Text(word)) = (subject, value) else {
            return Some(());
        };
        match field.words() {
            Some(known) if !known.contains(&word.as_str()) => {
                self.fault(fault::unknown_word(at, *field, word, &known));
                None
            }
            _ => Some(()),
        }
    }

    fn operand(&mut self, expr: &Expr) -> Option<Operand> {
        let at = self.skip(expr);
        let is = match expr {
            Expr::Property { property } => match find(property, self.allowed) {
                Some(field) => Ok(Subject::Field(field)),
                None => {
                    let before = self.next.checked_sub(2).and_then(|n| self.tokens.get(n));
                    Err(fault::unknown(at, property, self.allowed, follows_comparison(before)))
                }
            },
            Expr::Literal(text) => Ok(Subject::Value(Literal::Text(text.clone()))),
            Expr::Float(number) => Number::new(*number)
                .map(|n| Subject::Value(Literal::Number(n)))
                .ok_or_else(|| fault::too_large(at)),
            Expr::Null => Err(fault::null(at)),
            Expr::Bool(_) => Err(fault::truth(at)),
            _ => Err(fault::no_operand(at)),
        };
        is.map(|is| Operand { at, is }).map_err(|f| self.fault(f)).ok()
    }

    /// Passes over the tokens of an expression; its first character.
    fn skip(&mut self, expr: &Expr) -> usize {
        match expr {
            Expr::Operation { args: parts, .. } | Expr::Array(parts) => {
                let places: Vec<usize> = parts.iter().map(|part| self.skip(part)).collect();
                places.first().copied().unwrap_or(1)
            }
            _ => self.pass(expr),
        }
    }

    /// Passes over the token of one property or value.
    fn pass(&mut self, leaf: &Expr) -> usize {
        let tokens = self.tokens;
        for token in &tokens[self.next..] {
            self.next += 1;
            if stands_for(token, leaf) {
                return token.at;
            }
            if token.is_operand() {
                self.unlike.get_or_insert(token.at);
                return token.at;
            }
        }
        *self.unlike.get_or_insert(tokens.last().map_or(1, |t| t.at))
    }
}

fn stands_for(token: &Token<'_>, leaf: &Expr) -> bool {
    match (leaf, &token.what) {
        (Expr::Property { property }, What::Name(name)) => property == name,
        (Expr::Property { property }, What::Keyword) => property == token.raw,
        (Expr::Literal(text), What::Text(found)) => text == found,
        (Expr::Float(number), What::Number(found)) => number.abs() == *found,
        (Expr::Bool(truth), What::Truth(found)) => truth == found,
        (Expr::Null, What::Null) => true,
        _ => false,
    }
}

/// A question about a property is a filter; one about a value is answered.
fn asked(subject: Subject, test: Test, negated: bool) -> Filter {
    match subject {
        Subject::Value(value) => Filter::constant(test.accepts(value.value()) != negated),
        Subject::Field(field) if negated => Filter::Test {
            field,
            test: test.negated(),
        },
        Subject::Field(field) => Filter::Test { field, test },
    }
}
