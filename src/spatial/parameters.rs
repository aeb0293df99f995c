//! City coordinate systems and Beijing 1954 or Xian 1980 by a file of parameters, which whoever may know them keeps outside of
//! everything else.

use crate::domain::text::{Fault, Text};
use crate::text;

/// Systems whose only general conversion is a null step, wrong by tens to about 100 m. Source: PROJ 9.1.1's EPSG database.
pub const SECRET: &[(&str, &str, &[std::ops::RangeInclusive<u32>])] = &[
    (
        "北京54",
        "Beijing 1954",
        &[2401..=2442, 4214..=4214, 21413..=21423, 21453..=21463, 21473..=21483],
    ),
    ("西安80", "Xian 1980", &[2327..=2390, 4610..=4610]),
    (
        "新北京54",
        "New Beijing",
        &[
            4555..=4555,
            4568..=4589,
            4652..=4656,
            4766..=4800,
            4812..=4812,
            4822..=4822,
        ],
    ),
];

/// The fault of a system that is refused without its parameters.
pub fn refused(s: &str, zh: &str, en: &str) -> Text {
    text!(
        "不接受坐标系 {s}({zh}):其转换参数不公开，不作转换会偏差约100米；请先由测绘单位转为 CGCS2000（如 EPSG:4548）",
        "coordinate system {s} ({en}) is refused: its parameters are not public, and without them positions are about 100 m wrong; have the surveyors convert it to CGCS2000 first (such as EPSG:4548)"
    )
}

/// A system that a file of parameters describes.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// What it is called in reports.
    pub name: String,
    /// PROJ's pipeline from easting and northing in metres to longitude and latitude in degrees.
    pub pipeline: String,
}

/// CGCS2000's ellipsoid for PROJ.
const CGCS2000: &str = "+a=6378137 +rf=298.257222101";
const DEGREES: &str = "+step +proj=unitconvert +xy_in=rad +xy_out=deg";

