//! Numbers, days and yes/no as sources write them.

use std::borrow::Cow;

use chrono::{Datelike, NaiveDate, NaiveDateTime};
use serde_json::{Number, Value};

use super::fold::plain;
use crate::domain::class::AttributeKind;
use crate::domain::text::Text;
use crate::text;

/// A number, with or without thousands separators (`1,200.5`). Finite.
pub fn number(s: &str) -> Option<f64> {
    let own = plain(s);
    let bare = match own.contains(',') {
        true if grouped(&own) => Cow::Owned(own.replace(',', "")),
        true => return None,
        false => own,
    };
    // Rust reads "inf" and "nan" too.
    let digits = bare.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    bare.parse::<f64>().ok().filter(|n| digits && n.is_finite())
}

/// Degrees: a number, or degrees, minutes and seconds as `117°13′01.9″E`, `117度13分1.9秒`, `117 13 01.9`.
pub fn angle(s: &str) -> Option<f64> {
    number(s).or_else(|| sexagesimal(&plain(s)))
}

fn sexagesimal(s: &str) -> Option<f64> {
    let (mut sign, mut parts): (f64, Vec<f64>) = (1.0, Vec::new());
    let (mut digits, mut ended) = (String::new(), false);
    for c in s.chars().chain(std::iter::once(' ')) {
        match c {
            '0'..='9' | '.' if !ended => digits.push(c),
            '-' if parts.is_empty() && digits.is_empty() => sign = -1.0,
            'S' | 's' | 'W' | 'w' | '南' | '西' => sign = -1.0,
            'N' | 'n' | 'E' | 'e' | '北' | '东' | '東' | '纬' | '緯' | '经' | '經' => {}
            '°' | '度' | '˚' | 'º' | '\'' | '′' | '’' | '分' | '"' | '″' | '”' | '秒' | ':' | ' ' => {
                if !digits.is_empty() {
                    parts.push(digits.parse().ok()?);
                    digits.clear();
                }
                ended = parts.len() == 3;
            }
            _ => return None,
        }
    }
    let [degrees, rest @ ..] = parts.as_slice() else {
        return None;
    };
    // A lone number is no such notation; minutes and seconds stop at sixty, and only the last may have a fraction.
    let whole = parts[..parts.len() - 1].iter().all(|p| p.fract() == 0.0);
    if rest.is_empty() || !whole || rest.iter().any(|p| *p >= 60.0) {
        return None;
    }
    let (minutes, seconds) = (rest[0], rest.get(1).copied().unwrap_or_default());
    Some(sign * (degrees + minutes / 60.0 + seconds / 3600.0))
}

fn grouped(s: &str) -> bool {
    let whole = s.trim_start_matches(['-', '+']).split('.').next().unwrap_or_default();
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    (1..=3).contains(&first.len()) && groups.all(|g| g.len() == 3)
}

/// A whole number; `400.0` is one.
pub fn integer(s: &str) -> Option<i64> {
    if let Ok(n) = plain(s).parse() {
        return Some(n);
    }
    // 2^53: beyond it a float no longer tells neighbours apart.
    number(s)
        .filter(|n| n.fract() == 0.0 && n.abs() <= 9_007_199_254_740_992.0)
        .map(|n| n as i64)
}

/// Yes or no.
pub fn boolean(s: &str) -> Option<bool> {
    match plain(s).to_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" | "是" | "有" | "√" => Some(true),
        "false" | "f" | "no" | "n" | "0" | "否" | "无" | "無" | "×" => Some(false),
        _ => None,
    }
}

/// A day: `2026-03-05`, `2026/3/5`, `20260305`, `2026年3月5日`, any of them with a time behind; the number of days that a spreadsheet
/// counts (`46086`); or by a stated `strftime` format.
pub fn date(s: &str, format: Option<&str>) -> Option<NaiveDate> {
    // Chrono's years go far beyond those of a database.
    any_date(s, format).filter(|d| (1..=9999).contains(&d.year()))
}

fn any_date(s: &str, format: Option<&str>) -> Option<NaiveDate> {
    if let Some(format) = format {
        return NaiveDate::parse_from_str(s, format)
            .or_else(|_| NaiveDateTime::parse_from_str(s, format).map(|t| t.date()))
            .ok();
    }
    let own = plain(s);
    let day = own.split(['T', ' ']).next().unwrap_or(&own);
    ["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日"]
        .iter()
        .find_map(|f| NaiveDate::parse_from_str(day, f).ok())
        .or_else(|| {
            (day.len() == 8)
                .then(|| NaiveDate::parse_from_str(day, "%Y%m%d").ok())
                .flatten()
        })
        .or_else(|| serial(day))
}

