//! What somebody may do, and which restricted classes they may see.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::class::Class;
use super::word::Access;

/// The restricted classes that a reader may see beside what everybody sees. Cheap to clone; most have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights(Option<Arc<BTreeSet<i32>>>);

impl Rights {
    /// The rights to classes by their register's numbers.
    pub fn to(classes: impl IntoIterator<Item = i32>) -> Rights {
        let classes: BTreeSet<i32> = classes.into_iter().collect();
        Rights((!classes.is_empty()).then(|| Arc::new(classes)))
    }

    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a restricted class is among them, by its number.
    pub fn has(&self, class: i32) -> bool {
        self.0.as_ref().is_some_and(|classes| classes.contains(&class))
    }

    /// Whether components of a class may be seen.
    pub fn sees(&self, class: &Class) -> bool {
        !class.restricted || self.has(class.id)
    }

    /// The classes' numbers, lowest first.
    pub fn classes(&self) -> Vec<i32> {
        self.0.iter().flat_map(|classes| classes.iter().copied()).collect()
    }

    /// Those of them that are among some classes, so that callers to whom the same is shown share what was made for one.
    pub fn among(&self, classes: impl Fn(i32) -> bool) -> Rights {
        match &self.0 {
            None => Rights(None),
            Some(own) => Rights::to(own.iter().copied().filter(|c| classes(*c))),
        }
    }
}

/// What bounds the rows of a delivery: it reaches nothing that whoever delivers it could not edit one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The restricted classes that may be delivered, by the register's numbers.
    pub classes: Vec<i32>,
    /// The area that everything must stand in, before and after.
    pub area: Option<i32>,
    /// The party that must be in one of the roles.
    pub party: Option<i32>,
}

/// What an account, a token or a key may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The name under which edits are recorded.
    pub name: String,
    /// What it allows.
    pub access: Access,
    /// The party that the person works for, or that the machine serves.
    pub party: Option<i32>,
    /// Whether they edit only what has that party in one of its roles, and claim only for it.
    pub own_party_only: bool,
    /// The area that everything they edit must stand in.
    pub area: Option<i32>,
    /// The restricted classes that they may see.
    pub rights: Rights,
    /// Of a key: the layers that it opens, and nothing else.
    pub layers: Option<Vec<String>>,
    /// Of a key: the pages that may use it; empty where any may.
    pub origins: Vec<String>,
    /// Whether the password must be changed before anything else.
    pub must_change: bool,
    /// When it ends by itself.
    pub expires: Option<DateTime<Utc>>,
}

impl Grant {
    /// A grant of an access without bounds, and without a right to restricted classes.
    pub fn of(name: &str, access: Access) -> Grant {
        Grant {
            name: name.to_owned(),
            access,
            party: None,
            own_party_only: false,
            area: None,
            rights: Rights::default(),
            layers: None,
            origins: Vec::new(),
            must_change: false,
            expires: None,
        }
    }

    /// Whether edits are bounded by an area or a party.
    pub fn is_bounded(&self) -> bool {
        self.area.is_some() || self.own_party_only
    }

    /// What bounds the rows that are delivered.
    pub fn fence(&self) -> Fence {
        Fence {
            classes: self.rights.classes(),
            area: self.area,
            party: self.party.filter(|_| self.own_party_only),
        }
    }

    /// Whether something with these parties in its roles may be edited.
    pub fn serves(&self, parties: &[Option<i32>]) -> bool {
        !self.own_party_only || parties.iter().any(|p| p.is_some() && *p == self.party)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_equal_where_they_show_the_same() {
        let all = Rights::to([3, 1, 2]);
        assert_eq!(all.among(|c| c < 3), Rights::to([1, 2]));
        assert_eq!(all.among(|_| false), Rights::default());
        assert!(Rights::to([]).is_none() && !all.has(4) && all.has(3));
    }

    #[test]
    fn a_bounded_grant_serves_its_own_party_alone() {
        let mut grant = Grant::of("甲", Access::Clerk);
        assert!(grant.serves(&[None, None, None]));
        (grant.party, grant.own_party_only) = (Some(7), true);
        assert!(grant.serves(&[Some(1), None, Some(7)]));
        assert!(!grant.serves(&[Some(1), None, Some(2)]) && !grant.serves(&[None]));
    }
}
