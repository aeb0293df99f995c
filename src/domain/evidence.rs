//! Documents that back claims.

use chrono::NaiveDate;

use crate::spatial::position::LonLat;

/// What is said of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// 竣工验收资料, 移交协议, 会议纪要 …
    pub kind: String,
    /// 文号.
    pub number: Option<String>,
    /// Who issued it.
    pub issuer: Option<String>,
    /// Its day.
    pub dated: Option<NaiveDate>,
}

/// A document that a claim names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paper {
    /// One that was handed in before, by its number in the register.
    Known(i64),
    /// One of which only something is said.
    Described(Described),
}

/// A document's file, which is kept whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Its SHA-256.
    pub hash: [u8; 32],
    /// Its size.
    pub bytes: u64,
    /// Its media type.
    pub media: &'static str,
    /// The name that it came with.
    pub name: String,
    /// Where a photo says that it was taken, lon,lat degrees as its camera wrote them down.
    pub taken_at: Option<LonLat>,
}
