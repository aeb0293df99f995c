//! The rules: the files of `rules/`, and those of a city's own directory beside them.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::domain::rule::Rule;
use crate::domain::text::Text;
use crate::error::{Error, Result};

#[derive(rust_embed::RustEmbed)]
#[folder = "rules/"]
struct Files;

static RULES: OnceLock<Vec<Arc<Rule>>> = OnceLock::new();

/// All rules, in their order.
pub fn all() -> &'static [Arc<Rule>] {
    RULES.get_or_init(|| sorted(built_in().into_iter().filter_map(Result::ok).collect()))
}

/// The rule of a name.
pub fn get(id: &str) -> Option<&'static Arc<Rule>> {
    all().iter().find(|r| r.id == id)
}

/// Reads the `.toml` files of a directory too; one that has the name of a built-in rule stands in its place. Once, before anybody asks.
pub fn with_directory(directory: &Path) -> Result<()> {
    let setup = |path: &Path, why: &dyn std::fmt::Display| {
        let path = path.display();
        Error::Setup(Text::new(format!("规则 {path}：{why}"), format!("rule {path}: {why}")))
    };
    let mut rules: Vec<Rule> = built_in().into_iter().filter_map(Result::ok).collect();
    let mut own = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|e| setup(directory, &e))? {
        let path = entry.map_err(|e| setup(directory, &e))?.path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|e| setup(&path, &e))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let faulty = |faults: Vec<Text>| {
            let said = |pick: fn(&Text) -> &str| faults.iter().map(pick).collect::<Vec<_>>().join("; ");
            let path = path.display();
            let (zh, en) = (said(|t| &t.zh), said(|t| &t.en));
            Error::Setup(Text::new(format!("规则 {path}：{zh}"), format!("rule {path}: {en}")))
        };
        own.push(Rule::parse(&name, &text).map_err(faulty)?);
    }
    rules.retain(|r| own.iter().all(|o| o.id != r.id));
    rules.extend(own);
    // Whoever has asked already was answered with the built-in ones.
    let _ = RULES.set(sorted(rules));
    Ok(())
}

fn built_in() -> Vec<Result<Rule, Vec<Text>>> {
    let read = |name: std::borrow::Cow<'static, str>| {
        let file = Files::get(&name)?;
        let text = String::from_utf8_lossy(&file.data).into_owned();
        Some(Rule::parse(name.strip_suffix(".toml")?, &text))
    };
    Files::iter().filter_map(read).collect()
}

fn sorted(mut rules: Vec<Rule>) -> Vec<Arc<Rule>> {
    rules.sort_by(|a, b| (a.order, &a.id).cmp(&(b.order, &b.id)));
    rules.into_iter().map(Arc::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile::layer;

    #[test]
    fn every_built_in_rule_can_be_read_and_names_a_layer_of_components() {
        for rule in built_in() {
            let rule = rule.unwrap();
            let layer = layer::get(&rule.layer).unwrap_or_else(|| panic!("{}: no layer {}", rule.id, rule.layer));
            assert_eq!(layer.source, layer::Source::Component, "{}", rule.id);
        }
        assert!(all().len() >= 5);
    }
}
