//! The closed vocabularies: each word's key (in SQL, URLs, JSON) and its Chinese and English names.

use super::text::{Lang, Text};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $zh_what:literal, $en_what:literal; $($(#[$vdoc:meta])* $variant:ident $key:literal $zh:literal $en:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* #[doc = concat!($zh, " (`", $key, "`)")] $variant),+ }

        impl $name {
            /// Every value, in the order of its number.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word used in SQL, URLs and JSON.
            pub fn key(self) -> &'static str { match self { $($name::$variant => $key),+ } }

            /// The name that people read.
            pub fn name(self, lang: Lang) -> &'static str { match self { $($name::$variant => lang.pick($zh, $en)),+ } }

            /// Reads a key, or a Chinese or English name. The fault lists what is known.
            pub fn parse(s: &str) -> Result<$name, Text> {
                let s = s.trim();
                match s {
                    $($key | $zh | $en => Ok($name::$variant),)+
                    _ => {
                        let keys = [$($key),+].join(", ");
                        Err(Text {
                            zh: format!("{}不可为“{s}”，应为其中之一：{keys}", $zh_what),
                            en: format!("{} cannot be \"{s}\"; known are {keys}", $en_what),
                        })
                    }
                }
            }

            /// The value with this number, as kept in memory.
            pub fn from_number(n: u8) -> Option<$name> { $name::ALL.get(n as usize).copied() }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.key()) }
        }
    };
}

words! {
    /// What condition a component is in.
    State: "状态", "state";
    Intact "intact" "完好" "Intact",
    Damaged "damaged" "破损" "Damaged",
    Missing "missing" "丢失" "Missing",
    Abandoned "abandoned" "废弃" "Abandoned",
    Retired "retired" "注销" "Retired",
}

words! {
    /// How far the owner of a component is settled.
    OwnershipStatus: "确权状态", "ownership status";
    Unsurveyed "unsurveyed" "未确权" "Unsurveyed",
    Proposed "proposed" "待确权" "Proposed",
    Confirmed "confirmed" "已确权" "Confirmed",
    Disputed "disputed" "争议" "Disputed",
    Unclaimed "unclaimed" "无主" "Unclaimed",
    Designated "designated" "指定" "Designated",
}

words! {
    /// Which part a party plays for a component.
    Role: "责任角色", "role";
    Authority "authority" "主管部门" "Authority",
    Owner "owner" "权属单位" "Owner",
    Maintainer "maintainer" "养护单位" "Maintainer",
}

words! {
    /// What is asked of a role.
    MotionKind: "事项", "motion";
    Claim "claim" "确权主张" "Claim",
    Transfer "transfer" "移交" "Transfer",
    Designation "designation" "指定" "Designation",
    Disclaimer "disclaimer" "认定无主" "Finding that nobody claims it",
}

words! {
    /// How far one claim has come.
    ClaimStage: "主张状态", "claim stage";
    Open "open" "待审核" "To be reviewed",
    Reviewed "reviewed" "待审批" "To be decided",
    Announced "announced" "公示中" "Announced",
    Confirmed "confirmed" "已确认" "Confirmed",
    Rejected "rejected" "已驳回" "Rejected",
    Withdrawn "withdrawn" "已撤回" "Withdrawn",
}

words! {
    /// 产权性质: whose property it is.
    PropertyKind: "产权性质", "property kind";
    State "state" "国有产权" "State property",
    Social "social" "社会产权" "Social property",
}

words! {
    /// 管理方式: who manages it.
    ManagementKind: "管理方式", "management kind";
    Professional "professional" "专业管理" "Professional management",
    Social "social" "社会管理" "Social management",
}

words! {
    /// Mean-square error of a position: A 0.5 m, B 1 m, C 10 m. Source: a deployed system's schema; unverified as standard text.
    Accuracy: "精度等级", "accuracy class";
    A "A" "A类" "Class A",
    B "B" "B类" "Class B",
    C "C" "C类" "Class C",
}

impl Accuracy {
    /// The mean-square error in metres.
    pub fn metres(self) -> f64 {
        match self {
            Accuracy::A => 0.5,
            Accuracy::B => 1.0,
            Accuracy::C => 10.0,
        }
    }
}

words! {
    /// Where a road stands in the network.
    RoadClass: "道路等级", "road class";
    Arterial "arterial" "主干路" "Arterial road",
    Secondary "secondary" "次干路" "Secondary road",
    Local "local" "支路" "Local road",
    Lane "lane" "街巷" "Back lane",
}

words! {
    /// What an area is.
    AreaLevel: "区划级别", "area level";
    District "district" "区" "District",
    Street "street" "街道" "Street",
    Community "community" "社区" "Community",
}

words! {
    /// The shape of a geometry.
    GeometryKind: "几何类型", "geometry kind";
    Point "point" "点" "Point",
    Line "line" "线" "Line",
    Polygon "polygon" "面" "Polygon",
}

words! {
    /// What the holder of a token may do; each level includes those before it.
    Access: "权限", "access";
    Reader "reader" "查阅" "Reader",
    Clerk "clerk" "经办" "Clerk",
    Surveyor "surveyor" "普查" "Surveyor",
    Adjudicator "adjudicator" "审批" "Adjudicator",
    Admin "admin" "管理" "Admin",
}

impl Access {
    /// Whether edits of components are allowed.
    pub fn edits(self) -> bool {
        self >= Access::Clerk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_name_reads_back_and_an_unknown_word_lists_the_known() {
        for s in State::ALL {
            assert_eq!(State::parse(s.key()), Ok(*s));
            assert_eq!(State::parse(s.name(Lang::Zh)), Ok(*s));
            assert_eq!(State::parse(s.name(Lang::En)), Ok(*s));
            assert_eq!(State::from_number(*s as u8), Some(*s));
        }
        let fault = State::parse("broken").unwrap_err();
        assert_eq!(
            fault.en,
            "state cannot be \"broken\"; known are intact, damaged, missing, abandoned, retired"
        );
    }
}
