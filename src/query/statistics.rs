//! Counts of components by what they lie in or belong to: from counters where class and state say what is wanted, else by looking at
//! each one.

use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::list::{Filter, Order, list};
use super::matcher::Matchers;
use super::roll::{Roll, Rolls};
use crate::domain::text::{Lang, Text};
use crate::domain::word::{AreaLevel, ManagementKind, OwnershipStatus, PropertyKind, State};
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::index::pyramid::Mark;
use crate::index::tally::{By, Tallied, groups};
use crate::store::statistics::Count;
use crate::text;
use crate::tile::layer::Layer;

/// What components are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// 单元网格.
    Cell,
    /// 社区, 街道 or 区.
    Area(AreaLevel),
    /// 道路等级.
    RoadClass,
    /// 小类.
    Class,
    /// 权属单位.
    Party,
    /// 产权性质.
    PropertyKind,
    /// 管理方式.
    ManagementKind,
}

/// The words for them.
const WAYS: [(&str, Way); 9] = [
    ("cell", Way::Cell),
    ("community", Way::Area(AreaLevel::Community)),
    ("street", Way::Area(AreaLevel::Street)),
    ("district", Way::Area(AreaLevel::District)),
    ("road-class", Way::RoadClass),
    ("class", Way::Class),
    ("party", Way::Party),
    ("property-kind", Way::PropertyKind),
    ("management-kind", Way::ManagementKind),
];

impl Way {
    /// Reads a word.
    pub fn parse(s: &str) -> Result<Way, Text> {
        let known = WAYS.map(|(word, _)| word).join(", ");
        let found = WAYS.iter().find(|(word, _)| *word == s).map(|(_, way)| *way);
        found.ok_or_else(|| text!("“{s}”应为 {known} 之一", "\"{s}\" should be one of {known}"))
    }

    /// The word.
    pub fn key(self) -> &'static str {
        WAYS.iter().find(|(_, way)| *way == self).map_or("", |(word, _)| word)
    }

    /// What the counters behind it are by.
    pub fn by(self) -> By {
        match self {
            Way::Cell | Way::Area(_) => By::Cell,
            Way::RoadClass => By::Road,
            Way::Party => By::Owner,
            Way::Class | Way::PropertyKind => By::Property,
            Way::ManagementKind => By::Management,
        }
    }
}

/// Counts of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// All of them.
    pub count: u64,
    /// By state.
    pub states: BTreeMap<u8, u64>,
    /// By ownership status.
    pub ownership: BTreeMap<u8, u64>,
    /// By class.
    pub classes: BTreeMap<u16, u64>,
    /// Without a maintainer.
    pub unmaintained: u64,
}

impl Figures {
    /// Counts other ones in.
    fn take(&mut self, other: &Figures) {
        self.count += other.count;
        self.unmaintained += other.unmaintained;
        other
            .states
            .iter()
            .for_each(|(k, n)| *self.states.entry(*k).or_insert(0) += n);
        other
            .ownership
            .iter()
            .for_each(|(k, n)| *self.ownership.entry(*k).or_insert(0) += n);
        other
            .classes
            .iter()
            .for_each(|(k, n)| *self.classes.entry(*k).or_insert(0) += n);
    }

    /// How many have an ownership status.
    pub fn owned(&self, status: OwnershipStatus) -> u64 {
        self.ownership.get(&(status as u8)).copied().unwrap_or(0)
    }

    /// 确权率: the share whose owner is confirmed; none of nothing.
    pub fn confirmed_share(&self) -> Option<f64> {
        (self.count > 0).then(|| self.owned(OwnershipStatus::Confirmed) as f64 / self.count as f64)
    }
}

/// Figures in the making: plain arrays, because there may be a million counters to add.
#[derive(Clone, Debug, Default)]
struct Sum {
    states: [u64; State::ALL.len()],
    ownership: [u64; OwnershipStatus::ALL.len()],
    classes: Vec<u64>,
    unmaintained: u64,
}

impl Sum {
    #[inline]
    fn add(&mut self, mark: Mark, maintained: bool, n: u64) {
        let class = usize::from(mark.class);
        if class >= self.classes.len() {
            self.classes.resize(class + 1, 0);
        }
        self.classes[class] += n;
        self.states[usize::from(mark.state)] += n;
        self.ownership[usize::from(mark.ownership)] += n;
        self.unmaintained += if maintained { 0 } else { n };
    }

