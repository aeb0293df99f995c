//! JSON into records: a feature collection of any size, one feature a line, bare geometries, or a list of objects or of arrays; never
//! the whole file in memory.

use std::io::BufRead;
use std::sync::Arc;

use ::geojson::Feature;
use serde_json::Value;

use super::super::record::{Body, Record, Values};
use super::{Each, Facts, Reader, Row, unreadable};
use crate::domain::text::Text;
use crate::text;

/// The most bytes that one feature may have: what a single value may take in memory.
const MAX_FEATURE: usize = 64 << 20;

/// The features of a file.
pub(super) struct Features {
    reader: Box<dyn BufRead + Send>,
    row: u64,
    /// The `crs` member, where the file has one before its features.
    pub(super) crs: Option<String>,
    inside: bool,
    ended: bool,
}

impl std::fmt::Debug for Features {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Features")
            .field("row", &self.row)
            .finish_non_exhaustive()
    }
}

/// What the scanner met.
enum Found {
    /// A complete object or, in a list, an array.
    Item(Vec<u8>),
    /// `"features": [` of the collection; the bytes before it.
    Collection(Vec<u8>),
    End,
    Fault(Text),
}

impl Features {
    /// Starts to read.
    pub(super) fn open(reader: Box<dyn BufRead + Send>) -> Features {
        Features {
            reader,
            row: 0,
            crs: None,
            inside: false,
            ended: false,
        }
    }

    /// Cuts out the next object by its braces. Outside a collection it stops early at the collection's list of features, which may
    /// be larger than memory.
    fn scan(&mut self) -> std::io::Result<Found> {
        let mut out: Vec<u8> = Vec::new();
        let (mut depth, mut text, mut escaped) = (0usize, false, false);
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                return Ok(if depth == 0 && out.is_empty() {
                    Found::End
                } else {
                    Found::Fault(Text::new("文件在要素中途结束", "the file ends inside a feature"))
                });
            }
            let mut used = 0;
            for &byte in chunk {
                used += 1;
                if depth == 0 {
                    match byte {
                        b'{' => {}
                        b'[' if self.inside => {}
                        b'[' if self.row == 0 => {
                            self.inside = true;
                            continue;
                        }
                        b']' if self.inside => {
                            // What stands after the list (bbox, crs, the closing brace) is of no interest.
                            self.reader.consume(used);
                            return Ok(Found::End);
                        }
                        b',' | 0x1e => continue,
                        b if b.is_ascii_whitespace() => continue,
                        _ => {
                            let at = char::from(byte);
                            self.reader.consume(used);
                            return Ok(Found::Fault(text!(
                                "此处应为要素，而不是 {at}",
                                "there should be a feature, not {at}"
                            )));
                        }
                    }
                }
                out.push(byte);
                if text {
                    match byte {
                        _ if escaped => escaped = false,
                        b'\\' => escaped = true,
                        b'"' => text = false,
                        _ => {}
                    }
                    continue;
                }
                match byte {
                    b'"' => text = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    self.reader.consume(used);
                    return Ok(Found::Item(out));
                }
                if byte == b'[' && depth == 2 && !self.inside && opens_features(&out) {
                    self.reader.consume(used);
                    return Ok(Found::Collection(out));
                }
            }
            self.reader.consume(used);
            if out.len() > MAX_FEATURE {
                return Ok(Found::Fault(Text::new(
                    "要素超过64 MB",
                    "a feature is larger than 64 MB",
                )));
            }
        }
    }
}

/// Whether the bytes end in `"features" : [`.
fn opens_features(out: &[u8]) -> bool {
    let before = |s: &[u8], c: u8| -> Option<usize> {
        let s = s.trim_ascii_end();
        (s.last() == Some(&c)).then(|| s.len() - 1)
    };
    before(out, b'[')
        .and_then(|n| before(&out[..n], b':'))
        .is_some_and(|n| out[..n].trim_ascii_end().ends_with(b"\"features\""))
}

/// The name in a `crs` member: `{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::3826"}}`.
fn crs_name(head: &[u8]) -> Option<String> {
    let mut object = head.to_vec();
    object.extend_from_slice(b"]}");
    let value: serde_json::Value = serde_json::from_slice(&object).ok()?;
    value["crs"]["properties"]["name"].as_str().map(str::to_owned)
}

