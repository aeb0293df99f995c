//! The demo city as generated, without a database.
use hashbrown::{HashMap, HashSet};

use super::district::{Made, make};
use super::kind::Kind;
use super::*;
use crate::domain::word::AreaLevel;
use geo::{CoordsIter, GeodesicArea, Validation};

fn city() -> (Made, Vec<Deed>) {
    let mut made = make(1, 0, 1);
    let deeds = year::plan(1, &mut made);
    (made, deeds)
}

fn count(made: &Made, kind: Kind) -> usize {
    made.notes.iter().filter(|n| n.kind == kind).count()
}

#[test]
fn the_stock_is_hexis() {
    let made = make(1, 0, 1);
    let of = |k| count(&made, k);
    let stock = [
        of(Kind::Lamp), of(Kind::Sewage) + of(Kind::Storm), of(Kind::Toilet), of(Kind::Seat), of(Kind::ShopSign), of(Kind::Berth),
        of(Kind::Transfer), of(Kind::Pavilion), of(Kind::Tree),
    ];
    assert_eq!(stock, [41_200, 22_833, 106, 780, 3_268, 15_000, 16, 161, 35_000]);
    for k in Kind::ALL {
        eprintln!("{k:?} {}", of(*k));
    }
    eprintln!("all {} cells {} areas {} roads {} land {}", made.rows.components.len(), made.rows.cells.len(), made.rows.areas.len(), made.rows.roads.len(), made.rows.land.len());
}