    fn figures(&self) -> Figures {
        let some = |counts: &[u64]| -> BTreeMap<u8, u64> {
            (0u8..).zip(counts.iter().copied()).filter(|(_, n)| *n > 0).collect()
        };
        let classes = (0u16..).zip(self.classes.iter().copied()).filter(|(_, n)| *n > 0);
        Figures {
            count: self.states.iter().sum(),
            states: some(&self.states),
            ownership: some(&self.ownership),
            classes: classes.collect(),
            unmaintained: self.unmaintained,
        }
    }
}

/// One group and what it is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its code or word; none for what is in no group.
    pub key: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its counts.
    pub figures: Figures,
}

/// The groups, by key, what is in none last; and all of them together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// The groups.
    pub groups: Vec<Group>,
    /// All of them.
    pub total: Figures,
}

/// A count of one sort in one group, as counters or history have it.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// The group, by the number that [`Way::by`] counts by.
    pub group: u32,
    /// Class, state, ownership status.
    pub mark: Mark,
    /// Whether a maintainer is named.
    pub maintained: bool,
    /// How many.
    pub count: u64,
}

impl Counted {
    /// A count as history has it.
    pub fn then(by: By, count: &Count) -> Result<Counted> {
        let bad = |t: Text| Error::internal(t.en);
        let group = match (by, &count.group) {
            (_, None) => 0,
            (By::Property, Some(word)) => PropertyKind::parse(word).map_err(bad)? as u32 + 1,
            (By::Management, Some(word)) => ManagementKind::parse(word).map_err(bad)? as u32 + 1,
            (_, Some(number)) => number.parse().map_err(Error::internal)?,
        };
        let mark = Mark {
            class: u16::try_from(count.class).map_err(Error::internal)?,
            state: State::parse(&count.state).map_err(bad)? as u8,
            ownership: OwnershipStatus::parse(&count.ownership_status).map_err(bad)? as u8,
        };
        Ok(Counted {
            group,
            mark,
            maintained: count.maintained,
            count: u64::try_from(count.count).unwrap_or(0),
        })
    }
}

/// What a reader sees of some counts, rolled up. Cost: O(counts), and O(cells) once after a change of cells or areas.
pub fn roll_up(
    memory: &Memory,
    rolls: &Rolls,
    way: Way,
    lang: Lang,
    counts: impl Iterator<Item = Counted>,
) -> Statistics {
    let mut sums = Sums::new(memory, rolls, way);
    for c in counts {
        sums.of(c.group, c.mark).add(c.mark, c.maintained, c.count);
    }
    sums.called(lang)
}

/// The groups of one way, being summed.
struct Sums<'m> {
    memory: &'m Memory,
    way: Way,
    roll: Option<Arc<Roll>>,
    places: HashMap<Option<i64>, usize>,
    sums: Vec<Sum>,
    last: Option<(Option<i64>, usize)>,
}

