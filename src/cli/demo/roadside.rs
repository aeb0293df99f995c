//! What stands along streets in rows: lamps, trees, manholes, berths, signs, seats, bins.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::kind::Kind;
use super::land::Use;
use super::plane::{P, left, unit};
use super::stock::{Side, Spot, Stock, point, rectangle};
use super::street::{Link, half_width};
use crate::domain::word::RoadClass;

const SPECIES: &[&str] = &[
    "国槐",
    "白蜡",
    "悬铃木",
    "毛白杨",
    "栾树",
    "银杏",
    "臭椿",
    "刺槐",
];

fn busy(link: &Link) -> bool {
    matches!(link.class, RoadClass::Arterial | RoadClass::Secondary)
}

impl Stock<'_> {
    fn using(&self, block: Option<usize>) -> Option<Use> {
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
        for spot in self.spaced(&rows, 41_200, 0.5) {
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
                format!(r#"{{"wattage":{watts},"light_source":"{light}","pole_height":{height}}}"#),
            );
        }
    }

    fn manholes(&mut self) {
        for (kind, total, share, phase) in [
            (Kind::Sewage, 10_833, 0.28, 0.35),
            (Kind::Storm, 12_000, -0.42, 0.7),
        ] {
            let rows: Vec<Side> = (0..self.net.links.len())
                .filter(|i| !self.net.links[*i].bridge)
                .map(|i| {
                    let link = &self.net.links[i];
                    let outside = link.blocks[usize::from(share < 0.0)].is_none();
                    let side = share * half_width(link.class) * if outside { -1.0 } else { 1.0 };
                    let weight = link.length() * if busy(link) { 1.6 } else { 1.0 };
                    Side {
                        link: i,
                        side,
                        weight,
                    }
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
            self.push_at(
                Kind::Tree,
                spot,
                format!(r#"{{"species":"{name}","diameter":{girth}}}"#),
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
            let filed = if self.rng.random_bool(0.83) {
                "filed"
            } else {
                "unfiled"
            };
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

    fn best_streets(&self, sides: &[Side], n: usize) -> Vec<usize> {
        let mut sum = vec![0.0; self.layout.streets.len()];
        for s in sides {
            sum[self.net.links[s.link].street] += s.weight;
        }
        let mut order: Vec<usize> = (0..sum.len()).collect();
        order.sort_by(|a, b| sum[*b].total_cmp(&sum[*a]).then(a.cmp(b)));
        order.truncate(n);
        order
    }

    fn seats(&mut self) {
        let all = self.sides(-3.6, |l, block| match self.using(block) {
            _ if l.bridge || !busy(l) => 0.0,
            Some(Use::Green) => l.length() * 2.5,
            Some(Use::Commercial) => l.length() * 2.0,
            _ => l.length(),
        });
        let streets = self.best_streets(&all, 33);
        let sides: Vec<Side> = all
            .into_iter()
            .filter(|s| streets.contains(&self.net.links[s.link].street))
            .collect();
        for spot in self.spaced(&sides, 780, 0.6) {
            let material = ["防腐木", "石材", "铸铁"][self.rng.random_range(0..3)];
            self.push_at(Kind::Seat, spot, format!(r#"{{"material":"{material}"}}"#));
        }
    }

    fn advertising(&mut self) {
        let wanted = [
            (Kind::Billboard, 420, -3.0, 60.0),
            (Kind::WallSign, 310, 2.0, 35.0),
            (Kind::RoofSign, 140, 11.0, 70.0),
        ];
        for (kind, total, edge, apart) in wanted {
            let sides = self.sides(edge, |l, block| match self.using(block) {
                _ if !busy(l) || l.bridge => 0.0,
                Some(Use::Commercial) => l.length() * 5.0,
                Some(Use::Public | Use::Industrial | Use::Residential) => l.length(),
                _ => 0.0,
            });
            for spot in self.scattered(&sides, total, apart) {
                let approval = if self.rng.random_bool(0.78) {
                    "approved"
                } else {
                    "unapproved"
                };
                self.push_at(kind, spot, format!(r#"{{"approval":"{approval}"}}"#));
            }
        }
    }

    fn small_things(&mut self) {
        let wanted = [
            (Kind::Bin, 2_640, -2.8, 45.0, true),
            (Kind::Hydrant, 1_150, -1.6, 90.0, false),
            (Kind::BusShelter, 330, -4.2, 220.0, true),
            (Kind::CrossBox, 430, -1.2, 90.0, false),
            (Kind::TrafficSign, 2_900, -2.4, 25.0, true),
        ];
        for (kind, total, edge, apart, main) in wanted {
            let sides = self.sides(edge, |l, _| match l.class {
                _ if l.bridge => 0.0,
                RoadClass::Lane => 0.0,
                RoadClass::Local if main => 0.4 * l.length(),
                _ => l.length(),
            });
            for spot in self.scattered(&sides, total, apart) {
                self.push_at(kind, spot, "{}".to_owned());
            }
        }
    }

    /// Signals and cameras where main streets cross, name plates at every corner of streets that are more than lanes.
    fn junctions(&mut self) {
        for j in 0..self.net.junctions.len() {
            let junction = &self.net.junctions[j];
            let (at, arms) = (junction.at, junction.arms.clone());
            let main = arms.iter().filter(|a| a.1 <= RoadClass::Secondary).count();
            let streets = arms.iter().filter(|a| a.1 <= RoadClass::Local).count();
            let widest = arms.iter().map(|a| half_width(a.1)).fold(0.0, f64::max);
            for (k, &(dir, class, street)) in arms.iter().enumerate() {
                let aside = left(dir) * (half_width(class) - 2.0);
                let corners: [P; 2] = [
                    at + dir * (widest + 1.0) - aside,
                    at + dir * (widest + 1.0) + aside,
                ];
                // On the district's border only one of the two corners is its own.
                let Some(corner) = corners
                    .into_iter()
                    .find(|p| self.inside(*p + (*p - at) * 0.2))
                else {
                    continue;
                };
                let mut put = |kind: Kind, p: P| {
                    let item = self.push(kind, p, point(p), street, "{}".to_owned());
                    item.street = Some(street);
                };
                if main >= 3 && class <= RoadClass::Secondary {
                    put(Kind::Signal, corner);
                    if k == 0 {
                        put(Kind::Camera, corner - unit(corner - at) * 2.5);
                    }
                }
                if streets >= 3 && class <= RoadClass::Local && k < 2 {
                    put(Kind::Plate, corner - unit(corner - at) * 1.2);
                }
            }
        }
    }

    fn lines_and_areas(&mut self) {
        let rails = self.sides(-10.5, |l, _| match l.class {
            RoadClass::Arterial if !l.bridge && l.length() > 60.0 => l.length(),
            _ => 0.0,
        });
        for spot in self.scattered(&rails, 220, 80.0) {
            let link = self.link(spot);
            let line = link.stretch(link.from + 4.0, link.to - 4.0, spot.side);
            let line = line.into_iter().map(super::plane::lon_lat).collect();
            self.push_at(Kind::Guardrail, spot, "{}".to_owned()).geom =
                geo::Geometry::LineString(line);
        }
        let fences = self.sides(-3.2, |l, block| match self.using(block) {
            Some(Use::Commercial) if busy(l) && l.length() > 30.0 => 4.0 * l.length(),
            Some(Use::Residential | Use::Public)
                if l.class != RoadClass::Lane && l.length() > 30.0 =>
            {
                l.length()
            }
            _ => 0.0,
        });
        for mut spot in self.scattered(&fences, 480, 60.0) {
            let half = self.rng.random_range(4.0..9.0);
            let link = self.link(spot);
            spot.s = spot.s.clamp(link.from + half, link.to - half);
            let (_, dir) = link.at(spot.s);
            let shape = rectangle(self.ground(spot), dir * half, left(dir));
            let bikes = (half * 3.2) as usize;
            self.push_at(Kind::Fence, spot, format!(r#"{{"capacity":{bikes}}}"#))
                .geom = shape.into();
        }
        let over: Vec<Side> = self.sides(0.0, |l, _| match l.class {
            RoadClass::Arterial
                if !l.bridge && l.length() > 120.0 && l.blocks.iter().all(Option::is_some) =>
            {
                l.length()
            }
            _ => 0.0,
        });
        for mut spot in self.scattered(&over, 14, 900.0) {
            spot.side = 0.0;
            let (p, dir) = self.link(spot).at(spot.s);
            let shape = rectangle(p, dir * 2.2, left(dir) * 25.0);
            let street = self.link(spot).street;
            let item = self.push(Kind::Footbridge, p, shape.into(), street, "{}".to_owned());
            item.street = Some(street);
        }
        for i in 0..self.net.links.len() {
            let link = &self.net.links[i];
            if link.bridge {
                let half = link.to / 2.0 + link.from / 2.0;
                let (p, dir) = link.at(half);
                let shape = rectangle(
                    p,
                    dir * (half + 9.0),
                    left(dir) * (half_width(link.class) - 1.0),
                );
                let street = link.street;
                let name = format!(
                    "{}桥",
                    self.street_names[street]
                        .trim_end_matches(['街', '道'])
                        .trim_end_matches('大')
                );
                let item = self.push(Kind::Bridge, p, shape.into(), street, "{}".to_owned());
                item.street = Some(street);
                item.name = Some(name);
            }
        }
    }
}
