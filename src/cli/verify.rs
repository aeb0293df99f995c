//! `lamppost verify`.

use std::path::Path;

use crate::archive::Archive;
use crate::error::{Error, Result};
use crate::feed;
use crate::query::difference::differences;
use crate::store::Store;
use crate::text;

/// Builds memory twice, once from the tables as they are and once by following every revision from the first, and has the
/// database check itself; reads every document. Fails with what differs; a document that no row names is told, and is no failure.
#[allow(clippy::print_stdout)]
pub async fn run(store: &Store, documents: &Path) -> Result<()> {
    store.number_revisions().await?;
    let mut found = store.check().await?;
    let loaded = feed::load(store).await?;
    let replayed = feed::replay(store, 200).await?;
    found.extend(differences(("the tables", &loaded), ("the change log", &replayed)));
    let files = store.document_files().await?;
    let known = files.len();
    if known > 0 || documents.exists() {
        let (over, lost) = Archive::look(documents).differences(files).await?;
        found.extend(
            lost.iter()
                .map(|name| format!("document {name} is not there or not whole")),
        );
        for name in over {
            let said = text!("材料 {name} 没有登记", "document {name} is named by no row");
            println!("{}", said.get(super::lang()));
        }
    }
    let (components, revision) = (loaded.components.rows().len(), loaded.revision.map_or(0, |r| r.number));
    if found.is_empty() {
        let said = text!(
            "共{components}个部件、{known}份材料，修订 {revision}：内存与数据库一致",
            "{components} components and {known} documents at revision {revision}: memory and database agree"
        );
        println!("{}", said.get(super::lang()));
        return Ok(());
    }
    found.iter().for_each(|f| println!("{f}"));
    let n = found.len();
    Err(Error::Conflict(text!(
        "内存与数据库有{n}处不一致",
        "memory and database differ in {n} places"
    )))
}
