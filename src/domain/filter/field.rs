//! The properties that a filter may name.

use crate::domain::word::{ManagementKind, OwnershipStatus, PropertyKind, State};

/// What the values of a property are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text, compared by code points.
    Text,
    /// A number.
    Number,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident $key:literal $kind:ident),+ $(,)?) => {
        /// A property that a filter may name. Which ones a layer has is the caller's to say.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Field { $($(#[$doc])* #[doc = concat!("(`", $key, "`)")] $variant),+ }

        impl Field {
            /// Every property.
            pub const ALL: &'static [Field] = &[$(Field::$variant),+];

            /// The name in a filter.
            pub fn key(self) -> &'static str { match self { $(Field::$variant => $key),+ } }

            /// What its values are.
            pub fn kind(self) -> Kind { match self { $(Field::$variant => Kind::$kind),+ } }
        }
    };
}

fields! {
    /// Permanent number, below 2^53.
    Id "id" Number,
    /// Code under a scheme.
    Code "code" Text,
    /// Scheme of the code.
    Scheme "scheme" Text,
    /// Class of a component or of a road.
    Class "class" Text,
    /// Name.
    Name "name" Text,
    /// Condition.
    State "state" Text,
    /// How far the owner is settled.
    OwnershipStatus "ownership_status" Text,
    /// 产权性质.
    PropertyKind "property_kind" Text,
    /// 管理方式.
    ManagementKind "management_kind" Text,
    /// 主管单位.
    Authority "authority" Text,
    /// 权属单位.
    Owner "owner" Text,
    /// 养护单位.
    Maintainer "maintainer" Text,
    /// Cell.
    Cell "cell" Text,
    /// Road.
    Road "road" Text,
    /// Version of a component.
    Version "version" Number,
    /// Level of an area.
    Level "level" Text,
    /// Kind of land.
    Kind "kind" Text,
}

impl Field {
    /// What a layer of components offers.
    pub const OF_COMPONENTS: &'static [Field] = &[
        Field::Id,
        Field::Code,
        Field::Scheme,
        Field::Class,
        Field::Name,
        Field::State,
        Field::OwnershipStatus,
        Field::PropertyKind,
        Field::ManagementKind,
        Field::Authority,
        Field::Owner,
        Field::Maintainer,
        Field::Cell,
        Field::Road,
        Field::Version,
    ];
    /// What a layer of areas offers.
    pub const OF_AREAS: &'static [Field] = &[Field::Id, Field::Code, Field::Name, Field::Level];
    /// What a layer of cells offers.
    pub const OF_CELLS: &'static [Field] = &[Field::Id, Field::Code, Field::Scheme, Field::Name];
    /// What a layer of roads offers.
    pub const OF_ROADS: &'static [Field] = &[Field::Id, Field::Class, Field::Name];
    /// What a layer of land offers.
    pub const OF_LAND: &'static [Field] = &[Field::Id, Field::Kind, Field::Name];

    /// The keys of its vocabulary, if that is closed.
    pub fn words(self) -> Option<Vec<&'static str>> {
        match self {
            Field::State => Some(State::ALL.iter().map(|w| w.key()).collect()),
            Field::OwnershipStatus => Some(OwnershipStatus::ALL.iter().map(|w| w.key()).collect()),
            Field::PropertyKind => Some(PropertyKind::ALL.iter().map(|w| w.key()).collect()),
            Field::ManagementKind => Some(ManagementKind::ALL.iter().map(|w| w.key()).collect()),
            _ => None,
        }
    }
}
