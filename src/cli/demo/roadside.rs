//! What stands along streets in rows: lamps, trees, manholes, berths, signs, seats, bins.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::kind::Kind;
use super::land::Use;
use super::stock::{Side, Spot, Stock};
use super::street::{Link, half_width};
use crate::domain::word::RoadClass;

const SPECIES: &[&str] = &["国槐", "白蜡", "悬铃木", "毛白杨", "栾树", "银杏", "臭椿", "刺槐"];

/// Whether it is a main street.
pub(super) fn busy(link: &Link) -> bool {
    matches!(link.class, RoadClass::Arterial | RoadClass::Secondary)
}

impl Stock<'_> {
    /// What a block is used for.
    pub(super) fn using(&self, block: Option<usize>) -> Option<Use> {
        block.and_then(|b| self.plots.get(b)).map(|p| p.using)
    }

    /// Everything along streets; `berths` is how many are to stand at the kerb.
    pub(super) fn along_streets(&mut self, berths: usize) {
        self.lamps();
        self.manholes();
        self.trees();
        self.kerb_berths(berths);
        self.shop_signs();
        self.seats();
        self.advertising();
        self.small_things();
        self.junctions();
        self.lines_and_areas();
    }

    /// Two rows on both sides of main streets (carriageway and footway), both sides of streets, one side of lanes.
    fn lamps(&mut self) {
        let mut rows: Vec<Side> = Vec::new();
        for (i, link) in self.net.links.iter().enumerate() {
            let (offsets, spacing): (&[f64], f64) = match link.class {
                RoadClass::Arterial => (&[13.5, 20.0, -13.5, -20.0], 33.0),
                RoadClass::Secondary => (&[9.8, 13.8, -9.8, -13.8], 31.0),
                RoadClass::Local => (&[8.5, -8.5], 29.0),
                RoadClass::Lane if i % 2 == 0 => (&[3.2], 27.0),
                RoadClass::Lane => (&[-3.2], 27.0),
            };
            for &side in offsets {
                if link.blocks[usize::from(side < 0.0)].is_some() && link.length() > 6.0 {
                    rows.push(Side {
                        link: i,
                        side,
                        weight: link.length() / spacing,
                    });
                }
            }
        }
        for (n, spot) in self.spaced(&rows, 41_200, 0.5).into_iter().enumerate() {
            // One in 47 is out: 97.9 % are lit, and 98 % are asked for.
            let lit = n % 47 != 13;
            let (watts, height) = match self.link(spot).class {
                RoadClass::Arterial if spot.side.abs() < 15.0 => (250, "12"),
                RoadClass::Arterial => (100, "6"),
                RoadClass::Secondary if spot.side.abs() < 10.0 => (150, "10"),
                RoadClass::Secondary => (80, "5"),
                RoadClass::Local => (100, "8"),
                RoadClass::Lane => (60, "5"),
            };
            let light = match self.rng.random_range(0..100) {
                0..71 => "led",
                71..94 => "sodium",
                _ => "metal_halide",
            };
            let watts = if light == "led" { watts } else { watts * 8 / 5 };
            self.push_at(
                Kind::Lamp,
                spot,
                format!(r#"{{"wattage":{watts},"light_source":"{light}","pole_height":{height},"lit":{lit}}}"#),
            );
        }
    }

    fn manholes(&mut self) {
        for (kind, total, share, phase) in [(Kind::Sewage, 10_833, 0.28, 0.35), (Kind::Storm, 12_000, -0.42, 0.7)] {
            let rows: Vec<Side> = (0..self.net.links.len())
                .filter(|i| !self.net.links[*i].bridge)
                .map(|i| {
                    let link = &self.net.links[i];
                    let outside = link.blocks[usize::from(share < 0.0)].is_none();
                    let side = share * half_width(link.class) * if outside { -1.0 } else { 1.0 };
                    let weight = link.length() * if busy(link) { 1.6 } else { 1.0 };
                    Side { link: i, side, weight }
                })
                .collect();
            for spot in self.spaced(&rows, total, phase) {
                let cover = match self.rng.random_range(0..100) {
                    0..62 => "cast_iron",
                    62..88 => "composite",
                    _ => "concrete",
                };
                let depth = self.rng.random_range(12..48);
                let (m, dm) = (depth / 10, depth % 10);
                self.push_at(
                    kind,
                    spot,
                    format!(r#"{{"cover_material":"{cover}","depth":{m}.{dm}}}"#),
                );
            }
        }
    }

    /// Whole streets are planted with one species, willows along the river.
    fn trees(&mut self) {
        const TREES: usize = 35_000;
        const SPACING: f64 = 6.5;
        let mut streets: Vec<usize> = (0..self.layout.streets.len()).collect();
        streets.shuffle(&mut self.rng);
        let mut species: Vec<Option<&str>> = vec![None; streets.len()];
        for &s in &streets {
            let chance = match self.layout.streets[s].class {
                RoadClass::Arterial => 0.62,
                RoadClass::Secondary => 0.60,
                RoadClass::Local => 0.42,
                RoadClass::Lane => 0.03,
            };
            if self.layout.streets[s].bank {
                species[s] = Some("垂柳");
            } else if self.rng.random_bool(chance) {
                species[s] = SPECIES.choose(&mut self.rng).copied();
            }
        }
        let mut sides = self.sides(-2.2, |l, _| if l.bridge { 0.0 } else { l.length() });
        sides.retain(|s| species[self.net.links[s.link].street].is_some());
        // Every row is whole or absent, so that rows keep their spacing whatever the length of the network.
        sides.shuffle(&mut self.rng);
        let mut length = 0.0;
        sides.retain(|s| {
            let wanted = length < TREES as f64 * SPACING;
            length += s.weight;
            wanted
        });
        sides.sort_by_key(|s| s.link);
        for spot in self.spaced(&sides, TREES, 0.25) {
            let street = self.link(spot).street;
            let name = species[street].unwrap_or(SPECIES[0]);
            let girth = 9 + (street * 7) % 26 + self.rng.random_range(0..7);
            let height = 3 + girth / 4;
            self.push_at(
                Kind::Tree,
                spot,
                format!(r#"{{"species":"{name}","diameter":{girth},"height":{height}}}"#),
            );
        }
    }

    /// Berths parallel to the kerb, 6.5 m each, in runs along some of the smaller streets.
    fn kerb_berths(&mut self, total: usize) {
        const LENGTH: f64 = 6.5;
        let mut sides = self.sides(-3.4, |l, block| match (l.class, self.using(block)) {
            (_, Some(Use::Water | Use::Green)) | (RoadClass::Arterial | RoadClass::Lane, _) => 0.0,
            _ if l.length() < 30.0 => 0.0,
            (RoadClass::Secondary, _) => 0.4,
            _ => 1.0,
        });
        sides.shuffle(&mut self.rng);
        let mut left = total;
        for side in sides {
            let room = ((self.net.links[side.link].length() - 6.0) / LENGTH) as usize;
            let n = room.min(left);
            let start = self.net.links[side.link].from + 3.0;
            for i in 0..n {
                let spot = Spot {
                    link: side.link,
                    s: start + (i as f64 + 0.5) * LENGTH,
                    side: side.side,
                };
                self.push_at(
                    Kind::Berth,
                    spot,
                    r#"{"berth_kind":"on_road","charger":false}"#.to_owned(),
                );
            }
            left -= n;
            if left == 0 {
                return;
            }
        }
    }

    /// Ground-floor shops on 31 streets, densest where the plot is commercial.
    fn shop_signs(&mut self) {
        let frontage = |l: &Link, u: Option<Use>| match u {
            _ if l.class == RoadClass::Lane || l.bridge => 0.0,
            Some(Use::Commercial) => l.length(),
            Some(Use::Residential) => l.length() * 0.25,
            _ => 0.0,
        };
        let all = self.sides(3.0, |l, b| frontage(l, self.using(b)));
        let streets = self.best_streets(&all, 31);
        let sides: Vec<Side> = all
            .into_iter()
            .filter(|s| streets.contains(&self.net.links[s.link].street))
            .collect();
        for spot in self.spaced(&sides, 3_268, 0.5) {
            let name = self.names.shop();
            let filed = if self.rng.random_bool(0.83) { "filed" } else { "unfiled" };
            // 3,268 signs of 17,400 m² in all: 5.3 m² each.
            let area = self.rng.random_range(18..90);
            let (m, dm) = (area / 10, area % 10);
            let item = self.push_at(
                Kind::ShopSign,
                spot,
                format!(r#"{{"filing":"{filed}","area":{m}.{dm}}}"#),
            );
            item.name = Some(name);
        }
    }

    /// The streets with the largest sum of weights.
    pub(super) fn best_streets(&self, sides: &[Side], n: usize) -> Vec<usize> {
        let mut sum = vec![0.0; self.layout.streets.len()];
        for s in sides {
            sum[self.net.links[s.link].street] += s.weight;
        }
        let mut order: Vec<usize> = (0..sum.len()).collect();
        order.sort_by(|a, b| sum[*b].total_cmp(&sum[*a]).then(a.cmp(b)));
        order.truncate(n);
        order
    }
}
