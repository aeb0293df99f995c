//! A delivery that came over HTTP, from its arrival to what became of it: what is written beside its file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Options, open};
use crate::domain::grant::Fence;
use crate::domain::patch::merge;
use crate::domain::text::{Fault, Lang, Text};
use crate::domain::word::Access;
use crate::error::{Error, Result};
use crate::exchange::mapping::{Mapping, Target};
use crate::exchange::read::Table;
use crate::exchange::record::{Column, Record};
use crate::exchange::suggest::{Choices, Guess, Suggestion};
use crate::spatial::crs::Crs;
use crate::store::import::sync::Shrink;
use crate::text;

/// Rows shown of a file.
const SHOWN: usize = 10;
/// Characters shown of a value.
const WIDE: usize = 80;
/// The file that holds a [`Upload`], in its directory.
const NAME: &str = "import.json";

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Something must be decided first.
    Open,
    /// It can be tried or loaded.
    Ready,
    /// Another one is under way.
    Waiting,
    /// Under way.
    Running,
    /// To its end.
    Done,
    /// It ended early; the error says why.
    Failed,
    /// Taken back.
    Undone,
}

/// What is asked of a delivery, as `PATCH` takes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// A mapping; without one it is proposed.
    pub mapping: Option<String>,
    /// What the rows become.
    pub into: Option<String>,
    /// The coordinate system.
    pub crs: Option<String>,
    /// The sheet or layer.
    pub sheet: Option<String>,
    /// What people have decided of the proposed mapping.
    #[serde(flatten)]
    pub choices: Choices,
    /// Other names of known parties.
    pub aliases: BTreeMap<String, String>,
    /// Whether what the source no longer has is retired.
    pub sync: bool,
    /// The share, in per cent, that may be retired.
    pub max_shrink: Option<u8>,
    /// Whether more than that may be.
    pub allow_shrink: bool,
    /// Whether edits made in the register may be replaced.
    pub overwrite: bool,
    /// Whether a component may stand where another of its class does.
    pub allow_duplicates: bool,
    /// The language of lists.
    pub lang: String,
}

impl Settings {
    /// Settings with some of them changed by a JSON merge patch.
    pub fn patched(&self, patch: &serde_json::Map<String, Value>) -> Result<Settings> {
        let mut own = serde_json::to_value(self).map_err(Error::internal)?;
        let known: Vec<&str> = own
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.as_str())
            .collect();
        let unknown = patch.keys().filter(|key| !known.contains(&key.as_str()));
        let unknown: Vec<Fault> = unknown.map(|key| no_setting(key, &known)).collect();
        if !unknown.is_empty() {
            return Err(Error::Syntax(unknown));
        }
        merge(&mut own, &Value::Object(patch.clone()));
        let settings: Settings = serde_json::from_value(own).map_err(|e| {
            let detail = text!("设置的类型不对：{e}", "a setting is of the wrong type: {e}");
            Error::syntax("settings", detail)
        })?;
        settings.options().map(|_| settings)
    }

    /// What the rows become.
    pub(super) fn target(&self) -> Result<Target> {
        let options = self.options()?;
        Ok(match &options.mapping {
            Some(text) => Mapping::parse(text, options.into)?.into,
            None => options.into.unwrap_or(Target::Components),
        })
    }

    /// Whether so much access will do: components are for everyone who edits, all else is an administrator's.
    pub(super) fn check(&self, access: Access) -> Result<()> {
        let into = self.target()?;
        if into == Target::Components || access >= Access::Admin {
            return Ok(());
        }
        let into = into.key();
        Err(Error::Forbidden(text!(
            "导入 {into} 须有管理权限（admin）",
            "to import {into} takes the access of an admin"
        )))
    }

    /// The same for [`super::deliver`]; every fault at once.
    fn options(&self) -> Result<Options> {
        let mut faults = Vec::new();
        let mut fault = |at: &str, detail: Text| faults.push(Fault::new(at, detail));
        let into = self.into.as_deref().map(Target::parse).transpose();
        let into = into.map_err(|e| fault("into", e)).ok().flatten();
        let crs = self.crs.as_deref().map(Crs::parse).transpose();
        let crs = crs.map_err(|e| fault("crs", e)).ok().flatten();
        let most = self.max_shrink.unwrap_or(10);
        if most > 100 {
            fault("max_shrink", Text::new("应为 0 至 100", "should be from 0 to 100"));
        }
        if !faults.is_empty() {
            return Err(Error::Syntax(faults));
        }
        Ok(Options {
            mapping: self.mapping.clone(),
            into,
            crs,
            sheet: self.sheet.clone(),
            aliases: self.aliases.clone().into_iter().collect(),
            choices: self.choices.clone(),
            overwrite: self.overwrite,
            allow_duplicates: self.allow_duplicates,
            sync: self.sync.then(|| Shrink {
                most: f64::from(most) / 100.0,
                allowed: self.allow_shrink,
            }),
            lang: Lang::accepted(&self.lang),
            ..Options::default()
        })
    }
}

