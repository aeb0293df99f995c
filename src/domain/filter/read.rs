//! Reading CQL2 text. The grammar is crate `cql2`'s; it gives neither places nor limits, and takes exponential time over brackets
//! around an error, so the text is scanned first, the parser's steps are counted, and what it finds is laid beside the tokens,
//! which say where each property and value stands. A reading that does not fit the tokens (`a = 1 ORb = 2`) is refused.

use std::num::NonZeroUsize;

use cql2::Expr;
use pest::error::InputLocation;

use super::scan::{Token, What, scan};
use super::{Field, Filter, condition, fault};
use crate::domain::text::Fault;

/// How many characters a filter may have.
pub const LONGEST: usize = 4_000;

/// What the parser may do at most: some 20 ms. The densest filters within the limits take a third of it.
const MOST_STEPS: Option<NonZeroUsize> = NonZeroUsize::new(1_000_000);

pub(super) fn read(text: &str, allowed: &[Field]) -> Result<Filter, Vec<Fault>> {
    let length = text.chars().count();
    if length > LONGEST {
        return Err(vec![fault::too_long(LONGEST, length)]);
    }
    let tokens = scan(text).map_err(|f| vec![f])?;
    let parsed = parse(text);
    if let Err(Stop::At(byte)) = parsed {
        return Err(vec![unreadable(text, byte)]);
    }
    let foreign = foreign(&tokens, allowed);
    match parsed {
        _ if !foreign.is_empty() => Err(foreign),
        Ok(expr) => condition::read(&expr, &tokens, allowed).map_err(|stop| match stop {
            condition::Stop::Unlike(at) => vec![unreadable_at(text, at)],
            condition::Stop::Faults(faults) => faults,
        }),
        Err(_) => Err(vec![unreadable(text, 0)]),
    }
}

/// Why the parser gave nothing.
enum Stop {
    /// It could not read on from this byte.
    At(usize),
    /// What it read is none of our concern, such as a nested geometry.
    Elsewhere,
}

fn parse(text: &str) -> Result<Expr, Stop> {
    // The count is the process's, and nothing else in it uses this kind of parser.
    pest::set_call_limit(MOST_STEPS);
    cql2::parse_text(text).map_err(|error| match error {
        cql2::Error::Pest(error) => match error.location {
            InputLocation::Pos(byte) | InputLocation::Span((byte, _)) => Stop::At(byte),
        },
        _ => Stop::Elsewhere,
    })
}

fn unreadable(text: &str, byte: usize) -> Fault {
    let before = text.get(..byte).unwrap_or(text);
    let rest = &text[before.len()..];
    let blank = rest.len() - rest.trim_start().len();
    fault::unreadable(text[..before.len() + blank].chars().count() + 1, rest)
}

fn unreadable_at(text: &str, at: usize) -> Fault {
    let byte = text.char_indices().nth(at - 1).map_or(text.len(), |(byte, _)| byte);
    unreadable(text, byte)
}

/// What CQL2 has and filters here have not, functions and arithmetic; with it, the names that are unknown. What stands inside
/// a function is passed over.
fn foreign(tokens: &[Token<'_>], allowed: &[Field]) -> Vec<Fault> {
    let (mut faults, mut any) = (Vec::new(), false);
    // For each open bracket, whether it is inside a function.
    let mut open: Vec<bool> = Vec::new();
    for (n, token) in tokens.iter().enumerate() {
        let before = n.checked_sub(1).and_then(|n| tokens.get(n));
        let after = tokens.get(n + 1);
        let inside = open.last().copied().unwrap_or(false);
        let found = match &token.what {
            What::Sign if token.raw == "(" => {
                open.push(inside || before.is_some_and(|t| matches!(t.what, What::Name(_))));
                continue;
            }
            What::Sign if token.raw == ")" => {
                open.pop();
                continue;
            }
            _ if inside => continue,
            What::Name(name) if after.is_some_and(|t| t.raw == "(") => fault::function(token.at, name),
            What::Name(name) if find(name, allowed).is_none() => {
                faults.push(fault::unknown(token.at, name, allowed, follows_comparison(before)));
                continue;
            }
            _ if calculates(token, before, after) => fault::arithmetic(token.at, token.raw),
            _ => continue,
        };
        faults.push(found);
        any = true;
    }
    if any { faults } else { Vec::new() }
}

/// Whether it is an operator of arithmetic rather than the sign of a number.
fn calculates(token: &Token<'_>, before: Option<&Token<'_>>, after: Option<&Token<'_>>) -> bool {
    match token.raw {
        "+" | "-" => {
            let binary = before.is_some_and(|t| t.is_operand() || t.raw == ")");
            binary || !after.is_some_and(|t| matches!(t.what, What::Number(_)))
        }
        "*" | "/" | "%" | "^" => true,
        _ => token.what == What::Keyword && token.is("div"),
    }
}

/// The allowed property of this name.
pub(super) fn find(name: &str, allowed: &[Field]) -> Option<Field> {
    allowed.iter().copied().find(|field| field.key() == name)
}

/// Whether a name after this token may be meant as text.
pub(super) fn follows_comparison(before: Option<&Token<'_>>) -> bool {
    before.is_some_and(|t| matches!(t.raw, "=" | "<>" | "!=" | "<" | "<=" | ">" | ">=") || t.is("like"))
}
