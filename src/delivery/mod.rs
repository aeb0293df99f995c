//! A delivery from its file into the record, with the report on what became of each row.
pub mod claims;
mod components;
pub mod desk;
pub mod handover;
mod open;
pub mod out;
pub mod quality;
pub mod upload;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::domain::delivery::RowFault;
use crate::domain::grant::Fence;
use crate::domain::text::{Lang, Text};
use crate::error::{Error, Result};
use crate::exchange::changes::Changes;
use crate::exchange::mapping::{Mapping, Target};
use crate::exchange::read::{Hints, Table};
use crate::exchange::record::Record;
use crate::exchange::reject::{self, Rejects};
use crate::exchange::report::Report;
use crate::exchange::row::Known;
use crate::exchange::shape::Shapes;
use crate::exchange::suggest::{Choices, Suggestion, suggest};
use crate::spatial::crs::Crs;
use crate::store::Store;
use crate::store::dictionary;
use crate::store::import::Outcome;
use crate::store::import::delivery::End;
use crate::store::import::shapes::{ShapeDelivery, ShapeTable};
use crate::store::import::sync::Shrink;
use crate::text;
use crate::thread::blocking;
use open::Opened;

/// What to do with a file.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The mapping's text; a class dictionary in our own layout needs none.
    pub mapping: Option<String>,
    /// What the rows become, where the mapping does not say.
    pub into: Option<Target>,
    /// The coordinate system, over what the mapping and the file say.
    pub crs: Option<Crs>,
    /// The sheet of a workbook, or the layer of a GeoPackage.
    pub sheet: Option<String>,
    /// Other names of known parties, confirmed by whoever delivers: the alias and the party. They are kept with the party.
    pub aliases: Vec<(String, String)>,
    /// What people have decided of a mapping that is proposed.
    pub choices: Choices,
    /// Who delivers, where it is known.
    pub by: Option<String>,
    /// What bounds the rows, where whoever delivers may not edit everything.
    pub fence: Option<Fence>,
    /// Whether to leave the machine to others: one batch at a time, with a rest after each.
    pub gentle: bool,
    /// Whether nothing is to be kept.
    pub dry_run: bool,
    /// Whether edits made in the register since the last delivery may be replaced.
    pub overwrite: bool,
    /// Whether a component may stand where another of its class does.
    pub allow_duplicates: bool,
    /// Keeps the register in step: what the source no longer has is retired, within these limits.
    pub sync: Option<Shrink>,
    /// Where refused rows go, without its extension.
    pub rejects: PathBuf,
    /// Where the list of changes goes, where one is made.
    pub changes: PathBuf,
    /// The language of the reject file.
    pub lang: Lang,
}

/// Rows on their way to the record; `records[i]` is what `rows[i]` was read from.
struct Batch<T> {
    read: u64,
    records: Vec<Record>,
    rows: Vec<T>,
    refused: Vec<(Record, Vec<RowFault>)>,
}

impl<T> Default for Batch<T> {
    fn default() -> Batch<T> {
        Batch {
            read: 0,
            records: Vec::new(),
            rows: Vec::new(),
            refused: Vec::new(),
        }
    }
}

/// What has been gathered while rows go in.
struct Course {
    report: Report,
    rejects: Rejects,
    changes: Changes,
    mapping: Mapping,
    parties: BTreeSet<String>,
}

