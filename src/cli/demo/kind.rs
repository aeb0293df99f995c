//! The kinds of things that the demo city has, and who has to do with them.

use crate::domain::code::{CJT214, LOCAL};
use crate::domain::word::{Accuracy, OwnershipStatus};

macro_rules! kinds {
    ($($name:ident $scheme:ident $code:literal $prefix:literal),+ $(,)?) => {
        /// A kind of component, by its place in [`CLASSES`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(super) enum Kind { $($name),+ }

        impl Kind {
            /// Every kind, in the order of its number.
            pub(super) const ALL: &'static [Kind] = &[$(Kind::$name),+];
        }

        /// Scheme and code of each kind's class.
        pub(super) const CLASSES: &[(&str, &str)] = &[$(($scheme, $code)),+];

        const PREFIX: &[&str] = &[$($prefix),+];
    };
}

kinds! {
    Lamp CJT214 "0118" "", Sewage CJT214 "0102" "", Storm CJT214 "0103" "", Toilet CJT214 "0301" "", Seat CJT214 "0407" "",
    Tree CJT214 "0402" "", Green CJT214 "0405" "", Lot CJT214 "0201" "", Billboard CJT214 "0307" "", Bin CJT214 "0305" "",
    TrafficSign CJT214 "0209" "", Signal CJT214 "0210" "", Guardrail CJT214 "0211" "", Plate CJT214 "0213" "",
    BusShelter CJT214 "0203" "", Hydrant CJT214 "0113" "", Camera CJT214 "0136" "", CrossBox CJT214 "0115" "",
    Footbridge CJT214 "0205" "", Bridge CJT214 "0208" "", WaterRail CJT214 "0604" "", Sculpture CJT214 "0406" "",
    Fitness CJT214 "0126" "", Notice CJT214 "0501" "",
    Berth LOCAL "berth" "B", ShopSign LOCAL "shop-sign" "S", RoofSign LOCAL "rooftop-sign" "R", WallSign LOCAL "wall-sign" "W",
    Charger LOCAL "charger" "C", Fence LOCAL "electronic-fence" "E", Transfer LOCAL "transfer-station" "T",
    Pavilion LOCAL "sorting-pavilion" "P",
}

/// Positions in the list of parties; the advertisers, estate managers and subdistrict offices follow in this order.
pub(super) mod party {
    pub(in super::super) const CITY: usize = 0;
    pub(in super::super) const HOUSING: usize = 1;
    pub(in super::super) const LIGHTING: usize = 2;
    pub(in super::super) const DRAINAGE: usize = 3;
    pub(in super::super) const WATER: usize = 4;
    pub(in super::super) const SANITATION: usize = 5;
    pub(in super::super) const GARDENS: usize = 6;
    pub(in super::super) const TRAFFIC: usize = 7;
    pub(in super::super) const PARKING: usize = 8;
    pub(in super::super) const ROADS: usize = 9;
    pub(in super::super) const LIGHT_WORKS: usize = 10;
    pub(in super::super) const CLEANERS: usize = 11;
    pub(in super::super) const GARDENERS: usize = 12;
    pub(in super::super) const FIRE: usize = 13;
    pub(in super::super) const POLICE: usize = 14;
    pub(in super::super) const TELECOM: usize = 15;
    pub(in super::super) const BUS: usize = 16;
    pub(in super::super) const CHARGING: usize = 17;
    pub(in super::super) const BIKES: usize = 18;
    pub(in super::super) const RIVER: usize = 19;
    pub(in super::super) const ADS: usize = 20;
    pub(in super::super) const AD_COUNT: usize = 5;
    pub(in super::super) const ESTATES: usize = ADS + AD_COUNT;
    pub(in super::super) const ESTATE_COUNT: usize = 16;
    pub(in super::super) const OFFICES: usize = ESTATES + ESTATE_COUNT;

    /// Names, after that of the district.
    pub(in super::super) const NAMES: [&str; 20] = [
        "城市管理委员会",
        "住房和建设委员会",
        "照明管理所",
        "排水管理所",
        "水务集团有限公司",
        "环境卫生管理中心",
        "园林绿化管理中心",
        "交通警察支队",
        "静态交通停车服务有限公司",
        "市政工程养护有限公司",
        "明灯照明工程有限公司",
        "洁行环卫服务有限公司",
        "青禾园林养护有限公司",
        "消防救援支队",
        "公安分局",
        "通信基础设施有限公司",
        "公共交通客运有限公司",
        "星程新能源充电有限公司",
        "轻骑共享出行有限公司",
        "河道管理所",
    ];
}

