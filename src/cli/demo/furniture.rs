//! What stands along streets here and there: seats, signs, bins, signals, rails, bridges.

use rand::Rng;

use super::kind::Kind;
use super::land::Use;
use super::plane::{P, left, unit};
use super::roadside::busy;
use super::stock::{Side, Stock, point, rectangle};
use super::street::half_width;
use crate::domain::word::RoadClass;

impl Stock<'_> {
    /// Seats on 33 streets, most where people stay.
    pub(super) fn seats(&mut self) {
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

    /// Billboards, wall signs and rooftop signs.
    pub(super) fn advertising(&mut self) {
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
                let area = self.rng.random_range(6..60);
                self.push_at(kind, spot, format!(r#"{{"approval":"{approval}","area":{area}}}"#));
            }
        }
    }

    /// Bins, hydrants, shelters, boxes and signs.
    pub(super) fn small_things(&mut self) {
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
    pub(super) fn junctions(&mut self) {
        for j in 0..self.net.junctions.len() {
            let junction = &self.net.junctions[j];
            let (at, arms) = (junction.at, junction.arms.clone());
            let main = arms.iter().filter(|a| a.1 <= RoadClass::Secondary).count();
            let streets = arms.iter().filter(|a| a.1 <= RoadClass::Local).count();
            let widest = arms.iter().map(|a| half_width(a.1)).fold(0.0, f64::max);
            for (k, &(dir, class, street)) in arms.iter().enumerate() {
                let aside = left(dir) * (half_width(class) - 2.0);
                let corners: [P; 2] = [at + dir * (widest + 1.0) - aside, at + dir * (widest + 1.0) + aside];
                // On the district's border only one of the two corners is its own.
                let Some(corner) = corners.into_iter().find(|p| self.inside(*p + (*p - at) * 0.2)) else {
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

    /// Guardrails, bicycle fences, footbridges and bridges.
    pub(super) fn lines_and_areas(&mut self) {
        let rails = self.sides(-10.5, |l, _| match l.class {
            RoadClass::Arterial if !l.bridge && l.length() > 60.0 => l.length(),
            _ => 0.0,
        });
        for spot in self.scattered(&rails, 220, 80.0) {
            let link = self.link(spot);
            let line = link.stretch(link.from + 4.0, link.to - 4.0, spot.side);
            let line = line.into_iter().map(super::plane::lon_lat).collect();
            self.push_at(Kind::Guardrail, spot, "{}".to_owned()).geom = geo::Geometry::LineString(line);
        }
        let fences = self.sides(-3.2, |l, block| match self.using(block) {
            Some(Use::Commercial) if busy(l) && l.length() > 30.0 => 4.0 * l.length(),
            Some(Use::Residential | Use::Public) if l.class != RoadClass::Lane && l.length() > 30.0 => l.length(),
            _ => 0.0,
        });
        for mut spot in self.scattered(&fences, 480, 60.0) {
            let half = self.rng.random_range(4.0..9.0);
            let link = self.link(spot);
            spot.s = spot.s.clamp(link.from + half, link.to - half);
            let (_, dir) = link.at(spot.s);
            let shape = rectangle(self.ground(spot), dir * half, left(dir));
            let bikes = (half * 3.2) as usize;
            self.push_at(
                Kind::Fence,
                spot,
                format!(r#"{{"fence_kind":"allowed","capacity":{bikes}}}"#),
            )
            .geom = shape.into();
        }
        let over: Vec<Side> = self.sides(0.0, |l, _| match l.class {
            RoadClass::Arterial if !l.bridge && l.length() > 120.0 && l.blocks.iter().all(Option::is_some) => {
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
                let shape = rectangle(p, dir * (half + 9.0), left(dir) * (half_width(link.class) - 1.0));
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
