//! One copy of everything, taken while others read and write, and back. The database comes first, in one snapshot: every document that
//! it names was there before its row was, and none ever goes, so that what is copied afterwards has all of them.

use std::path::{Path, PathBuf};

use chrono::Utc;
use serde_json::json;

use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::dump::Server;
use crate::text;
use crate::thread::blocking;
use crate::tile::layer;

/// The database.
const DUMP: &str = "lamppost.dump";
/// The documents.
const EVIDENCE: &str = "evidence";
/// What it is a copy of.
const ABOUT: &str = "backup.json";

/// Where everything is that no database holds.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The documents.
    pub evidence: PathBuf,
    /// Files of settings, such as that of base maps.
    pub settings: Vec<PathBuf>,
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Bytes of the database's file.
    pub database: u64,
    /// Documents.
    pub documents: usize,
    /// The newest revision before the copy began.
    pub revision: i64,
}

fn failed(path: &Path, e: &std::io::Error) -> Error {
    let path = path.display();
    Error::Setup(text!("{path}：{e}", "{path}: {e}"))
}

/// Copies everything into a directory that is not there yet. It stands beside its place under another name until it is complete.
pub async fn take(store: &Store, server: &Server, places: &Places, dir: &Path) -> Result<Copied> {
    if dir.exists() {
        let dir = dir.display();
        return Err(Error::Setup(text!(
            "{dir} 已存在，请另选目录",
            "{dir} is there already; choose another directory"
        )));
    }
    let mut partial = dir.to_owned().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let fresh = partial.clone();
    blocking(move || {
        if fresh.exists() {
            std::fs::remove_dir_all(&fresh).map_err(|e| failed(&fresh, &e))?;
        }
        private_dir(&fresh).map_err(|e| failed(&fresh, &e))
    })
    .await??;
    store.number_revisions().await?;
    let revision = store.newest_revision().await?;
    server.dump(store, &partial.join(DUMP)).await?;
    let (places, dir, own) = (places.clone(), dir.to_owned(), partial.clone());
    blocking(move || {
        let copy = || {
            let documents = copy_documents(&places.evidence, &own.join(EVIDENCE))?;
            let settings = own.join("settings");
            std::fs::create_dir(&settings)?;
            for file in &places.settings {
                std::fs::copy(file, settings.join(file.file_name().unwrap_or_default()))?;
            }
            let tiles = own.join("tiles");
            std::fs::create_dir(&tiles)?;
            for (name, text) in layer::files() {
                std::fs::write(tiles.join(&*name), text)?;
            }
            let database = std::fs::metadata(own.join(DUMP))?.len();
            let about = json!({
                "lamppost": env!("CARGO_PKG_VERSION"), "made": Utc::now().to_rfc3339(), "revision": revision, "documents": documents,
            });
            std::fs::write(own.join(ABOUT), format!("{about:#}\n"))?;
            std::fs::File::open(own.join(DUMP))?.sync_all()?;
            std::fs::File::open(&own)?.sync_all()?;
            std::fs::rename(&own, &dir)?;
            Ok::<_, std::io::Error>(Copied {
                database,
                documents,
                revision,
            })
        };
        copy().map_err(|e| failed(&own, &e))
    })
    .await?
}

/// What a backup holds is for nobody else.
fn private_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Copies documents that are not there yet; a link where both stand on one file system, as they never change. How many there are.
fn copy_documents(from: &Path, to: &Path) -> std::io::Result<usize> {
    std::fs::create_dir_all(to)?;
    let mut n = 0;
    let dirs = std::fs::read_dir(from).into_iter().flatten().flatten();
    for dir in dirs.filter(|d| d.path().is_dir() && d.file_name() != "incoming") {
        let own = to.join(dir.file_name());
        std::fs::create_dir_all(&own)?;
        for file in std::fs::read_dir(dir.path())?.flatten() {
            let place = own.join(file.file_name());
            if !place.exists() && std::fs::hard_link(file.path(), &place).is_err() {
                std::fs::copy(file.path(), &place)?;
                std::fs::File::open(&place)?.sync_all()?;
            }
            n += 1;
        }
    }
    Ok(n)
}

/// Puts a copy back into an empty database and its documents where they shall be. How many documents.
pub async fn put_back(store: &Store, server: &Server, evidence: &Path, dir: &Path) -> Result<usize> {
    if !dir.join(ABOUT).exists() {
        let dir = dir.display();
        let detail = Text::new(
            "应为 lamppost backup 写成的目录",
            "should be a directory that lamppost backup has written",
        );
        let (zh, en) = (detail.zh, detail.en);
        return Err(Error::Setup(text!("{dir}：{zh}", "{dir}: {en}")));
    }
    server.restore(store, &dir.join(DUMP)).await?;
    let (from, to) = (dir.join(EVIDENCE), evidence.to_owned());
    blocking(move || copy_documents(&from, &to).map_err(|e| failed(&to, &e))).await?
}
