//! `lamppost import`: a delivery into the register.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::delivery::{self, Options, deliver};
use crate::domain::text::Fault;
use crate::error::{Error, Result};
use crate::exchange::mapping::Target;
use crate::exchange::report::Report;
use crate::exchange::suggest::Choices;
use crate::spatial::crs::Crs;
use crate::store::Store;
use crate::store::import::sync::Shrink;
use crate::text;

/// Takes a delivery of any format into the register.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// The file: CSV or GeoJSON (gzip or not, UTF-8 or GB18030), XLSX, GeoPackage, FlatGeobuf, Shapefile, or a .zip of files of one format.
    #[arg(required_unless_present = "undo")]
    pub file: Option<PathBuf>,
    /// The mapping (TOML); a class dictionary in our own layout needs none.
    #[arg(long)]
    pub mapping: Option<PathBuf>,
    /// Proposes the mapping from headings, values and the register, shows how sure it is of each column, writes it beside the file, and
    /// imports with it unless something must be decided first. With --dry-run nothing is kept.
    #[arg(long, conflicts_with = "mapping")]
    pub suggest: bool,
    /// Confirms that a name in the file is a known party's: --alias '区城管委=河西区城市管理委员会'. It is kept with the party.
    #[arg(long, value_parser = pair)]
    pub alias: Vec<(String, String)>,
    /// What a column is, where the proposal is wrong: --column '编号=code'; --column '序号=' for one that is only kept
    #[arg(long, value_parser = pair, requires = "suggest")]
    pub column: Vec<(String, String)>,
    /// The class of every row, where no column says it: CJT214-2007/0118, a code or a name
    #[arg(long, requires = "suggest")]
    pub class: Option<String>,
    /// What the rows become: components, cells, areas, parties, roads, land or classes.
    #[arg(long, value_parser = |s: &str| Target::parse(s).map_err(|e| e.en))]
    pub into: Option<Target>,
    /// The coordinate system, where the file does not state it or states a wrong one: EPSG:4548, gcj02, or a file of parameters
    /// (.toml) for a city's own system, Beijing 1954 or Xian 1980.
    #[arg(long, value_parser = crs)]
    pub crs: Option<Crs>,
    /// The sheet of a workbook, or the layer of a GeoPackage; by default the first with rows.
    #[arg(long)]
    pub sheet: Option<String>,
    /// Checks everything and counts what would change, but keeps nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Lets the delivery replace edits that were made in the register since the last one.
    #[arg(long)]
    pub overwrite: bool,
    /// Lets a component stand where another of its class does, nearer than its accuracy class can tell.
    #[arg(long)]
    pub allow_duplicates: bool,
    /// Makes the source the truth by key: what it no longer has is retired, and what became of each row is listed beside the file.
    #[arg(long)]
    pub sync: bool,
    /// The share of the source's components, in per cent, that a --sync may retire.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100), requires = "sync")]
    pub max_shrink: u8,
    /// Lets a --sync retire more than that.
    #[arg(long, requires = "sync")]
    pub allow_shrink: bool,
    /// Takes a delivery of components back: what it changed is as before, what it added is retired, what was edited since is left.
    #[arg(long, value_name = "DELIVERY", conflicts_with = "file")]
    pub undo: Option<i64>,
    /// Where the report goes; beside the file by default.
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// Where refused rows go; beside the file by default.
    #[arg(long)]
    pub rejects: Option<PathBuf>,
}

/// Does what the arguments say.
pub async fn run(store: &Store, args: &Args) -> Result<()> {
    match (&args.file, args.undo) {
        (_, Some(id)) => undo(store, id).await,
        (Some(file), None) => take(store, file, args).await.map(drop),
        (None, None) => Ok(()),
    }
}

async fn undo(store: &Store, id: i64) -> Result<()> {
    let done = store.undo_delivery(id).await?;
    let (restored, retired, kept) = (done.restored, done.retired, done.kept.len());
    let list = done
        .kept
        .iter()
        .take(20)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let told = text!(
        "已撤销第 {id} 次交付：恢复 {restored} 个部件，注销其新增的 {retired} 个",
        "delivery {id} was undone: {restored} components are as before, {retired} that it had added are retired"
    );
    eprintln!("{}", told.get(super::lang()));
    if kept > 0 {
        let told = text!(
            "{kept} 个部件此后另有修改，未动：{list}",
            "{kept} components were edited since and are left alone: {list}"
        );
        eprintln!("{}", told.get(super::lang()));
    }
    Ok(())
}

