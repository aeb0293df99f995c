//! What stands on plots: parks, car parks with their berths, toilets, stations, pavilions.

use geo::GeodesicArea;
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::kind::Kind;
use super::land::{Use, polygon};
use super::layout::Zone;
use super::plane::{P, clip, inside, left, middle, norm, ring_area, unit};
use super::stock::{Near, Stock, point, rectangle};
use crate::domain::word::RoadClass;

/// Berths in car parks; the other berths stand at the kerb.
pub(super) const LOT_BERTHS: usize = 9_000;
/// All berths.
pub(super) const BERTHS: usize = 15_000;
const LOTS: usize = 122;

impl Stock<'_> {
    /// Everything on plots. Gives back how many berths the car parks have.
    pub(super) fn on_plots(&mut self) -> usize {
        self.greens();
        let berths = self.lots();
        self.toilets();
        self.waste();
        self.amenities();
        berths
    }

    fn greens(&mut self) {
        for i in 0..self.plots.len() {
            let Some(area) = self.plots[i].park else {
                continue;
            };
            self.taken[i] = true;
            let belt = self.layout.blocks[i].zone == Zone::Belt;
            let name = if belt {
                "滨河带状公园".to_owned()
            } else {
                self.names.fresh(match area {
                    a if a > 60_000.0 => "公园",
                    a if a > 20_000.0 => "园",
                    _ => "游园",
                })
            };
            let (at, shape) = (self.plots[i].center, polygon(&self.plots[i].xy));
            let attributes = format!(r#"{{"green_kind":"park","area":{area:.0}}}"#);
            let item = self.push(Kind::Green, at, shape.into(), usize::MAX - i, attributes);
            item.name = Some(name);
        }
        self.small_greens();
    }

    /// Greens that are no parks: lawns of estates, squares before shops, belts between works and road.
    fn small_greens(&mut self) {
        let mut left_over = [
            (Use::Residential, "attached", 240),
            (Use::Commercial, "square", 14),
            (Use::Industrial, "protective", 45),
        ];
        let mut order: Vec<usize> = (0..self.plots.len()).collect();
        order.shuffle(&mut self.rng);
        for i in order {
            let plot = &self.plots[i];
            let Some(kind) = left_over.iter_mut().find(|k| k.0 == plot.using && k.2 > 0) else {
                continue;
            };
            if self.taken[i] || plot.uv.len() < 3 {
                continue;
            }
            let ring = match kind.0 {
                Use::Industrial => {
                    let (a, b) = longest(&plot.uv);
                    let dir = unit(b - a);
                    clip(&plot.uv, a + left(dir) * 14.0, dir * -1.0)
                }
                using => {
                    let factor = if using == Use::Commercial { 0.55 } else { 0.3 };
                    let corner = plot.uv[0] + (middle(&plot.uv) - plot.uv[0]) * 0.25;
                    plot.uv.iter().map(|p| corner + (*p - corner) * factor).collect()
                }
            };
            let ground: Vec<P> = ring.iter().map(|p| self.layout.mesh.warp().apply(*p)).collect();
            if ring_area(&ground) < 300.0 {
                continue;
            }
            kind.2 -= 1;
            let key = kind.1;
            let shape = polygon(&ground);
            let area = shape.geodesic_area_unsigned();
            let attributes = format!(r#"{{"green_kind":"{key}","area":{area:.0}}}"#);
            self.taken[i] |= key == "square";
            self.push(Kind::Green, middle(&ground), shape.into(), usize::MAX - i, attributes);
        }
    }

    /// Rows of berths with aisles between, in a rectangle along the plot's longest side.
    fn lots(&mut self) -> usize {
        let mut order: Vec<usize> = (0..self.plots.len())
            .filter(|i| {
                matches!(self.plots[*i].using, Use::Commercial | Use::Public | Use::Residential) && !self.taken[*i]
            })
            .collect();
        order.shuffle(&mut self.rng);
        order.sort_by_key(|i| {
            let often = match self.plots[*i].using {
                Use::Commercial => 3,
                Use::Public => 3,
                _ => 14,
            };
            i % often != 0
        });
        let (mut sum, mut lots, mut near) = (0, 0, Near::new(170.0));
        for i in order {
            if lots == LOTS || sum >= LOT_BERTHS {
                break;
            }
            let want = ((LOT_BERTHS - sum) / (LOTS - lots)).clamp(20, 220);
            let n = (want as f64 * self.rng.random_range(0.5..1.5)) as usize;
            if near.take(self.plots[i].center)
                && let Some(n) = self.lot(i, n)
            {
                sum += n;
                lots += 1;
            }
        }
        sum
    }

    fn lot(&mut self, i: usize, want: usize) -> Option<usize> {
        let ring = &self.plots[i].xy;
        if ring.len() < 3 {
            return None;
        }
        let (a, b) = longest(ring);
        let (dir, up) = (unit(b - a), left(unit(b - a)));
        let mut columns = want / 4;
        let (at, columns) = loop {
            if columns < 5 {
                return None;
            }
            let half = P {
                x: columns as f64 * 1.25 + 3.5,
                y: 17.6,
            };
            let at = (a + b) / 2.0 + up * (half.y + 2.0);
            let corners = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)];
            if corners
                .iter()
                .all(|(s, t)| inside(ring, at + dir * (half.x * s) + up * (half.y * t)))
            {
                break (at, columns);
            }
            columns = columns * 4 / 5;
        };
        let attached = self.plots[i].using != Use::Public && !self.rng.random_bool(0.45);
        let kind = if attached { "attached" } else { "public" };
        let n = columns * 4;
        let half = columns as f64 * 1.25 + 3.5;
        self.taken[i] = true;
        let name = self.names.fresh("停车场");
        let lot = self.items.len();
        let cluster = usize::MAX - i;
        let shape = rectangle(at, dir * half, up * 17.6);
        let item = self.push(
            Kind::Lot,
            at,
            shape.into(),
            cluster,
            format!(r#"{{"lot_kind":"{kind}","berths":{n}}}"#),
        );
        item.name = Some(name);
        let chargers = if self.rng.random_bool(0.45) { n / 8 } else { 0 };
        for row in 0..4 {
            let y = [-14.2, -2.7, 2.7, 14.2][row];
            for column in 0..columns {
                let x = (column as f64 - (columns as f64 - 1.0) / 2.0) * 2.5;
                let charged = row == 3 && column < chargers;
                let p = at + dir * x + up * y;
                let attributes = format!(r#"{{"berth_kind":"{kind}","charger":{charged}}}"#);
                self.push(Kind::Berth, p, point(p), cluster, attributes).part_of = Some(lot);
                if charged {
                    let fast = self.rng.random_bool(0.4);
                    let power = if fast { 60 } else { 7 };
                    let p = p + up * 2.9;
                    let attributes = format!(r#"{{"fast":{fast},"power":{power}}}"#);
                    self.push(Kind::Charger, p, point(p), cluster, attributes).part_of = Some(lot);
                }
            }
        }
        Some(n)
    }

    /// Spread out, but not so evenly that no blind spot is left.
    fn toilets(&mut self) {
        let sides = self.sides(2.5, |l, block| match block.map(|b| self.plots[b].using) {
            _ if l.class == RoadClass::Arterial || l.bridge => 0.0,
            Some(Use::Commercial) => 2.2 * l.length(),
            Some(Use::Green) => 1.6 * l.length(),
            Some(Use::Water | Use::Industrial) | None => 0.0,
            _ => l.length(),
        });
        for spot in self.scattered(&sides, 106, 330.0) {
            let (stalls, grade) = match self.rng.random_range(0..10) {
                0..2 => (self.rng.random_range(16..28), "one"),
                2..7 => (self.rng.random_range(9..18), "two"),
                _ => (self.rng.random_range(4..10), "three"),
            };
            let name = self.names.fresh("公厕");
            let item = self.push_at(
                Kind::Toilet,
                spot,
                format!(r#"{{"stalls":{stalls},"grade":"{grade}"}}"#),
            );
            item.name = Some(name);
        }
    }

    fn waste(&mut self) {
        let sides = self.sides(8.0, |l, block| match block.map(|b| self.plots[b].using) {
            Some(Use::Industrial | Use::Other) if l.class == RoadClass::Local => 3.0 * l.length(),
            Some(Use::Residential) if l.class == RoadClass::Local => 0.3 * l.length(),
            _ => 0.0,
        });
        for spot in self.scattered(&sides, 16, 1_050.0) {
            let name = self.names.fresh("转运站");
            self.push_at(Kind::Transfer, spot, "{}".to_owned()).name = Some(name);
        }
        let mut estates: Vec<usize> = (0..self.plots.len())
            .filter(|i| self.plots[*i].population > 150 && !self.taken[*i] && self.plots[*i].xy.len() > 2)
            .collect();
        estates.shuffle(&mut self.rng);
        let (spread, rest): (Vec<usize>, Vec<usize>) = {
            let mut near = Near::new(240.0);
            estates.into_iter().partition(|i| near.take(self.plots[*i].center))
        };
        for i in spread.into_iter().chain(rest).take(161) {
            let ring = &self.plots[i].xy;
            let (a, b) = longest(ring);
            let p = (a + b) / 2.0 + left(unit(b - a)) * 5.0;
            self.push(Kind::Pavilion, p, point(p), usize::MAX - i, "{}".to_owned());
        }
    }

    /// Sculptures and exercise places in parks, notice boards in estates.
    fn amenities(&mut self) {
        let of = |using: Use| -> Vec<usize> {
            (0..self.plots.len())
                .filter(|i| self.plots[*i].using == using && self.plots[*i].uv.len() > 2)
                .collect()
        };
        let (parks, estates) = (of(Use::Green), of(Use::Residential));
        for (kind, n, from) in [
            (Kind::Sculpture, 46, &parks),
            (Kind::Fitness, 165, &parks),
            (Kind::Notice, 310, &estates),
        ] {
            for _ in 0..n {
                let Some(&i) = from.choose(&mut self.rng) else {
                    return;
                };
                let uv = &self.plots[i].uv;
                let c = middle(uv);
                let Some(&corner) = uv.choose(&mut self.rng) else {
                    return;
                };
                let p = self
                    .layout
                    .mesh
                    .warp()
                    .apply(c + (corner - c) * self.rng.random_range(0.1..0.85));
                self.push(kind, p, point(p), usize::MAX - i, "{}".to_owned());
            }
        }
    }
}

/// The longest side of a ring.
fn longest(ring: &[P]) -> (P, P) {
    (0..ring.len())
        .map(|i| (ring[i], ring[(i + 1) % ring.len()]))
        .max_by(|a, b| norm(a.1 - a.0).total_cmp(&norm(b.1 - b.0)))
        .unwrap_or_default()
}
