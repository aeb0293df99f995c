//! `lamppost quality`: a report on how complete and right the register is.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::delivery::quality::{With, report};
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::exchange::write::cannot;
use crate::feed;
use crate::spatial::crs::Crs;
use crate::store::Store;
use crate::text;

/// Reports how complete and right the register is.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// The layer: lamps, wells … or components for all.
    pub layer: String,
    /// The report; its ending says the format: .html to read and print, or .xlsx.
    #[arg(short, long)]
    pub output: PathBuf,
    /// How many of each class there should be: a list with the columns class and count (小类, 数量).
    #[arg(long, value_name = "FILE")]
    pub expect: Option<PathBuf>,
    /// Compares with what was registered at the end of an earlier day.
    #[arg(long, value_name = "DAY")]
    pub earlier: Option<NaiveDate>,
    /// The list of `lamppost export --sample`, filled in by a second survey: values and positions as found, 不存在 in the column 复核
    /// where nothing was, rows without a number for what the register lacks.
    #[arg(long, value_name = "FILE")]
    pub checked: Option<PathBuf>,
    /// The coordinates of that list, where they are not longitude and latitude.
    #[arg(long, value_parser = |s: &str| Crs::parse(s).map_err(|e| e.en))]
    pub crs: Option<Crs>,
}

/// Writes the report.
pub async fn run(store: &Store, args: &Args) -> Result<()> {
    let lang = super::lang();
    let layer = super::export::layer_of(&args.layer)?;
    let ending = args
        .output
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_lowercase();
    if !matches!(ending.as_str(), "html" | "xlsx") {
        let detail = Text::new("应以 .html 或 .xlsx 结尾", "it should end in .html or .xlsx");
        return Err(Error::syntax("output", detail));
    }
    let memory = Arc::new(feed::load(store).await?);
    let with = With {
        expected: args.expect.clone(),
        earlier: args.earlier,
        checked: args.checked.clone(),
        crs: args.crs,
    };
    let tables = report(store, memory, &layer, &with).await?;
    let path = &args.output;
    match ending.as_str() {
        "html" => std::fs::write(path, tables.html(lang)).map_err(|e| cannot(path, &e))?,
        _ => tables.xlsx(path, lang)?,
    }
    let path = path.display();
    eprintln!("{}", text!("质量报告见 {path}", "the report is in {path}").get(lang));
    Ok(())
}