/// Takes the file in, writes report and rejects, and prints a summary on stderr. Refused rows are no error.
pub async fn take(store: &Store, file: &Path, args: &Args) -> Result<Report> {
    let lang = super::lang();
    let mapping = args.mapping.as_deref().map(read_text).transpose()?;
    let mut options = Options {
        mapping,
        aliases: args.alias.clone(),
        choices: Choices {
            columns: args.column.iter().cloned().collect(),
            class: args.class.clone(),
        },
        by: None,
        fence: None,
        gentle: false,
        into: args.into,
        crs: args.crs,
        sheet: args.sheet.clone(),
        sync: args.sync.then(|| Shrink {
            most: f64::from(args.max_shrink) / 100.0,
            allowed: args.allow_shrink,
        }),
        dry_run: args.dry_run,
        overwrite: args.overwrite,
        allow_duplicates: args.allow_duplicates,
        rejects: args
            .rejects
            .as_deref()
            .map_or_else(|| beside(file, ".reject"), without_extension),
        changes: beside(file, ".changes.csv"),
        lang,
    };
    if args.suggest {
        options.mapping = Some(propose(store, file, &options).await?);
    }
    let bar = ProgressBar::new(0);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = "{bar:40} {bytes}/{total_bytes} {eta}";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let report = deliver(store, file, &options, &|done, size| {
        bar.set_length(size);
        bar.set_position(done.min(size));
    })
    .await;
    bar.finish_and_clear();
    let report = report?;
    let path = args.report.clone().unwrap_or_else(|| beside(file, ".report.json"));
    let json = serde_json::to_string_pretty(&report.to_json()).map_err(Error::internal)?;
    std::fs::write(&path, json + "\n").map_err(|e| {
        let path = path.display();
        Error::Setup(text!(
            "无法写入报告 {path}：{e}；可用 --report 指定",
            "the report {path} cannot be written: {e}; --report names another place"
        ))
    })?;
    eprint!("{}", report.summary(lang));
    Ok(report)
}

fn crs(s: &str) -> Result<Crs, String> {
    let lang = super::lang();
    if !s.ends_with(".toml") {
        return Crs::parse(s).map_err(|e| e.get(lang).to_owned());
    }
    let text = std::fs::read_to_string(s).map_err(|e| e.to_string())?;
    let told = |f: &Fault| format!("{}: {}", f.pointer, f.detail.get(lang));
    Crs::by_parameters(&text).map_err(|faults| faults.iter().map(told).collect::<Vec<_>>().join("; "))
}

fn pair(s: &str) -> Result<(String, String), String> {
    let (one, other) = s.split_once('=').ok_or("a=b")?;
    Ok((one.trim().to_owned(), other.trim().to_owned()))
}

/// Shows and writes the proposed mapping. What must be decided by people is an error.
async fn propose(store: &Store, file: &Path, options: &Options) -> Result<String> {
    let lang = super::lang();
    let (_, own) = delivery::propose(store, file, options).await?;
    eprint!("{}", own.table(lang));
    let path = beside(file, ".mapping.toml");
    std::fs::write(&path, &own.toml).map_err(|e| {
        let path = path.display();
        Error::Setup(text!(
            "无法写入映射 {path}：{e}",
            "the mapping {path} cannot be written: {e}"
        ))
    })?;
    let shown = path.display();
    eprintln!("{}", text!("映射：{shown}", "mapping: {shown}").get(lang));
    if own.open.is_empty() {
        return Ok(own.toml);
    }
    Err(Error::Syntax(
        own.open.into_iter().map(|t| Fault::new("suggest", t)).collect(),
    ))
}

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| {
        let path = path.display();
        Error::Setup(text!(
            "无法读取映射 {path}：{e}",
            "the mapping {path} cannot be read: {e}"
        ))
    })
}

/// `trees.csv.gz` + `.reject`.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The extension of a reject file is that of its format.
fn without_extension(path: &Path) -> PathBuf {
    match path.extension().and_then(|e| e.to_str()) {
        Some("csv" | "geojson" | "json" | "xlsx") => path.with_extension(""),
        _ => path.to_owned(),
    }
}
