//! One component in memory: 72 bytes, whatever it is.

use crate::domain::word::{ManagementKind, OwnershipStatus, PropertyKind, State};

/// A component's code in eight bytes: a national code is its sixteen digits, any other the number of a kept text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct CodeKey(u64);

const DIGITS: u64 = 1 << 63;

impl CodeKey {
    /// The key of sixteen digits.
    pub fn digits(code: &str) -> Option<CodeKey> {
        let plain = code.len() == 16 && code.bytes().all(|b| b.is_ascii_digit());
        plain
            .then(|| code.parse::<u64>().ok())
            .flatten()
            .map(|n| CodeKey(n | DIGITS))
    }

    /// The key of a kept text; 0 is no code.
    pub fn text(number: u32) -> CodeKey {
        CodeKey(u64::from(number))
    }

    /// What it stands for.
    pub fn read(self) -> CodeText {
        match self.0 {
            0 => CodeText::None,
            n if n & DIGITS != 0 => CodeText::Digits(n & !DIGITS),
            n => CodeText::Text(n as u32),
        }
    }
}

/// What a [`CodeKey`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeText {
    /// No code.
    None,
    /// Sixteen digits with leading zeros.
    Digits(u64),
    /// The number of a kept text.
    Text(u32),
}

/// A component as memory holds it. Numbers of parties, cells and roads are the register's own; 0 is "none".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Degrees east of the point or point on surface.
    pub lon: f64,
    /// Degrees north.
    pub lat: f64,
    /// Permanent number.
    pub id: u64,
    /// Code.
    pub code: CodeKey,
    /// Number of its kept name.
    pub name: u32,
    /// Road.
    pub road: u32,
    /// Cell.
    pub cell: u32,
    /// 主管单位.
    pub authority: u32,
    /// 权属单位.
    pub owner: u32,
    /// 养护单位.
    pub maintainer: u32,
    /// Version.
    pub version: u32,
    /// Class.
    pub class: u16,
    /// Number of the code's scheme in kept schemes.
    pub scheme: u8,
    /// Condition.
    pub state: State,
    /// How far the owner is settled.
    pub ownership: OwnershipStatus,
    /// 产权性质.
    pub property: Option<PropertyKind>,
    /// 管理方式.
    pub management: Option<ManagementKind>,
    /// Whether it is a line or polygon, kept among the shapes.
    pub shaped: bool,
}

impl Row {
    /// What tiles show of it besides its shape.
    pub fn drawn(&self) -> impl PartialEq + use<> {
        (
            self.lon.to_bits(),
            self.lat.to_bits(),
            self.class,
            self.state,
            self.ownership,
            self.owner,
        )
    }
}

const _: () = assert!(size_of::<Row>() == 72);
