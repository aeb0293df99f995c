//! `lamppost recode`: a merger, division or renaming of districts.

use std::path::PathBuf;

use chrono::NaiveDate;

use crate::error::Result;
use crate::exchange::recode;
use crate::exchange::write::cannot;
use crate::store::Store;
use crate::store::import::recode::Recoded;
use crate::text;

/// Gives areas, cells and components their codes after a change of districts.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A list with the columns old, new and name (旧代码, 新代码, 名称): 6, 9 or 12 digits, of a district, street or community.
    pub file: PathBuf,
    /// The day from which the new codes count, such as 2021-04-09.
    #[arg(long, value_name = "DAY")]
    pub on: NaiveDate,
    /// Counts what would change, but keeps nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Where the list of old and new codes goes; beside the file by default.
    #[arg(long)]
    pub list: Option<PathBuf>,
}

/// Does it, writes the list, and tells how many.
pub async fn run(store: &Store, args: &Args) -> Result<Recoded> {
    let lang = super::lang();
    let path = args.file.clone();
    let rules = tokio::task::spawn_blocking(move || recode::read(&path))
        .await
        .map_err(crate::error::Error::internal)??;
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let done = store
        .recode(&rules, args.on, &format!("{name}, {}", args.on), args.dry_run)
        .await?;
    let list = args.list.clone().unwrap_or_else(|| {
        let mut own = args.file.clone().into_os_string();
        own.push(".codes.csv");
        own.into()
    });
    let written = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&list)?;
        std::io::Write::write_all(&mut file, "\u{feff}".as_bytes())?;
        let mut out = csv::Writer::from_writer(file);
        out.write_record(lang.pick(["类别", "编号", "旧代码", "新代码"], ["entity", "id", "old", "new"]))?;
        for (entity, id, old, new) in &done.codes {
            // A tab keeps spreadsheets from rounding.
            out.write_record([
                entity.as_str(),
                &id.to_string(),
                &format!("\t{old}"),
                &format!("\t{new}"),
            ])?;
        }
        out.flush()
    };
    written().map_err(|e| cannot(&list, &e))?;
    let count = |kind: &str| done.codes.iter().filter(|(k, ..)| k == kind).count();
    let (areas, cells, components) = (count("area"), count("cell"), count("component"));
    let (merged, renamed, serials, list) = (done.merged, done.renamed, done.reserialed, list.display());
    let told = text!(
        "换码：区划 {areas}（其中并入 {merged}），网格 {cells}，部件 {components}；更名 {renamed}，另编顺序号 {serials}；新旧对照见 {list}",
        "recoded: {areas} areas ({merged} joined to another), {cells} cells, {components} components; {renamed} renamed, {serials} with another serial; old and new codes are in {list}"
    );
    eprintln!("{}", told.get(lang));
    if args.dry_run {
        eprintln!("{}", lang.pick("试运行，未写入", "dry run, nothing kept"));
    }
    Ok(done)
}
