//! The Gauss-Krüger zones of CGCS2000 by their numbers in the EPSG registry.

use crate::domain::text::Text;
use crate::text;

/// The system of an easting of eight digits, whose first two are its zone: 25 to 45 are three-degree zones, 13 to 23 six-degree ones.
pub fn of_prefixed(easting: f64) -> Option<u32> {
    let zone = (easting / 1e6).floor();
    match zone {
        25.0..=45.0 => Some(4513 + zone as u32 - 25),
        13.0..=23.0 => Some(4491 + zone as u32 - 13),
        _ => None,
    }
}

/// The six-degree and three-degree zones, with their number in front of the easting and without.
pub const CGCS2000_GK: std::ops::RangeInclusive<u32> = 4491..=4554;

/// The number of a CGCS2000 / Gauss-Krüger system by its central meridian in degrees and its false easting in metres, which tells
/// a zone with its number in front from one without. A six-degree zone is taken for a three-degree one where both have its meridian:
/// the coordinates are the same.
pub fn gauss_kruger(meridian: f64, easting: f64) -> Option<u32> {
    let third = meridian / 3.0;
    if third.fract() != 0.0 || !(25.0..=45.0).contains(&third) {
        return None;
    }
    let zone = third as u32;
    let six = (meridian + 3.0) / 6.0;
    if easting == 500_000.0 {
        Some(4534 + zone - 25)
    } else if easting == f64::from(zone) * 1e6 + 500_000.0 {
        Some(4513 + zone - 25)
    } else if six.fract() == 0.0 && (13.0..=23.0).contains(&six) && easting == six * 1e6 + 500_000.0 {
        Some(4491 + six as u32 - 13)
    } else {
        None
    }
}

/// Eastings that tell a wrong zone, a missing or superfluous zone prefix, or swapped columns. Limits: a three-degree zone stays
/// within 250 km of its meridian anywhere in China, a six-degree one within 400 km.
pub fn check_easting(code: u32, x: f64, y: f64) -> Result<(), Text> {
    let (zone, reach) = match code {
        4491..=4501 => (Some(code - 4491 + 13), 400_000.0),
        4502..=4512 => (None, 400_000.0),
        4513..=4533 => (Some(code - 4513 + 25), 250_000.0),
        4534..=4554 => (None, 250_000.0),
        _ => return Ok(()),
    };
    let off = |x: f64| (x - f64::from(zone.unwrap_or(0)) * 1e6 - 500_000.0).abs() <= reach;
    if off(x) {
        return Ok(());
    }
    let (hint_zh, hint_en) = if off(y) {
        (
            ",是否东坐标与北坐标颠倒?",
            "; are easting and northing swapped?".to_owned(),
        )
    } else if zone.is_none() && x >= 13e6 {
        (
            ",是否带有带号?请改用带号坐标系",
            "; does it carry a zone prefix? use the zone system then".to_owned(),
        )
    } else {
        (",是否用错了带?", "; is it another zone?".to_owned())
    };
    Err(text!(
        "东坐标 {x} 不在 EPSG:{code} 的带内{hint_zh}",
        "easting {x} is outside the zone of EPSG:{code}{hint_en}"
    ))
}
