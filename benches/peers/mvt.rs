//! Tiles, decoded by a crate that neither server uses, so that two can be compared.

use std::collections::BTreeMap;

use geo::Geometry;
use mvt_reader::Reader;
use mvt_reader::feature::Value;

use crate::Result;

/// A point of a tile. Ordered, so that two tiles compare whatever the order of their features.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Feature {
    pub(crate) id: Option<u64>,
    pub(crate) at: (i32, i32),
    pub(crate) tags: BTreeMap<String, String>,
}

impl Feature {
    /// How many components it stands for.
    pub(crate) fn count(&self) -> u64 {
        self.tags.get("point_count").map_or(1, |n| n.parse().unwrap_or(0))
    }
}

/// The points of a tile's only layer, in order.
pub(crate) fn points(tile: Vec<u8>, layer: &str) -> Result<Vec<Feature>> {
    if tile.is_empty() {
        return Ok(Vec::new());
    }
    let reader = Reader::new(tile)?;
    if reader.get_layer_names()? != [layer] {
        return Err(format!("the tile has {:?}, not {layer}", reader.get_layer_names()?).into());
    }
    let mut points = Vec::new();
    for feature in reader.get_features_as::<i32>(0)? {
        // The reader answers every point as one of several.
        let at = match feature.geometry {
            Geometry::MultiPoint(at) if at.0.len() == 1 => at.0[0],
            other => return Err(format!("the tile has something that is not a point: {other:?}").into()),
        };
        points.push(Feature {
            id: feature.id,
            at: (at.x(), at.y()),
            tags: feature
                .properties
                .into_iter()
                .flatten()
                .map(|(k, v)| (k, text(&v)))
                .collect(),
        });
    }
    points.sort();
    Ok(points)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Int(n) | Value::SInt(n) => n.to_string(),
        Value::UInt(n) => n.to_string(),
        Value::Float(n) => n.to_string(),
        Value::Double(n) => n.to_string(),
        Value::Bool(b) => b.to_string(),
        Value::Null => "null".to_owned(),
    }
}

/// The first few features that one has and the other has not, for people; none when the tiles are equal.
pub(crate) fn differences(ours: &[Feature], theirs: &[Feature]) -> Vec<String> {
    let mut said = Vec::new();
    for (who, these, those) in [("only here", ours, theirs), ("only there", theirs, ours)] {
        let missing = these.iter().filter(|f| those.binary_search(f).is_err());
        said.extend(missing.take(2).map(|f| format!("{who}: {f:?}")));
    }
    if said.is_empty() && ours.len() != theirs.len() {
        said.push(format!("{} features here, {} there", ours.len(), theirs.len()));
    }
    said
}

/// As [`differences`], but a place may be rounded in another way: compared are ids and attributes of what lies well inside the
/// tile, and places to two units.
pub(crate) fn roughly(ours: &[Feature], theirs: &[Feature]) -> Vec<String> {
    let key = |f: &Feature| (f.id, f.tags.clone());
    let mut said = Vec::new();
    for (who, these, those) in [("only here", ours, theirs), ("only there", theirs, ours)] {
        let mut places: BTreeMap<_, Vec<(i32, i32)>> = BTreeMap::new();
        for f in those {
            places.entry(key(f)).or_default().push(f.at);
        }
        let near = |a: (i32, i32), b: (i32, i32)| (a.0 - b.0).abs() <= 2 && (a.1 - b.1).abs() <= 2;
        let inside = |f: &&Feature| (2..4094).contains(&f.at.0) && (2..4094).contains(&f.at.1);
        let missing = these.iter().filter(inside).filter(|f| {
            !places
                .get(&key(f))
                .is_some_and(|at| at.iter().any(|at| near(*at, f.at)))
        });
        said.extend(missing.take(2).map(|f| format!("{who}: {f:?}")));
    }
    said
}
