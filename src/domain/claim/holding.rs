//! Who holds a role on a day, as known then: both times.

use chrono::NaiveDate;

/// What was decided: these parties hold the role on these days. Decisions are never changed; one that is taken back is marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its number; a later decision has a greater one.
    pub no: i64,
    /// The first revision that knows of it.
    pub known: i64,
    /// The first revision that no longer does, where it was taken back.
    pub annulled: Option<i64>,
    /// Who holds it; several hold it together (共有).
    pub parties: Vec<i32>,
    /// The first day.
    pub from: NaiveDate,
    /// The last day; none where nothing ends it.
    pub to: Option<NaiveDate>,
}

impl Decision {
    fn is_known(&self, at: i64) -> bool {
        self.known <= at && self.annulled.is_none_or(|r| r > at)
    }

    fn covers(&self, day: NaiveDate) -> bool {
        self.from <= day && self.to.is_none_or(|to| day <= to)
    }
}

/// Days of one holder, the last one included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span<'a> {
    /// What was decided.
    pub decision: &'a Decision,
    /// The first day.
    pub from: NaiveDate,
    /// The last day; none where nothing ends it.
    pub to: Option<NaiveDate>,
}

/// Who holds the role on a day, as known at a revision: the last decision known then that covers the day. O(decisions).
pub fn holder(decisions: &[Decision], day: NaiveDate, known: i64) -> Option<&Decision> {
    let covering = decisions.iter().filter(|d| d.is_known(known) && d.covers(day));
    covering.max_by_key(|d| (d.known, d.no))
}

/// The days on which the answer of [`holder`] may change, in their order: each begins days of one answer.
fn turns(decisions: &[Decision], known: i64) -> Vec<NaiveDate> {
    let own = decisions.iter().filter(|d| d.is_known(known));
    let mut days: Vec<NaiveDate> = own
        .flat_map(|d| [Some(d.from), d.to.and_then(|to| to.succ_opt())])
        .flatten()
        .collect();
    days.sort_unstable();
    days.dedup();
    days
}

/// All holders in the order of their days, as known at a revision: no day has two. O(decisions²).
pub fn timeline(decisions: &[Decision], known: i64) -> Vec<Span<'_>> {
    let days = turns(decisions, known);
    let mut spans: Vec<Span<'_>> = Vec::new();
    for (i, &from) in days.iter().enumerate() {
        let to = days.get(i + 1).and_then(|d| d.pred_opt());
        let Some(decision) = holder(decisions, from, known) else {
            continue;
        };
        match spans.last_mut() {
            // The same goes on where an overruled one would have begun or ended.
            Some(last) if last.decision.no == decision.no && last.to.and_then(|t| t.succ_opt()) == Some(from) => {
                last.to = to;
            }
            _ => spans.push(Span { decision, from, to }),
        }
    }
    spans
}

/// Where the answer stands to who holds a role on a day, as known at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// It was decided.
    Decided(Span<'a>),
    /// What was decided is over, or has not begun where something else was decided before.
    Nobody,
    /// Nothing that was decided says anything of this day: whoever the register itself named at this revision.
    Registered(i64),
}

/// Who holds the role on a day, as known at a revision. Of days before the first that was ever decided, the register says what it said
/// before that decision. O(decisions²).
pub fn answer(decisions: &[Decision], day: NaiveDate, known: i64) -> Answer<'_> {
    let covers = |s: &Span<'_>| s.from <= day && s.to.is_none_or(|to| day <= to);
    if let Some(span) = timeline(decisions, known).into_iter().find(covers) {
        return Answer::Decided(span);
    }
    let own = || decisions.iter().filter(|d| d.is_known(known));
    match (own().map(|d| d.known).min(), own().map(|d| d.from).min()) {
        (Some(first), Some(from)) if day < from => Answer::Registered(first - 1),
        (Some(_), _) => Answer::Nobody,
        (None, _) => Answer::Registered(known),
    }
}

#[cfg(test)]
mod tests {
    use chrono::Days;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn day(n: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2020, 1, 1).unwrap() + Days::new(n)
    }

    fn random(dice: &mut ChaCha8Rng) -> Vec<Decision> {
        let n = dice.random_range(0..7);
        (0..n)
            .map(|no| {
                let (from, known) = (dice.random_range(0..60), dice.random_range(1..9));
                Decision {
                    no,
                    known,
                    annulled: dice.random_bool(0.2).then(|| dice.random_range(known..10)),
                    parties: vec![dice.random_range(1..5)],
                    from: day(from),
                    to: dice.random_bool(0.6).then(|| day(from + dice.random_range(0..30))),
                }
            })
            .collect()
    }

    /// A calendar that every decision writes its parties into, in the order in which they became known.
    fn naive(decisions: &[Decision], known: i64) -> Vec<Option<Vec<i32>>> {
        let mut calendar = vec![None; 120];
        let mut order: Vec<&Decision> = decisions.iter().collect();
        order.sort_by_key(|d| (d.known, d.no));
        for d in order {
            let gone = matches!(d.annulled, Some(r) if r <= known);
            if d.known > known || gone {
                continue;
            }
            for (n, held) in calendar.iter_mut().enumerate() {
                let on = day(n as u64);
                if on >= d.from && d.to.is_none_or(|to| on <= to) {
                    *held = Some(d.parties.clone());
                }
            }
        }
        calendar
    }

    #[test]
    fn what_nobody_decided_is_as_the_register_said_before() {
        let own = |no, known, from, to: Option<u64>| Decision {
            no,
            known,
            annulled: None,
            parties: vec![no as i32],
            from: day(from),
            to: to.map(day),
        };
        let decisions = [own(1, 5, 10, Some(19)), own(2, 8, 30, None)];
        let said = |on, known| match answer(&decisions, day(on), known) {
            Answer::Decided(span) => format!("{}", span.decision.no),
            Answer::Nobody => "nobody".into(),
            Answer::Registered(at) => format!("as at {at}"),
        };
        assert_eq!(
            [said(15, 4), said(15, 5), said(9, 5), said(20, 5), said(30, 7)].join(", "),
            "as at 4, 1, as at 4, nobody, nobody"
        );
        assert_eq!([said(9, 9), said(25, 9), said(30, 9)].join(", "), "as at 4, nobody, 2");
    }

    #[test]
    fn the_holder_is_whom_a_calendar_shows_on_every_day_as_known_at_every_revision() {
        let mut dice = ChaCha8Rng::seed_from_u64(7);
        for _ in 0..1_000 {
            let decisions = random(&mut dice);
            for known in 0..10 {
                let calendar = naive(&decisions, known);
                let spans = timeline(&decisions, known);
                for (n, held) in calendar.iter().enumerate() {
                    let on = day(n as u64);
                    let own = holder(&decisions, on, known).map(|d| d.parties.clone());
                    assert_eq!(&own, held, "{on} {known} {decisions:?}");
                    let within: Vec<&Span<'_>> = spans
                        .iter()
                        .filter(|s| s.from <= on && s.to.is_none_or(|to| on <= to))
                        .collect();
                    let named = within.first().map(|s| s.decision.parties.clone());
                    assert_eq!(
                        (within.len(), &named),
                        (usize::from(held.is_some()), held),
                        "{on} {spans:?}"
                    );
                }
            }
        }
    }
}