/// Reads a file of parameters (TOML), every fault at once: `name` and one of
///
/// - `pipeline`: PROJ's own words, from easting, northing to longitude, latitude in degrees;
/// - `[four]`: `dx`, `dy` (metres), `rotation` r (seconds of arc), `scale` (ppm, k = 1 + scale) to the plane of CGCS2000 with
///   `meridian` (degrees) and `false_easting` (metres, 500000 by default): east' = dx + k (east cos r - north sin r),
///   north' = dy + k (east sin r + north cos r);
/// - `[seven]`: `dx`, `dy`, `dz` (metres), `rx`, `ry`, `rz` (seconds, position vector), `scale` (ppm) from the `ellipsoid` (`krass`
///   or `iau76`) of a Gauss-Krüger plane with `meridian` and `false_easting`.
pub fn read(text: &str) -> Result<Parameters, Vec<Fault>> {
    let one = |at: &str, detail: Text| vec![Fault::new(at, detail)];
    let table: toml::Table = text.parse().map_err(|e| {
        one(
            "crs",
            text!(
                "参数文件不是有效的 TOML：{e}",
                "the file of parameters is not valid TOML: {e}"
            ),
        )
    })?;
    let mut faults = Vec::new();
    let name = table
        .get("name")
        .and_then(toml::Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if name.is_empty() {
        faults.push(Fault::new("name", Text::new("缺少名称", "the name is missing")));
    }
    let kinds: Vec<&str> = ["pipeline", "four", "seven"]
        .into_iter()
        .filter(|k| table.contains_key(*k))
        .collect();
    let pipeline = match kinds.as_slice() {
        ["pipeline"] => table["pipeline"]
            .as_str()
            .map(str::to_owned)
            .filter(|p| p.contains("+proj=pipeline")),
        ["four"] => four(&table["four"], &mut faults),
        ["seven"] => seven(&table["seven"], &mut faults),
        _ => None,
    };
    match pipeline {
        Some(pipeline) if faults.is_empty() => Ok(Parameters { name, pipeline }),
        _ => {
            if faults.is_empty() {
                let detail = Text::new(
                    "应有 pipeline、[four]、[seven] 三者之一",
                    "there should be one of pipeline, [four], [seven]",
                );
                faults.push(Fault::new("crs", detail));
            }
            Err(faults)
        }
    }
}

fn number(table: &toml::Value, key: &str, default: Option<f64>, faults: &mut Vec<Fault>) -> f64 {
    let found = table.get(key);
    let value = found.and_then(|v| v.as_float().or_else(|| v.as_integer().map(|n| n as f64)));
    match (value, found, default) {
        (Some(n), ..) if n.is_finite() => n,
        (None, None, Some(n)) => n,
        _ => {
            faults.push(Fault::new(key, Text::new("应为数字", "it should be a number")));
            0.0
        }
    }
}

fn four(table: &toml::Value, faults: &mut Vec<Fault>) -> Option<String> {
    let mut get = |key, default| number(table, key, default, faults);
    let (dx, dy, turn, ppm) = (
        get("dx", None),
        get("dy", None),
        get("rotation", None),
        get("scale", None),
    );
    let (meridian, east) = (get("meridian", None), get("false_easting", Some(500_000.0)));
    let scale = 1.0 + ppm * 1e-6;
    // PROJ turns clockwise.
    let turn = -turn;
    Some(format!(
        "+proj=pipeline +step +proj=helmert +x={dx} +y={dy} +s={scale} +theta={turn} \
         +step +inv +proj=tmerc +lat_0=0 +lon_0={meridian} +k=1 +x_0={east} +y_0=0 {CGCS2000} {DEGREES}"
    ))
}

fn seven(table: &toml::Value, faults: &mut Vec<Fault>) -> Option<String> {
    let own = table.get("ellipsoid").and_then(toml::Value::as_str);
    let own = match own {
        Some("krass") => "+a=6378245 +rf=298.3",
        Some("iau76") => "+a=6378140 +rf=298.257",
        _ => {
            faults.push(Fault::new(
                "ellipsoid",
                Text::new("应为 krass 或 iau76", "it should be krass or iau76"),
            ));
            return None;
        }
    };
    let mut get = |key, default| number(table, key, default, faults);
    let (dx, dy, dz) = (get("dx", None), get("dy", None), get("dz", None));
    let (rx, ry, rz, ppm) = (get("rx", None), get("ry", None), get("rz", None), get("scale", None));
    let (meridian, east) = (get("meridian", None), get("false_easting", Some(500_000.0)));
    Some(format!(
        "+proj=pipeline +step +inv +proj=tmerc +lat_0=0 +lon_0={meridian} +k=1 +x_0={east} +y_0=0 {own} +step +proj=cart {own} \
         +step +proj=helmert +x={dx} +y={dy} +z={dz} +rx={rx} +ry={ry} +rz={rz} +s={ppm} +convention=position_vector \
         +step +inv +proj=cart {CGCS2000} {DEGREES}"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::crs::Crs;
    use super::*;

    fn at(text: &str, x: f64, y: f64) -> (f64, f64) {
        let p = Crs::by_parameters(text).unwrap().to_lonlat(x, y).unwrap();
        (p.lon(), p.lat())
    }

    #[test]
    fn four_parameters_turn_shift_and_stretch_into_the_plane_of_cgcs2000() {
        let (east, north) = (518786.2026, 4330693.8578);
        let (dx, dy, turn, ppm): (f64, f64, f64, f64) = (400_000.0, 4_200_000.0, 36.0, 20.0);
        // The inverse by hand: what the city's plane calls this place.
        let (s, c) = (turn / 3600.0).to_radians().sin_cos();
        let k = 1.0 + ppm * 1e-6;
        let (u, v) = ((east - dx) / k, (north - dy) / k);
        let own = (c * u + s * v, -s * u + c * v);
        let text = format!(
            "name = '城市坐标'\n[four]\ndx = {dx}\ndy = {dy}\nrotation = {turn}\nscale = {ppm}\nmeridian = 117"
        );
        let (lon, lat) = at(&text, own.0, own.1);
        assert!(
            (lon - 117.2172).abs() < 2e-8 && (lat - 39.1096).abs() < 2e-8,
            "{lon} {lat}"
        );
    }

    #[test]
    fn seven_parameters_of_nothing_change_nothing_but_the_ellipsoid() {
        // cs2cs of PROJ 9.1.1: the same place on Krassowsky's ellipsoid, moved by 20 m along each axis and back.
        let zero = "name = 'x'\n[seven]\nellipsoid = 'krass'\nmeridian = 117\ndx = 0\ndy = 0\ndz = 0\nrx = 0\nry = 0\nrz = 0\nscale = 0";
        let (lon, lat) = at(zero, 518786.2026, 4330693.8578);
        // A null shift is wrong by tens of metres, which is why it is never made without parameters.
        let metres = ((lat - 39.1096) * 111_000.0).abs();
        assert!(
            (lon - 117.2172).abs() < 1e-4 && (10.0..100.0).contains(&metres),
            "{lon} {lat} {metres}"
        );
        let moved = zero.replace("dz = 0", "dz = 100");
        let north = (at(&moved, 518786.2026, 4330693.8578).1 - lat) * 111_000.0;
        assert!((north - 100.0 * lat.to_radians().cos()).abs() < 1.0, "{north}");
    }

    #[test]
    fn what_is_missing_is_told_at_once() {
        let told = |text: &str| {
            read(text)
                .unwrap_err()
                .iter()
                .map(|f| f.pointer.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(told("[four]\ndx = 1"), ["name", "dy", "rotation", "scale", "meridian"]);
        assert_eq!(told("name = 'x'\n[seven]\nellipsoid = 'wgs'"), ["ellipsoid"]);
        assert_eq!(told("name = 'x'"), ["crs"]);
        assert_eq!(told("name = 'x'\npipeline = 'no'"), ["crs"]);
        assert_eq!(told("x ="), ["crs"]);
    }
}
