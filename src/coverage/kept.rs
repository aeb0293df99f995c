//! The outcomes that are kept, and how they follow edits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashSet;

use super::facility::has_entrance;
use super::land::{Land, Lands};
use super::{Outcome, Question};
use crate::domain::rule::Denominator;
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::query::matcher::Matchers;
use crate::spatial::cover::Watch;

/// Components that the last revisions have changed.
#[derive(Debug, Default)]
struct Changes {
    batches: VecDeque<(i64, Vec<u64>)>,
    held: usize,
    /// The newest revision whose changes are not here.
    floor: i64,
}

/// Ids of changed components that are held.
const MAX_HELD: usize = 100_000;
/// Outcomes that are kept.
const MAX_KEPT: usize = 24;
/// Those of the past.
const MAX_PAST: usize = 4;

/// A question's place: whoever asks while it is being worked out waits for the same.
#[derive(Debug)]
struct Place {
    question: Question,
    newest: Mutex<Option<Arc<Outcome>>>,
}

#[derive(Debug, Default)]
struct Inner {
    lands: Lands,
    changes: Mutex<Changes>,
    /// The last one asked for is the last.
    places: Mutex<Vec<Arc<Place>>>,
    past: Mutex<Vec<Arc<Outcome>>>,
}

/// The outcomes that are kept. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Coverages {
    inner: Arc<Inner>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Coverages {
    /// Notes what a revision has changed. For `feed` alone, before memory is published.
    pub fn changed(&self, revision: i64, ids: &[u64]) {
        let mut changes = lock(&self.inner.changes);
        changes.held += ids.len() + 1;
        changes.batches.push_back((revision, ids.to_vec()));
        while changes.held > MAX_HELD {
            let Some((oldest, ids)) = changes.batches.pop_front() else {
                break;
            };
            changes.held -= ids.len() + 1;
            changes.floor = oldest;
        }
    }

    /// Memory was loaded anew. For `feed` alone.
    pub fn restart(&self, revision: i64) {
        *lock(&self.inner.changes) = Changes {
            floor: revision,
            ..Changes::default()
        };
        lock(&self.inner.places).clear();
    }

    /// What has changed after a revision and up to another one; none if that is not known any more.
    fn since(&self, from: i64, to: i64) -> Option<HashSet<u64>> {
        let changes = lock(&self.inner.changes);
        if from < changes.floor {
            return None;
        }
        let newer = changes
            .batches
            .iter()
            .filter(|(revision, _)| from < *revision && *revision <= to);
        Some(newer.flat_map(|(_, ids)| ids.iter().copied()).collect())
    }

    fn place(&self, question: &Question) -> (Arc<Place>, Option<Arc<Place>>) {
        let mut places = lock(&self.inner.places);
        let like = places
            .iter()
            .rev()
            .find(|p| p.question != *question && p.question.shares_sites(question))
            .cloned();
        if let Some(at) = places.iter().position(|p| p.question == *question) {
            let place = places.remove(at);
            places.push(place.clone());
            return (place, like);
        }
        if places.len() >= MAX_KEPT {
            places.remove(0);
        }
        let place = Arc::new(Place {
            question: question.clone(),
            newest: Mutex::default(),
        });
        places.push(place.clone());
        (place, like)
    }

    /// The land of a denominator; an error says that there is none.
    pub fn land(&self, memory: &Memory, of: &Denominator, within: Option<i32>) -> Result<Arc<Land>> {
        self.inner.lands.of(memory, of, within)?.ok_or_else(|| {
            let (zh, en) = (&of.title_zh, &of.title_en);
            Error::NotFound(Text::new(
                format!("登记簿中没有“{zh}”，无法计算覆盖率；请先导入用地"),
                format!("the register has no \"{en}\", so that there is no rate; import land first"),
            ))
        })
    }

    /// What a question comes to as of a memory or a newer one. Cost: O(pieces) the first time; after edits O(pieces within their reach).
    pub fn of(
        &self,
        memory: &Memory,
        matchers: &Matchers,
        question: &Question,
        watch: Watch<'_>,
    ) -> Result<Arc<Outcome>> {
        let (place, like) = self.place(question);
        let mut newest = lock(&place.newest);
        let revision = memory.revision.as_ref().map_or(0, |r| r.number);
        if let Some(known) = newest.as_ref().filter(|known| known.means_as(memory)) {
            if known.revision >= revision {
                return Ok(known.clone());
            }
            // A facility whose entrance has changed is another one, wherever the entrance was.
            let changed = self.since(known.revision, revision);
            let changed = match changed {
                Some(ids) if has_entrance(memory, matchers, question, &ids, known)? => None,
                other => other,
            };
            if let Some(changed) = changed {
                let next = Arc::new(known.after(memory, matchers, &changed)?);
                *newest = Some(next.clone());
                return Ok(next);
            }
        }
        let land = self.land(memory, &question.denominator, question.within)?;
        // Only if it is at hand: two that wait for each other would wait for ever.
        let like = like.and_then(|p| p.newest.try_lock().ok()?.clone());
        let like = like.filter(|o| o.revision == revision && o.means_as(memory));
        let next = Arc::new(Outcome::new(
            memory,
            matchers,
            question.clone(),
            land,
            like.as_deref(),
            watch,
        )?);
        *newest = Some(next.clone());
        Ok(next)
    }

    /// What a question comes to as of a memory or a newer one, if that is at hand.
    pub fn at_hand(&self, memory: &Memory, question: &Question) -> Option<Arc<Outcome>> {
        let place = lock(&self.inner.places)
            .iter()
            .find(|p| p.question == *question)
            .cloned()?;
        let newest = place.newest.try_lock().ok()?;
        let revision = memory.revision.as_ref().map_or(0, |r| r.number);
        newest
            .clone()
            .filter(|known| known.revision >= revision && known.means_as(memory))
    }

    /// What a question comes to as of a memory of the past. A few are kept.
    pub fn then(
        &self,
        memory: &Memory,
        matchers: &Matchers,
        question: &Question,
        watch: Watch<'_>,
    ) -> Result<Arc<Outcome>> {
        let revision = memory.revision.as_ref().map_or(0, |r| r.number);
        let same = |o: &&Arc<Outcome>| o.question == *question && o.revision == revision && o.means_as(memory);
        if let Some(known) = lock(&self.inner.past).iter().find(same) {
            return Ok(known.clone());
        }
        let land = self.land(memory, &question.denominator, question.within)?;
        let found = Arc::new(Outcome::new(memory, matchers, question.clone(), land, None, watch)?);
        let mut past = lock(&self.inner.past);
        if past.len() >= MAX_PAST {
            past.remove(0);
        }
        past.push(found.clone());
        Ok(found)
    }
}
