//! The tables: the files of `indicators/`, and those of a city's own directory beside them.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::coverage::rules;
use crate::definitions::{built_in, of_directory};
use crate::domain::indicator::{Quantity, Table};
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::text;
use crate::tile::layer::{self, Source};

#[derive(rust_embed::RustEmbed)]
#[folder = "indicators/"]
struct Files;

static TABLES: OnceLock<Vec<Arc<Table>>> = OnceLock::new();

/// All tables, in their order.
pub fn all() -> &'static [Arc<Table>] {
    TABLES.get_or_init(|| sorted(shipped()))
}

/// The table of a name.
pub fn get(id: &str) -> Option<&'static Arc<Table>> {
    all().iter().find(|t| t.id == id)
}

/// Reads the `.toml` files of a directory too; one that has the name of a built-in table stands in its place. Once, before anybody asks
/// and after the rules.
pub fn with_directory(directory: &Path) -> Result<()> {
    let own = of_directory(directory, Table::parse)?;
    let faults: Vec<Text> = own.iter().flat_map(unknown).collect();
    if !faults.is_empty() {
        return Err(Error::Setup(rules::joined(&faults)));
    }
    let mut tables = shipped();
    tables.retain(|t| own.iter().all(|o| o.id != t.id));
    tables.extend(own);
    let _ = TABLES.set(sorted(tables));
    Ok(())
}

fn shipped() -> Vec<Table> {
    built_in::<Files, Table>(Table::parse)
        .into_iter()
        .filter_map(Result::ok)
        .collect()
}

fn sorted(mut tables: Vec<Table>) -> Vec<Arc<Table>> {
    tables.sort_by(|a, b| (a.order, &a.id).cmp(&(b.order, &b.id)));
    tables.into_iter().map(Arc::new).collect()
}

/// What a table names and nobody knows: layers, rules, denominators, properties in filters.
fn unknown(table: &Table) -> Vec<Text> {
    let mut faults = Vec::new();
    for i in &table.indicators {
        let id = &i.id;
        for quantity in i.value.iter().chain(&i.per) {
            if let Some(layer) = quantity.layer()
                && layer::get(layer).is_none_or(|l| l.source != Source::Component)
            {
                faults.push(text!(
                    "指标“{id}”：没有部件图层“{layer}”",
                    "indicator \"{id}\": there is no layer of components \"{layer}\""
                ));
            }
            if let Some(text) = quantity.filter()
                && rules::filter(id, text).is_err()
            {
                faults.push(text!(
                    "指标“{id}”：无法读懂过滤条件“{text}”",
                    "indicator \"{id}\": the filter \"{text}\" cannot be read"
                ));
            }
            if let Quantity::Coverage { rule, denominator } = quantity {
                let known = rules::get(rule);
                let has = |key: &String| known.is_some_and(|r| r.denominators.iter().any(|d| d.key == *key));
                if known.is_none() || !denominator.as_ref().is_none_or(has) {
                    faults.push(text!(
                        "指标“{id}”：没有规则“{rule}”或其分母",
                        "indicator \"{id}\": there is no rule \"{rule}\", or no such denominator"
                    ));
                }
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_table_can_be_read_and_names_what_is_there() {
        for table in built_in::<Files, Table>(Table::parse) {
            let table = table.unwrap();
            assert_eq!(
                unknown(&table).iter().map(|t| &t.en).collect::<Vec<_>>(),
                Vec::<&String>::new()
            );
        }
        assert!(all().len() >= 5);
    }
}
