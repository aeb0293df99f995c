//! The words of a filter: where each stands, and whether there are too many or too deeply nested. The parser gives no places
//! and has no limits, so this is looked at before the parser sees the text.

use super::fault;
use crate::domain::text::Fault;

/// How many names, and how many values, a filter may have.
pub const MOST_TERMS: usize = 200;
/// How deeply brackets and `NOT` may be nested.
pub const MOST_NESTED: usize = 20;

/// One word, number, quoted text or sign.
pub(super) struct Token<'a> {
    /// Its first character, counted from 1.
    pub(super) at: usize,
    /// As it was written.
    pub(super) raw: &'a str,
    /// What it is.
    pub(super) what: What,
}

/// What a token is.
#[derive(PartialEq)]
pub(super) enum What {
    /// The name of a property or function.
    Name(String),
    /// Text in single quotes.
    Text(String),
    /// A number without its sign.
    Number(f64),
    /// `TRUE` or `FALSE`.
    Truth(bool),
    /// `NULL`, as a value or after `IS`.
    Null,
    /// A word that connects others.
    Keyword,
    /// Anything else.
    Sign,
}

impl Token<'_> {
    /// Whether it is a property or a value. `NULL` may be either a value or part of `IS NULL`.
    pub(super) fn is_operand(&self) -> bool {
        !matches!(self.what, What::Keyword | What::Sign | What::Null)
    }

    pub(super) fn is(&self, raw: &str) -> bool {
        self.raw.eq_ignore_ascii_case(raw)
    }
}

/// The tokens of a text, with blanks left out. Brackets that are open count as nesting, and signs and `NOT` that stand in a row.
pub(super) fn scan(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut tokens = Vec::new();
    let (mut names, mut values, mut open, mut prefixes) = (0, 0, 0usize, 0);
    let (mut rest, mut at) = (text, 1);
    loop {
        let blank = rest.len() - rest.trim_start().len();
        at += rest[..blank].chars().count();
        rest = &rest[blank..];
        let Some(first) = rest.chars().next() else {
            return Ok(tokens);
        };
        let length = length(rest, first).ok_or_else(|| fault::open_quote(at, first))?;
        let raw = &rest[..length];
        let token = Token {
            at,
            raw,
            what: what(raw, first),
        };
        match &token.what {
            What::Name(_) => names += 1,
            What::Text(_) | What::Number(_) | What::Truth(_) | What::Null => values += 1,
            What::Keyword | What::Sign => {}
        }
        match raw {
            "(" => open += 1,
            ")" => open = open.saturating_sub(1),
            _ => {}
        }
        let prefix = matches!(raw, "-" | "+") || token.is("not");
        prefixes = if prefix { prefixes + 1 } else { 0 };
        if names > MOST_TERMS || values > MOST_TERMS {
            return Err(fault::too_many(at, MOST_TERMS));
        }
        if open + prefixes > MOST_NESTED {
            return Err(fault::too_nested(at, MOST_NESTED));
        }
        tokens.push(token);
        at += raw.chars().count();
        rest = &rest[length..];
    }
}

/// How many bytes the token has that begins here; none if a quote stays open.
fn length(rest: &str, first: char) -> Option<usize> {
    let end = |inside: fn(char) -> bool| rest.find(|c| !inside(c)).unwrap_or(rest.len());
    Some(match first {
        '\'' | '"' => quoted(rest, first)?,
        c if c.is_alphabetic() => end(|c| c.is_alphabetic() || c.is_numeric() || matches!(c, '_' | '.' | ':')),
        c if c.is_ascii_digit() => number(rest),
        _ => match rest.get(..2) {
            Some("<=" | ">=" | "<>" | "!=") => 2,
            _ => first.len_utf8(),
        },
    })
}

/// Up to the quote that is not doubled.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut from = 1;
    loop {
        from += rest[from..].find(quote)? + 1;
        match rest[from..].starts_with(quote) {
            true => from += 1,
            false => return Some(from),
        }
    }
}

/// Digits, a fraction, an exponent.
fn number(rest: &str) -> usize {
    let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut end = digits(0);
    if rest[end..].starts_with('.') {
        end += 1 + digits(end + 1);
    }
    if rest[end..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
        let exponent = digits(end + 1 + sign);
        end += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    end
}

fn what(raw: &str, first: char) -> What {
    const KEYWORDS: &[&str] = &["and", "or", "not", "in", "like", "between", "is", "div"];
    let is = |word: &&str| raw.eq_ignore_ascii_case(word);
    let unquoted = || {
        let quote = &raw[..1];
        raw[1..raw.len() - 1].replace(&quote.repeat(2), quote)
    };
    match first {
        '\'' => What::Text(unquoted()),
        '"' => What::Name(unquoted()),
        c if c.is_ascii_digit() => What::Number(raw.parse().unwrap_or(f64::INFINITY)),
        c if !c.is_alphabetic() => What::Sign,
        _ if is(&"true") => What::Truth(true),
        _ if is(&"false") => What::Truth(false),
        _ if is(&"null") => What::Null,
        _ if KEYWORDS.iter().any(is) => What::Keyword,
        _ => What::Name(raw.to_owned()),
    }
}
