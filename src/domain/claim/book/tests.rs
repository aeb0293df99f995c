//! Books that people wrote and books that dice wrote.
use std::collections::BTreeSet;

use chrono::Days;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::domain::claim::holding::timeline;
use crate::domain::word::OwnershipStatus;

fn day(n: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + Days::new(n)
}

fn at(n: u64) -> Moment {
    Moment {
        today: day(n),
        revision: n as i64,
    }
}

fn person(name: &str) -> Person {
    Person {
        name: name.to_owned(),
        party: (name == "d").then_some(4),
    }
}

fn wanted(kind: MotionKind, party: i32) -> Wanted {
    Wanted {
        kind,
        parties: vec![party],
        from: day(0),
        to: None,
        evidence: 1,
    }
}

fn any(dice: &mut ChaCha8Rng, book: &Book, n: u64) -> Act {
    let no = dice.random_range(0..=book.motions.len() as i64);
    match dice.random_range(0..10) {
        0..3 => {
            let kind = *MotionKind::ALL.choose(dice).unwrap();
            let count = if kind == MotionKind::Disclaimer {
                0
            } else {
                dice.random_range(1..3)
            };
            let from = dice.random_range(0..2 * n + 1);
            let own = Wanted {
                kind,
                parties: (0..count).map(|_| dice.random_range(1..5)).collect(),
                from: day(from),
                to: dice.random_bool(0.5).then(|| day(from + dice.random_range(0..20))),
                evidence: dice.random_range(0..3),
            };
            Act::HandIn(book.motions.len() as i64, own)
        }
        3..5 => Act::Review(no),
        5 => Act::Confirm(no),
        6 => Act::Announce(no, day(n + dice.random_range(0..4))),
        7 => Act::Reject(no),
        8 => Act::Withdraw(no),
        _ => Act::Rule(dice.random_bool(0.7).then_some(no)),
    }
}

/// What a lawyer would check of any book, without knowing how it came about.
fn check(book: &Book, n: u64) {
    let open = |m: &&Motion| m.is_open() && m.wanted.kind == MotionKind::Claim;
    let claims = book.motions.iter().filter(open).count();
    let held = book.state.is_held();
    let brought = book.state.settled() == OwnershipStatus::Disputed;
    let disputed = brought || claims > 1 || claims == 1 && held && book.state.status() != OwnershipStatus::Proposed;
    assert_eq!(book.state.status() == OwnershipStatus::Disputed, disputed, "{book:?}");
    if claims > 0 {
        let handed_over = |m: &Motion| m.is_open() && m.wanted.kind == MotionKind::Transfer;
        assert!(
            !book.motions.iter().any(handed_over),
            "a dispute blocks transfer: {book:?}"
        );
    }
    for m in book.motions.iter().filter(|m| m.stage == ClaimStage::Confirmed) {
        assert!(m.wanted.evidence > 0, "confirmed without evidence: {m:?}");
        let three: BTreeSet<&String> = [Some(&m.handed_in_by), m.reviewed_by.as_ref(), m.decided_by.as_ref()]
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(three.len(), 3, "{m:?}");
        assert_eq!(
            m.own_party,
            m.decided_by.as_deref() == Some("d") && m.wanted.parties.contains(&4)
        );
    }
    let spans = timeline(&book.decisions, n as i64);
    for d in 0..2 * n + 40 {
        let on = spans
            .iter()
            .filter(|s| s.from <= day(d) && s.to.is_none_or(|to| day(d) <= to))
            .count();
        assert!(on <= 1, "two holders on {}: {book:?}", day(d));
    }
}

#[test]
fn no_sequence_of_acts_leads_to_a_book_that_a_lawyer_would_refuse() {
    let mut dice = ChaCha8Rng::seed_from_u64(11);
    let (mut done, mut seen) = (0, BTreeSet::new());
    for _ in 0..800 {
        let brought = *OwnershipStatus::ALL.choose(&mut dice).unwrap();
        let mut book = Book::new(State::brought(brought));
        for n in 1..40 {
            let act = any(&mut dice, &book, n);
            let by = person(["a", "b", "c", "d"].choose(&mut dice).unwrap());
            let before = book.clone();
            match book.act(act, &by, at(n)) {
                Ok(()) => done += 1,
                Err(why) => assert!(before == book && !why.en.is_empty()),
            }
            book.turn(at(n)).unwrap();
            check(&book, n);
            let again = Book::restored(book.state.settled(), book.motions.clone(), book.decisions.clone());
            assert_eq!(again.unwrap(), book);
            seen.insert(book.state);
        }
    }
    // The dice reach what matters.
    assert!(done > 5_000 && seen.len() >= 14, "{done} {}", seen.len());
}

#[test]
fn a_lamp_is_claimed_disputed_ruled_and_handed_over() {
    let mut book = Book::new(State::START);
    let mut act = |act, by: &str, n| {
        book.act(act, &person(by), at(n)).unwrap();
        book.state.status().key()
    };
    let steps = [
        act(Act::HandIn(1, wanted(MotionKind::Claim, 1)), "a", 1),
        act(Act::Review(1), "b", 2),
        act(Act::Announce(1, day(9)), "c", 3),
        act(Act::HandIn(2, wanted(MotionKind::Claim, 2)), "b", 4),
        act(Act::Review(2), "a", 5),
        act(Act::Rule(Some(2)), "c", 6),
        act(Act::HandIn(3, wanted(MotionKind::Transfer, 3)), "a", 7),
        act(Act::Review(3), "b", 8),
        act(Act::Confirm(3), "c", 9),
    ];
    assert_eq!(
        steps.join(" "),
        "proposed proposed proposed disputed disputed confirmed confirmed confirmed confirmed"
    );
    let who = |known| holder(&book.decisions, day(20), known).map(|d| d.parties[0]);
    assert_eq!((who(5), who(6), who(8), who(9)), (None, Some(2), Some(2), Some(3)));
}

#[test]
fn an_announcement_takes_effect_by_itself_and_a_holding_ends_by_itself() {
    let mut book = Book::new(State::START);
    let own = Wanted {
        to: Some(day(30)),
        ..wanted(MotionKind::Claim, 1)
    };
    book.act(Act::HandIn(1, own), &person("a"), at(1)).unwrap();
    book.act(Act::Review(1), &person("b"), at(2)).unwrap();
    book.act(Act::Announce(1, day(9)), &person("c"), at(3)).unwrap();
    let mut status = |n| {
        book.turn(at(n)).unwrap();
        book.state.status().key()
    };
    assert_eq!(
        [status(9), status(10), status(30), status(31)],
        ["proposed", "confirmed", "confirmed", "unsurveyed"]
    );
}
