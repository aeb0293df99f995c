//! The district's stock under construction: things with a kind and a place, before codes and parties.

use geo::{Geometry, LineString, Point, Polygon};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::kind::Kind;
use super::land::Plot;
use super::layout::Layout;
use super::name::Names;
use super::plane::{P, lon_lat, within};
use super::street::{Link, Network, apportion};

/// A thing with a place.
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) geom: Geometry<f64>,
    /// Where it stands on the ground plane (a line's or an area's middle).
    pub(super) at: P,
    pub(super) street: Option<usize>,
    /// House number on that street.
    pub(super) number: usize,
    pub(super) name: Option<String>,
    pub(super) attributes: String,
    pub(super) part_of: Option<usize>,
    /// What is settled together: the street's or the plot's number.
    pub(super) cluster: usize,
}

/// One side of a link where things may stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    pub(super) link: usize,
    /// Metres from the centre line, positive to the left.
    pub(super) side: f64,
    /// How attractive it is; for even spacing its length.
    pub(super) weight: f64,
}

/// A thing's place along a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) link: usize,
    pub(super) s: f64,
    pub(super) side: f64,
}

/// What the stock is made from, and what there is already.
pub(super) struct Stock<'a> {
    pub(super) layout: &'a Layout,
    pub(super) net: &'a Network,
    pub(super) plots: &'a [Plot],
    pub(super) street_names: &'a [String],
    pub(super) rng: ChaCha8Rng,
    pub(super) names: Names,
    pub(super) items: Vec<Item>,
    /// The district's border on the ground.
    pub(super) border: Vec<P>,
    /// Plots that something large stands on.
    pub(super) taken: Vec<bool>,
}

/// A point in degrees.
pub(super) fn point(p: P) -> Geometry<f64> {
    Geometry::Point(Point(lon_lat(p)))
}

/// A rectangle: `across` and `along` are its half axes.
pub(super) fn rectangle(at: P, along: P, across: P) -> Polygon<f64> {
    let corners = [
        at - along - across,
        at + along - across,
        at + along + across,
        at - along + across,
    ];
    let mut ring: Vec<P> = corners.map(lon_lat).to_vec();
    ring.push(ring[0]);
    Polygon::new(LineString(ring), vec![])
}

impl Stock<'_> {
    /// The link of a spot.
    pub(super) fn link(&self, spot: Spot) -> &Link {
        &self.net.links[spot.link]
    }

    /// Whether a position lies in the district.
    pub(super) fn inside(&self, p: P) -> bool {
        within(&self.border, p)
    }

    /// Where a spot is on the ground.
    pub(super) fn ground(&self, spot: Spot) -> P {
        self.link(spot).beside(spot.s, spot.side)
    }

    /// Adds a thing that stands on its own.
    pub(super) fn push(
        &mut self,
        kind: Kind,
        at: P,
        geom: Geometry<f64>,
        cluster: usize,
        attributes: String,
    ) -> &mut Item {
        let n = self.items.len();
        self.items.push(Item {
            kind,
            geom,
            at,
            street: None,
            number: 0,
            name: None,
            attributes,
            part_of: None,
            cluster,
        });
        &mut self.items[n]
    }

    /// Adds a thing at a street; it gets the street's address.
    pub(super) fn push_at(&mut self, kind: Kind, mut spot: Spot, attributes: String) -> &mut Item {
        let link = self.link(spot);
        // Where a street runs into the border at a sharp angle, a spot beside it might lie across.
        while spot.side.abs() > 0.5 && !self.inside(link.beside(spot.s, spot.side)) {
            spot.side /= 2.0;
        }
        let link = self.link(spot);
        let at = link.beside(spot.s, spot.side);
        let (street, along) = (link.street, link.offset + spot.s);
        // Odd numbers on the left, even ones on the right, one for every ten metres.
        let number = 2 * (along / 10.0) as usize + if spot.side >= 0.0 { 1 } else { 2 };
        let item = self.push(kind, at, point(at), street, attributes);
        item.street = Some(street);
        item.number = number;
        item
    }

    /// Both sides of every link that `weight` wants, `from_edge` metres from the building line (negative: in the street).
    pub(super) fn sides(&self, from_edge: f64, weight: impl Fn(&Link, Option<usize>) -> f64) -> Vec<Side> {
        let mut out = Vec::new();
        for (i, link) in self.net.links.iter().enumerate() {
            for (k, sign) in [1.0, -1.0].into_iter().enumerate() {
                let block = link.blocks[k];
                let weight = weight(link, block);
                if block.is_some() && weight > 0.0 && link.length() > 0.0 {
                    let side = sign * (super::street::half_width(link.class) + from_edge);
                    out.push(Side { link: i, side, weight });
                }
            }
        }
        out
    }

    /// Exactly `total` spots on the sides in proportion to their weight, evenly spaced on each.
    pub(super) fn spaced(&self, sides: &[Side], total: usize, phase: f64) -> Vec<Spot> {
        let weights: Vec<f64> = sides.iter().map(|s| s.weight).collect();
        let mut out = Vec::with_capacity(total);
        for (side, n) in sides.iter().zip(apportion(&weights, total)) {
            let link = &self.net.links[side.link];
            for i in 0..n {
                let t = (i as f64 + phase) / n as f64;
                out.push(Spot {
                    link: side.link,
                    s: link.from + link.length() * t,
                    side: side.side,
                });
            }
        }
        out
    }

    /// `total` spots at random on the sides, in proportion to their weight, at least `apart` metres from each other as long as
    /// there is room.
    pub(super) fn scattered(&mut self, sides: &[Side], total: usize, apart: f64) -> Vec<Spot> {
        let weights: Vec<f64> = sides.iter().map(|s| s.weight).collect();
        let mut candidates = Vec::new();
        for (side, n) in sides.iter().zip(apportion(&weights, total * 12)) {
            let link = &self.net.links[side.link];
            for _ in 0..n {
                let s = link.from + link.length() * self.rng.random::<f64>();
                candidates.push(Spot {
                    link: side.link,
                    s,
                    side: side.side,
                });
            }
        }
        candidates.shuffle(&mut self.rng);
        let mut grid = Near::new(apart.max(1.0));
        let mut out = Vec::with_capacity(total);
        let mut rest = Vec::new();
        for spot in candidates {
            let p = self.ground(spot);
            if out.len() < total && grid.take(p) {
                out.push(spot);
            } else {
                rest.push(spot);
            }
        }
        let missing = total - out.len();
        out.extend(rest.into_iter().take(missing));
        out
    }
}

/// Keeps positions apart.
pub(super) struct Near {
    apart: f64,
    cells: hashbrown::HashMap<(i64, i64), Vec<P>>,
}

impl Near {
    /// Positions at least `apart` metres from each other.
    pub(super) fn new(apart: f64) -> Near {
        Near {
            apart,
            cells: hashbrown::HashMap::new(),
        }
    }

    /// Takes a position unless one is too near.
    pub(super) fn take(&mut self, p: P) -> bool {
        let (i, j) = ((p.x / self.apart).floor() as i64, (p.y / self.apart).floor() as i64);
        for di in -1..=1 {
            for dj in -1..=1 {
                let close = self.cells.get(&(i + di, j + dj));
                if close.is_some_and(|c| c.iter().any(|q| super::plane::norm(*q - p) < self.apart)) {
                    return false;
                }
            }
        }
        self.cells.entry((i, j)).or_default().push(p);
        true
    }
}