impl Iterator for Features {
    type Item = Row;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let found = self
            .scan()
            .unwrap_or_else(|e| Found::Fault(text!("文件无法读取：{e}", "the file cannot be read: {e}")));
        match found {
            Found::Collection(head) => {
                self.crs = crs_name(&head);
                self.inside = true;
                self.next()
            }
            Found::End => {
                self.ended = true;
                None
            }
            Found::Fault(detail) => {
                // After broken braces nothing that follows can be trusted.
                self.ended = true;
                self.row += 1;
                let record = Record::new(self.row, Body::Broken(String::new()));
                Some(unreadable(
                    record,
                    detail,
                    Text::new("完整的 GeoJSON", "complete GeoJSON"),
                ))
            }
            Found::Item(bytes) => {
                self.row += 1;
                Some(item(self.row, &bytes))
            }
        }
    }
}

impl Reader for Features {
    fn facts(&self) -> Facts {
        Facts {
            crs: self.crs.clone(),
            ..Facts::default()
        }
    }

    fn rows(&mut self, each: Each<'_>) -> bool {
        Iterator::by_ref(self).all(each)
    }
}

/// A feature as it is; any other object by its members, an array by the numbers of its places from 1.
fn item(row: u64, bytes: &[u8]) -> Row {
    let fault = |e: &dyn std::fmt::Display| {
        let record = Record::new(row, Body::Broken(String::from_utf8_lossy(bytes).into_owned()));
        let detail = text!("不是 GeoJSON 要素：{e}", "not a GeoJSON feature: {e}");
        unreadable(record, detail, text!("RFC 7946 要素", "a feature of RFC 7946"))
    };
    let first = match serde_json::from_slice::<Feature>(bytes) {
        Ok(feature) => return Ok(Record::new(row, Body::Feature(Box::new(feature)))),
        Err(e) => e,
    };
    let (header, values): (Arc<[String]>, Vec<Value>) = match serde_json::from_slice(bytes) {
        Ok(Value::Array(values)) => ((1..=values.len()).map(|n| n.to_string()).collect(), values),
        Ok(Value::Object(object)) => match object.get("type").and_then(Value::as_str) {
            Some("Feature" | "FeatureCollection") => return fault(&first),
            Some(_) if object.contains_key("coordinates") => {
                return match serde_json::from_slice::<::geojson::Geometry>(bytes) {
                    Ok(geometry) => {
                        let feature = Feature {
                            geometry: Some(geometry),
                            ..Feature::default()
                        };
                        Ok(Record::new(row, Body::Feature(Box::new(feature))))
                    }
                    Err(e) => fault(&e),
                };
            }
            _ => {
                let (names, values): (Vec<String>, Vec<Value>) = object.into_iter().unzip();
                (names.into(), values)
            }
        },
        _ => return fault(&first),
    };
    let body = Values {
        header,
        values,
        geometry: None,
    };
    Ok(Record::new(row, Body::Values(Box::new(body))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Result<String, String>>, Option<String>) {
        let mut features = Features::open(Box::new(std::io::BufReader::with_capacity(
            7,
            std::io::Cursor::new(text.to_owned()),
        )));
        let rows = features
            .by_ref()
            .map(|r| match r {
                Ok(r) => Ok(r
                    .get(&super::super::super::record::Column::named("n"))
                    .unwrap_or_default()
                    .into_owned()),
                Err(bad) => Err(bad.1.detail.en),
            })
            .collect();
        (rows, features.crs)
    }

    #[test]
    fn a_collection_and_lines_read_alike_and_a_broken_feature_costs_only_itself() {
        let feature = |n: &str| format!(r#"{{"type":"Feature","geometry":null,"properties":{{"n":"{n}"}}}}"#);
        let (a, b) = (feature("a]}\\\""), feature("b"));
        let bad = r#"{"type":"Feature","geometry":{"type":"Point","coordinates":["x"]},"properties":{}}"#;
        let collection = format!(
            "{{\"type\":\"FeatureCollection\", \"crs\":{{\"type\":\"name\",\"properties\":{{\"name\":\"EPSG:3826\"}}}},\n \"features\" : [{a},\n{bad}, {b}], \"bbox\":[0]}}"
        );
        let (rows, crs) = read(&collection);
        assert_eq!(crs.as_deref(), Some("EPSG:3826"));
        assert_eq!(
            (rows.len(), rows[0].as_deref(), rows[2].as_deref()),
            (3, Ok("a]}\""), Ok("b"))
        );
        assert!(rows[1].as_ref().unwrap_err().contains("not a GeoJSON feature"));
        let (rows, _) = read(&format!("\u{1e}{a}\n{b}\n"));
        assert_eq!(rows.len(), 2);
        let (rows, _) = read(&collection[..collection.len() - 60]);
        assert!(rows.last().unwrap().is_err());
    }
}
