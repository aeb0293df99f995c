//! Rows as the generator makes them. They name each other by position within their district.

use chrono::{DateTime, NaiveDate, Utc};
use geo::{Geometry, MultiLineString, MultiPolygon, Point};

use crate::domain::word::{Accuracy, AreaLevel, ManagementKind, OwnershipStatus, PropertyKind, RoadClass, State};

/// An area.
#[derive(Clone, Debug)]
pub struct AreaRow {
    /// 6, 9 or 12 digits.
    pub code: String,
    /// What it is.
    pub level: AreaLevel,
    /// Its name.
    pub name: String,
    /// Its outline.
    pub geom: MultiPolygon<f64>,
}

/// A cell.
#[derive(Clone, Debug)]
pub struct CellRow {
    /// 15 digits.
    pub code: String,
    /// Its outline.
    pub geom: MultiPolygon<f64>,
    /// Its community, by position in [`District::areas`].
    pub area: usize,
}

/// A road.
#[derive(Clone, Debug)]
pub struct RoadRow {
    /// Its name.
    pub name: String,
    /// Its rank.
    pub class: RoadClass,
    /// Its centre lines.
    pub geom: MultiLineString<f64>,
}

/// A plot of land.
#[derive(Clone, Debug)]
pub struct LandRow {
    /// What it is used for.
    pub kind: &'static str,
    /// The plan's own code for that.
    pub code: &'static str,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Who lives there.
    pub population: Option<i32>,
    /// Its outline.
    pub geom: MultiPolygon<f64>,
}

/// A party.
#[derive(Clone, Debug)]
pub struct PartyRow {
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Other names.
    pub aliases: Vec<String>,
}

/// A component. Numbers of class, party, road and component are positions in the district's lists.
#[derive(Clone, Debug)]
pub struct ComponentRow {
    /// The scheme of its code.
    pub scheme: &'static str,
    /// Its code.
    pub code: String,
    /// Its class.
    pub class: usize,
    /// Its name.
    pub name: Option<String>,
    /// Where it stands.
    pub geom: Geometry<f64>,
    /// Its state.
    pub state: State,
    /// 主管单位.
    pub authority: Option<usize>,
    /// 权属单位.
    pub owner: Option<usize>,
    /// 养护单位.
    pub maintainer: Option<usize>,
    /// How far the owner is settled.
    pub ownership_status: OwnershipStatus,
    /// 产权性质.
    pub property_kind: Option<PropertyKind>,
    /// 管理方式.
    pub management_kind: Option<ManagementKind>,
    /// 位置描述.
    pub address: Option<String>,
    /// Its road.
    pub road: Option<usize>,
    /// What it is a part of.
    pub part_of: Option<usize>,
    /// The day it was surveyed.
    pub surveyed_on: NaiveDate,
    /// Accuracy class of its position.
    pub accuracy: Accuracy,
    /// Its attributes as a JSON object.
    pub attributes: String,
    /// Built during the year of edits: not part of the first load.
    pub later: bool,
}

/// Everything of one district.
#[derive(Clone, Debug, Default)]
pub struct District {
    /// The district itself first, then its streets, then their communities.
    pub areas: Vec<AreaRow>,
    /// Unit grids.
    pub cells: Vec<CellRow>,
    /// Roads.
    pub roads: Vec<RoadRow>,
    /// Land.
    pub land: Vec<LandRow>,
    /// Parties.
    pub parties: Vec<PartyRow>,
    /// Components, those built later included.
    pub components: Vec<ComponentRow>,
}

/// One edit of a transaction of the seeded year.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Sets the state.
    State(Vec<usize>, State),
    /// Moves points.
    Move(Vec<(usize, Point<f64>)>),
    /// Records an owner.
    Own(Vec<usize>, usize, OwnershipStatus, PropertyKind),
    /// Builds components that were marked `later`.
    Build(Vec<usize>),
}

/// One transaction of the seeded year.
#[derive(Clone, Debug)]
pub struct Deed {
    /// When it was recorded.
    pub recorded: DateTime<Utc>,
    /// Who did it.
    pub actor: &'static str,
    /// Why.
    pub reason: &'static str,
    /// What changed.
    pub edits: Vec<Edit>,
}