/// Told the bytes read and the bytes there are.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// Takes one file in. Rows that cannot go in are no error: they stand in the report and the reject file. An error after some batches
/// leaves those in, and the same file again goes on from there.
pub async fn deliver(store: &Store, file: &Path, options: &Options, progress: Progress<'_>) -> Result<Report> {
    let started = Instant::now();
    let (path, own) = (file.to_owned(), options.clone());
    let opened = blocking(move || open::open(&path, &own)).await??;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut rejects = options.rejects.clone().into_os_string();
    rejects.push(reject::extension(opened.table.format));
    if Path::new(&rejects)
        .canonicalize()
        .ok()
        .zip(file.canonicalize().ok())
        .is_some_and(|(a, b)| a == b)
    {
        let detail = Text::new(
            "退回文件不可与所读文件相同",
            "the reject file cannot be the file that is read",
        );
        return Err(Error::syntax("rejects", detail));
    }
    let report = Report {
        file: name.clone(),
        into: opened.mapping.into.key().into(),
        source: opened.mapping.source.clone(),
        dry_run: options.dry_run,
        format: opened.table.format.name().into(),
        encoding: opened.encoding(),
        notes: opened.table.notes.clone(),
        crs: opened.crs_name(),
        ..Report::default()
    };
    let rejects = Rejects::new(
        rejects.into(),
        opened.table.format,
        opened.mapping.delimiter,
        opened.crs_member(),
        options.lang,
    );
    let mut course = Course {
        report,
        rejects,
        changes: Changes::new(options.changes.clone(), options.lang),
        mapping: opened.mapping.clone(),
        parties: BTreeSet::new(),
    };
    let hold = if !options.dry_run {
        let begun = store
            .begin_delivery(&course.report.source, &name, &course.report.into, options.by.as_deref())
            .await?;
        course.report.delivery = Some(begun.id);
        let id = begun.id;
        course
            .report
            .notes
            .extend(begun.resumes.filter(|rows| *rows > 0).map(|rows| {
                text!(
                    "第 {id} 次交付曾中断，其时已写入 {rows} 个部件；现接续完成",
                    "delivery {id} was interrupted after {rows} components; it goes on from there"
                )
            }));
        Some(begun.hold)
    } else {
        None
    };
    // What stands in the history beside every version.
    let reason = match &options.by {
        Some(by) => format!("{name} · {by}"),
        None => name,
    };
    let delivery = course.report.delivery;
    let done = match opened.mapping.into {
        Target::Components => components::take(store, opened, &reason, options, course, progress).await,
        _ => others(store, opened, &reason, options, course).await,
    };
    if let (Err(_), Some(id)) = (&done, delivery) {
        store.end_delivery(id, End::Failed, None).await?;
    }
    let course = done?;
    let mut report = blocking(move || course.finish()).await??;
    report.seconds = started.elapsed().as_secs_f64();
    if let Some(id) = report.delivery {
        store.end_delivery(id, End::Done, Some(report.to_json())).await?;
    }
    drop(hold);
    Ok(report)
}

/// Proposes a mapping for a file, judged by its first rows and by what the register knows.
pub async fn propose(store: &Store, file: &Path, options: &Options) -> Result<(Table, Suggestion)> {
    let known = known(store, options).await?;
    let (path, own) = (file.to_owned(), options.clone());
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    blocking(move || {
        let hints = Hints {
            sheet: own.sheet,
            ..Hints::default()
        };
        let mut table = Table::open(&path, hints)?;
        if let Some(crs) = own.crs {
            table.crs = Some(crs.member());
        }
        let proposed = suggest(&table, &known, &name, &own.choices)?;
        Ok((table, proposed))
    })
    .await?
}

