//! Where two memories differ: what `lamppost verify` reports.

use hashbrown::HashSet;

use crate::domain::word::State;
use crate::index::Memory;
use crate::index::components::Components;
use crate::index::row::Row;
use crate::spatial::tile_id::World;

/// The most differences that are spelled out.
pub const MOST: usize = 100;

/// What the two say differently, one sentence each, [`MOST`] at most. `a` and `b` name them.
pub fn differences(a: (&str, &Memory), b: (&str, &Memory)) -> Vec<String> {
    let mut out = Vec::new();
    let revision = |m: &Memory| m.revision.as_ref().map_or(0, |r| r.number);
    if revision(a.1) != revision(b.1) {
        out.push(format!(
            "{} is at revision {}, {} at {}",
            a.0,
            revision(a.1),
            b.0,
            revision(b.1)
        ));
    }
    let counts = |m: &Memory| {
        [
            m.classes.len(),
            m.parties.len(),
            m.areas.len(),
            m.cells.len(),
            m.roads.len(),
            m.lands.len(),
        ]
    };
    if counts(a.1) != counts(b.1) {
        out.push(format!(
            "{:?} classes, parties, areas, cells, roads, land in {}, {:?} in {}",
            counts(a.1),
            a.0,
            counts(b.1),
            b.0
        ));
    }
    let (x, y) = (a.1, b.1);
    for (what, same) in [
        ("classes", x.classes == y.classes),
        ("parties", x.parties == y.parties),
        ("areas", x.areas == y.areas),
        ("cells", x.cells == y.cells),
        ("roads", x.roads == y.roads),
        ("land", x.lands == y.lands),
    ] {
        if !same {
            out.push(format!("the {what} of {} and {} differ", a.0, b.0));
        }
    }
    components(a, b, &mut out);
    components_missing(b, a, &mut out);
    for (name, memory) in [a, b] {
        places(name, &memory.components, &mut out);
    }
    out.truncate(MOST);
    out
}

fn components(a: (&str, &Memory), b: (&str, &Memory), out: &mut Vec<String>) {
    for (slot, row) in a.1.components.rows().iter().enumerate() {
        if out.len() >= MOST {
            return;
        }
        let there = &b.1.components;
        let Some(other) = there.slot(row.id as i64) else {
            out.push(format!("component {} of {} is not in {}", row.id, a.0, b.0));
            continue;
        };
        let (mine, theirs) = (
            said(&a.1.components, slot as u32, row),
            there.row(other).map(|r| said(there, other, r)),
        );
        if Some(&mine) != theirs.as_ref() {
            out.push(format!(
                "component {}: {} has {mine}, {} has {}",
                row.id,
                a.0,
                b.0,
                theirs.unwrap_or_default()
            ));
        }
    }
}

fn components_missing(a: (&str, &Memory), b: (&str, &Memory), out: &mut Vec<String>) {
    for row in a.1.components.rows() {
        if out.len() < MOST && b.1.components.slot(row.id as i64).is_none() {
            out.push(format!("component {} of {} is not in {}", row.id, a.0, b.0));
        }
    }
}

/// Everything that memory says of a component, free of numbers that only this memory knows.
fn said(components: &Components, slot: u32, row: &Row) -> String {
    let plain = Row {
        code: Default::default(),
        name: 0,
        scheme: 0,
        ..*row
    };
    format!(
        "{plain:?} {:?} {:?} {:?}",
        components.code(row),
        components.name(row),
        components.shape(slot)
    )
}

/// Each row stands in exactly one place, at its own position.
fn places(name: &str, components: &Components, out: &mut Vec<String>) {
    let mut seen = HashSet::new();
    let everywhere = [0, 0, u32::MAX, u32::MAX];
    for (places, retired) in [(&components.live, false), (&components.retired, true)] {
        places.points.visit(everywhere, &mut |e| {
            let right = components.row(e.slot).is_some_and(|r| {
                !r.shaped
                    && (r.state == State::Retired) == retired
                    && World::at(r.lon, r.lat) == e.at
                    && (r.class, r.state as u8, r.ownership as u8) == (e.class, e.state, e.ownership)
            });
            if !right || !seen.insert(e.slot) {
                out.push(format!(
                    "the point of slot {} in {name} is not where its component is",
                    e.slot
                ));
            }
        });
        for (slot, _) in places.shapes.touching([-180.0, -90.0, 180.0, 90.0]) {
            let right = components
                .row(slot)
                .is_some_and(|r| r.shaped && (r.state == State::Retired) == retired);
            if !right || !seen.insert(slot) {
                out.push(format!(
                    "the shape of slot {slot} in {name} is not where its component is"
                ));
            }
        }
    }
    let (rows, placed) = (components.rows().len(), seen.len());
    if rows != placed {
        out.push(format!(
            "{name} has {rows} components but {placed} of them stand somewhere"
        ));
    }
}
