//! The list of what a delivery changed: one line a row, each field with what was and what is.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::write::cannot;
use crate::domain::delivery::Change;
use crate::domain::text::Lang;
use crate::error::Result;

/// Writes the list as CSV; the file is made with the first line.
#[derive(Debug)]
pub struct Changes {
    path: PathBuf,
    lang: Lang,
    out: Option<::csv::Writer<File>>,
}

impl Changes {
    /// Into a file.
    pub fn new(path: PathBuf, lang: Lang) -> Changes {
        Changes { path, lang, out: None }
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line.
    pub fn add(&mut self, change: &Change) -> Result<()> {
        let path = self.path.clone();
        let out = match &mut self.out {
            Some(out) => out,
            None => {
                let mut file = File::create(&path).map_err(|e| cannot(&path, &e))?;
                // Spreadsheets take a CSV without this mark for the system's old encoding.
                std::io::Write::write_all(&mut file, "\u{feff}".as_bytes()).map_err(|e| cannot(&path, &e))?;
                let head = self.lang.pick(
                    ["结果", "主键", "部件", "行", "差异"],
                    ["what", "key", "component", "row", "differences"],
                );
                let mut out = ::csv::Writer::from_writer(file);
                out.write_record(head).map_err(|e| cannot(&path, &e))?;
                self.out.insert(out)
            }
        };
        let what = self.lang.pick(change.what.title().zh, change.what.key().to_owned());
        let number = |n: Option<i64>| n.map_or(String::new(), |n| n.to_string());
        let fields = change.diff.as_object().into_iter().flatten();
        let diff: Vec<String> = fields
            .map(|(name, pair)| format!("{name}: {} → {}", pair[0], pair[1]))
            .collect();
        let row = number(change.row.and_then(|r| i64::try_from(r).ok()));
        let line = [what, change.key.clone(), number(change.id), row, diff.join("; ")];
        out.write_record(line).map_err(|e| cannot(&path, &e))
    }

    /// Finishes the file; whether there is one.
    pub fn finish(mut self) -> Result<bool> {
        let path = &self.path;
        match &mut self.out {
            None => Ok(false),
            Some(out) => out.flush().map(|()| true).map_err(|e| cannot(path, &e)),
        }
    }
}
