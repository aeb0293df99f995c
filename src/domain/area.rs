//! Areas 区划 and cells 单元网格: how their codes nest.

use super::code::{AreaCode, CellCode};
use super::text::Text;
use crate::text;

/// Whether a national cell code begins with the code of the community that contains it; a city's own codes are not compared.
pub fn check_prefix(cell: &CellCode, community: &AreaCode) -> Result<(), Text> {
    match cell.community() {
        Some(prefix) if community.level().is_some() && prefix != community.as_str() => {
            let (cell, community) = (cell.as_str(), community.as_str());
            Err(text!(
                "单元网格 {cell} 位于社区 {community} 内，其前12位应为该社区代码",
                "cell {cell} lies in community {community}, so its first 12 digits should be that code"
            ))
        }
        _ => Ok(()),
    }
}

/// A line of a change of districts: everything whose code begins with `old` begins with `new` from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recode {
    /// 6, 9 or 12 digits: a district, street or community.
    pub old: String,
    /// As many.
    pub new: String,
    /// What the area is called from then on; none where it keeps its name.
    pub name: Option<String>,
}
