//! Patterns of `LIKE`.

use std::fmt::{self, Write};

/// One step of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Step {
    /// This character.
    Is(char),
    /// `_`: any one character.
    One,
    /// `%`: any characters, or none.
    Many,
}

/// A pattern: `%` stands for any characters, `_` for any one, and a backslash takes the next character as it is. Large and
/// small letters differ. Wildcards side by side have one spelling: `%_%` is `_%`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(Vec<Step>);

impl Pattern {
    /// Reads a pattern; none if it ends in the middle of an escape.
    pub fn parse(text: &str) -> Option<Pattern> {
        let mut steps = Vec::new();
        let mut many = false;
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let step = match c {
                '%' => {
                    many = true;
                    continue;
                }
                '_' => Step::One,
                '\\' => Step::Is(chars.next()?),
                c => Step::Is(c),
            };
            // A `%` waits until all the `_` beside it are written.
            if many && step != Step::One {
                steps.push(Step::Many);
                many = false;
            }
            steps.push(step);
        }
        if many {
            steps.push(Step::Many);
        }
        Some(Pattern(steps))
    }

    /// Whether the whole text fits. Only the last `%` that was met is ever tried again, so the work is at most the product of
    /// the two lengths.
    pub fn fits(&self, text: &str) -> bool {
        let mut rest = text;
        let mut at = 0;
        let mut retry: Option<(usize, &str)> = None;
        loop {
            let c = rest.chars().next();
            let fits = match (self.0.get(at), c) {
                (None, None) => return true,
                (Some(Step::Many), _) => {
                    at += 1;
                    retry = Some((at, rest));
                    continue;
                }
                (Some(Step::One), Some(_)) => true,
                (Some(Step::Is(wanted)), Some(c)) => *wanted == c,
                _ => false,
            };
            if let (true, Some(c)) = (fits, c) {
                at += 1;
                rest = &rest[c.len_utf8()..];
                continue;
            }
            // The `%` takes one more character, if there is one.
            let Some((after, from)) = retry else {
                return false;
            };
            let Some(taken) = from.chars().next() else {
                return false;
            };
            rest = &from[taken.len_utf8()..];
            at = after;
            retry = Some((after, rest));
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            match step {
                Step::Many => f.write_char('%')?,
                Step::One => f.write_char('_')?,
                Step::Is(c @ ('%' | '_' | '\\')) => write!(f, "\\{c}")?,
                Step::Is(c) => f.write_char(*c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern).unwrap().fits(text)
    }

    #[test]
    fn wildcards_stand_for_characters() {
        for (pattern, yes, no) in [
            ("路灯", vec!["路灯"], vec!["路", "路灯1", ""]),
            ("%灯%", vec!["灯", "路灯", "路灯杆"], vec!["", "路"]),
            ("路_", vec!["路灯"], vec!["路", "路灯杆"]),
            ("_%_", vec!["路灯", "abc"], vec!["路", ""]),
            ("%", vec!["", "路灯"], vec![]),
            ("", vec![""], vec!["a"]),
            ("a%b%c", vec!["abc", "abbc", "axbxbxc"], vec!["acb", "ab", "abcx"]),
            ("100\\%", vec!["100%"], vec!["1000", "100"]),
            ("a\\_b", vec!["a_b"], vec!["axb"]),
            ("a\\\\b", vec!["a\\b"], vec!["ab"]),
            ("\\a", vec!["a"], vec!["A"]),
            ("Ab", vec!["Ab"], vec!["ab", "AB"]),
        ] {
            for text in yes {
                assert!(fits(pattern, text), "{pattern} fits {text}");
            }
            for text in no {
                assert!(!fits(pattern, text), "{pattern} does not fit {text}");
            }
        }
        assert_eq!(Pattern::parse("a\\"), None);
    }

    #[test]
    fn one_meaning_has_one_spelling() {
        for (one, other) in [("%%", "%"), ("%_", "_%"), ("%_%_a", "__%a"), ("\\a\\b", "ab")] {
            let pattern = Pattern::parse(one).unwrap();
            assert_eq!(pattern, Pattern::parse(other).unwrap());
            assert_eq!(pattern.to_string(), other);
        }
        assert_eq!(Pattern::parse("\\%\\_\\\\").unwrap().to_string(), "\\%\\_\\\\");
    }

    #[test]
    fn many_wildcards_stay_fast() {
        let start = std::time::Instant::now();
        assert!(!fits(&"%a".repeat(1_500), &"a".repeat(1_400)));
        assert!(!fits(&("%a".repeat(100) + "b"), &"a".repeat(4_000)));
        assert!(start.elapsed().as_secs() < 2);
    }
}
