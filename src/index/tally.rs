//! How many live components of each mark there are, looked after or not, in each cell, on each road, of each owner and of each kind.
//! Any roll-up of these is a sum of counters.

use std::sync::Arc;

use hashbrown::HashMap;

use super::paged::Paged;
use super::pyramid::Mark;
use super::row::{Parties, Row, Rows};
use crate::domain::word::State;

/// What components are counted by. Each number is the register's own, 0 is "none".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Cell.
    Cell,
    /// Road.
    Road,
    /// 权属单位.
    Owner,
    /// 产权性质, one more than its number.
    Property,
    /// 管理方式, one more than its number.
    Management,
}

const WAYS: usize = 5;

/// What counters tell apart within a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sort {
    /// Class, state, ownership status.
    pub mark: Mark,
    /// Whether a maintainer is named.
    pub maintained: bool,
}

/// The members of one sort in one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tallied {
    /// What they have in common.
    pub sort: Sort,
    /// How many.
    pub count: u32,
}

/// The counters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    ways: [Paged<Arc<Vec<Tallied>>>; WAYS],
}

/// The groups that a component is in, one in each way, and its sort.
pub fn groups(row: &Row, parties: Parties) -> ([u32; WAYS], Sort) {
    let kinds = (u32::from(row.property_number()), u32::from(row.management_number()));
    let sort = Sort {
        mark: Mark::of(row),
        maintained: parties.maintainer != 0,
    };
    ([row.cell, row.road, parties.owner, kinds.0, kinds.1], sort)
}

impl By {
    /// The word for it.
    pub fn key(self) -> &'static str {
        match self {
            By::Cell => "cell",
            By::Road => "road",
            By::Owner => "owner",
            By::Property => "property",
            By::Management => "management",
        }
    }

    /// The group that a component is in.
    pub fn of(self, row: &Row, parties: Parties) -> u32 {
        groups(row, parties).0[self as usize]
    }
}

impl Tally {
    /// Counts a live component in. Cost: O(1).
    pub fn add(&mut self, row: &Row, parties: Parties) {
        let (groups, sort) = groups(row, parties);
        for (way, group) in self.ways.iter_mut().zip(groups) {
            let counters = Arc::make_mut(way.or_insert(u64::from(group), Arc::default));
            match counters.binary_search_by_key(&sort, |c| c.sort) {
                Ok(i) => counters[i].count += 1,
                Err(i) => {
                    super::grow(counters);
                    counters.insert(i, Tallied { sort, count: 1 });
                }
            }
        }
    }

    /// Takes a live component out that [`Tally::add`] has counted.
    pub fn take(&mut self, row: &Row, parties: Parties) {
        let (groups, sort) = groups(row, parties);
        for (way, group) in self.ways.iter_mut().zip(groups) {
            let Some(counters) = way.get_mut(u64::from(group)) else {
                continue;
            };
            let counters = Arc::make_mut(counters);
            if let Ok(i) = counters.binary_search_by_key(&sort, |c| c.sort) {
                if counters[i].count == 1 {
                    counters.remove(i);
                } else {
                    counters[i].count -= 1;
                }
            }
            if counters.is_empty() {
                way.remove(u64::from(group));
            }
        }
    }

    /// The groups of one way that have members, by number.
    pub fn by(&self, by: By) -> impl Iterator<Item = (u32, &[Tallied])> {
        self.ways[by as usize]
            .iter()
            .map(|(group, counters)| (group as u32, &counters[..]))
    }

    /// The counters of all live components. Cost: O(components).
    pub fn of(rows: &Rows) -> Tally {
        let mut sums: [HashMap<(u32, Sort), u32>; WAYS] = Default::default();
        for found in rows.iter().filter(|f| f.state() != State::Retired) {
            let (groups, sort) = groups(found.row(), found.parties());
            for (way, group) in sums.iter_mut().zip(groups) {
                *way.entry((group, sort)).or_insert(0) += 1;
            }
        }
        let mut tally = Tally::default();
        for (way, sums) in tally.ways.iter_mut().zip(sums) {
            let mut all: Vec<_> = sums.into_iter().collect();
            all.sort_unstable_by_key(|(key, _)| *key);
            for chunk in all.chunk_by(|a, b| a.0.0 == b.0.0) {
                let counters = chunk.iter().map(|((_, sort), count)| Tallied {
                    sort: *sort,
                    count: *count,
                });
                let counters: Vec<Tallied> = counters.collect();
                way.or_insert(u64::from(chunk[0].0.0), || Arc::new(counters));
            }
        }
        tally
    }
}
