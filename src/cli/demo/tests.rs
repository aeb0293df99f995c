//! The demo city as generated, without a database.

use std::hash::{Hash, Hasher};
use std::sync::LazyLock;

use geo::{CoordsIter, Distance, Euclidean, GeodesicArea, Geometry, LineString, MultiPolygon, Point, Validation};
use hashbrown::{HashMap, HashSet};

use super::district::{Made, make};
use super::kind::Kind;
use super::*;
use crate::domain::code::{ComponentCode, Scheme};
use crate::domain::word::{AreaLevel, State};
use crate::store::bulk::Edit;

/// The city of seed 1 with the year's edits, made once for all tests.
static CITY: LazyLock<(Made, Vec<Deed>)> = LazyLock::new(|| {
    let mut made = make(1, 0, 1);
    let deeds = year::plan(1, &mut made);
    (made, deeds)
});

type Edge = [(u64, u64); 2];

/// The directed edges of every ring, by the exact bits of their ends.
fn edges(of: &MultiPolygon<f64>) -> Vec<Edge> {
    let bits = |c: geo::Coord<f64>| (c.x.to_bits(), c.y.to_bits());
    let rings = of
        .iter()
        .flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()));
    rings
        .flat_map(|r: &LineString<f64>| r.0.windows(2))
        .map(|w| [bits(w[0]), bits(w[1])])
        .collect()
}

#[test]
fn at_the_end_of_the_year_the_stock_is_hexis() {
    let (made, deeds) = &*CITY;
    let mut standing: Vec<bool> = made.rows.components.iter().map(|c| !c.later).collect();
    for edit in deeds.iter().flat_map(|d| &d.edits) {
        match edit {
            Edit::Build(at) => at.iter().for_each(|i| {
                assert!(made.rows.components[*i].later && !standing[*i], "built once");
                standing[*i] = true;
            }),
            Edit::State(at, State::Retired) => at.iter().for_each(|i| {
                assert!(standing[*i], "struck off once");
                standing[*i] = false;
            }),
            Edit::State(at, _) | Edit::Own(at, ..) => assert!(at.iter().all(|i| standing[*i])),
            Edit::Move(to) => assert!(to.iter().all(|(i, _)| standing[*i])),
        }
    }
    let of = |k: Kind| {
        (0..standing.len())
            .filter(|i| standing[*i] && made.notes[*i].kind == k)
            .count()
    };
    let stock = [
        of(Kind::Lamp),
        of(Kind::Sewage) + of(Kind::Storm),
        of(Kind::Toilet),
        of(Kind::Seat),
        of(Kind::ShopSign),
        of(Kind::Berth),
        of(Kind::Transfer),
        of(Kind::Pavilion),
        of(Kind::Tree),
    ];
    assert_eq!(stock, [41_200, 22_833, 106, 780, 3_268, 15_000, 16, 161, 35_000]);
    assert!((100..=140).contains(&of(Kind::Lot)), "{}", of(Kind::Lot));
    assert!(deeds.is_sorted_by(|a, b| a.recorded < b.recorded), "recorded rises");
    assert!(
        deeds
            .iter()
            .all(|d| !d.edits.is_empty() && d.recorded > year::begin() && d.recorded < year::end())
    );
}

#[test]
fn cells_leave_no_gap_and_areas_are_their_unions() {
    let rows = &CITY.0.rows;
    let outline: HashSet<Edge> = edges(&rows.areas[0].geom).into_iter().collect();
    let mut seen: HashMap<Edge, usize> = HashMap::new();
    for edge in rows.cells.iter().flat_map(|c| edges(&c.geom)) {
        *seen.entry(edge).or_default() += 1;
    }
    assert!(seen.values().all(|n| *n == 1), "no directed edge twice, so no overlap");
    for [a, b] in seen.keys() {
        assert!(
            seen.contains_key(&[*b, *a]) || outline.contains(&[*a, *b]),
            "an inner edge has a cell on both sides"
        );
    }
    let area = |g: &MultiPolygon<f64>| g.geodesic_area_signed();
    let whole = area(&rows.areas[0].geom);
    let cells: f64 = rows.cells.iter().map(|c| area(&c.geom)).sum();
    assert!((cells / whole - 1.0).abs() < 1e-9, "{cells} of {whole}");
    assert!((38e6..42e6).contains(&whole), "{whole}");
    for level in [AreaLevel::Street, AreaLevel::Community] {
        let of_level = || rows.areas.iter().filter(move |a| a.level == level);
        let sum: f64 = of_level().map(|a| area(&a.geom)).sum();
        assert!((sum / whole - 1.0).abs() < 1e-9, "{level}: {sum} of {whole}");
        assert!(of_level().all(|a| a.geom.is_valid() && a.geom.0.len() == 1), "{level}");
    }
    let odd = rows
        .cells
        .iter()
        .filter(|c| !(7_000.0..13_000.0).contains(&area(&c.geom)))
        .count();
    assert!(odd * 200 < rows.cells.len(), "{odd} cells are far from a hectare");
}

