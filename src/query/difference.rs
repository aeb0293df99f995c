//! Where two memories differ: what `lamppost verify` reports.

use hashbrown::HashSet;

use crate::domain::word::State;
use crate::index::Memory;
use crate::index::components::Components;
use crate::index::points::Point;
use crate::index::pyramid::{Mark, Pyramid};
use crate::index::row::Found;
use crate::index::tally::Tally;

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
    for mine in a.1.components.rows().iter() {
        if out.len() >= MOST {
            return;
        }
        let there = &b.1.components;
        let Some(theirs) = there.get(mine.id) else {
            out.push(format!("component {} of {} is not in {}", mine.id, a.0, b.0));
            continue;
        };
        let (x, y) = (said(&a.1.components, &mine), said(there, &theirs));
        if x != y {
            out.push(format!("component {}: {} has {x}, {} has {y}", mine.id, a.0, b.0));
        }
    }
}

fn components_missing(a: (&str, &Memory), b: (&str, &Memory), out: &mut Vec<String>) {
    for row in a.1.components.rows().iter() {
        if out.len() < MOST && b.1.components.get(row.id).is_none() {
            out.push(format!("component {} of {} is not in {}", row.id, a.0, b.0));
        }
    }
}

/// Everything that memory says of a component, free of numbers that only this memory knows.
fn said(components: &Components, found: &Found<'_>) -> String {
    let alone = found.row().alone();
    format!(
        "{alone:?} {:?} {:?} {:?} {:?} {:?}",
        found.parties(),
        components.scheme(found),
        found.code(),
        found.name(),
        components.shape(found.id)
    )
}

/// Each row stands in exactly one place, at its own position, is found by its code, and is counted.
fn places(name: &str, components: &Components, out: &mut Vec<String>) {
    let mut seen = HashSet::new();
    for (places, retired) in [(&components.live, false), (&components.retired, true)] {
        places.points.visit_all(&mut |_, p| {
            let right = components.get(p.id).is_some_and(|f| {
                !f.shaped()
                    && (f.state() == State::Retired) == retired
                    && Point::of(p.id, f.row(), f.parties().owner) == *p
            });
            if !right || !seen.insert(p.id) {
                out.push(format!("the point of {} in {name} is not where its component is", p.id));
            }
        });
        for shape in places.shapes.iter() {
            let right = components.get(shape.id).is_some_and(|f| {
                f.shaped() && (f.state() == State::Retired) == retired && Mark::of(f.row()) == shape.mark
            });
            if !right || !seen.insert(shape.id) {
                out.push(format!(
                    "the shape of {} in {name} is not where its component is",
                    shape.id
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
    if components.pyramid != Pyramid::of(&components.live.points) {
        out.push(format!("the counters of {name} are not those of its points"));
    }
    if components.tally != Tally::of(components.rows()) {
        out.push(format!("the statistics of {name} are not those of its components"));
    }
    for found in components.rows().iter() {
        let by_code = |code: &str| components.with_code(code).iter().any(|f| f.id == found.id);
        if found.code().is_some_and(|code| !by_code(&code)) {
            out.push(format!("component {} of {name} is not found by its code", found.id));
        }
    }
}
