//! What is the matter with a position that cannot be right: named, never mended.

use crate::domain::delivery::{Reason, RowFault};
use crate::domain::text::Text;
use crate::spatial::crs::Crs;
use crate::spatial::datum::Datum;
use crate::spatial::ground::Ground;
use crate::spatial::position::LonLat;
use crate::spatial::zone;
use crate::text;

/// One way in which coordinates are delivered wrong, and the position that was meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Doubt {
    /// Why the row is refused.
    pub reason: Reason,
    /// What was recognised.
    pub name: Text,
    /// What to state instead, where it holds for a whole file: `EPSG:4548`, `gcj02`.
    pub right: Option<Crs>,
    /// Whether the two columns are to be swapped.
    pub swap: bool,
}

/// Tries every way in which coordinates go wrong in China and returns the first whose position is `fits`. A few conversions.
pub fn explain(x: f64, y: f64, crs: Crs, fits: impl Fn(LonLat) -> bool) -> Option<Doubt> {
    let at = |crs: Crs, x: f64, y: f64| crs.to_lonlat(x, y).ok().filter(|p| fits(*p));
    let swapped = || Doubt {
        reason: Reason::AxesSwapped,
        name: text!("东坐标与北坐标（或经度与纬度）颠倒", "the two coordinates are swapped"),
        right: None,
        swap: true,
    };
    if at(crs, y, x).is_some() {
        return Some(swapped());
    }
    for (east, north, swap) in [(x, y, false), (y, x, true)] {
        for other in systems(crs, east) {
            if at(other, east, north).is_some() {
                let (own, key) = (crs.key(), other.key());
                let (also_zh, also_en) = if swap {
                    ("，且东坐标与北坐标颠倒", ", and the two are swapped")
                } else {
                    ("", "")
                };
                return Some(Doubt {
                    reason: Reason::WrongZone,
                    name: text!(
                        "坐标属于 {key}，而非 {own}{also_zh}",
                        "the coordinates are {key}, not {own}{also_en}"
                    ),
                    right: Some(other),
                    swap,
                });
            }
        }
        // A position in another datum, in degrees or already brought to a plane.
        let Ok(p) = crs.to_lonlat(east, north) else { continue };
        for datum in [Datum::Gcj02, Datum::Bd09] {
            let (lon, lat) = datum.to_wgs84(p.lon(), p.lat());
            if LonLat::new(lon, lat).is_ok_and(&fits) {
                let name = datum.key().to_uppercase();
                return Some(Doubt {
                    reason: Reason::ShiftedDatum,
                    name: text!(
                        "疑为 {name} 坐标（互联网地图），未作声明",
                        "it looks like {name}, the datum of internet maps, undeclared"
                    ),
                    right: Some(Crs::Shifted(datum)),
                    swap,
                });
            }
        }
    }
    None
}

/// Other systems of the same family that an easting may belong to.
fn systems(crs: Crs, east: f64) -> Vec<Crs> {
    let mut codes: Vec<u32> = Vec::new();
    // Eight digits before the point: the zone stands in front.
    codes.extend(zone::of_prefixed(east));
    if let Crs::Epsg(own @ 4491..=4554) = crs {
        // The nearest meridians, without a zone in front.
        let middle = match own {
            4491..=4501 => (6 * (own - 4491 + 13) - 3) / 3,
            4502..=4512 => (6 * (own - 4502 + 13) - 3) / 3,
            4513..=4533 => own - 4513 + 25,
            _ => own - 4534 + 25,
        };
        for zone in [middle, middle - 1, middle + 1, middle - 2, middle + 2] {
            if (25..=45).contains(&zone) {
                codes.push(4534 + zone - 25);
            }
        }
        codes.retain(|c| *c != own);
    }
    let mut found: Vec<Crs> = codes.into_iter().map(Crs::Epsg).collect();
    if !matches!(crs, Crs::Geographic(_)) && east.abs() <= 180.0 {
        found.push(Crs::Geographic(4490));
    }
    found
}

