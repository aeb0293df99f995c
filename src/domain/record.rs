//! What the register keeps, as one version of each thing: the shape in which the store hands it to memory.

use std::num::NonZeroI32;
use std::sync::Arc;

use super::class::Class;
use super::word::{AreaLevel, ManagementKind, OwnershipStatus, PropertyKind, RoadClass, State};
use crate::spatial::packed::Packed;

/// One version of a component, without what only PostgreSQL keeps (attributes, address, source, note).
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Permanent number, below 2^53.
    pub id: i64,
    /// Rises by one with each edit.
    pub version: i64,
    /// Scheme and code, where it has one.
    pub code: Option<(String, String)>,
    /// The register's number of its class.
    pub class: i32,
    /// Its own name.
    pub name: Option<String>,
    /// Degrees lon,lat of the point, or of the point on surface of a line or polygon.
    pub at: (f64, f64),
    /// The line or polygon; none for a point.
    pub shape: Option<Packed>,
    /// Condition.
    pub state: State,
    /// How far the owner is settled.
    pub ownership_status: OwnershipStatus,
    /// 产权性质.
    pub property_kind: Option<PropertyKind>,
    /// 管理方式.
    pub management_kind: Option<ManagementKind>,
    /// The register's number of its cell.
    pub cell: Option<i32>,
    /// 主管单位.
    pub authority: Option<i32>,
    /// 权属单位.
    pub owner: Option<i32>,
    /// 养护单位.
    pub maintainer: Option<i32>,
    /// The register's number of its road.
    pub road: Option<i32>,
}

impl Component {
    /// Authority, owner and maintainer.
    pub fn parties(&self) -> [Option<i32>; 3] {
        [self.authority, self.owner, self.maintainer]
    }
}

/// An area 区划.
#[derive(Clone, Debug, PartialEq)]
pub struct Area {
    /// The register's number.
    pub id: i32,
    /// 区划代码.
    pub code: String,
    /// District, street or community.
    pub level: AreaLevel,
    /// Name.
    pub name: String,
    /// Degrees lon,lat of its point on surface.
    pub at: (f64, f64),
}

/// A cell 单元网格.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The register's number.
    pub id: i32,
    /// Scheme of its code.
    pub scheme: Arc<str>,
    /// 单元网格标识码.
    pub code: Box<str>,
    /// Name, where it has one.
    pub name: Option<Box<str>>,
    /// The community that contains it.
    pub area: Option<NonZeroI32>,
}

/// A road.
#[derive(Clone, Debug, PartialEq)]
pub struct Road {
    /// The register's number.
    pub id: i32,
    /// Name.
    pub name: Option<Box<str>>,
    /// Where it stands in the network.
    pub class: RoadClass,
}

/// A piece of land with one use.
#[derive(Clone, Debug, PartialEq)]
pub struct Land {
    /// The register's number.
    pub id: i32,
    /// residential, commercial, industrial, public, green, water, other.
    pub kind: Arc<str>,
    /// The source's own land-use code.
    pub code: Option<Box<str>>,
    /// Name.
    pub name: Option<Box<str>>,
    /// Residents.
    pub population: Option<i32>,
}

/// A party 单位.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The register's number.
    pub id: i32,
    /// Its code.
    pub code: String,
    /// Its full name.
    pub name: String,
}

/// The newest version of one thing that memory holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A component.
    Component(Box<Component>),
    /// An area and its land, lon,lat degrees; it has none once it is superseded.
    Area(Area, Packed),
    /// A cell and its land, none once it is superseded.
    Cell(Cell, Packed),
    /// A road and its centre line.
    Road(Road, Packed),
    /// A piece of land and its outline.
    Land(Land, Packed),
    /// A party.
    Party(Party),
    /// A class.
    Class(Arc<Class>),
    /// What some accounts, tokens or sessions allow is not what it was.
    Grants,
}

/// One committed transaction in the one total order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its number.
    pub number: i64,
    /// The transaction's own number, drawn before the commit.
    pub txn: i64,
    /// When it was numbered; rises with the number.
    pub recorded: chrono::DateTime<chrono::Utc>,
}