fn no_setting(key: &str, known: &[&str]) -> Fault {
    let known = known.join(", ");
    Fault::new(
        key,
        text!(
            "没有该设置；可为 {known}",
            "there is no such setting; there are {known}"
        ),
    )
}

/// One delivery.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Upload {
    /// Its name in addresses.
    pub id: String,
    /// The name of its file.
    pub file: String,
    /// The size of its file.
    pub bytes: u64,
    /// The holder of the token.
    pub by: String,
    /// What bounds its rows.
    #[serde(default)]
    pub fence: Fence,
    /// When it arrived.
    pub received: DateTime<Utc>,
    /// How far it is.
    pub stage: Stage,
    /// Whether the last run kept nothing.
    pub dry_run: bool,
    /// Bytes read in the run under way.
    #[serde(skip)]
    pub read: u64,
    /// Bytes to read.
    #[serde(skip)]
    pub size: u64,
    /// What is asked.
    pub settings: Settings,
    /// What its first rows say, and the mapping.
    pub seen: Value,
    /// What became of it.
    pub report: Option<Value>,
    /// Why it failed.
    pub error: Option<Value>,
    /// The number under which it was last loaded.
    pub delivery: Option<i64>,
}

impl Upload {
    /// Whether somebody works on it, or is about to.
    pub fn is_busy(&self) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::Running)
    }

    /// What is asked and what bounds it, for [`super::deliver`].
    pub(super) fn options(&self) -> Result<Options> {
        Ok(Options {
            fence: Some(self.fence.clone()),
            ..self.settings.options()?
        })
    }

    /// The mapping, stated or proposed.
    pub fn mapping(&self) -> Option<&str> {
        self.seen["mapping"].as_str()
    }

    /// Where the file is, in the upload's directory.
    pub(super) fn path(&self, dir: &Path) -> PathBuf {
        dir.join("file").join(&self.file)
    }

    /// Writes it down, so that it is there after a power cut.
    pub(super) fn keep(&self, dir: &Path) -> std::io::Result<()> {
        let new = dir.join("import.json.new");
        let file = std::fs::File::create(&new)?;
        serde_json::to_writer(&file, self)?;
        file.sync_all()?;
        std::fs::rename(&new, dir.join(NAME))?;
        std::fs::File::open(dir)?.sync_all()
    }

    /// Reads it again; none where the file never came whole.
    pub(super) fn kept(dir: &Path) -> Option<Upload> {
        let text = std::fs::read(dir.join(NAME)).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// An error as JSON: what, where, and what would be right.
pub(super) fn told(error: &Error) -> Value {
    let faults = match error {
        Error::Syntax(faults) | Error::Invalid(faults) => faults.as_slice(),
        _ => &[],
    };
    let detail = match error {
        Error::NotFound(t) | Error::Conflict(t) | Error::TooLarge(t) | Error::Busy(t) | Error::Setup(t) => t.clone(),
        Error::Syntax(_) | Error::Invalid(_) => Text::new("须先改正", "something must be mended first"),
        _ => Text::new(
            "服务内部错误，已记入日志",
            "the service failed; the failure has been logged",
        ),
    };
    let faults: Vec<Value> = faults
        .iter()
        .map(|f| json!({"parameter": f.pointer, "detail": f.detail}))
        .collect();
    json!({"detail": detail, "errors": faults})
}

/// What a look into the file has shown, with a stated mapping or a proposed one.
pub(super) fn seen(table: &Table, mapping: &str, proposed: Option<&Suggestion>) -> Value {
    let header = &table.header;
    let cell = |s: String| s.chars().take(WIDE).collect::<String>();
    let columns: Vec<Column> = table.columns().collect();
    let row = |r: &Record| {
        columns
            .iter()
            .map(|c| cell(r.get(c).unwrap_or_default().into_owned()))
            .collect()
    };
    let rows: Vec<Vec<String>> = table.sample.iter().take(SHOWN).map(row).collect();
    let guesses = proposed.map(|p| {
        let one = |g: &Guess| json!({"column": g.column, "field": g.field, "confidence": (g.confidence * 100.0).round() / 100.0, "why": g.why});
        p.columns.iter().map(one).collect::<Vec<_>>()
    });
    json!({
        "format": table.format.name(), "encoding": table.encoding.map(|e| e.name()), "crs": table.crs.as_deref().map(short),
        "notes": table.notes,
        "header": header, "rows": rows, "columns": guesses, "mapping": mapping,
        "open": proposed.map_or(&[][..], |p| &p.open),
    })
}

/// A coordinate system by its name: WKT says a page about it.
fn short(crs: &str) -> String {
    Crs::of_file(crs).map_or_else(|_| crs.chars().take(WIDE).collect(), |c| c.key())
}

/// Opens a file with a stated mapping, to see whether the two fit.
pub(super) fn fit(path: &Path, options: &Options) -> Result<Value> {
    let opened = open::open(path, options)?;
    Ok(seen(
        &opened.table,
        options.mapping.as_deref().unwrap_or_default(),
        None,
    ))
}
