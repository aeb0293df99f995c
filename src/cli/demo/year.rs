//! The seeded year: what surveyors, crews and clerks did between the first load and today, so that history has something to show.
//!
//! The stock at the end of the year is exactly the district's: whatever is struck off has a replacement, and the lamps and
//! toilets built during the year are part of the count.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use geo::Point;
use hashbrown::HashMap;
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::district::{Made, Note};
use super::kind::{Kind, party};
use super::plane::{P, lon_lat, rng};
use crate::domain::word::{OwnershipStatus, PropertyKind, State};
use crate::store::bulk::{ComponentRow, Deed, Edit};

/// Who worked in the register.
pub(super) const ACTORS: [&str; 8] = ["王建国", "李秀英", "张敏", "刘洋", "陈静", "杨帆", "赵磊", "周婷"];

/// Lamps built during the year, as Hexi planned.
const NEW_LAMPS: usize = 1_013;
const NEW_TOILETS: usize = 10;
const REPLACEMENTS: usize = 420;
const DAYS: u64 = 365;

/// When the first load is recorded: the register's first day.
pub(super) fn begin() -> DateTime<Utc> {
    first_day().and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(1)
}

/// The last moment that the year can reach.
pub(super) fn end() -> DateTime<Utc> {
    (first_day() + Days::new(DAYS)).and_time(NaiveTime::MIN).and_utc()
}

fn first_day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2025, 11, 1).unwrap_or_default()
}

struct Year<'a> {
    rng: ChaCha8Rng,
    made: &'a mut Made,
    /// State of each component as the year goes on; none for those that other deeds leave alone.
    state: Vec<Option<State>>,
    settled: Vec<bool>,
    by_street: Vec<Vec<usize>>,
    /// Broken or gone, with the day on which that was seen.
    open: Vec<(u64, usize)>,
    /// Old ones and what replaces them.
    replace: Vec<(usize, usize)>,
    lamps: Vec<Vec<usize>>,
    toilets: Vec<usize>,
}

/// Marks what is built later, adds what is struck off, and plans the deeds of the year.
pub(super) fn plan(seed: u64, made: &mut Made) -> Vec<Deed> {
    let n = made.rows.components.len();
    let mut streets: HashMap<usize, Vec<usize>> = HashMap::new();
    for (i, note) in made.notes.iter().enumerate() {
        if let Some(s) = note.street {
            streets.entry(s).or_default().push(i);
        }
    }
    let mut by_street: Vec<Vec<usize>> = streets.into_values().filter(|m| m.len() >= 25).collect();
    by_street.sort();
    let state = made.rows.components.iter().map(|c| Some(c.state)).collect();
    let settled = made
        .rows
        .components
        .iter()
        .map(|c| c.ownership_status == OwnershipStatus::Confirmed)
        .collect();
    let mut year = Year {
        rng: rng(seed, "year", 0, n as i64),
        made,
        state,
        settled,
        by_street,
        open: Vec::new(),
        replace: Vec::new(),
        lamps: Vec::new(),
        toilets: Vec::new(),
    };
    year.new_ones();
    year.old_ones();
    let mut deeds = Vec::new();
    for day in 0..DAYS {
        let date = first_day() + Days::new(day);
        for k in 0..year.rng.random_range(1..=3_i64) {
            // Working hours in China, in UTC; the three of a day keep their order.
            let minutes = 120 + k * 150 + year.rng.random_range(0..140);
            let recorded = date.and_time(NaiveTime::MIN).and_utc()
                + TimeDelta::minutes(minutes)
                + TimeDelta::seconds(year.rng.random_range(0..60));
            let actor = ACTORS.choose(&mut year.rng).copied().unwrap_or(ACTORS[0]);
            let (reason, edits) = year.deed(day);
            deeds.push(Deed {
                recorded,
                actor,
                reason,
                edits,
            });
        }
    }
    year.rest(&mut deeds);
    // The last one stands apart in the evening, where the loader looks for it to know that the year is complete.
    if let Some(last) = deeds.last_mut() {
        last.recorded = end() - TimeDelta::hours(6);
    }
    deeds
}

