//! Which encoding of an answer a reader takes best: `Accept-Encoding` by RFC 9110, section 12.5.3.

use axum::http::{HeaderMap, header};

use crate::tile::body::Encoding;

/// The encoding that the reader wants most; between equals zstd, then gzip, then the plain bytes. Encodings that are not known
/// and members that cannot be read are passed over.
///
/// A reader who refuses the plain bytes too (`identity;q=0`) and takes nothing that we have gets the plain bytes nevertheless: the
/// RFC allows that beside 406, and they are of more use.
pub fn negotiate(headers: &HeaderMap) -> Encoding {
    let (mut zstd, mut gzip, mut identity, mut any) = (None, None, None, None);
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    for member in values.filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')) {
        let mut fields = member.split(';').map(str::trim);
        let name = fields.next().unwrap_or_default();
        let slot = match name {
            "*" => &mut any,
            _ if name.eq_ignore_ascii_case("zstd") => &mut zstd,
            _ if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => &mut gzip,
            _ if name.eq_ignore_ascii_case("identity") => &mut identity,
            _ => continue,
        };
        if let Some(quality) = quality(fields) {
            *slot = Some(quality);
        }
    }
    // What is not named is refused, except the plain bytes, which are only wanted least.
    let wanted = |named: Option<f32>| named.or(any).unwrap_or(0.0);
    let mut best = (Encoding::Identity, wanted(identity));
    for (encoding, wanted) in [(Encoding::Gzip, wanted(gzip)), (Encoding::Zstd, wanted(zstd))] {
        if wanted > 0.0 && wanted >= best.1 {
            best = (encoding, wanted);
        }
    }
    best.0
}

/// The weight of a member, 1 without one; none if it is no weight.
fn quality<'a>(mut fields: impl Iterator<Item = &'a str>) -> Option<f32> {
    let weight = fields.find_map(|f| f.strip_prefix("q=").or_else(|| f.strip_prefix("Q=")));
    weight.map_or(Some(1.0), |q| q.parse().ok().filter(|q| (0.0..=1.0).contains(q)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Encoding {
        let header = |v: &&str| (header::ACCEPT_ENCODING, v.parse().unwrap());
        negotiate(&values.iter().map(header).collect())
    }

    #[test]
    fn the_best_of_what_is_taken_is_chosen() {
        use Encoding::{Gzip, Identity, Zstd};
        for (value, expected) in [
            ("gzip, deflate, br, zstd", Zstd),
            ("gzip, deflate, br", Gzip),
            ("GZip", Gzip),
            ("x-gzip", Gzip),
            ("zstd;q=0.5, gzip;q=0.5", Zstd),
            ("zstd;q=0.4,gzip;q=0.5", Gzip),
            ("zstd ; q=0.001 , br", Zstd),
            ("gzip;q=0", Identity),
            ("gzip;q=0.000, zstd;Q=0", Identity),
            ("", Identity),
            (" , ,", Identity),
            ("br", Identity),
            ("gzipped, zstandard", Identity),
            ("*", Zstd),
            ("*, zstd;q=0", Gzip),
            ("*;q=0", Identity),
            ("*;q=0, gzip", Gzip),
            ("gzip;q=0.5, *;q=0.1", Gzip),
            ("identity, gzip;q=0.9", Identity),
            ("identity;q=0.5, gzip;q=0.5", Gzip),
            ("identity;q=0, gzip;q=0.1", Gzip),
            // Nothing fits: the plain bytes all the same.
            ("identity;q=0", Identity),
            ("br, identity;q=0", Identity),
            ("br, *;q=0", Identity),
            // A weight that is none.
            ("zstd;q=2, gzip;q=0.1", Gzip),
            ("zstd;q=NaN, gzip;q=-1", Identity),
            ("zstd;q=", Identity),
        ] {
            assert_eq!(of(&[value]), expected, "{value}");
        }
        assert_eq!(of(&[]), Identity);
        assert_eq!(of(&["br", "gzip;q=0.2", "zstd;q=0.1"]), Gzip);
    }
}
