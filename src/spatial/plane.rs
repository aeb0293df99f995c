//! The coordinates in which a map is drawn: WGS84, or the shifted ones of Chinese internet maps.

use super::datum::Datum;
use super::tile_id::{World, degrees};
use crate::domain::text::Text;
use crate::text;

/// A coordinate plane; none is WGS84 (CGCS2000 at component accuracy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Plane(pub Option<Datum>);

/// More than a shift ever is, in degrees (GCJ-02 0.008, BD-09 0.015), for boxes so large that the shift differs across them.
const MOST: f64 = 0.02;
/// By how much a shift stretches a box at most, as a part of its size.
const STRETCH: f64 = 0.01;
/// A box up to this size in degrees is shifted corner by corner.
const SMALL: f64 = 0.5;

impl Plane {
    /// Reads `gcj02`, `bd09`, or `wgs84` and `cgcs2000`, which are the register's own.
    pub fn parse(s: &str) -> Result<Plane, Text> {
        if ["wgs84", "cgcs2000"].contains(&s.trim().to_ascii_lowercase().as_str()) {
            return Ok(Plane(None));
        }
        let known = |_| {
            text!(
                "坐标“{s}”应为 wgs84、cgcs2000、gcj02 或 bd09",
                "coordinates \"{s}\" should be wgs84, cgcs2000, gcj02 or bd09"
            )
        };
        Datum::parse(s).map(|d| Plane(Some(d))).map_err(known)
    }

    /// The word used in URLs; none for the register's own coordinates.
    pub fn key(self) -> Option<&'static str> {
        self.0.map(Datum::key)
    }

    /// Degrees lon,lat of the register as degrees of this plane.
    pub fn forward(self, lon: f64, lat: f64) -> (f64, f64) {
        self.0.map_or((lon, lat), |d| d.from_wgs84(lon, lat))
    }

    /// Degrees lon,lat of this plane as degrees of the register, within 0.1 mm.
    pub fn back(self, lon: f64, lat: f64) -> (f64, f64) {
        self.0.map_or((lon, lat), |d| d.to_wgs84(lon, lat))
    }

    /// A box of this plane as one of the register that holds it, `[min_lon, min_lat, max_lon, max_lat]` degrees.
    pub fn box_back(self, b: [f64; 4]) -> [f64; 4] {
        self.shift_box(b, Plane::back)
    }

    /// A box of the register as one of this plane that holds it.
    pub fn box_forward(self, b: [f64; 4]) -> [f64; 4] {
        self.shift_box(b, Plane::forward)
    }

    /// Where a position of the register is drawn.
    pub fn place(self, at: World) -> World {
        if self.0.is_none() {
            return at;
        }
        let (lon, lat) = degrees(at);
        let (lon, lat) = self.forward(lon, lat);
        World::at(lon, lat)
    }

    /// A window of the register that holds everything drawn in a window of this plane: grown outward, never too small.
    pub fn window_back(self, window: [u32; 4]) -> [u32; 4] {
        self.window(window, Plane::back)
    }

    /// A window of this plane that holds everything of a window of the register.
    pub fn window_forward(self, window: [u32; 4]) -> [u32; 4] {
        self.window(window, Plane::forward)
    }

    fn window(self, w: [u32; 4], shift: fn(Plane, f64, f64) -> (f64, f64)) -> [u32; 4] {
        if self.0.is_none() {
            return w;
        }
        let ((west, north), (east, south)) = (degrees(World { x: w[0], y: w[1] }), degrees(World { x: w[2], y: w[3] }));
        let b = self.shift_box([west, south, east, north], shift);
        let (nw, se) = (World::at(b[0], b[3]), World::at(b[2], b[1]));
        [nw.x, nw.y, se.x, se.y]
    }

    fn shift_box(self, [west, south, east, north]: [f64; 4], shift: fn(Plane, f64, f64) -> (f64, f64)) -> [f64; 4] {
        if self.0.is_none() {
            return [west, south, east, north];
        }
        let size = (east - west).max(north - south);
        if size > SMALL {
            return [west - MOST, south - MOST, east + MOST, north + MOST];
        }
        let corners = [(west, south), (west, north), (east, south), (east, north)].map(|(x, y)| shift(self, x, y));
        let grow = size * STRETCH + 1e-7;
        corners
            .iter()
            .fold([f64::MAX, f64::MAX, f64::MIN, f64::MIN], |b, (x, y)| {
                [
                    b[0].min(x - grow),
                    b[1].min(y - grow),
                    b[2].max(x + grow),
                    b[3].max(y + grow),
                ]
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_window_holds_what_is_drawn_in_it(
            lon in 73.0..137.0f64, lat in 1.0..55.0f64, z in 5u8..20, inside in (0.0..1.0f64, 0.0..1.0f64), bd in any::<bool>(),
        ) {
            let plane = Plane(Some(if bd { Datum::Bd09 } else { Datum::Gcj02 }));
            let tile = World::at(lon, lat).tile(z);
            let w = tile.window(0);
            let within = |a: u32, b: u32, t: f64| a + (f64::from(b - a) * t) as u32;
            let drawn = World { x: within(w[0], w[2], inside.0), y: within(w[1], w[3], inside.1) };
            let (x, y) = degrees(drawn);
            let (x, y) = plane.back(x, y);
            let at = World::at(x, y);
            let back = plane.window_back(w);
            prop_assert!(back[0] <= at.x && at.x <= back[2] && back[1] <= at.y && at.y <= back[3]);
            let forward = plane.window_forward(w);
            let there = plane.place(drawn);
            prop_assert!(forward[0] <= there.x && there.x <= forward[2] && forward[1] <= there.y && there.y <= forward[3]);
            // Not much larger either: about the window itself for small ones.
            if z > 12 {
                prop_assert!(u64::from(back[2] - back[0]) < u64::from(w[2] - w[0]) * 11 / 10 + 10_000);
            }
        }
    }
}
