//! What a coordinate system written as WKT (.prj) is: a number of the EPSG registry where it has one, or none.

use super::zone;
use crate::domain::text::Text;

/// What was recognised.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// A number of the registry.
    Epsg(u32),
    /// A system whose parameters are not public: its names.
    Secret(Text),
    /// Something else, by its own name.
    Other(String),
}

/// Recognises a definition: by its own EPSG number; China's systems by datum, central meridian and false easting, as the software of
/// surveyors gives them neither numbers nor the same names. O(length).
pub fn recognise(wkt: &str) -> Known {
    let name = name(wkt).to_owned();
    let plain: String = wkt.to_uppercase().replace([' ', '-'], "_");
    let has = |words: &[&str]| words.iter().any(|w| plain.contains(w));
    if has(&[
        "BEIJING_1954",
        "BEIJING54",
        "BEIJING_54",
        "KRASOVSKY",
        "KRASSOWSKY",
        "KRASSOVSKY",
        "北京54",
        "北京_54",
    ]) {
        return Known::Secret(Text::new("北京54", "Beijing 1954"));
    }
    if has(&["XIAN_1980", "XIAN80", "XIAN_80", "西安80", "西安_80"]) {
        return Known::Secret(Text::new("西安80", "Xian 1980"));
    }
    if let Some(code) = authority(wkt) {
        return Known::Epsg(code);
    }
    let projected = plain.starts_with("PROJC") || plain.starts_with("PROJCRS");
    let china = has(&[
        "CHINA_2000",
        "CGCS2000",
        "CGCS_2000",
        "CHINA_GEODETIC_COORDINATE_SYSTEM_2000",
    ]);
    let wgs = has(&[
        "D_WGS_1984",
        "DATUM[\"WGS_1984",
        "DATUM[\"WGS84",
        "WORLD_GEODETIC_SYSTEM_1984",
    ]);
    let parameter = |name: &str| {
        let at = plain.find(&format!("PARAMETER[\"{name}\""))?;
        let rest = plain.get(at..)?.split_once(',')?.1;
        rest.split([',', ']']).next()?.trim_matches('_').parse::<f64>().ok()
    };
    if !projected {
        return match (china, wgs) {
            (true, _) => Known::Epsg(4490),
            (_, true) => Known::Epsg(4326),
            _ => Known::Other(name),
        };
    }
    let gauss = has(&["GAUSS_KRUGER", "TRANSVERSE_MERCATOR"]);
    if china
        && gauss
        && parameter("SCALE_FACTOR").is_none_or(|k| k == 1.0)
        && parameter("LATITUDE_OF_ORIGIN").is_none_or(|l| l == 0.0)
        && parameter("FALSE_NORTHING").is_none_or(|n| n == 0.0)
        && let (Some(meridian), Some(easting)) = (parameter("CENTRAL_MERIDIAN"), parameter("FALSE_EASTING"))
        && let Some(code) = zone::gauss_kruger(meridian, easting)
    {
        return Known::Epsg(code);
    }
    if wgs && has(&["WEB_MERCATOR", "PSEUDO_MERCATOR"]) {
        return Known::Epsg(3857);
    }
    Known::Other(name)
}

/// The name that a definition gives itself.
pub fn name(wkt: &str) -> &str {
    wkt.split('"').nth(1).unwrap_or_default()
}

/// The EPSG number of the whole system: the last of its members, as each part of it may have one of its own.
fn authority(wkt: &str) -> Option<u32> {
    let upper = wkt.to_ascii_uppercase();
    let at = upper
        .rfind("AUTHORITY[\"EPSG\"")
        .or_else(|| upper.rfind("ID[\"EPSG\""))?;
    let (own, rest) = (upper.get(at..)?, upper.get(at..)?.find(']')?);
    // Behind it nothing but the end of the whole.
    if !own.get(rest + 1..)?.chars().all(|c| c == ']' || c.is_whitespace()) || own[rest + 1..].trim() != "]" {
        return None;
    }
    let number = own.get(..rest)?.rsplit(',').next()?;
    number.trim().trim_matches('"').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESRI: &str = r#"PROJCS["CGCS2000_3_Degree_GK_Zone_39",GEOGCS["GCS_China_Geodetic_Coordinate_System_2000",DATUM["D_China_2000",SPHEROID["CGCS2000",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Gauss_Kruger"],PARAMETER["False_Easting",39500000.0],PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",117.0],PARAMETER["Scale_Factor",1.0],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]"#;

    #[test]
    fn chinas_systems_are_known_without_numbers() {
        assert_eq!(recognise(ESRI), Known::Epsg(4527));
        assert_eq!(recognise(&ESRI.replace("39500000.0", "500000.0")), Known::Epsg(4548));
        assert_eq!(recognise(&ESRI.replace("39500000.0", "20500000.0")), Known::Epsg(4498));
        let geographic = r#"GEOGCS["GCS_China_Geodetic_Coordinate_System_2000",DATUM["D_China_2000",SPHEROID["CGCS2000",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]"#;
        assert_eq!(recognise(geographic), Known::Epsg(4490));
        // A plane of the city's own is none of the registry's.
        assert!(matches!(
            recognise(&ESRI.replace("39500000.0", "100000.0")),
            Known::Other(_)
        ));
        assert!(matches!(recognise(&ESRI.replace("117.0", "117.3333")), Known::Other(_)));
    }

    #[test]
    fn the_number_of_a_part_is_not_the_number_of_the_whole() {
        let part = r#"PROJCS["local",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],AUTHORITY["EPSG","4326"]],PROJECTION["Transverse_Mercator"],PARAMETER["central_meridian",12],UNIT["metre",1]]"#;
        assert_eq!(recognise(part), Known::Other("local".into()));
        let whole = part.replace(r#"UNIT["metre",1]]"#, r#"UNIT["metre",1],AUTHORITY["EPSG","32633"]]"#);
        assert_eq!(recognise(&whole), Known::Epsg(32633));
        let secret = r#"PROJCS["Beijing_1954_3_Degree_GK_Zone_39",GEOGCS["GCS_Beijing_1954",DATUM["D_Beijing_1954",SPHEROID["Krasovsky_1940",6378245.0,298.3]]]]"#;
        assert!(matches!(recognise(secret), Known::Secret(_)));
    }

    #[test]
    fn nonsense_has_no_number() {
        for s in [
            "",
            "]",
            "PROJCS[",
            "\"",
            "AUTHORITY[\"EPSG\"",
            "PARAMETER[\"CENTRAL_MERIDIAN\",",
            "投影",
        ] {
            assert!(matches!(recognise(s), Known::Other(_)), "{s}");
        }
    }
}
