//! Who a row names: by name, alias or code, in whatever spelling. Names that nobody knows are counted, with the nearest that is known.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::fold::fold;
use super::key::MAX_KEY;
use super::nearest::{nearest, shown};
use super::pick::Pick;
use super::record::Record;
use crate::domain::delivery::{Reason, RowFault};
use crate::domain::text::Text;
use crate::text;

/// How many unknown names are kept; rows are counted beyond them.
const MAX_UNKNOWN: usize = 1000;

/// Names that nobody knows, with the rows that have them and the nearest known name.
#[derive(Debug, Default)]
pub struct Unknown {
    /// By name.
    pub names: BTreeMap<String, (u64, Option<String>)>,
    /// Rows that name no authority, no owner, no maintainer.
    pub lacking: [u64; 3],
}

/// A list that the reader fills and the report reads.
pub type Shared = Arc<Mutex<Unknown>>;

/// The parties of the register.
#[derive(Debug)]
pub struct Parties {
    known: HashMap<String, i32>,
    /// By folded name; none where two parties fold to one.
    folded: HashMap<String, Option<i32>>,
    unknown: Shared,
}

/// Whom a row names.
#[derive(Clone, Debug, PartialEq)]
pub enum Named {
    /// Nobody.
    Nobody,
    /// A party of the register.
    Known(i32),
    /// One to be created.
    New(Arc<str>),
}

impl Parties {
    /// By name, alias and code.
    pub fn new(known: HashMap<String, i32>) -> Parties {
        let mut folded: HashMap<String, Option<i32>> = HashMap::new();
        for (name, id) in &known {
            folded
                .entry(fold(name))
                .and_modify(|old| *old = old.filter(|o| o == id))
                .or_insert(Some(*id));
        }
        Parties {
            known,
            folded,
            unknown: Shared::default(),
        }
    }

    /// The list of names that nobody knows.
    pub fn unknown(&self) -> Shared {
        Arc::clone(&self.unknown)
    }

    /// Counts the roles that a row leaves open.
    pub fn note(&self, named: [bool; 3]) {
        if named != [true; 3] {
            let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
            for (n, named) in unknown.lacking.iter_mut().zip(named) {
                *n += u64::from(!named);
            }
        }
    }

    /// Whether a word is one of theirs.
    pub fn knows(&self, word: &str) -> bool {
        self.look(word).is_some()
    }

    fn look(&self, word: &str) -> Option<i32> {
        let exact = self.known.get(word).copied();
        exact.or_else(|| self.folded.get(&fold(word)).copied().flatten())
    }

    /// The party of one role. A name and a code that are of two parties are a fault; a known code lends an unknown name its party.
    pub fn find(&mut self, record: &Record, pick: &Pick, nulls: &[String]) -> Result<Named, RowFault> {
        let filled = |s: &str| !s.is_empty() && !nulls.iter().any(|n| n == s);
        let name = pick.get(record, nulls)?;
        let code = pick.code.as_ref().and_then(|c| record.get(c)).filter(|s| filled(s));
        let by_code = code.as_ref().and_then(|c| self.look(c));
        let Some(name) = name else {
            return match (code, by_code) {
                (None, _) => Ok(Named::Nobody),
                (Some(_), Some(id)) => Ok(Named::Known(id)),
                (Some(code), None) => Err(self.not_known(&code, pick.code.as_ref().map_or("", |c| &c.name))),
            };
        };
        match (self.look(&name), by_code) {
            (Some(a), Some(b)) if a != b => {
                let (name, code) = (shown(&name).into_owned(), code.unwrap_or_default());
                let detail = text!(
                    "名称“{name}”与代码“{code}”属于两个单位",
                    "the name \"{name}\" and the code \"{code}\" are of two parties"
                );
                let expected = Text::new("同一单位的名称与代码", "the name and the code of one party");
                Err(RowFault::new(Reason::Party, pick.column_name(), detail, expected))
            }
            (Some(id), _) | (None, Some(id)) => Ok(Named::Known(id)),
            (None, None) if pick.create && name.chars().count() <= MAX_KEY => Ok(Named::New(Arc::from(name.as_ref()))),
            (None, None) => Err(self.not_known(&name, pick.column_name())),
        }
    }

    fn not_known(&self, name: &str, column: &str) -> RowFault {
        let name = shown(name);
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        let full = unknown.names.len() >= MAX_UNKNOWN;
        let near = match unknown.names.get_mut(name.as_ref()) {
            Some((rows, near)) => {
                *rows += 1;
                near.clone()
            }
            None => {
                let near = nearest(&name, self.known.keys().map(String::as_str)).map(str::to_owned);
                if !full {
                    unknown.names.insert(name.to_string(), (1, near.clone()));
                }
                near
            }
        };
        let hint = near.map_or_else(
            || Text::new("", ""),
            |n| text!("，是否为“{n}”？", "; do you mean \"{n}\"?"),
        );
        let (zh, en) = (hint.zh, hint.en);
        let detail = text!("没有单位“{name}”{zh}", "there is no party \"{name}\"{en}");
        let expected = Text::new(
            "登记册中的单位名称、别名或代码；若为别名，以 --alias 确认一次",
            "the name, an alias or the code of a party in the register; if it is an alias, confirm it once with --alias",
        );
        RowFault::new(Reason::Party, column, detail, expected)
    }
}
