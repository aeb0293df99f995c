//! Rows keep what they are given.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Texts = (Option<String>, Option<String>);
type Said = ((Row, Parties), u8, Texts);

#[test]
fn a_page_keeps_the_parties_of_its_rows_however_often_they_change() {
    let mut rows = Rows::default();
    let row = Row::new(117.0, 39.0);
    let of = |round: u32, id: u64| Parties {
        owner: round * 1000 + id as u32,
        ..Parties::default()
    };
    // All 128 rows of a page change theirs, and no two have the same.
    for round in 0..5 {
        (0..128).for_each(|id| rows.set(id, &row, of(round, id), None, None));
        assert!((0..128).all(|id| rows.get(id).map(|f| f.parties()) == Some(of(round, id))));
    }
}

proptest! {
    #[test]
    fn rows_keep_their_texts(
        steps in prop::collection::vec((0u64..300, any::<[u8; 6]>(), "[路灯a]{0,3}", "[0-9]{0,20}|[A-Z]{0,4}"), 0..300)
    ) {
        let (mut rows, mut naive) = (Rows::default(), BTreeMap::<u64, Said>::new());
        let text = |s: String| Some(s).filter(|s| !s.is_empty());
        for (id, [a, b, c, d, e, scheme], name, code) in steps {
            let property = PropertyKind::ALL.get(usize::from(c) % (PropertyKind::ALL.len() + 1)).copied();
            let management = ManagementKind::ALL.get(usize::from(d) % (ManagementKind::ALL.len() + 1)).copied();
            let (state, ownership) = (State::ALL[usize::from(a) % State::ALL.len()], b % OwnershipStatus::ALL.len() as u8);
            let ownership = OwnershipStatus::from_number(ownership).unwrap();
            let row = Row::new(117.0 + f64::from(a), 39.0 - f64::from(b));
            let parties = Parties { owner: u32::from(a) << 24 | u32::from(e), maintainer: u32::from(b % 2), ..Parties::default() };
            let row = row.in_condition(state, ownership).of_kind(property, management, e % 2 == 0);
            prop_assert_eq!((row.state(), row.ownership(), row.shaped()), (state, ownership, e % 2 == 0));
            prop_assert_eq!(row.property_number(), property.map_or(0, |w| w as u8 + 1));
            prop_assert_eq!(row.management_number(), management.map_or(0, |w| w as u8 + 1));
            let scheme = if e > 200 { scheme } else { scheme % 3 };
            let code = text(code);
            rows.set(id, &row, parties, Some(&name), code.as_deref().map(|c| (scheme, c)));
            let scheme = code.as_ref().map_or(0, |_| scheme);
            naive.insert(id, ((row, parties), scheme, (text(name), code)));
        }
        prop_assert_eq!(rows.len(), naive.len());
        let texts = |f: &Found<'_>| (f.name().map(str::to_owned), f.code().map(Cow::into_owned));
        let said: Vec<(u64, Said)> =
            rows.iter().map(|f| (f.id, ((f.row().alone(), f.parties()), f.scheme(), texts(&f)))).collect();
        prop_assert_eq!(said, naive.clone().into_iter().collect::<Vec<_>>());
        for (id, (_, _, (_, code))) in naive {
            prop_assert!(code.is_none_or(|c| rows.get(id).unwrap().has_code(&c)));
        }
    }
}
