//! What a node says of itself under `/metrics`.

use crate::node::Node;
use crate::{Result, http};

/// The whole text.
pub(crate) async fn read(node: &Node) -> Result<String> {
    Ok(String::from_utf8(http::fetch(node.at, "/metrics").await?)?)
}

/// A figure without labels.
pub(crate) fn gauge(text: &str, name: &str) -> Option<f64> {
    let value = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    value?.parse().ok()
}

/// A histogram over seconds.
pub(crate) struct Histogram {
    pub(crate) name: String,
    /// Upper bounds and how many values lie below each.
    buckets: Vec<(f64, f64)>,
}

impl Histogram {
    pub(crate) fn count(&self) -> f64 {
        self.buckets.last().map_or(0.0, |b| b.1)
    }

    /// The upper bound in milliseconds of the bucket that holds a quantile.
    pub(crate) fn within_ms(&self, q: f64) -> f64 {
        let rank = self.count() * q;
        let bucket = self.buckets.iter().find(|b| b.1 >= rank);
        bucket.map_or(0.0, |b| b.0 * 1000.0)
    }
}

/// The histograms whose names have one of some words in them.
pub(crate) fn histograms(text: &str, words: &[&str]) -> Vec<Histogram> {
    let mut all: Vec<Histogram> = Vec::new();
    for line in text.lines().filter(|l| words.iter().any(|w| l.contains(w))) {
        let Some((name, rest)) = line.split_once("_bucket{") else {
            continue;
        };
        let bound = rest.split("le=\"").nth(1).and_then(|b| b.split('"').next());
        // The count may be followed by an exemplar.
        let count = rest.split_once("} ").and_then(|(_, c)| c.split(' ').next());
        let (Some(bound), Some(count)) = (bound, count.and_then(|c| c.parse().ok())) else {
            continue;
        };
        let bound = bound.parse().unwrap_or(f64::INFINITY);
        match all.iter_mut().find(|h| h.name == name) {
            Some(h) => h.buckets.push((bound, count)),
            None => all.push(Histogram {
                name: name.to_owned(),
                buckets: vec![(bound, count)],
            }),
        }
    }
    all
}
