//! The Web Mercator tile pyramid, and positions as whole numbers in it.
//!
//! A [`World`] position is the unit square of EPSG:3857 cut into 2^32 steps each way (9.3 mm at the equator), x eastward from the
//! antimeridian, y southward from 85.0511° N. Because it is a whole number, the tile and the pixel of a position at every zoom
//! are its leading bits: floor, exact, and the same everywhere.

use std::f64::consts::PI;

/// The deepest zoom that is served.
pub const MAX_ZOOM: u8 = 22;

/// Units along a tile's edge.
pub const EXTENT: u32 = 4096;
const EXTENT_BITS: u8 = 12;

/// Units around a tile in which its neighbours' lines and polygons are drawn too: half the width of the widest road on the map.
pub const BUFFER: u32 = 256;

/// Units around a tile in which its neighbours' points are drawn too.
pub const POINT_BUFFER: u32 = 64;

/// Bins along a tile's edge, as a power of two: a bin of zoom z is a tile of zoom z + 6.
pub const BINS_BITS: u8 = 6;
/// The same where there is no room for more.
pub const FEWEST_BINS_BITS: u8 = 3;

/// A position in the Web Mercator square, in steps of 2^-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct World {
    /// Eastward from 180° W.
    pub x: u32,
    /// Southward from 85.0511° N.
    pub y: u32,
}

const STEPS: f64 = 4_294_967_296.0;

/// Longitude and latitude in degrees as a position in the unit square, x east, y south; not clamped.
pub fn unit(lon: f64, lat: f64) -> (f64, f64) {
    let sin = (lat.to_radians()).sin().clamp(-0.999_999_999, 0.999_999_999);
    (lon / 360.0 + 0.5, 0.5 - ((1.0 + sin) / (1.0 - sin)).ln() / (4.0 * PI))
}

/// The degrees lon,lat of a position's corner.
pub fn degrees(at: World) -> (f64, f64) {
    let (x, y) = (f64::from(at.x) / STEPS, f64::from(at.y) / STEPS);
    ((x - 0.5) * 360.0, (PI * (1.0 - 2.0 * y)).sinh().atan().to_degrees())
}

impl World {
    /// The position of degrees; latitudes beyond the square are moved to its edge.
    ///
    /// ```
    /// use lamppost::spatial::tile_id::World;
    /// assert_eq!(World::at(0.0, 0.0), World { x: 1 << 31, y: 1 << 31 });
    /// assert_eq!(World::at(180.0, -90.0), World { x: u32::MAX, y: u32::MAX });
    /// ```
    pub fn at(lon: f64, lat: f64) -> World {
        let (x, y) = unit(lon, lat);
        // A float to integer cast saturates, which is the clamp that is wanted.
        World {
            x: (x * STEPS) as u32,
            y: (y * STEPS) as u32,
        }
    }

    /// [`World::x`] of a longitude in degrees, without the logarithm that y needs.
    pub fn x_at(lon: f64) -> u32 {
        ((lon / 360.0 + 0.5) * STEPS) as u32
    }

    /// The north-west corner of a tile by its [`World::quadkey`] at a zoom.
    pub fn corner(quadkey: u64, z: u8) -> World {
        let lead = |v: u64| if z == 0 { 0 } else { gather(v) << (32 - z) };
        World {
            x: lead(quadkey),
            y: lead(quadkey >> 1),
        }
    }

    /// The tile that holds the position at a zoom.
    pub fn tile(self, z: u8) -> TileId {
        TileId {
            z,
            x: lead(self.x, z),
            y: lead(self.y, z),
        }
    }

    /// Whether it lies in an inclusive window `[min_x, min_y, max_x, max_y]`.
    #[inline]
    pub fn lies_in(self, w: [u32; 4]) -> bool {
        w[0] <= self.x && self.x <= w[2] && w[1] <= self.y && self.y <= w[3]
    }

    /// The interleaved leading bits at a zoom: positions in one tile are neighbours in this order.
    pub fn quadkey(self, z: u8) -> u64 {
        interleave(lead(self.x, z), lead(self.y, z))
    }
}

