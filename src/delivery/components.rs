//! Components into the record: read and checked on one thread, written in batches by others.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use super::open::Opened;
use super::{Batch, Course, Options, Progress, known, lock};
use crate::domain::delivery::{ComponentRow, Finding, RowFault};
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::exchange::key;
use crate::exchange::mapping::Mapping;
use crate::exchange::record::Record;
use crate::exchange::report::Report;
use crate::exchange::row::Components;
use crate::store::Store;
use crate::store::import::components::How;
use crate::text;
use crate::thread::blocking;

/// Rows in one transaction.
const BATCH: usize = 5_000;
/// Batches written at a time: PostgreSQL spends most of an import in one process, on triggers and foreign keys.
const WRITERS: usize = 2;

/// Takes components in: one thread reads and checks, batches are written meanwhile.
pub(super) async fn take(
    store: &Store,
    opened: Opened,
    reason: &str,
    options: &Options,
    mut course: Course,
    progress: Progress<'_>,
) -> Result<Course> {
    if !options.aliases.is_empty() {
        store.confirm_aliases(&options.aliases, options.dry_run).await?;
    }
    let mut known = known(store, options).await?;
    if !(options.allow_duplicates || opened.mapping.allow_duplicates) && opened.mapping.tells_accuracy(&known.classes) {
        // Of its own source a --sync knows the components by their keys.
        known.near = Some(store.near(&opened.mapping.source, options.sync.is_some()).await?);
    }
    // Every name of a class and of a party is folded.
    let (opened, mapper) = blocking(move || {
        let mapper = Components::new(opened.mapping.clone(), opened.crs, known, &opened.table.sample);
        (opened, mapper)
    })
    .await?;
    let mut mapper = mapper?;
    let unknown = mapper.unknown_parties();
    if options.sync.is_some() && opened.mapping.key.is_empty() {
        let detail = Text::new("--sync 须在映射中写明 key", "--sync needs a key in the mapping");
        return Err(Error::syntax("key", detail));
    }
    if options.sync.is_some()
        && options
            .fence
            .as_ref()
            .is_some_and(|f| f.area.is_some() || f.party.is_some())
    {
        let detail = Text::new(
            "编辑范围受限者不可按来源注销（sync）",
            "whose edits are bounded cannot retire what a source no longer has (sync)",
        );
        return Err(Error::Forbidden(detail));
    }
    let how = How {
        source: opened.mapping.source.clone(),
        reason: reason.to_owned(),
        delivery: course.report.delivery,
        columns: mapper.columns(),
        ignored: mapper.ignored(),
        overwrite: options.overwrite,
        dry_run: options.dry_run,
        list: options.sync.is_some(),
        fence: options.fence.clone(),
    };
    // What retires needs all keys on one connection; a service has tiles to answer, too.
    let writers = if options.sync.is_some() || options.gentle {
        1
    } else {
        WRITERS
    };
    let mut imports = Vec::with_capacity(writers);
    for _ in 0..writers {
        imports.push(store.import_components(how.clone()).await?);
    }
    let idle = Mutex::new(imports);
    let mapping = course.mapping.clone();
    let write = async |batch: Batch<ComponentRow>| {
        // There are as many as batches under way.
        let import = lock(&idle).pop();
        let mut import = import.ok_or_else(|| Error::internal("no connection for a batch"))?;
        let (keys, keyless) = keys_of(&batch.refused, &mapping);
        let began = Instant::now();
        let outcome = import.batch(&batch.rows, &keys).await?;
        if options.gentle {
            // Tiles that are asked for meanwhile are built in these.
            tokio::time::sleep(began.elapsed()).await;
        }
        lock(&idle).push(import);
        Ok::<_, Error>((batch, outcome, keyless))
    };
    let (size, done) = (opened.table.size, opened.table.done.clone());
    let (send, receive) = mpsc::channel(2);
    let reader =
        tokio::task::spawn_blocking(move || opened.read(BATCH, |r| mapper.map(r), |b| send.blocking_send(b).is_ok()));
    let batches = stream::unfold(receive, async |mut receive| Some((receive.recv().await?, receive)));
    let mut outcomes = Box::pin(batches.map(write).buffered(writers));
    let (mut failed, mut keyless) = (None, 0);
    while let Some(outcome) = outcomes.next().await {
        progress(done.load(Ordering::Relaxed), size);
        match outcome {
            Ok((batch, outcome, n)) => {
                keyless += n;
                course = course.taking(batch.read, batch.records, batch.refused, outcome).await?;
            }
            Err(e) => {
                failed = Some(e);
                break;
            }
        }
        if !options.dry_run {
            // Committed: the crash test takes these words as a promise.
            let rows = course.report.read - course.report.rejected;
            tracing::debug!("written {rows} rows");
        }
    }
    drop(outcomes);
    let read = reader.await.map_err(Error::internal)?;
    failed.map_or(Ok(()), Err)?;
    read?;
    let unknown = std::mem::take(&mut *lock(&unknown));
    course.report.unknown_parties = unknown.names;
    if course.mapping.names_parties() {
        lacking(unknown.lacking, &mut course.report);
    }
    let mut imports = std::mem::take(&mut *lock(&idle));
    if let (Some(shrink), Some(import)) = (options.sync, imports.first_mut()) {
        if keyless > 0 && !shrink.allowed {
            let n = keyless;
            return Err(Error::Conflict(text!(
                "有 {n} 行读不出主键，无法判断哪些部件已不在来源中，未注销；更正后再同步，或用 --allow-shrink",
                "{n} rows have no key, so that nobody can tell what the source no longer has; nothing was retired. Correct them, or use --allow-shrink"
            )));
        }
        let outcome = import.retire_rest(shrink).await?;
        course = course.taking(0, Vec::new(), Vec::new(), outcome).await?;
    }
    for import in imports {
        import.finish().await?;
    }
    Ok(course)
}

/// The roles that rows leave open.
fn lacking(rows: [u64; 3], report: &mut Report) {
    let roles = [
        ("主管部门", "authority"),
        ("权属单位", "owner"),
        ("养护单位", "maintainer"),
    ];
    for ((zh, en), n) in roles.into_iter().zip(rows).filter(|(_, n)| *n > 0) {
        report.find(Finding {
            kind: "party_missing",
            codes: vec![en.to_owned()],
            area_m2: None,
            detail: text!("{n} 行没有{zh}", "{n} rows have no {en}"),
        });
    }
}

/// The keys of refused rows, and how many have none.
fn keys_of(refused: &[(Record, Vec<RowFault>)], mapping: &Mapping) -> (Vec<String>, u64) {
    let all = refused.iter().map(|(record, _)| key::stated(record, mapping).ok());
    let (keys, none): (Vec<_>, Vec<_>) = all.partition(Option::is_some);
    (keys.into_iter().flatten().collect(), none.len() as u64)
}
