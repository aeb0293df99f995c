//! What the numbers in memory's rows mean, for filters to ask.

use crate::domain::filter::{Field, Filter, Value};
use crate::domain::word::{ManagementKind, OwnershipStatus, PropertyKind, State};
use crate::index::Memory;
use crate::index::row::Found;
use crate::tile::layer::Source;

/// Each number that a column has, with its word.
type Words<'a> = Vec<(usize, Option<&'a str>)>;

/// Reads a column's number out of a component.
pub(super) type Column = fn(&Found<'_>) -> usize;

/// The column of rows that says a property, and what its numbers mean; none where a row says it in full.
pub(super) fn words_of(memory: &Memory, field: Field) -> Option<(Column, Words<'_>)> {
    let number = |id: &i32| usize::try_from(*id).unwrap_or(0);
    let parties = || {
        let all = memory.parties.iter();
        all.map(|(id, p)| (number(id), Some(p.code.as_str()))).collect()
    };
    let keys = |keys: Vec<&'static str>, first: usize| (first..).zip(keys.into_iter().map(Some)).collect();
    Some(match field {
        Field::Class => {
            let all = memory.classes.iter();
            let words = all.map(|(id, c)| (number(id), Some(c.code.as_str()))).collect();
            (|r| usize::from(r.class), words)
        }
        Field::State => (
            |r| usize::from(r.state_number()),
            keys(State::ALL.iter().map(|w| w.key()).collect(), 0),
        ),
        Field::OwnershipStatus => {
            let words = keys(OwnershipStatus::ALL.iter().map(|w| w.key()).collect(), 0);
            (|r| usize::from(r.ownership_number()), words)
        }
        Field::PropertyKind => {
            let words = keys(PropertyKind::ALL.iter().map(|w| w.key()).collect(), 1);
            (|r| usize::from(r.property_number()), words)
        }
        Field::ManagementKind => {
            let words = keys(ManagementKind::ALL.iter().map(|w| w.key()).collect(), 1);
            (|r| usize::from(r.management_number()), words)
        }
        Field::Authority => (|r| r.parties().authority as usize, parties()),
        Field::Owner => (|r| r.parties().owner as usize, parties()),
        Field::Maintainer => (|r| r.parties().maintainer as usize, parties()),
        Field::Cell => {
            let words = memory.cells.all().map(|c| (number(&c.id), Some(&*c.code))).collect();
            (|r| r.cell as usize, words)
        }
        Field::Road => {
            let words = memory.roads.all().map(|r| (number(&r.id), r.name.as_deref())).collect();
            (|r| r.road as usize, words)
        }
        Field::Scheme => {
            let all = memory.components.schemes();
            let words = all.map(|(n, scheme)| (usize::from(n), Some(scheme))).collect();
            (|r| usize::from(r.scheme()), words)
        }
        Field::Id | Field::Code | Field::Name | Field::Version | Field::Level | Field::Kind => return None,
    })
}

/// Notes that a filter lets something through.
fn ask<'v>(passed: &mut Vec<bool>, filter: &Filter, id: i32, value: impl Fn(Field) -> Option<Value<'v>>) {
    let with_id = |field| match field {
        Field::Id => Some(Value::Number(f64::from(id))),
        field => value(field),
    };
    let Ok(place) = usize::try_from(id) else { return };
    if filter.holds(&with_id) == Some(true) {
        if passed.len() <= place {
            passed.resize(place + 1, false);
        }
        passed[place] = true;
    }
}

/// Which areas, cells, roads or pieces of land a filter lets through, by id.
pub(super) fn entities(memory: &Memory, source: Source, filter: &Filter) -> Vec<bool> {
    let mut passed = Vec::new();
    match source {
        Source::Component => {}
        Source::Area => memory.areas.all().for_each(|a| {
            ask(&mut passed, filter, a.id, |field| match field {
                Field::Code => Some(Value::Text(&a.code)),
                Field::Name => Some(Value::Text(&a.name)),
                Field::Level => Some(Value::Text(a.level.key())),
                _ => None,
            });
        }),
        Source::Cell => memory.cells.all().for_each(|c| {
            ask(&mut passed, filter, c.id, |field| match field {
                Field::Code => Some(Value::Text(&c.code)),
                Field::Scheme => Some(Value::Text(&c.scheme)),
                Field::Name => c.name.as_deref().map(Value::Text),
                _ => None,
            });
        }),
        Source::Road => memory.roads.all().for_each(|r| {
            ask(&mut passed, filter, r.id, |field| match field {
                Field::Class => Some(Value::Text(r.class.key())),
                Field::Name => r.name.as_deref().map(Value::Text),
                _ => None,
            });
        }),
        Source::Land => memory.lands.all().for_each(|l| {
            ask(&mut passed, filter, l.id, |field| match field {
                Field::Kind => Some(Value::Text(&l.kind)),
                Field::Name => l.name.as_deref().map(Value::Text),
                _ => None,
            });
        }),
    }
    passed
}

/// The properties that a filter of a source may name.
pub fn fields(source: Source) -> &'static [Field] {
    match source {
        Source::Component => Field::OF_COMPONENTS,
        Source::Area => Field::OF_AREAS,
        Source::Cell => Field::OF_CELLS,
        Source::Road => Field::OF_ROADS,
        Source::Land => Field::OF_LAND,
    }
}