/// Whether two inclusive windows `[min_x, min_y, max_x, max_y]` have something in common.
#[inline]
pub fn meet(a: [u32; 4], b: [u32; 4]) -> bool {
    a[0] <= b[2] && b[0] <= a[2] && a[1] <= b[3] && b[1] <= a[3]
}

fn lead(v: u32, z: u8) -> u32 {
    if z == 0 { 0 } else { v >> (32 - z) }
}

fn spread(v: u32) -> u64 {
    let mut v = v as u64;
    v = (v | v << 16) & 0x0000_ffff_0000_ffff;
    v = (v | v << 8) & 0x00ff_00ff_00ff_00ff;
    v = (v | v << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    v = (v | v << 2) & 0x3333_3333_3333_3333;
    (v | v << 1) & 0x5555_5555_5555_5555
}

/// Every second bit, beginning with the lowest: the inverse of [`spread`].
fn gather(v: u64) -> u32 {
    let mut v = v & 0x5555_5555_5555_5555;
    v = (v | v >> 1) & 0x3333_3333_3333_3333;
    v = (v | v >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    v = (v | v >> 4) & 0x00ff_00ff_00ff_00ff;
    v = (v | v >> 8) & 0x0000_ffff_0000_ffff;
    (v | v >> 16) as u32
}

/// The quadkey of a column and a row.
pub fn interleave(x: u32, y: u32) -> u64 {
    spread(x) | spread(y) << 1
}

/// A tile of the XYZ scheme: x eastward, y southward from the north-west corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    z: u8,
    x: u32,
    y: u32,
}

impl TileId {
    /// A tile that exists: z ≤ [`MAX_ZOOM`], x and y < 2^z.
    pub fn new(z: u8, x: u32, y: u32) -> Option<TileId> {
        (z <= MAX_ZOOM && x < 1 << z && y < 1 << z).then_some(TileId { z, x, y })
    }

    /// Zoom.
    pub fn z(self) -> u8 {
        self.z
    }

    /// Column, eastward.
    pub fn x(self) -> u32 {
        self.x
    }

    /// Row, southward.
    pub fn y(self) -> u32 {
        self.y
    }

    /// The half-open range of [`World::quadkey`]s at zoom `deep` ≥ z that lie in the tile.
    pub fn quadkeys(self, deep: u8) -> std::ops::Range<u64> {
        let shift = 2 * (deep - self.z);
        let key = interleave(self.x, self.y);
        key << shift..(key + 1) << shift
    }

    /// Position in tile units, `0..EXTENT` inside the tile, outside of it elsewhere. Floor.
    pub fn pixel(self, p: World) -> (i64, i64) {
        (pixel(p.x, self.z, self.x), pixel(p.y, self.z, self.y))
    }

    /// Position of degrees in tile units, not floored.
    pub fn project(self, lon: f64, lat: f64) -> (f64, f64) {
        let (x, y) = unit(lon, lat);
        let scale = f64::from(1u32 << self.z);
        (
            (x * scale - f64::from(self.x)) * f64::from(EXTENT),
            (y * scale - f64::from(self.y)) * f64::from(EXTENT),
        )
    }

    /// The tile grown by `buffer` tile units, as a box in degrees `[min_lon, min_lat, max_lon, max_lat]`.
    pub fn bounds(self, buffer: u32) -> [f64; 4] {
        let grow = f64::from(buffer) / f64::from(EXTENT);
        let scale = f64::from(1u32 << self.z);
        let lon = |x: f64| (x / scale - 0.5) * 360.0;
        let lat = |y: f64| (PI * (1.0 - 2.0 * y / scale)).sinh().atan().to_degrees();
        let (x, y) = (f64::from(self.x), f64::from(self.y));
        [lon(x - grow), lat(y + 1.0 + grow), lon(x + 1.0 + grow), lat(y - grow)]
    }

    /// The tile grown by `buffer` tile units as inclusive ranges of [`World`] x and y.
    pub fn window(self, buffer: u32) -> [u32; 4] {
        let size = 1i64 << (32 - self.z);
        let grow = (size * i64::from(buffer)) >> EXTENT_BITS;
        let clamp = |v: i64| v.clamp(0, i64::from(u32::MAX)) as u32;
        let (x, y) = (i64::from(self.x) * size, i64::from(self.y) * size);
        [
            clamp(x - grow),
            clamp(y - grow),
            clamp(x + size - 1 + grow),
            clamp(y + size - 1 + grow),
        ]
    }
}

fn pixel(v: u32, z: u8, tile: u32) -> i64 {
    let drop = 32 - i32::from(z) - i32::from(EXTENT_BITS);
    let v = i64::from(v);
    let at = if drop >= 0 { v >> drop } else { v << -drop };
    at - (i64::from(tile) << EXTENT_BITS)
}

/// Every tile at zoom `z` that touches a box of [`World`] positions `[min_x, min_y, max_x, max_y]` grown by `buffer` tile units:
/// the inclusive ranges of columns and rows.
pub fn touched(z: u8, b: [u32; 4], buffer: u32) -> [u32; 4] {
    let grow = ((1u64 << (32 - z)) * u64::from(buffer)) >> EXTENT_BITS;
    let grow = u32::try_from(grow).unwrap_or(u32::MAX);
    [
        lead(b[0].saturating_sub(grow), z),
        lead(b[1].saturating_sub(grow), z),
        lead(b[2].saturating_add(grow), z),
        lead(b[3].saturating_add(grow), z),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hexi_lies_in_its_known_tile() {
        // Column and row by the published formula, worked by hand for 117.2172 E, 39.1096 N.
        let t = World::at(117.2172, 39.1096).tile(14);
        assert_eq!((t.x(), t.y()), (13526, 6255));
        let b = t.bounds(0);
        assert!(b[0] <= 117.2172 && 117.2172 < b[2] && b[1] < 39.1096 && 39.1096 <= b[3]);
    }

    proptest! {
        #[test]
        fn a_position_lies_in_exactly_one_tile_at_every_zoom(lon in -180.0..180.0f64, lat in -85.0..85.0f64) {
            let p = World::at(lon, lat);
            for z in 0..=MAX_ZOOM {
                let t = p.tile(z);
                let (x, y) = t.pixel(p);
                prop_assert!((0..4096).contains(&x) && (0..4096).contains(&y), "{z}");
                prop_assert!(t.quadkeys(MAX_ZOOM).contains(&p.quadkey(MAX_ZOOM)));
                let corner = World::corner(p.quadkey(z), z);
                prop_assert_eq!([corner.x, corner.y], [t.window(0)[0], t.window(0)[1]]);
                prop_assert_eq!(World::x_at(lon), p.x);
                let w = t.window(0);
                prop_assert!(w[0] <= p.x && p.x <= w[2] && w[1] <= p.y && p.y <= w[3]);
                // The other way of projecting agrees to a unit.
                let (fx, fy) = t.project(lon, lat);
                let slack = if z > 20 { 8.0 } else { 1.5 };
                prop_assert!((fx - x as f64).abs() <= slack && (fy - y as f64).abs() <= slack);
            }
        }

        #[test]
        fn touched_tiles_are_those_whose_window_holds_the_point(lon in -179.0..179.0f64, lat in -84.0..84.0f64, z in 0..=MAX_ZOOM) {
            let p = World::at(lon, lat);
            let t = p.tile(z);
            let [x0, y0, x1, y1] = touched(z, [p.x, p.y, p.x, p.y], BUFFER);
            for dx in -1i64..=1 {
                for dy in -1i64..=1 {
                    let (x, y) = (i64::from(t.x()) + dx, i64::from(t.y()) + dy);
                    let near = u32::try_from(x).ok().zip(u32::try_from(y).ok()).and_then(|(x, y)| TileId::new(z, x, y));
                    if let Some(n) = near {
                        let w = n.window(BUFFER);
                        let seen = w[0] <= p.x && p.x <= w[2] && w[1] <= p.y && p.y <= w[3];
                        let dropped = (x0..=x1).contains(&n.x()) && (y0..=y1).contains(&n.y());
                        prop_assert!(!seen || dropped);
                    }
                }
            }
        }
    }
}