/// Who may play which part for a kind of component.
pub(super) struct Roles {
    pub(super) authority: usize,
    /// Owners by share of a hundred; the rest belongs to the estate manager of the place.
    pub(super) owners: &'static [(u32, usize)],
    pub(super) maintainer: usize,
}

impl Kind {
    /// Its position in [`CLASSES`].
    pub(super) fn number(self) -> usize {
        self as usize
    }

    /// The code under its scheme: 16 digits, or `B-120103-000001`.
    pub(super) fn code(self, district: u32, serial: usize) -> String {
        let (scheme, class) = CLASSES[self.number()];
        if scheme == CJT214 {
            format!("{district}{class}{serial:06}")
        } else {
            format!("{}-{district}-{serial:06}", PREFIX[self.number()])
        }
    }

    /// Who has to do with it.
    pub(super) fn roles(self) -> Roles {
        use party::{
            ADS, BIKES, BUS, CHARGING, CITY, CLEANERS, DRAINAGE, FIRE, GARDENERS, GARDENS, HOUSING, LIGHT_WORKS,
            LIGHTING, PARKING, POLICE, RIVER, ROADS, SANITATION, TELECOM, TRAFFIC, WATER,
        };
        let (authority, owners, maintainer): (usize, &'static [(u32, usize)], usize) = match self {
            Kind::Lamp => (CITY, &[(78, LIGHTING), (6, HOUSING)], LIGHT_WORKS),
            Kind::Sewage => (HOUSING, &[(52, DRAINAGE), (30, WATER)], ROADS),
            Kind::Storm => (HOUSING, &[(82, DRAINAGE)], ROADS),
            Kind::Toilet | Kind::Transfer => (CITY, &[(100, SANITATION)], CLEANERS),
            Kind::Bin | Kind::Pavilion => (CITY, &[(70, SANITATION)], CLEANERS),
            Kind::Seat | Kind::Tree | Kind::Green | Kind::Sculpture => (CITY, &[(94, GARDENS)], GARDENERS),
            Kind::Lot | Kind::Berth => (CITY, &[(58, PARKING), (8, HOUSING)], PARKING),
            Kind::Billboard | Kind::RoofSign | Kind::WallSign => (CITY, &[(92, ADS)], ADS),
            Kind::ShopSign => (CITY, &[], ROADS),
            Kind::TrafficSign | Kind::Signal | Kind::Guardrail => (TRAFFIC, &[(100, TRAFFIC)], ROADS),
            Kind::Plate | Kind::Footbridge | Kind::Bridge => (HOUSING, &[(100, HOUSING)], ROADS),
            Kind::BusShelter => (HOUSING, &[(100, BUS)], BUS),
            Kind::Hydrant => (FIRE, &[(70, WATER), (15, FIRE)], WATER),
            Kind::Camera => (POLICE, &[(100, POLICE)], TELECOM),
            Kind::CrossBox => (HOUSING, &[(100, TELECOM)], TELECOM),
            Kind::WaterRail => (RIVER, &[(100, RIVER)], RIVER),
            Kind::Fitness | Kind::Notice => (CITY, &[], ROADS),
            Kind::Charger => (CITY, &[(85, CHARGING)], CHARGING),
            Kind::Fence => (CITY, &[(100, BIKES)], BIKES),
        };
        Roles {
            authority,
            owners,
            maintainer,
        }
    }

    /// Accuracy class: A where the edge is sharp, C for areas.
    pub(super) fn accuracy(self) -> Accuracy {
        match self {
            Kind::Green | Kind::Lot | Kind::Fence | Kind::Bridge | Kind::Footbridge => Accuracy::C,
            Kind::Billboard | Kind::ShopSign | Kind::RoofSign | Kind::WallSign | Kind::Tree | Kind::Transfer => {
                Accuracy::B
            }
            _ => Accuracy::A,
        }
    }

    /// Whether it is small enough to be carried away.
    pub(super) fn can_vanish(self) -> bool {
        matches!(
            self,
            Kind::Sewage
                | Kind::Storm
                | Kind::Bin
                | Kind::Seat
                | Kind::Plate
                | Kind::TrafficSign
                | Kind::Tree
                | Kind::Hydrant
        )
    }
}

/// An ownership status by a number below one; `settled` is the share of confirmed owners.
pub(super) fn ownership(draw: f64, settled: f64) -> OwnershipStatus {
    if draw < settled {
        return OwnershipStatus::Confirmed;
    }
    match (draw - settled) / (1.0 - settled) {
        d if d < 0.50 => OwnershipStatus::Unsurveyed,
        d if d < 0.74 => OwnershipStatus::Proposed,
        d if d < 0.86 => OwnershipStatus::Unclaimed,
        d if d < 0.94 => OwnershipStatus::Disputed,
        _ => OwnershipStatus::Designated,
    }
}
