//! `lamppost backup` and `lamppost restore`.

use std::path::{Path, PathBuf};

use super::database::DatabaseArgs;
use super::{lang, verify};
use crate::backup::{Places, put_back, take};
use crate::error::Result;
use crate::store::Store;
use crate::text;

/// What `backup` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where the copy goes: a directory that is not there yet
    dir: PathBuf,
    /// Where documents are kept [default: evidence in the data directory]
    #[arg(long, env = "LAMPPOST_EVIDENCE", value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// The file of base maps, to be copied too
    #[arg(long, env = "LAMPPOST_BASEMAPS", value_name = "FILE")]
    basemaps: Option<PathBuf>,
}

/// What `restore` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct RestoreArgs {
    /// A directory that `lamppost backup` has written
    dir: PathBuf,
    /// Where documents shall be kept [default: evidence in the data directory]
    #[arg(long, env = "LAMPPOST_EVIDENCE", value_name = "DIR")]
    evidence: Option<PathBuf>,
}

fn evidence_of(database: &DatabaseArgs, asked: Option<&Path>) -> Result<PathBuf> {
    match asked {
        Some(dir) => Ok(dir.to_owned()),
        None => Ok(database.data_dir()?.join("evidence")),
    }
}

/// Copies everything while the service goes on.
pub async fn run(database: &DatabaseArgs, args: Args) -> Result<()> {
    let places = Places {
        evidence: evidence_of(database, args.evidence.as_deref())?,
        settings: args.basemaps.into_iter().collect(),
    };
    let done = database
        .with_server(async |store: &Store, server| take(store, server, &places, &args.dir).await)
        .await?;
    let (dir, documents, revision) = (args.dir.display(), done.documents, done.revision);
    let mb = done.database as f64 / 1e6;
    let said = text!(
        "{dir}：数据库 {mb:.1} MB，材料 {documents} 份，至少到修订 {revision}",
        "{dir}: database {mb:.1} MB, {documents} documents, at least up to revision {revision}"
    );
    eprintln!("{}", said.get(lang()));
    Ok(())
}

/// Puts a copy back into an empty register, and verifies it.
pub async fn restore(database: &DatabaseArgs, args: RestoreArgs) -> Result<()> {
    let evidence = evidence_of(database, args.evidence.as_deref())?;
    let n = database
        .with_empty(async |store: &Store, server| put_back(store, server, &evidence, &args.dir).await)
        .await?;
    let said = text!(
        "数据库与 {n} 份材料已恢复，正在核验",
        "the database and {n} documents are back; verifying"
    );
    eprintln!("{}", said.get(lang()));
    database.with(async |store| verify::run(store, &evidence).await).await
}
