//! Coverage: exact against PostGIS, right after every edit, typed answers to what cannot be answered.

mod entrances;
mod oracle;
mod processes;
mod real;
mod service;

use geo::{Geometry, LineString, Point, Polygon};
use lamppost::spatial::cover::{Blind, Ground, Plot, Solver};
use lamppost::spatial::local::Local;
use lamppost::spatial::overlay::{Overlay, Ring, twice_all};
use lamppost::spatial::position::LonLat;
use lamppost::spatial::site::{Site, Sites};

/// Land and facilities in degrees, and what the solver made of them.
pub struct Case {
    pub local: Local,
    pub ground: Ground,
    pub sites: Sites,
    pub blind: Vec<Blind>,
}

/// The rings of a polygon.
pub fn rings(local: &Local, polygon: &Polygon<f64>) -> Vec<Ring> {
    let lines = std::iter::once(polygon.exterior()).chain(polygon.interiors());
    lines.map(|l| local.ring(l).unwrap()).collect()
}

pub fn solve(middle: (f64, f64), land: &[(Polygon<f64>, Option<f64>)], sites: &[Geometry<f64>], metres: f64) -> Case {
    let local = Local::about(LonLat::new(middle.0, middle.1).unwrap()).unwrap();
    let plots: Vec<Plot> = land
        .iter()
        .map(|(p, people)| Plot {
            rings: rings(&local, p),
            people: *people,
        })
        .collect();
    let ground = Ground::new(local, &plots);
    let mut overlay = Overlay::default();
    let made = sites.iter().enumerate().filter_map(|(i, g)| {
        let rings: Vec<Ring> = match g {
            Geometry::Point(p) => vec![vec![local.to(p.x(), p.y()).unwrap()]],
            Geometry::Polygon(p) => overlay.clean(&rings(&local, p)),
            Geometry::MultiPolygon(m) => overlay.clean(&m.0.iter().flat_map(|p| rings(&local, p)).collect::<Vec<_>>()),
            _ => panic!("neither a point nor polygons"),
        };
        let any = *rings.first()?.first()?;
        Some(std::sync::Arc::new(Site::new(
            i as u64,
            rings,
            0.0,
            local.steps(metres, any),
        )?))
    });
    let sites: Sites = made.collect();
    let blind = Solver::default()
        .each(&ground, ground.pieces.iter(), &sites, &|_| false)
        .unwrap();
    Case {
        local,
        ground,
        sites,
        blind,
    }
}

impl Case {
    /// Square metres that nothing reaches.
    pub fn blind(&self) -> f64 {
        self.ground.pieces.iter().zip(&self.blind).map(|(p, b)| b.area(p)).sum()
    }

    /// What is covered, worked out for itself: of each piece what is not blind.
    pub fn covered(&self) -> f64 {
        let mut overlay = Overlay::default();
        let of = |(p, b): (&lamppost::spatial::cover::Piece, &Blind)| {
            let shape = overlay.difference(&p.rings, b.rings(p));
            self.local.ground(twice_all(&shape), p.middle())
        };
        self.ground.pieces.iter().zip(&self.blind).map(of).sum()
    }

    /// The blind spots in degrees.
    pub fn spots(&self) -> Vec<Geometry<f64>> {
        let rings = self.ground.pieces.iter().zip(&self.blind).flat_map(|(p, b)| b.rings(p));
        let polygons = Overlay::default().polygons(rings);
        let shapes = polygons.iter().map(|rings| self.local.degrees(rings).unwrap());
        // What is thinner than a millimetre may be gone among degrees.
        shapes.filter(|s| !s.0.is_empty()).map(Geometry::from).collect()
    }
}

/// The text that PostGIS reads.
pub fn wkt(g: &Geometry<f64>) -> String {
    let ring = |l: &LineString<f64>| {
        let points: Vec<String> = l.0.iter().map(|c| format!("{:.9} {:.9}", c.x, c.y)).collect();
        format!("({})", points.join(","))
    };
    let polygon = |p: &Polygon<f64>| {
        let rings: Vec<String> = std::iter::once(p.exterior()).chain(p.interiors()).map(ring).collect();
        format!("({})", rings.join(","))
    };
    match g {
        Geometry::Point(Point(c)) => format!("POINT({:.9} {:.9})", c.x, c.y),
        Geometry::Polygon(p) => format!("POLYGON{}", polygon(p)),
        Geometry::MultiPolygon(m) => format!(
            "MULTIPOLYGON({})",
            m.0.iter().map(polygon).collect::<Vec<_>>().join(",")
        ),
        _ => panic!("neither a point nor polygons"),
    }
}