impl Year<'_> {
    /// Lamps of some lanes and a few toilets are built during the year.
    fn new_ones(&mut self) {
        let mut streets = self.by_street.clone();
        streets.shuffle(&mut self.rng);
        let mut missing = NEW_LAMPS;
        for street in streets {
            let lane: Vec<usize> = street
                .into_iter()
                .filter(|i| self.made.notes[*i].kind == Kind::Lamp)
                .take(missing.min(40))
                .collect();
            if lane.len() < 3 && lane.len() < missing {
                continue;
            }
            missing -= lane.len();
            for &i in &lane {
                self.postpone(i);
            }
            self.lamps.push(lane);
            if missing == 0 {
                break;
            }
        }
        let mut toilets: Vec<usize> = (0..self.made.notes.len())
            .filter(|i| self.made.notes[*i].kind == Kind::Toilet)
            .collect();
        toilets.shuffle(&mut self.rng);
        toilets.truncate(NEW_TOILETS);
        for &i in &toilets {
            self.postpone(i);
        }
        self.toilets = toilets;
    }

    fn postpone(&mut self, i: usize) {
        let row = &mut self.made.rows.components[i];
        row.later = true;
        row.state = State::Intact;
        self.state[i] = None;
    }

    /// Worn-out things that stand in the first load beside the place of what replaces them.
    fn old_ones(&mut self) {
        let kinds = [
            Kind::Lamp,
            Kind::Sewage,
            Kind::Storm,
            Kind::Bin,
            Kind::TrafficSign,
            Kind::Seat,
            Kind::Tree,
        ];
        let mut candidates: Vec<usize> = (0..self.made.notes.len())
            .filter(|i| kinds.contains(&self.made.notes[*i].kind) && self.state[*i].is_some())
            .collect();
        candidates.shuffle(&mut self.rng);
        candidates.truncate(REPLACEMENTS);
        // Crews replace a few of one kind in one go.
        candidates.sort_by_key(|i| (self.made.notes[*i].kind.number(), *i));
        let mut serials: HashMap<Kind, usize> = HashMap::new();
        for note in &self.made.notes {
            *serials.entry(note.kind).or_default() += 1;
        }
        for i in candidates {
            let Note { kind, at, street } = self.made.notes[i].clone();
            let serial = serials.entry(kind).or_default();
            *serial += 1;
            let beside = at
                + P {
                    x: self.rng.random_range(-0.5..0.5),
                    y: self.rng.random_range(-0.5..0.5),
                };
            let old = ComponentRow {
                code: kind.code(self.made.code, *serial),
                geom: Point(lon_lat(beside)).into(),
                state: if self.rng.random_bool(0.5) {
                    State::Damaged
                } else {
                    State::Abandoned
                },
                ..self.made.rows.components[i].clone()
            };
            self.postpone(i);
            self.replace.push((self.made.rows.components.len(), i));
            self.made.rows.components.push(old);
            self.made.notes.push(Note {
                kind,
                at: beside,
                street,
            });
            self.state.push(None);
        }
    }

    /// One transaction's work on a day.
    fn deed(&mut self, day: u64) -> (&'static str, Vec<Edit>) {
        for _ in 0..20 {
            let work = match self.rng.random_range(0..100) {
                0..30 => self.inspect(day),
                30..55 => self.repair(day),
                55..68 => self.survey(),
                68..86 => self.register_owner(),
                86..93 => self.replace_old(),
                _ => self.build(),
            };
            if let Some(work) = work {
                return work;
            }
        }
        let street = (0..self.by_street.len()).find_map(|_| self.survey());
        street.unwrap_or(("位置复测", vec![]))
    }

    fn street(&mut self, most: usize, wanted: impl Fn(&Self, usize) -> bool) -> Vec<usize> {
        let Some(street) = self.by_street.choose(&mut self.rng) else {
            return vec![];
        };
        let mut fit: Vec<usize> = street
            .iter()
            .copied()
            .filter(|i| self.state[*i].is_some() && wanted(self, *i))
            .collect();
        let n = self.rng.random_range(3..=most).min(fit.len());
        fit.partial_shuffle(&mut self.rng, n).0.to_vec()
    }

    fn inspect(&mut self, day: u64) -> Option<(&'static str, Vec<Edit>)> {
        let gone = self.rng.random_bool(0.2);
        let found = self.street(14, |y, i| {
            y.state[i] == Some(State::Intact) && (!gone || y.made.notes[i].kind.can_vanish())
        });
        if found.len() < 3 {
            return None;
        }
        let state = if gone { State::Missing } else { State::Damaged };
        for &i in &found {
            self.state[i] = Some(state);
            self.open.push((day, i));
        }
        let reason = if gone {
            "巡查发现丢失"
        } else {
            "巡查发现破损"
        };
        Some((reason, vec![Edit::State(found, state)]))
    }

    fn repair(&mut self, day: u64) -> Option<(&'static str, Vec<Edit>)> {
        let ripe = self.open.iter().take_while(|o| o.0 + 3 <= day).count();
        if ripe < 3 {
            return None;
        }
        let n = self.rng.random_range(3..=40).min(ripe);
        let done: Vec<usize> = self.open.drain(..n).map(|o| o.1).collect();
        for &i in &done {
            self.state[i] = Some(State::Intact);
        }
        Some(("维修完成", vec![Edit::State(done, State::Intact)]))
    }

    fn survey(&mut self) -> Option<(&'static str, Vec<Edit>)> {
        let found = self.street(60, |y, i| {
            matches!(y.made.rows.components[i].geom, geo::Geometry::Point(_))
        });
        let mut to = Vec::new();
        for i in found {
            let angle: f64 = self.rng.random_range(0.0..std::f64::consts::TAU);
            let by = self.rng.random_range(0.3..1.6);
            let at = self.made.notes[i].at
                + P {
                    x: angle.cos() * by,
                    y: angle.sin() * by,
                };
            to.push((i, Point(lon_lat(at))));
        }
        (to.len() > 2).then(|| ("位置复测", vec![Edit::Move(to)]))
    }

    fn register_owner(&mut self) -> Option<(&'static str, Vec<Edit>)> {
        let kinds = [
            Kind::Lamp,
            Kind::Lamp,
            Kind::Storm,
            Kind::Sewage,
            Kind::Tree,
            Kind::Berth,
            Kind::Bin,
        ];
        let same = (0..30).find_map(|_| {
            let kind = *kinds.choose(&mut self.rng)?;
            let same = self.street(60, |y, i| !y.settled[i] && y.made.notes[i].kind == kind);
            (same.len() > 2).then_some(same)
        })?;
        let first = same[0];
        let kind = self.made.notes[first].kind;
        let disputed = |i: &usize| self.made.rows.components[*i].ownership_status == OwnershipStatus::Disputed;
        let disputed = same.iter().filter(|i| disputed(i)).count() * 2 > same.len();
        for &i in &same {
            self.settled[i] = true;
        }
        let owner = match kind.roles().owners.first() {
            Some((_, party::ADS)) | None => party::ESTATES + first % party::ESTATE_COUNT,
            Some((_, owner)) => *owner,
        };
        let property = if owner < party::ADS {
            PropertyKind::State
        } else {
            PropertyKind::Social
        };
        let (reason, status) = if disputed {
            ("权属争议裁定", OwnershipStatus::Designated)
        } else if self.rng.random_bool(0.75) {
            ("权属资料补录", OwnershipStatus::Confirmed)
        } else {
            ("权属初步认定", OwnershipStatus::Proposed)
        };
        Some((reason, vec![Edit::Own(same, owner, status, property)]))
    }

    fn replace_old(&mut self) -> Option<(&'static str, Vec<Edit>)> {
        let n = self.rng.random_range(3..=12).min(self.replace.len());
        let start = self.replace.len() - n;
        let (old, new): (Vec<usize>, Vec<usize>) = self.replace.drain(start..).unzip();
        (!old.is_empty()).then(|| {
            (
                "拆除注销，原址更换",
                vec![Edit::State(old, State::Retired), Edit::Build(new)],
            )
        })
    }

    fn build(&mut self) -> Option<(&'static str, Vec<Edit>)> {
        if self.rng.random_bool(0.2)
            && let Some(toilet) = self.toilets.pop()
        {
            return Some(("新建公厕投用", vec![Edit::Build(vec![toilet])]));
        }
        let lamps = self.lamps.pop()?;
        Some(("新建补建路灯", vec![Edit::Build(lamps)]))
    }

    /// Whatever is left is done with the last deeds, so that the year ends with the full stock.
    fn rest(mut self, deeds: &mut [Deed]) {
        let mut left: Vec<Edit> = Vec::new();
        while let Some((_, edits)) = self.replace_old() {
            left.extend(edits);
        }
        left.extend(
            self.lamps
                .drain(..)
                .chain([self.toilets])
                .filter(|l| !l.is_empty())
                .map(Edit::Build),
        );
        let n = deeds.len();
        let last = &mut deeds[n.saturating_sub(40)..];
        // Each keeps the order "strike off, then build"; a deed's edits are independent of each other.
        for (k, edit) in left.into_iter().enumerate() {
            let slots = last.len().max(1);
            if let Some(deed) = last.get_mut(k % slots) {
                deed.reason = "年度补登：拆除、更换与新建";
                deed.edits.push(edit);
            }
        }
    }
}
