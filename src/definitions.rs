//! Definitions that stand in TOML files: those that are built in, and a city's own directory of them beside.

use std::path::Path;

use crate::domain::text::Text;
use crate::error::{Error, Result};

/// Reads a definition: its name, its text; every fault at once.
pub type Parse<T> = fn(&str, &str) -> Result<T, Vec<Text>>;

/// The built-in files of a folder.
pub fn built_in<F: rust_embed::RustEmbed, T>(parse: Parse<T>) -> Vec<Result<T, Vec<Text>>> {
    let read = |name: std::borrow::Cow<'static, str>| {
        let file = F::get(&name)?;
        let text = String::from_utf8_lossy(&file.data).into_owned();
        Some(parse(name.strip_suffix(".toml")?, &text))
    };
    F::iter().filter_map(read).collect()
}

/// The `.toml` files of a directory. A file with a fault is refused with all of them.
pub fn of_directory<T>(directory: &Path, parse: Parse<T>) -> Result<Vec<T>> {
    let setup = |path: &Path, zh: &str, en: &str| {
        let path = path.display();
        Error::Setup(Text::new(format!("{path}：{zh}"), format!("{path}: {en}")))
    };
    let unread = |path: &Path, e: std::io::Error| setup(path, &e.to_string(), &e.to_string());
    let mut own = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|e| unread(directory, e))? {
        let path = entry.map_err(|e| unread(directory, e))?.path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|e| unread(&path, e))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let faulty = |faults: Vec<Text>| {
            let said = |pick: fn(&Text) -> &str| faults.iter().map(pick).collect::<Vec<_>>().join("; ");
            setup(&path, &said(|t| &t.zh), &said(|t| &t.en))
        };
        own.push(parse(&name, &text).map_err(faulty)?);
    }
    Ok(own)
}
