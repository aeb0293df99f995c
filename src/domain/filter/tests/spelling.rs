//! Writing one condition in many ways.

use super::source::{COLUMNS, Plain, Source};

/// What stands around a condition and decides whether it needs brackets.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Inside {
    Nothing,
    Or,
    And,
    Not,
}

/// Throws the dice for a spelling.
pub(super) struct Pen(u64);

impl Pen {
    pub(super) fn new(seed: u64) -> Pen {
        Pen(seed | 1)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % n
    }

    fn pick(&mut self, choices: &[&str]) -> String {
        choices[self.below(choices.len() as u64) as usize].to_owned()
    }

    fn blank(&mut self) -> String {
        self.pick(&[" ", " ", "  ", "\n", "\t ", "\u{3000}"])
    }

    fn gap(&mut self) -> String {
        self.pick(&["", "", " ", "\r\n"])
    }

    /// A keyword with blanks around it.
    fn word(&mut self, word: &str) -> String {
        let mut out = self.blank();
        for c in word.chars() {
            out.push(if self.below(2) == 0 { c.to_ascii_lowercase() } else { c });
        }
        out + &self.blank()
    }

    fn brackets(&mut self, text: &str) -> String {
        format!("({}{text}{})", self.gap(), self.gap())
    }

    fn maybe_brackets(&mut self, text: String) -> String {
        if self.below(8) == 0 { self.brackets(&text) } else { text }
    }

    fn name(&mut self, column: usize) -> String {
        let name = COLUMNS[column];
        let name = if self.below(4) == 0 {
            format!("\"{name}\"")
        } else {
            name.to_owned()
        };
        self.maybe_brackets(name)
    }

    fn value(&mut self, value: &Plain) -> String {
        let value = match value {
            Plain::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Plain::Number(n) if *n < 0.0 => n.to_string() + &self.pick(&["", ".0", "e0"]),
            Plain::Number(n) if n.fract() == 0.0 => {
                self.pick(&["", "+", "00"]) + &n.to_string() + &self.pick(&["", ".", ".00", "e0", ".0E+0"])
            }
            Plain::Number(n) => n.to_string() + &self.pick(&["", "0", "e0", "E-00"]),
        };
        self.maybe_brackets(value)
    }

    fn list(&mut self, values: &[Plain]) -> String {
        let mut values: Vec<String> = values.iter().map(|v| self.value(v)).collect();
        if self.below(3) == 0 {
            values.push(values[0].clone());
        }
        self.shuffle(&mut values);
        let comma = self.gap() + "," + &self.gap();
        let list = values.join(&comma);
        self.brackets(&list)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for n in (1..items.len()).rev() {
            let other = self.below(n as u64 + 1) as usize;
            items.swap(n, other);
        }
    }

    fn comparison(&mut self, column: usize, op: &str, value: &Plain) -> String {
        let (name, value) = (self.name(column), self.value(value));
        let turned = match op {
            "<" => ">",
            "<=" => ">=",
            ">" => "<",
            ">=" => "<=",
            same => same,
        };
        let (left, op, right) = if self.below(2) == 0 {
            (name, op, value)
        } else {
            (value, turned, name)
        };
        format!("{left}{}{op}{}{right}", self.gap(), self.gap())
    }

    /// One way to write it.
    pub(super) fn write(&mut self, source: &Source) -> String {
        self.gap() + &self.part(source, false, Inside::Nothing) + &self.gap()
    }

    /// Its opposite, if `negated`.
    fn part(&mut self, source: &Source, negated: bool, inside: Inside) -> String {
        let (text, own) = match source {
            Source::Not(inner) if self.below(3) == 0 => return self.part(inner, !negated, inside),
            Source::Not(_) | Source::All(_) | Source::Any(_) if negated && self.below(2) == 0 => {
                (self.word("NOT") + &self.part(source, false, Inside::Not), Inside::Not)
            }
            Source::Not(inner) => (self.word("NOT") + &self.part(inner, negated, Inside::Not), Inside::Not),
            Source::All(parts) => self.joined(parts, negated, negated),
            Source::Any(parts) => self.joined(parts, negated, !negated),
            Source::Between(c, low, high) if self.below(2) == 0 => {
                let bounds = [
                    Source::Compare(*c, ">=", low.clone()),
                    Source::Compare(*c, "<=", high.clone()),
                ];
                self.joined(&bounds, negated, negated)
            }
            Source::OneOf(c, set) if set.len() > 1 && self.below(2) == 0 => {
                let each: Vec<_> = set.iter().map(|v| Source::Compare(*c, "=", v.clone())).collect();
                self.joined(&each, negated, !negated)
            }
            leaf if negated && self.below(2) == 0 => (self.word("NOT") + &self.leaf(leaf, false), Inside::Not),
            leaf => (self.leaf(leaf, negated), Inside::Not),
        };
        if own < inside || self.below(10) == 0 {
            self.brackets(&text)
        } else {
            text
        }
    }

    fn joined(&mut self, parts: &[Source], negated: bool, any: bool) -> (String, Inside) {
        let (word, own) = if any { ("OR", Inside::Or) } else { ("AND", Inside::And) };
        let mut parts: Vec<String> = parts.iter().map(|p| self.part(p, negated, own)).collect();
        if self.below(6) == 0 {
            parts.push(parts[0].clone());
        }
        self.shuffle(&mut parts);
        let mut out = String::new();
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                out += &self.word(word);
            }
            out += part;
        }
        (out, own)
    }

    fn leaf(&mut self, leaf: &Source, negated: bool) -> String {
        let not = if negated { "NOT" } else { "" };
        match leaf {
            Source::Truth(truth) => self.word(if *truth != negated { "TRUE" } else { "FALSE" }),
            Source::Compare(c, op, v) => {
                let op = match (*op, negated) {
                    (op, false) => op,
                    ("=", _) => "<>",
                    ("<>", _) => "=",
                    ("<", _) => ">=",
                    ("<=", _) => ">",
                    (">", _) => "<=",
                    _ => "<",
                };
                self.comparison(*c, op, v)
            }
            Source::OneOf(c, set) => self.name(*c) + &self.word(not) + &self.word("IN") + &self.list(set),
            Source::Between(c, low, high) => {
                let head = self.name(*c) + &self.word(not) + &self.word("BETWEEN");
                head + &self.value(low) + &self.word("AND") + &self.value(high)
            }
            Source::Missing(c) => self.name(*c) + &self.word("IS") + &self.word(not) + &self.word("NULL"),
            Source::Like(c, p) => {
                let pattern = self.value(&Plain::Text(p.clone()));
                self.name(*c) + &self.word(not) + &self.word("LIKE") + &pattern
            }
            Source::Not(_) | Source::All(_) | Source::Any(_) => unreachable!("{leaf:?} is no leaf"),
        }
    }
}