impl<'m> Sums<'m> {
    fn new(memory: &'m Memory, rolls: &Rolls, way: Way) -> Sums<'m> {
        Sums {
            memory,
            way,
            roll: matches!(way, Way::Area(_)).then(|| rolls.of(memory)),
            places: HashMap::new(),
            sums: Vec::new(),
            last: None,
        }
    }

    /// The sum that a count of a group and a mark belongs to.
    fn of(&mut self, group: u32, mark: Mark) -> &mut Sum {
        let group = match self.way {
            Way::Class => Some(i64::from(mark.class)),
            Way::Area(level) => {
                let area = self.roll.as_ref().and_then(|r| r.area(group, level));
                area.map(i64::from)
            }
            Way::RoadClass => {
                let road = i32::try_from(group).ok().and_then(|id| self.memory.roads.what(id));
                road.map(|r| r.class as i64)
            }
            _ => (group != 0).then_some(i64::from(group)),
        };
        // Neighbours mostly go to one place.
        let place = match self.last.filter(|(last, _)| *last == group) {
            Some((_, place)) => place,
            None => *self.places.entry(group).or_insert(self.sums.len()),
        };
        self.last = Some((group, place));
        if place == self.sums.len() {
            self.sums.push(Sum::default());
        }
        &mut self.sums[place]
    }

    /// Adds what is wanted of the counters of a group.
    fn add(&mut self, group: u32, counters: &[Tallied], wanted: impl Fn(Mark) -> bool) {
        let one = |sum: &mut Sum, c: &Tallied| sum.add(c.sort.mark, c.sort.maintained, u64::from(c.count));
        let wanted = counters.iter().filter(|c| wanted(c.sort.mark));
        if self.way == Way::Class {
            wanted.for_each(|c| one(self.of(group, c.sort.mark), c));
        } else {
            // All of a group go to one place.
            let sum = self.of(group, Mark::default());
            wanted.for_each(|c| one(sum, c));
        }
    }

    fn called(self, lang: Lang) -> Statistics {
        let mut total = Figures::default();
        let group = |(group, place): (Option<i64>, usize)| {
            let figures = self.sums[place].figures();
            let said = group.and_then(|n| called(self.memory, self.way, n, lang));
            let (key, name) = said.map_or((None, None), |(key, name)| (Some(key), name));
            Group { key, name, figures }
        };
        let mut groups: Vec<Group> = self.places.into_iter().map(group).collect();
        groups.retain(|g| g.figures.count > 0);
        groups.iter().for_each(|g| total.take(&g.figures));
        groups.sort_by(|a, b| (a.key.is_none(), &a.key).cmp(&(b.key.is_none(), &b.key)));
        Statistics { groups, total }
    }
}

/// Key and name of a group.
fn called(memory: &Memory, way: Way, n: i64, lang: Lang) -> Option<(String, Option<String>)> {
    let id = i32::try_from(n).ok()?;
    let kind = u8::try_from(n - 1).ok();
    match way {
        Way::Cell => {
            let cell = memory.cells.what(id)?;
            Some((cell.code.to_string(), cell.name.as_deref().map(str::to_owned)))
        }
        Way::Area(_) => memory.areas.what(id).map(|a| (a.code.clone(), Some(a.name.clone()))),
        Way::RoadClass => {
            let class = crate::domain::word::RoadClass::from_number(u8::try_from(n).ok()?)?;
            Some((class.key().to_owned(), Some(class.name(lang).to_owned())))
        }
        Way::Class => {
            let class = memory.classes.get(&id)?;
            Some((
                format!("{}/{}", class.scheme, class.code),
                Some(class.name(lang).to_owned()),
            ))
        }
        Way::Party => memory.parties.get(&id).map(|p| (p.code.clone(), Some(p.name.clone()))),
        Way::PropertyKind => {
            let word = PropertyKind::from_number(kind?)?;
            Some((word.key().to_owned(), Some(word.name(lang).to_owned())))
        }
        Way::ManagementKind => {
            let word = ManagementKind::from_number(kind?)?;
            Some((word.key().to_owned(), Some(word.name(lang).to_owned())))
        }
    }
}

/// Today's statistics of what a list shows. Cost: O(counters) where class, state and ownership status say what is wanted, else as
/// [`list`].
pub fn statistics(
    memory: &Memory,
    matchers: &Matchers,
    layer: &Layer,
    filter: &Filter,
    way: Way,
    lang: Lang,
) -> Result<Statistics> {
    let matcher = matchers.of(memory, layer, filter.cql.as_ref(), &filter.rights);
    let plain = Filter {
        cql: filter.cql.clone(),
        rights: filter.rights.clone(),
        state: filter.state.clone(),
        ..Filter::default()
    };
    let live = filter.state.iter().all(|s| *s != State::Retired);
    if matcher.by_mark() && live && plain == *filter {
        let wanted = |mark: Mark| {
            let state = filter.state.is_empty() || filter.state.iter().any(|s| *s as u8 == mark.state);
            state && matcher.mark(mark)
        };
        let mut sums = Sums::new(memory, &matchers.rolls, way);
        for (group, counters) in memory.components.tally.by(way.by()) {
            sums.add(group, counters, wanted);
        }
        return Ok(sums.called(lang));
    }
    let all = Order {
        limit: usize::MAX,
        ..Order::default()
    };
    let page = list(memory, matchers, layer, filter, &all)?;
    let counted = page.ids.iter().filter_map(|id| {
        let found = memory.components.get(id.unsigned_abs())?;
        let (_, sort) = groups(found.row(), found.parties());
        Some(Counted {
            group: way.by().of(found.row(), found.parties()),
            mark: sort.mark,
            maintained: sort.maintained,
            count: 1,
        })
    });
    Ok(roll_up(memory, &matchers.rolls, way, lang, counted))
}
