//! Well-known binary from files that nobody vouches for: what it counts is checked against the bytes that it has.

use geo::{Coord, Geometry, LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon};

use crate::domain::text::Text;

/// How deep collections may be nested.
const DEPTH: usize = 4;

struct Bytes<'a>(&'a [u8]);

/// Reads well-known binary, OGC's or PostGIS's, in two dimensions: further ones are passed over. Points of no coordinates and
/// collections of several kinds are refused. O(bytes).
pub fn read(bytes: &[u8]) -> Result<Geometry<f64>, Text> {
    geometry(&mut Bytes(bytes), DEPTH).ok_or_else(|| Text::new("不是有效的 WKB", "it is not valid well-known binary"))
}

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u32(&mut self, little: bool) -> Option<u32> {
        let b = self.take::<4>()?;
        Some(if little {
            u32::from_le_bytes(b)
        } else {
            u32::from_be_bytes(b)
        })
    }

    fn f64(&mut self, little: bool) -> Option<f64> {
        let b = self.take::<8>()?;
        Some(if little {
            f64::from_le_bytes(b)
        } else {
            f64::from_be_bytes(b)
        })
    }

    /// A count of things that take at least `least` bytes each.
    fn count(&mut self, little: bool, least: usize) -> Option<usize> {
        let n = self.u32(little)? as usize;
        (n.checked_mul(least)? <= self.0.len()).then_some(n)
    }

    fn coord(&mut self, little: bool, further: usize) -> Option<Coord<f64>> {
        let c = Coord {
            x: self.f64(little)?,
            y: self.f64(little)?,
        };
        for _ in 0..further {
            self.f64(little)?;
        }
        Some(c)
    }

    fn line(&mut self, little: bool, further: usize) -> Option<LineString<f64>> {
        let n = self.count(little, 16)?;
        (0..n)
            .map(|_| self.coord(little, further))
            .collect::<Option<Vec<_>>>()
            .map(LineString)
    }
}

fn geometry(bytes: &mut Bytes<'_>, depth: usize) -> Option<Geometry<f64>> {
    let little = match bytes.take::<1>()? {
        [0] => false,
        [1] => true,
        _ => return None,
    };
    let kind = bytes.u32(little)?;
    let flag = |bit: u32| usize::from(kind & bit != 0);
    if kind & 0x2000_0000 != 0 {
        bytes.u32(little)?;
    }
    let (family, base) = ((kind & 0xffff) / 1000, (kind & 0xffff) % 1000);
    let further = match family {
        0 => flag(0x8000_0000) + flag(0x4000_0000),
        1 | 2 => 1,
        3 => 2,
        _ => return None,
    };
    let each = |bytes: &mut Bytes<'_>| -> Option<Vec<Geometry<f64>>> {
        let depth = depth.checked_sub(1)?;
        let n = bytes.count(little, 5)?;
        (0..n).map(|_| geometry(bytes, depth)).collect()
    };
    Some(match base {
        1 => {
            let c = bytes.coord(little, further)?;
            if c.x.is_nan() || c.y.is_nan() {
                return None;
            }
            Geometry::Point(Point(c))
        }
        2 => Geometry::LineString(bytes.line(little, further)?),
        3 => {
            let n = bytes.count(little, 4)?;
            let mut rings = (0..n)
                .map(|_| bytes.line(little, further))
                .collect::<Option<Vec<_>>>()?
                .into_iter();
            Geometry::Polygon(Polygon::new(
                rings.next().unwrap_or(LineString(vec![])),
                rings.collect(),
            ))
        }
        4 => Geometry::MultiPoint(MultiPoint(only(each(bytes)?, |g| Point::try_from(g).ok())?)),
        5 => Geometry::MultiLineString(MultiLineString(only(each(bytes)?, |g| LineString::try_from(g).ok())?)),
        6 => Geometry::MultiPolygon(MultiPolygon(only(each(bytes)?, |g| Polygon::try_from(g).ok())?)),
        7 => {
            // A collection of one is that one.
            let mut members = each(bytes)?;
            if members.len() != 1 {
                return None;
            }
            members.remove(0)
        }
        _ => return None,
    })
}

fn only<T>(members: Vec<Geometry<f64>>, is: impl Fn(Geometry<f64>) -> Option<T>) -> Option<Vec<T>> {
    members.into_iter().map(is).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use geozero::{CoordDimensions, ToWkb};
    use proptest::prelude::*;

    #[test]
    fn what_another_library_writes_reads_back_and_no_prefix_of_it_does() {
        let wkt = [
            "POINT(117.2 39.1)",
            "LINESTRING(1 2,3 4,5 6)",
            "POLYGON((0 0,9 0,9 9,0 0),(1 1,2 1,2 2,1 1))",
            "MULTIPOINT(1 2,3 4)",
            "MULTILINESTRING((1 2,3 4),(5 6,7 8))",
            "MULTIPOLYGON(((0 0,9 0,9 9,0 0)),((20 20,29 20,29 29,20 20)))",
        ];
        for wkt in wkt {
            let geometry: Geometry<f64> = geozero::ToGeo::to_geo(&geozero::wkt::Wkt(wkt)).unwrap();
            for bytes in [
                geometry.to_wkb(CoordDimensions::xy()).unwrap(),
                geometry.to_ewkb(CoordDimensions::xy(), Some(4326)).unwrap(),
            ] {
                assert_eq!(read(&bytes).as_ref(), Ok(&geometry), "{wkt}");
                for n in 0..bytes.len() {
                    assert!(read(&bytes[..n]).is_err(), "{wkt} cut to {n}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_or_takes_memory_for_what_is_only_claimed(kind in 0u32..20, count: u32, rest: Vec<u8>) {
            let mut bytes = vec![1];
            bytes.extend(kind.to_le_bytes());
            bytes.extend(count.to_le_bytes());
            bytes.extend(rest);
            let _ = read(&bytes);
        }
    }
}