/// The fault of a position outside the cell that its row states, or outside the ground; what was recognised stands in it.
pub fn refuse(column: &str, doubt: Option<Doubt>, otherwise: RowFault) -> RowFault {
    let Some(doubt) = doubt else { return otherwise };
    let (zh, en) = (&otherwise.detail.zh, &otherwise.detail.en);
    let (name_zh, name_en) = (&doubt.name.zh, &doubt.name.en);
    let detail = text!("{zh}；{name_zh}", "{en}; {name_en}");
    let expected = match (doubt.right, doubt.swap) {
        (Some(crs), _) => {
            let key = crs.key();
            text!(
                "确认后以 --crs {key} 交付，或更正坐标",
                "check, then deliver with --crs {key}, or correct the coordinates"
            )
        }
        _ => Text::new("确认后更正坐标的次序", "check, then put the coordinates in order"),
    };
    RowFault::new(doubt.reason, column, detail, expected)
}

/// Whether a file's positions make more sense in another datum: at least one in fifty of those given lies outside the ground, and
/// shifted back at most a quarter of them. The shift is hundreds of metres, so that only the rim of a city tells.
pub fn shifted(positions: &[LonLat], ground: &Ground) -> Option<Datum> {
    let outside = |to: &dyn Fn(LonLat) -> Option<LonLat>| {
        positions
            .iter()
            .filter(|p| to(**p).is_none_or(|q| !ground.covers(q)))
            .count()
    };
    let own = outside(&Some);
    if own < 3 || own * 50 < positions.len() || own * 2 > positions.len() {
        return None;
    }
    let left = |datum: Datum| {
        outside(&|p| {
            let (lon, lat) = datum.to_wgs84(p.lon(), p.lat());
            LonLat::new(lon, lat).ok()
        })
    };
    let best = [Datum::Gcj02, Datum::Bd09]
        .into_iter()
        .map(|d| (d, left(d)))
        .min_by_key(|(_, n)| *n)?;
    (best.1 * 4 <= own).then_some(best.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Within ten metres of a place in Hexi.
    fn fits(p: LonLat) -> bool {
        (p.lon() - 117.2172).abs() < 1e-4 && (p.lat() - 39.1096).abs() < 1e-4
    }

    fn name(x: f64, y: f64, crs: &str) -> Option<(Reason, Option<String>, bool)> {
        let crs = Crs::parse(crs).unwrap();
        explain(x, y, crs, fits).map(|d| (d.reason, d.right.map(Crs::key), d.swap))
    }

    #[test]
    fn each_fault_has_its_own_name() {
        let zone = |key: &str, swap| Some((Reason::WrongZone, Some(key.to_owned()), swap));
        assert_eq!(
            name(4330693.8578, 518786.2026, "EPSG:4548"),
            Some((Reason::AxesSwapped, None, true))
        );
        assert_eq!(
            name(39.1096, 117.2172, "EPSG:4326"),
            Some((Reason::AxesSwapped, None, true))
        );
        assert_eq!(name(39518786.2026, 4330693.8578, "EPSG:4548"), zone("EPSG:4527", false));
        assert_eq!(name(4330693.8578, 39518786.2026, "EPSG:4548"), zone("EPSG:4527", true));
        assert_eq!(name(518786.2026, 4330693.8578, "EPSG:4527"), zone("EPSG:4548", false));
        assert_eq!(name(518786.2026, 4330693.8578, "EPSG:4549"), zone("EPSG:4548", false));
        assert_eq!(name(117.2172, 39.1096, "EPSG:4548"), zone("EPSG:4490", false));
        let shifted = |key: &str| Some((Reason::ShiftedDatum, Some(key.to_owned()), false));
        assert_eq!(name(117.223480487, 39.110599358, "EPSG:4490"), shifted("gcj02"));
        assert_eq!(name(117.229895411, 39.116824485, "EPSG:4326"), shifted("bd09"));
        assert_eq!(name(117.3, 39.3, "EPSG:4326"), None);
    }
}
