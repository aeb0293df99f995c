//! The rules: the files of `rules/`, and those of a city's own directory beside them.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::definitions::{built_in, of_directory};
use crate::domain::filter::{Field, Filter};
use crate::domain::rule::Rule;
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::query::word::fields;
use crate::text;
use crate::tile::layer::{self, Source};

#[derive(rust_embed::RustEmbed)]
#[folder = "rules/"]
struct Files;

static RULES: OnceLock<Vec<Arc<Rule>>> = OnceLock::new();

/// All rules, in their order.
pub fn all() -> &'static [Arc<Rule>] {
    RULES.get_or_init(|| sorted(shipped()))
}

/// The rule of a name.
pub fn get(id: &str) -> Option<&'static Arc<Rule>> {
    all().iter().find(|r| r.id == id)
}

/// Reads the `.toml` files of a directory too; one that has the name of a built-in rule stands in its place. Once, before anybody asks.
pub fn with_directory(directory: &Path) -> Result<()> {
    let own = of_directory(directory, Rule::parse)?;
    let faults: Vec<Text> = own.iter().flat_map(unknown).collect();
    if !faults.is_empty() {
        return Err(Error::Setup(joined(&faults)));
    }
    let mut rules = shipped();
    rules.retain(|r| own.iter().all(|o| o.id != r.id));
    rules.extend(own);
    // Whoever has asked already was answered with the built-in ones.
    let _ = RULES.set(sorted(rules));
    Ok(())
}

fn shipped() -> Vec<Rule> {
    built_in::<Files, Rule>(Rule::parse)
        .into_iter()
        .filter_map(Result::ok)
        .collect()
}

fn sorted(mut rules: Vec<Rule>) -> Vec<Arc<Rule>> {
    rules.sort_by(|a, b| (a.order, &a.id).cmp(&(b.order, &b.id)));
    rules.into_iter().map(Arc::new).collect()
}

/// What a rule names and nobody knows: layers, and properties in filters.
fn unknown(rule: &Rule) -> Vec<Text> {
    let id = &rule.id;
    let doors = rule.entrances.as_ref();
    let layers = std::iter::once(&rule.layer).chain(doors.map(|d| &d.layer));
    let bad = |name: &&String| layer::get(name).is_none_or(|l| l.source != Source::Component);
    let mut faults: Vec<Text> = layers
        .filter(bad)
        .map(|name| {
            text!(
                "规则“{id}”：没有部件图层“{name}”",
                "rule \"{id}\": there is no layer of components \"{name}\""
            )
        })
        .collect();
    let filters = rule.filter.iter().chain(doors.and_then(|d| d.filter.as_ref()));
    for own in filters.filter(|own| filter(id, own).is_err()) {
        faults.push(text!(
            "规则“{id}”：无法读懂过滤条件“{own}”",
            "rule \"{id}\": the filter \"{own}\" cannot be read"
        ));
    }
    faults
}

/// Several faults as one text.
pub fn joined(faults: &[Text]) -> Text {
    let said = |pick: fn(&Text) -> &str| faults.iter().map(pick).collect::<Vec<_>>().join("; ");
    Text::new(said(|t| &t.zh), said(|t| &t.en))
}

/// A filter of components that a definition has as CQL2 text.
pub fn filter(whose: &str, text: &str) -> Result<Arc<Filter>> {
    let own = fields(Source::Component);
    let known: Vec<Field> = Field::ALL.iter().copied().filter(|f| own.contains(f)).collect();
    let parsed = Filter::parse(text, &known);
    parsed
        .map(Arc::new)
        .map_err(|f| Error::internal(format!("{whose}: {f:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_rule_can_be_read_and_names_a_layer_of_components() {
        for rule in built_in::<Files, Rule>(Rule::parse) {
            let rule = rule.unwrap();
            assert_eq!(joined(&unknown(&rule)).en, "");
        }
        assert!(all().len() >= 5);
    }
}