/// Days since 1899-12-30, between 1954 and 2064: a number that is no other way of writing a day.
fn serial(s: &str) -> Option<NaiveDate> {
    let n = s
        .parse::<f64>()
        .ok()
        .filter(|n| (20_000.0..60_000.0).contains(n) && s.len() >= 5)?;
    NaiveDate::from_ymd_opt(1899, 12, 30)?.checked_add_days(chrono::Days::new(n as u64))
}

/// How text is read as an attribute of a kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// A unit behind the number that is taken off: `ft`.
    pub suffix: Option<String>,
    /// What the number is multiplied by.
    pub scale: Option<f64>,
    /// The `strftime` format of a day.
    pub format: Option<String>,
}

/// Reads text as a value of a kind; the fault is what would be right.
pub fn attribute(s: &str, kind: AttributeKind, reading: &Reading) -> Result<Value, Text> {
    let bare = reading
        .suffix
        .as_deref()
        .and_then(|u| s.strip_suffix(u))
        .unwrap_or(s)
        .trim();
    let scale = reading.scale.unwrap_or(1.0);
    match kind {
        AttributeKind::Text | AttributeKind::Code => Ok(Value::String(s.to_owned())),
        AttributeKind::Integer if reading.scale.is_none() => integer(bare).map(Value::from).ok_or_else(whole),
        AttributeKind::Integer => number(bare)
            .map(|n| Value::from((n * scale).round() as i64))
            .ok_or_else(whole),
        AttributeKind::Number => number(bare)
            // A tenth of a micrometre is enough for anything measured; 4.8768 stays 4.8768.
            .map(|n| {
                if reading.scale.is_some() {
                    (n * scale * 1e7).round() / 1e7
                } else {
                    n
                }
            })
            .and_then(Number::from_f64)
            .map(Value::Number)
            .ok_or_else(|| Text::new("数字", "a number")),
        AttributeKind::Boolean => boolean(bare)
            .map(Value::Bool)
            .ok_or_else(|| Text::new("是/否", "yes or no")),
        AttributeKind::Date => date(s, reading.format.as_deref())
            .map(|d| Value::String(d.to_string()))
            .ok_or_else(|| day(reading.format.as_deref())),
    }
}

fn whole() -> Text {
    Text::new("整数", "a whole number")
}

/// What a day should look like.
pub fn day(format: Option<&str>) -> Text {
    match format {
        Some(f) => text!("格式为 {f} 的日期", "a day in the format {f}"),
        None => Text::new("日期，如 2026-03-05", "a day such as 2026-03-05"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_sources_write_them() {
        assert_eq!(number("1,200.5"), Some(1200.5));
        assert_eq!(
            (number("1,5"), number("inf"), number("NaN"), number(""), number("1e400")),
            (None, None, None, None, None)
        );
        assert_eq!(
            (integer("400.0"), integer("400.5"), integer("12345678901234567")),
            (Some(400), None, Some(12345678901234567))
        );
        let day = NaiveDate::from_ymd_opt(2026, 3, 5);
        for s in [
            "2026-03-05",
            "2026/3/5",
            "20260305",
            "2026年3月5日",
            "2026-03-05 10:25:09",
            "2026-03-05T10:25:09Z",
        ] {
            assert_eq!(date(s, None), day, "{s}");
        }
        assert_eq!(date("3/5/2026 0:00:00", Some("%m/%d/%Y %H:%M:%S")), day);
        for s in [
            "2026/03/05",
            "２０２６年３月５日",
            "'20260305",
            "46086",
            "46086.0",
            "46086.43",
            "2026.3.5",
        ] {
            assert_eq!(date(s, None), day, "{s}");
        }
        assert_eq!(
            (date("2026-02-30", None), date("12345", None), date("461", None)),
            (None, None, None)
        );
        let right = 117.0 + 13.0 / 60.0 + 1.92 / 3600.0;
        for s in [
            "117°13′1.92″",
            "117°13'01.92\"E",
            "117度13分1.92秒",
            "东经117°13′1.92″",
            "117:13:1.92",
            "117 13 1.92",
            "E117°13.032′",
        ] {
            assert!(
                angle(s).is_some_and(|a| (a - right).abs() < 1e-9),
                "{s}: {:?}",
                angle(s)
            );
        }
        assert_eq!((angle("-33°30'"), angle("33°30'S")), (Some(-33.5), Some(-33.5)));
        for s in ["117°63'", "117°", "abc", "117.5°13.2'1", "1 2 3 4", ""] {
            assert_eq!(angle(s), None, "{s}");
        }
        assert_eq!(angle("117.217"), Some(117.217));
        let feet = Reading {
            suffix: Some("ft".into()),
            scale: Some(0.3048),
            format: None,
        };
        assert_eq!(
            attribute("16 ft", AttributeKind::Number, &feet),
            Ok(Value::from(4.8768))
        );
    }
}