#[test]
fn cells_are_numbered_like_a_page_within_their_community() {
    let rows = &CITY.0.rows;
    let mut by_community: HashMap<usize, Vec<(&str, Point<f64>)>> = HashMap::new();
    for cell in &rows.cells {
        use geo::Centroid;
        let center = cell.geom.centroid().unwrap();
        assert!(cell.code.starts_with(&rows.areas[cell.area].code) && cell.code.len() == 15);
        by_community.entry(cell.area).or_default().push((&cell.code, center));
    }
    let mut back = 0;
    for cells in by_community.values() {
        for (i, (code, _)) in cells.iter().enumerate() {
            assert_eq!(code[12..], format!("{:03}", i + 1));
        }
        // From one to the next it goes east, or down to the next band a hundred metres further south.
        back += cells
            .windows(2)
            .filter(|w| w[1].1.x() < w[0].1.x() && w[1].1.y() > w[0].1.y() + 0.0002)
            .count();
    }
    assert!(back * 100 < rows.cells.len(), "{back} go back");
}

#[test]
fn parks_measure_what_hexis_do() {
    let made = &CITY.0;
    let parks = made
        .rows
        .components
        .iter()
        .filter(|c| c.attributes.contains(r#""green_kind":"park""#));
    let sum: f64 = parks.map(|c| c.geom.geodesic_area_unsigned()).sum();
    assert!((sum / 8.66e6 - 1.0).abs() < 0.001, "{sum}");
    let people: i32 = made.rows.land.iter().filter_map(|l| l.population).sum();
    assert_eq!(people, 800_000);
}

#[test]
fn lamps_stand_about_thirty_metres_apart() {
    let made = &CITY.0;
    // The next lamp of the same row: consecutive in the stock, on the same street, on a pole of the same height.
    let height = |i: usize| made.rows.components[i].attributes.split("pole_height").nth(1);
    let lamps: Vec<_> = (0..made.notes.len())
        .filter(|i| made.notes[*i].kind == Kind::Lamp)
        .collect();
    let gaps: Vec<f64> = lamps
        .windows(2)
        .filter(|w| height(w[0]) == height(w[1]))
        .map(|w| (&made.notes[w[0]], &made.notes[w[1]]))
        .filter(|(a, b)| a.street == b.street)
        .map(|(a, b)| Euclidean.distance(Point(a.at), Point(b.at)))
        .filter(|d| *d < 45.0)
        .collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    assert!((26.0..34.0).contains(&mean), "{mean}");
    let close = gaps.iter().filter(|d| **d < 15.0).count();
    assert!(close * 100 < gaps.len(), "{close} of {}", gaps.len());
}

#[test]
fn every_row_is_one_that_the_register_takes() {
    let (made, _) = &*CITY;
    let mut codes = HashSet::new();
    for (i, c) in made.rows.components.iter().enumerate() {
        let code = ComponentCode::parse(Scheme::parse(c.scheme).unwrap(), &c.code).unwrap();
        assert!(codes.insert(code), "{} twice", c.code);
        let attributes: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&c.attributes).unwrap();
        assert!(attributes.values().all(|v| !v.is_object() && !v.is_array()));
        if !matches!(c.geom, Geometry::Point(_)) {
            assert!(c.geom.is_valid() && c.geom.coords_count() > 1, "{}", c.code);
        }
        if let Some(lot) = c.part_of {
            assert_eq!(made.notes[lot].kind, Kind::Lot);
            assert!(lot != i && !made.rows.components[lot].later);
        }
        assert!(
            [c.authority, c.owner, c.maintainer]
                .iter()
                .flatten()
                .all(|p| *p < made.rows.parties.len())
        );
    }
    // Its trigger finds a cell for every point, so every point has to lie in the district.
    let district = &made.rows.areas[0].geom;
    let outside = made.rows.components.iter().filter(|c| match c.geom {
        Geometry::Point(p) => !geo::Contains::contains(district, &p),
        _ => false,
    });
    assert_eq!(outside.count(), 0);
    let parties: HashSet<&str> = made.rows.parties.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(parties.len(), made.rows.parties.len());
    assert!(made.rows.land.iter().all(|l| l.geom.is_valid()));
}

fn fingerprint(made: &Made, deeds: &[Deed]) -> u64 {
    let mut h = std::hash::DefaultHasher::new();
    format!("{:?}", made.rows).hash(&mut h);
    format!("{deeds:?}").hash(&mut h);
    h.finish()
}

#[test]
fn the_same_seed_gives_the_same_city_and_another_seed_another() {
    let again = |seed| {
        let mut made = make(seed, 0, 1);
        let deeds = year::plan(seed, &mut made);
        (fingerprint(&made, &deeds), made)
    };
    let first = fingerprint(&CITY.0, &CITY.1);
    assert_eq!(first, again(1).0);
    let (other, made) = again(2);
    assert_ne!(first, other);
    let lamps = made.notes.iter().filter(|n| n.kind == Kind::Lamp).count();
    assert!(
        lamps > 41_200,
        "the stock and those struck off during the year: {lamps}"
    );
}

#[test]
fn neighbouring_districts_share_their_border_exactly() {
    let outline = |i: usize| -> HashSet<Edge> { edges(&make(1, i, 4).rows.areas[0].geom).into_iter().collect() };
    let (a, b, c) = (outline(0), outline(1), outline(2));
    let shared = |a: &HashSet<Edge>, b: &HashSet<Edge>| a.iter().filter(|[p, q]| b.contains(&[*q, *p])).count();
    let (width, height) = ((plane::WIDTH / 25.0) as usize, (plane::HEIGHT / 25.0) as usize);
    assert_eq!((shared(&a, &b), shared(&a, &c)), (height, width));
}
