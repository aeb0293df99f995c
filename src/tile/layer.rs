//! Layers: published selections of components, cells, areas, roads or land, declared in `tiles/*.toml`.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use crate::domain::class::Class;
use crate::domain::text::Lang;
use crate::domain::word::GeometryKind;

/// What a layer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Components of some classes.
    Component,
    /// Valid cells.
    Cell,
    /// Valid areas.
    Area,
    /// Roads.
    Road,
    /// Land of some kinds.
    Land,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title_zh: String,
    title_en: String,
    group: String,
    order: u32,
    source: Source,
    #[serde(default)]
    classes: Vec<String>,
    #[serde(default)]
    kinds: Vec<String>,
    geometry: String,
    detail_zoom: u8,
    color: String,
    visible: bool,
    #[serde(default)]
    map_zoom: u8,
    #[serde(default)]
    public: bool,
    #[serde(default)]
    unconditional: bool,
}

/// One layer, as its file declares it.
#[derive(Debug)]
pub struct Layer {
    /// Its name in URLs and in tiles: the file's name.
    pub id: String,
    /// 中文名.
    pub title_zh: String,
    /// English title.
    pub title_en: String,
    /// Where the legend lists it: facilities, base, grid.
    pub group: String,
    /// Drawing order, lowest first.
    pub order: u32,
    /// What it shows.
    pub source: Source,
    /// `SCHEME/CODE` of its classes, or `*`. A class of another dictionary that maps to one of them belongs to it too.
    pub classes: Vec<String>,
    /// Kinds of land.
    pub kinds: Vec<String>,
    /// What most of its features are.
    pub geometry: GeometryKind,
    /// The zoom from which points are drawn one by one.
    pub detail_zoom: u8,
    /// Colour on the map, `#rrggbb`.
    pub color: String,
    /// Whether the map shows it at first.
    pub visible: bool,
    /// The zoom from which the map shows it: small things would hide the city at first.
    pub map_zoom: u8,
    /// Whether it is shown to whoever reaches the service, also where that takes signing in otherwise.
    pub public: bool,
    /// Whether a patch is taken that does not say which version it is of.
    pub unconditional: bool,
    /// Its bit in a [`LayerSet`].
    pub bit: LayerSet,
}

/// Some of the layers, one bit each.
pub type LayerSet = u64;

#[derive(rust_embed::RustEmbed)]
#[folder = "tiles/"]
struct Files;

static LAYERS: LazyLock<Vec<Arc<Layer>>> = LazyLock::new(|| {
    let mut layers: Vec<Layer> = Files::iter().filter_map(|name| read(&name).ok()).collect();
    layers.sort_by(|a, b| (a.order, &a.id).cmp(&(b.order, &b.id)));
    layers.truncate(LayerSet::BITS as usize);
    let with_bit = |(i, layer)| {
        Arc::new(Layer {
            bit: LayerSet::from(1u8) << i,
            ..layer
        })
    };
    layers.into_iter().enumerate().map(with_bit).collect()
});

fn read(name: &str) -> Result<Layer, String> {
    let id = name
        .strip_suffix(".toml")
        .ok_or_else(|| format!("{name} is not a .toml file"))?;
    let file = Files::get(name).ok_or("not there")?;
    let text = std::str::from_utf8(&file.data).map_err(|e| e.to_string())?;
    let file: File = toml::from_str(text).map_err(|e| format!("{name}: {e}"))?;
    Ok(Layer {
        id: id.to_owned(),
        title_zh: file.title_zh,
        title_en: file.title_en,
        group: file.group,
        order: file.order,
        source: file.source,
        classes: file.classes,
        kinds: file.kinds,
        geometry: GeometryKind::parse(&file.geometry).map_err(|t| format!("{name}: {t}"))?,
        detail_zoom: file.detail_zoom,
        color: file.color,
        visible: file.visible,
        map_zoom: file.map_zoom,
        public: file.public,
        unconditional: file.unconditional,
        bit: 0,
    })
}

/// The files of `tiles/`: name and text.
pub fn files() -> impl Iterator<Item = (std::borrow::Cow<'static, str>, std::borrow::Cow<'static, [u8]>)> {
    Files::iter().filter_map(|name| Some((name.clone(), Files::get(&name)?.data)))
}

/// What is wrong with the files of `tiles/`, one sentence each; a file that cannot be read is no layer.
pub fn faults() -> Vec<String> {
    Files::iter().filter_map(|name| read(&name).err()).collect()
}

/// All layers in drawing order.
pub fn all() -> &'static [Arc<Layer>] {
    &LAYERS
}

/// The layer of an id.
pub fn get(id: &str) -> Option<&'static Arc<Layer>> {
    all().iter().find(|l| l.id == id)
}

impl Layer {
    /// The title in a language.
    pub fn title(&self, lang: Lang) -> &str {
        lang.pick(&self.title_zh, &self.title_en)
    }

    /// Whether components of a class belong to it, restricted or not; `class_of` finds the class that another dictionary's class maps to.
    pub fn shows<'a>(&self, class: &Class, class_of: impl Fn(i32) -> Option<&'a Class>) -> bool {
        let listed = |c: &Class| {
            self.classes.iter().any(|l| {
                l == "*"
                    || l.split_once('/')
                        .is_some_and(|(s, code)| s == c.scheme && code == c.code)
            })
        };
        let base = class.base.and_then(class_of);
        self.source == Source::Component && (listed(class) || base.is_some_and(listed))
    }
}

/// The layers of a source.
pub fn set_of_source(source: Source) -> LayerSet {
    all()
        .iter()
        .filter(|l| l.source == source)
        .fold(0, |set, l| set | l.bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_in_tiles_is_a_layer() {
        for name in Files::iter() {
            let layer = read(&name).unwrap();
            assert!(layer.color.len() == 7 && layer.color.starts_with('#'), "{name}");
            assert_eq!(layer.classes.is_empty(), layer.source != Source::Component, "{name}");
            assert_eq!(layer.kinds.is_empty(), layer.source != Source::Land, "{name}");
        }
        assert_eq!(Files::iter().count(), all().len());
    }
}
