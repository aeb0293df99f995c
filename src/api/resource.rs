//! What an address names: a layer, an item of it, a version of an answer.

use std::sync::Arc;

use axum::http::{HeaderMap, header};

use super::reader::Reader;
use crate::domain::grant::Rights;
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::text;
use crate::tile::layer::{self, Layer};

/// The layer of an id that the reader may see, or an answer that lists those there are.
pub(super) fn find(name: &str, reader: &Reader) -> Result<Arc<Layer>> {
    let layer = layer::get(name).cloned().ok_or_else(|| {
        let known: Vec<&str> = layer::all().iter().map(|l| l.id.as_str()).collect();
        let known = known.join(", ");
        Error::NotFound(text!(
            "没有图层“{name}”；已有：{known}",
            "there is no layer \"{name}\"; there are {known}"
        ))
    })?;
    reader.layer(&layer)?;
    Ok(layer)
}

/// The id in a path, or an answer that there is no such thing.
pub fn id(layer: &Layer, text: &str) -> Result<i64> {
    text.parse()
        .ok()
        .filter(|id| *id > 0)
        .ok_or_else(|| absent(layer, text))
}

/// There is nothing of that id in the layer.
pub fn absent(layer: &Layer, id: &str) -> Error {
    let (zh, en) = (&layer.title_zh, &layer.title_en);
    Error::NotFound(text!(
        "图层“{zh}”中没有编号 {id}",
        "there is no {id} in the layer \"{en}\""
    ))
}

/// There is no component of that id, or none that is the reader's to see.
pub(super) fn no_component(id: &str) -> Error {
    Error::NotFound(text!("没有部件 {id}", "there is no component {id}"))
}

/// Whether a reader may see components of a class.
pub(super) fn visible(memory: &Memory, class: i32, rights: &Rights) -> bool {
    memory.classes.get(&class).is_some_and(|c| rights.sees(c))
}

/// Whether `If-None-Match` names an ETag (weakly compared, as RFC 9110 asks).
pub fn matches_etag(headers: &HeaderMap, etag: impl AsRef<[u8]>) -> bool {
    let values = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|v| v.to_str().ok());
    values
        .flat_map(|v| v.split(',').map(str::trim))
        .map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
        .any(|tag| tag.as_bytes() == etag.as_ref() || tag == "*")
}

/// A text as it stands in a query string.
pub(super) fn percent(s: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    s.bytes()
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}
