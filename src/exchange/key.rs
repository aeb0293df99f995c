//! The key of a row in its source.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::fold::plain;
use super::mapping::Mapping;
use super::record::{Record, digest};
use crate::domain::delivery::{Reason, RowFault};
use crate::domain::text::Text;
use crate::text;

/// The most characters of a key or a party's name: a database index takes no more than 2,700 bytes.
pub const MAX_KEY: usize = 200;

/// The key that a mapping's columns make of a row, however it was typed; the column that is empty where there is none.
pub fn stated(record: &Record, mapping: &Mapping) -> Result<String, String> {
    let mut parts = Vec::with_capacity(mapping.key.len());
    for column in &mapping.key {
        let part = record
            .get(column)
            .filter(|s| !s.is_empty() && !mapping.nulls.iter().any(|n| n == s))
            .map(|s| plain(&s).into_owned());
        parts.push(part.ok_or_else(|| column.name.clone())?);
    }
    Ok(parts.join("/"))
}

/// Gives every row its key and remembers which keys have been given. About 32 bytes a row.
#[derive(Debug, Default)]
pub struct Keys {
    given: HashMap<u128, u64>,
    equal: HashMap<u128, u32>,
}

impl Keys {
    /// The key of a row: the mapping's key columns, or, where it has none, a digest of everything in the row and a number among
    /// equal rows, so that the same file again finds the same keys. `salt` is what else makes rows differ.
    pub fn key(&mut self, record: &Record, mapping: &Mapping, salt: &str) -> Result<String, RowFault> {
        if mapping.key.is_empty() {
            let digest = record.digest(salt);
            let n = self.equal.entry(digest).or_default();
            *n += 1;
            return Ok(format!("row-{digest:032x}-{n}"));
        }
        let key = stated(record, mapping).map_err(|column| {
            let expected = Text::new("来源中唯一且不变的值", "a value that is unique in the source and stays");
            let detail = Text::new("没有主键", "the row has no key");
            RowFault::new(Reason::KeyMissing, column, detail, expected)
        })?;
        let n = key.chars().count();
        if n > MAX_KEY {
            let detail = text!("主键有{n}个字符", "the key has {n} characters");
            let expected = text!("最多{MAX_KEY}个字符", "at most {MAX_KEY} characters");
            let column = mapping.key.first().map_or("", |c| &c.name);
            return Err(RowFault::new(Reason::Value, column, detail, expected));
        }
        Ok(key)
    }

    /// Marks a key as given, unless the row is refused anyway; the fault names the row that had it first.
    pub fn give(&mut self, key: &str, row: u64, column: &str, refused: bool) -> Result<(), RowFault> {
        let digest = digest(Sha256::new_with_prefix(key));
        let first = match self.given.get(&digest) {
            Some(first) => *first,
            None if refused => return Ok(()),
            None => {
                self.given.insert(digest, row);
                return Ok(());
            }
        };
        let detail = text!("“{key}”已出现在第{first}行", "\"{key}\" already stands in row {first}");
        let expected = Text::new("文件内不重复", "each only once in the file");
        Err(RowFault::new(Reason::KeyRepeated, column, detail, expected))
    }
}
