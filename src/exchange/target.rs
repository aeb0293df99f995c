//! What a delivery's rows become, and the fields that each has.

use super::pick::unknown;
use crate::domain::text::Text;

/// What a delivery's rows become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// 部件.
    Components,
    /// 单元网格.
    Cells,
    /// 区划.
    Areas,
    /// 单位.
    Parties,
    /// 道路.
    Roads,
    /// 用地.
    Land,
    /// 小类.
    Classes,
}

impl Target {
    /// Every target.
    pub const ALL: [Target; 7] = [
        Target::Components,
        Target::Cells,
        Target::Areas,
        Target::Parties,
        Target::Roads,
        Target::Land,
        Target::Classes,
    ];

    /// The word in a mapping and on the command line.
    pub fn key(self) -> &'static str {
        match self {
            Target::Components => "components",
            Target::Cells => "cells",
            Target::Areas => "areas",
            Target::Parties => "parties",
            Target::Roads => "roads",
            Target::Land => "land",
            Target::Classes => "classes",
        }
    }

    /// Reads the word.
    pub fn parse(s: &str) -> Result<Target, Text> {
        Target::ALL
            .into_iter()
            .find(|t| t.key() == s)
            .ok_or_else(|| unknown(s, "into", &Target::ALL.map(Target::key)).detail)
    }

    /// The fields that a mapping may fill, and whether they must be.
    pub(super) fn fields(self) -> &'static [(&'static str, bool)] {
        match self {
            Target::Components => &[
                ("name", false),
                ("address", false),
                ("note", false),
                ("surveyed_on", false),
                ("code", false),
                ("road", false),
                ("property_kind", false),
                ("management_kind", false),
                ("accuracy", false),
                ("cell", false),
                ("changed_on", false),
            ],
            Target::Cells => &[("code", true), ("name", false)],
            Target::Areas => &[("code", true), ("name", true), ("level", false)],
            Target::Parties => &[("code", false), ("name", true), ("aliases", false)],
            Target::Roads => &[("name", false), ("class", true)],
            Target::Land => &[("kind", true), ("code", false), ("name", false), ("population", false)],
            Target::Classes => &[
                ("scheme", false),
                ("code", false),
                ("name_zh", false),
                ("name_en", false),
                ("major", false),
                ("geometry", false),
                ("accuracy", false),
                ("attributes", false),
                ("restricted", false),
                ("base_scheme", false),
                ("base_code", false),
            ],
        }
    }
}