/// What a delivery is checked against, with the aliases that it brings.
async fn known(store: &Store, options: &Options) -> Result<Known> {
    let mut parties = store.party_names().await?;
    for (alias, party) in &options.aliases {
        if let Some(id) = parties.get(party).copied() {
            parties.insert(alias.clone(), id);
        }
    }
    let mut classes = dictionary::classes(store).await?;
    if let Some(fence) = &options.fence {
        classes.retain(|c| !c.restricted || fence.classes.contains(&c.id));
    }
    Ok(Known {
        classes,
        parties,
        ground: store.ground().await?,
        near: None,
        former_districts: store.former_districts().await?,
    })
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn others(store: &Store, opened: Opened, reason: &str, options: &Options, course: Course) -> Result<Course> {
    let target = opened.mapping.into;
    let mut mapper = Shapes::new(opened.mapping.clone(), opened.crs);
    let dry = options.dry_run;
    match target {
        Target::Parties => {
            let all = gather(opened, move |r| mapper.party(r)).await?;
            let outcome = store.import_parties(&all.rows, reason, dry).await?;
            course.taking(all.read, all.records, all.refused, outcome).await
        }
        Target::Classes => {
            let all = gather(opened, move |r| mapper.class(r)).await?;
            let outcome = store.import_classes(&all.rows, reason, dry).await?;
            course.taking(all.read, all.records, all.refused, outcome).await
        }
        Target::Components | Target::Areas | Target::Cells | Target::Roads | Target::Land => {
            let (source, merge) = (opened.mapping.source.clone(), opened.mapping.merge);
            let all = gather(opened, move |r| mapper.shape(r)).await?;
            let table = match target {
                Target::Cells => ShapeTable::Cell,
                Target::Roads => ShapeTable::Road,
                Target::Land => ShapeTable::Land,
                _ => ShapeTable::Area,
            };
            let delivery = ShapeDelivery {
                table,
                source: &source,
                reason,
                merge,
                dry_run: dry,
            };
            let outcome = store.import_shapes(&all.rows, &delivery).await?;
            course.taking(all.read, all.records, all.refused, outcome).await
        }
    }
}

/// Reads a whole file: areas, cells and the like fit in memory and go in as one transaction.
async fn gather<T: Send + 'static>(
    opened: Opened,
    map: impl FnMut(&Record) -> Result<T, Vec<RowFault>> + Send + 'static,
) -> Result<Batch<T>> {
    blocking(move || {
        let mut all = None;
        opened.read(usize::MAX, map, |batch| {
            all = Some(batch);
            true
        })?;
        Ok(all.unwrap_or_default())
    })
    .await?
}

impl Course {
    /// Adds what became of one batch, off the async threads: it writes files.
    async fn taking(
        mut self,
        read: u64,
        records: Vec<Record>,
        refused: Vec<(Record, Vec<RowFault>)>,
        outcome: Outcome,
    ) -> Result<Course> {
        let own = move || {
            self.take(read, records, refused, outcome)?;
            Ok(self)
        };
        blocking(own).await?
    }

    /// Closes the files.
    fn finish(self) -> Result<Report> {
        let Course {
            mut report,
            rejects,
            changes,
            parties,
            ..
        } = self;
        report.new_parties = parties.into_iter().collect();
        let path = rejects.path().display().to_string();
        report.rejects = rejects.finish()?.then_some(path);
        let path = changes.path().display().to_string();
        report.changes = changes.finish()?.then_some(path);
        Ok(report)
    }

    fn take(
        &mut self,
        read: u64,
        records: Vec<Record>,
        mut refused: Vec<(Record, Vec<RowFault>)>,
        outcome: Outcome,
    ) -> Result<()> {
        let Course { report, rejects, .. } = self;
        report.read += read;
        report.tally += outcome.tally;
        report.cells_assigned += outcome.cells_assigned;
        report.revision = outcome.revision.or(report.revision);
        self.parties.extend(outcome.new_parties);
        outcome.findings.into_iter().for_each(|f| report.find(f));
        for change in &outcome.changes {
            self.changes.add(change)?;
        }
        for (row, mut fault) in outcome.rejects {
            if let Some(pick) = self.mapping.fields.get(&*fault.column) {
                fault.column = pick.column_name().into();
            }
            // Records rise by row.
            if let Ok(i) = records.binary_search_by_key(&row, |r| r.row) {
                refused.push((records[i].clone(), vec![fault]));
            }
        }
        refused.sort_by_key(|(record, _)| record.row);
        for (record, faults) in refused {
            report.reject(record.row, &faults);
            rejects.add(&record, &faults)?;
        }
        Ok(())
    }
}
