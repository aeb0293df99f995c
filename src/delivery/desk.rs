//! Deliveries over HTTP: each has a directory with its file, what is asked of it and what came of it. One is worked on at a time. What
//! was under way when the service stopped goes on when it starts again: nothing that was answered is forgotten.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::Utc;
use futures_util::FutureExt;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::upload::{self, Settings, Stage, Upload};
use super::{Options, deliver, lock};
use crate::domain::grant::Grant;
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::exchange::mapping::Target;
use crate::store::Store;
use crate::store::import::delivery::Undone;
use crate::text;
use crate::thread::blocking;

/// What bounds the desk.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one file.
    pub file: u64,
    /// Deliveries kept; beyond that the oldest that nobody works on is forgotten.
    pub kept: usize,
    /// Bytes of all that are kept.
    pub bytes: u64,
    /// Files that arrive at a time.
    pub arriving: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            file: 2 << 30,
            kept: 100,
            bytes: 20 << 30,
            arriving: 4,
        }
    }
}

/// Where deliveries over HTTP are kept. Cheap to copy.
#[derive(Clone, Debug)]
pub struct Desk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// None where no directory could be had: nothing is taken then.
    dir: Option<PathBuf>,
    limits: Limits,
    arriving: Arc<Semaphore>,
    /// Looks at a time: an archive is unpacked for each.
    looking: Semaphore,
    turn: Semaphore,
    uploads: Mutex<BTreeMap<String, Held>>,
    work: Mutex<JoinSet<()>>,
}

/// An upload as everyone sees it, and the door through which one at a time changes it.
#[derive(Debug)]
struct Held {
    told: watch::Sender<Upload>,
    door: Arc<tokio::sync::Mutex<()>>,
}

impl Held {
    fn new(upload: Upload) -> Held {
        Held {
            told: watch::Sender::new(upload),
            door: Arc::default(),
        }
    }
}

/// A file on its way in. Dropped before [`Desk::admit`] it leaves nothing behind.
#[derive(Debug)]
pub struct Arrival {
    id: String,
    dir: PathBuf,
    name: String,
    file: File,
    bytes: u64,
    most: u64,
    admitted: bool,
    _place: OwnedSemaphorePermit,
}

impl Default for Desk {
    /// A desk that takes nothing.
    fn default() -> Desk {
        Desk::new(None, Limits::default())
    }
}

impl Desk {
    fn new(dir: Option<PathBuf>, limits: Limits) -> Desk {
        Desk(Arc::new(Inner {
            dir,
            limits,
            arriving: Arc::new(Semaphore::new(limits.arriving)),
            looking: Semaphore::new(2),
            turn: Semaphore::new(1),
            uploads: Mutex::default(),
            work: Mutex::default(),
        }))
    }

    /// Opens a directory, makes it if need be, and finds again what is in it.
    pub async fn open(dir: &Path, limits: Limits) -> Result<Desk> {
        let own = dir.to_owned();
        let found = blocking(move || find(&own)).await?.map_err(|e| {
            let dir = dir.display();
            Error::Setup(text!(
                "无法使用 {dir} 存放交付文件：{e}；可用 --imports 指定",
                "{dir} cannot hold deliveries: {e}; --imports names another place"
            ))
        })?;
        let desk = Desk::new(Some(dir.to_owned()), limits);
        let known = found.into_iter().map(|c| (c.id.clone(), Held::new(c)));
        desk.uploads().extend(known);
        Ok(desk)
    }

    /// Goes on with what was under way when the service stopped.
    pub fn resume(&self, store: &Store) {
        let busy: Vec<String> = self.all().into_iter().filter(Upload::is_busy).map(|c| c.id).collect();
        for id in busy {
            tracing::info!("going on with import {id}");
            self.begin(store, id);
        }
    }

    /// Ends all work; what is under way goes on at the next start.
    pub async fn stop(&self) {
        let mut work = std::mem::take(&mut *lock(&self.0.work));
        work.shutdown().await;
    }

    /// Every delivery, the newest first.
    pub fn all(&self) -> Vec<Upload> {
        let mut all: Vec<Upload> = self.uploads().values().map(|held| held.told.borrow().clone()).collect();
        all.sort_by(|a, b| b.received.cmp(&a.received).then(b.id.cmp(&a.id)));
        all
    }

    /// One delivery as it is, and as it will be.
    pub fn watch(&self, id: &str) -> Result<watch::Receiver<Upload>> {
        self.uploads()
            .get(id)
            .map(|held| held.told.subscribe())
            .ok_or_else(|| absent(id))
    }

    /// A place for a file that is about to arrive.
    pub async fn receive(&self, name: &str) -> Result<Arrival> {
        let dir = self.dir()?.to_owned();
        let place = self.0.arriving.clone().try_acquire_owned().map_err(|_| {
            Error::Busy(Text::new(
                "正在接收的文件过多，请稍后重试",
                "too many files are arriving; try again shortly",
            ))
        })?;
        self.make_room().await?;
        let mut random = [0u8; 8];
        getrandom::fill(&mut random).map_err(Error::internal)?;
        let id: String = random.iter().map(|b| format!("{b:02x}")).collect();
        let (dir, name) = (dir.join(&id), plain(name));
        let path = dir.join("file").join(&name);
        tokio::fs::create_dir_all(dir.join("file")).await.map_err(full)?;
        let file = File::create(&path).await.map_err(full)?;
        Ok(Arrival {
            id,
            dir,
            name,
            file,
            bytes: 0,
            most: self.0.limits.file,
            admitted: false,
            _place: place,
        })
    }

    /// Takes a file that has come whole: looks into it, proposes a mapping where none is given, and keeps it.
    pub async fn admit(&self, store: &Store, mut arrival: Arrival, by: &Grant, settings: Settings) -> Result<Upload> {
        settings.check(by.access)?;
        arrival.file.sync_all().await.map_err(full)?;
        let upload = Upload {
            id: arrival.id.clone(),
            file: arrival.name.clone(),
            bytes: arrival.bytes,
            by: by.name.clone(),
            fence: by.fence(),
            received: Utc::now(),
            stage: Stage::Ready,
            dry_run: true,
            read: 0,
            size: arrival.bytes,
            settings,
            seen: serde_json::Value::Null,
            report: None,
            error: None,
            delivery: None,
        };
        let upload = self.look(store, upload, &arrival.dir).await?;
        let upload = keep(upload, &arrival.dir).await?;
        arrival.admitted = true;
        self.uploads().insert(upload.id.clone(), Held::new(upload.clone()));
        Ok(upload)
    }

    /// Changes what is asked, and looks again.
    pub async fn change(
        &self,
        store: &Store,
        id: &str,
        by: &Grant,
        patch: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Upload> {
        let (_door, mut upload) = self.idle(id).await?;
        upload.settings = upload.settings.patched(patch)?;
        upload.settings.check(by.access)?;
        upload.fence = if upload.by == by.name { by.fence() } else { upload.fence };
        let upload = self.look(store, upload, &self.dir()?.join(id)).await?;
        self.put(upload).await
    }

    /// Tries a delivery, or loads it.
    pub async fn run(&self, store: &Store, id: &str, dry_run: bool) -> Result<Upload> {
        let (_door, mut upload) = self.idle(id).await?;
        if upload.stage == Stage::Open {
            let detail = Text::new(
                "须先决定 open 所列各项",
                "what stands under \"open\" must be decided first",
            );
            return Err(Error::Conflict(detail));
        }
        upload.stage = Stage::Waiting;
        upload.dry_run = dry_run;
        (upload.report, upload.error) = (None, None);
        let upload = self.put(upload).await?;
        self.begin(store, id.to_owned());
        Ok(upload)
    }

    /// Takes back what a delivery has done.
    pub async fn undo(&self, store: &Store, id: &str) -> Result<(Upload, Undone)> {
        let (_door, mut upload) = self.idle(id).await?;
        let delivery = upload
            .delivery
            .ok_or_else(|| Error::Conflict(Text::new("该交付没有写入任何内容", "this delivery has written nothing")))?;
        let undone = store.undo_delivery(delivery).await?;
        upload.stage = Stage::Undone;
        Ok((self.put(upload).await?, undone))
    }

    /// Forgets a delivery and its file; what it wrote stays in the register.
    pub async fn forget(&self, id: &str) -> Result<()> {
        let _idle = self.idle(id).await?;
        self.uploads().remove(id);
        let dir = self.dir()?.join(id);
        tokio::fs::remove_dir_all(dir).await.map_err(Error::internal)
    }

    /// Where one of the lists of a delivery is: `rejects` or `changes`.
    pub fn list(&self, id: &str, kind: &str) -> Result<PathBuf> {
        let upload = self.watch(id)?.borrow().clone();
        // A report has other words, some of them the sender's own.
        let named = ["rejects", "changes"].contains(&kind);
        let name = upload
            .report
            .as_ref()
            .filter(|_| named)
            .and_then(|r| r[kind].as_str().map(str::to_owned));
        let name = name.ok_or_else(|| Error::NotFound(text!("该交付没有 {kind}", "this delivery has no {kind}")))?;
        Ok(self.dir()?.join(id).join(name))
    }

    fn dir(&self) -> Result<&Path> {
        self.0.dir.as_deref().ok_or_else(|| {
            Error::Busy(Text::new(
                "本服务没有存放交付文件的目录（--imports）",
                "this service has no directory for deliveries (--imports)",
            ))
        })
    }

    fn uploads(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        lock(&self.0.uploads)
    }

    /// A delivery that nobody works on, and its door: until that is dropped nobody else changes it.
    async fn idle(&self, id: &str) -> Result<(OwnedMutexGuard<()>, Upload)> {
        let door = self.uploads().get(id).map(|held| held.door.clone());
        let door = door.ok_or_else(|| absent(id))?.lock_owned().await;
        let upload = self.watch(id)?.borrow().clone();
        if upload.is_busy() {
            let detail = Text::new("该交付正在处理", "this delivery is under way");
            return Err(Error::Conflict(detail));
        }
        Ok((door, upload))
    }

    async fn put(&self, upload: Upload) -> Result<Upload> {
        let dir = self.dir()?.join(&upload.id);
        let upload = keep(upload, &dir).await?;
        if let Some(held) = self.uploads().get(&upload.id) {
            held.told.send_replace(upload.clone());
        }
        Ok(upload)
    }

    /// Forgets the oldest until there is room for another file.
    async fn make_room(&self) -> Result<()> {
        let Limits { kept, bytes, file, .. } = self.0.limits;
        let mut all = self.all();
        loop {
            let held: u64 = all.iter().map(|c| c.bytes).sum();
            if all.len() < kept && held + file <= bytes {
                return Ok(());
            }
            let Some(oldest) = all.iter().rposition(|c| !c.is_busy()) else {
                let detail = Text::new(
                    "待处理的交付过多，请稍后重试",
                    "too many deliveries are waiting; try again later",
                );
                return Err(Error::Busy(detail));
            };
            let gone = all.remove(oldest);
            match self.forget(&gone.id).await {
                // Somebody was quicker, or it is wanted again.
                Err(Error::NotFound(_) | Error::Conflict(_)) => all = self.all(),
                other => other?,
            }
        }
    }

    /// Looks into the file, with what is asked.
    async fn look(&self, store: &Store, mut upload: Upload, dir: &Path) -> Result<Upload> {
        let _place = self.0.looking.acquire().await.map_err(Error::internal)?;
        let (path, options) = (upload.path(dir), upload.options()?);
        let components = upload.settings.target()? == Target::Components;
        (upload.stage, upload.seen) = if options.mapping.is_some() || !components {
            (Stage::Ready, blocking(move || upload::fit(&path, &options)).await??)
        } else {
            let (table, proposed) = super::propose(store, &path, &options).await?;
            let stage = if proposed.open.is_empty() {
                Stage::Ready
            } else {
                Stage::Open
            };
            (stage, upload::seen(&table, &proposed.toml, Some(&proposed)))
        };
        Ok(upload)
    }

    fn begin(&self, store: &Store, id: String) {
        let (desk, store) = (self.clone(), store.clone());
        let mut work = lock(&self.0.work);
        while work.try_join_next().is_some() {}
        work.spawn(async move {
            if let Err(e) = desk.work(&store, &id).await {
                tracing::error!(error = ?e, "import {id}");
                // It could not even be written down; whoever asks is told, and may ask for another run.
                if let Some(held) = desk.uploads().get(&id) {
                    let failed = |u: &mut Upload| (u.stage, u.error) = (Stage::Failed, Some(upload::told(&e)));
                    held.told.send_modify(failed);
                }
            }
        });
    }

    /// One run, from waiting to its end.
    async fn work(&self, store: &Store, id: &str) -> Result<()> {
        let _turn = self.0.turn.acquire().await.map_err(Error::internal)?;
        let mut upload = self.watch(id)?.borrow().clone();
        upload.stage = Stage::Running;
        let upload = self.put(upload).await?;
        let dir = self.dir()?.join(id);
        let options = Options {
            mapping: upload.mapping().filter(|m| !m.is_empty()).map(str::to_owned),
            by: Some(upload.by.clone()),
            gentle: true,
            dry_run: upload.dry_run,
            rejects: dir.join("rejects"),
            changes: dir.join("changes.csv"),
            ..upload.options()?
        };
        let progress = |read, size| {
            if let Some(held) = self.uploads().get(id) {
                held.told.send_modify(|c| (c.read, c.size) = (read, size));
            }
        };
        let path = upload.path(&dir);
        let delivered = AssertUnwindSafe(deliver(store, &path, &options, &progress)).catch_unwind();
        let done = delivered
            .await
            .unwrap_or_else(|_| Err(Error::internal("an import panicked")));
        let mut upload = self.watch(id)?.borrow().clone();
        match done {
            Ok(report) => {
                let mut told = report.to_json();
                for kind in ["rejects", "changes"] {
                    let name = told[kind].as_str().and_then(|p| Path::new(p).file_name());
                    told[kind] = name.and_then(|n| n.to_str()).into();
                }
                upload.delivery = report.delivery.or(upload.delivery);
                (upload.stage, upload.report) = (Stage::Done, Some(told));
            }
            Err(e) => {
                if let Error::Internal(cause) = &e {
                    tracing::error!(error = ?cause, "import {id} failed");
                }
                (upload.stage, upload.error) = (Stage::Failed, Some(upload::told(&e)));
            }
        }
        self.put(upload).await.map(drop)
    }
}

impl Arrival {
    /// The next bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.most {
            let mb = self.most >> 20;
            return Err(Error::TooLarge(text!(
                "文件超过 {mb} MB；请分成几个文件，或用 lamppost import",
                "the file is larger than {mb} MB; divide it, or use lamppost import"
            )));
        }
        self.file.write_all(bytes).await.map_err(full)
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if !self.admitted {
            // What stays behind is removed at the next start.
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// What is in a directory: whole deliveries; what never came whole is removed.
fn find(dir: &Path) -> std::io::Result<Vec<Upload>> {
    std::fs::create_dir_all(dir)?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        match Upload::kept(&path) {
            Some(upload) => found.push(upload),
            // Only what this desk has made.
            None if path.join("file").is_dir() => std::fs::remove_dir_all(&path)?,
            None => {}
        }
    }
    Ok(found)
}

async fn keep(upload: Upload, dir: &Path) -> Result<Upload> {
    let dir = dir.to_owned();
    let own = move || upload.keep(&dir).map(|()| upload);
    blocking(own).await?.map_err(full)
}

/// There is no such import, as far as whoever asks may know.
pub fn absent(id: &str) -> Error {
    Error::NotFound(text!("没有导入 {id}", "there is no import {id}"))
}

fn full(e: std::io::Error) -> Error {
    match e.kind() {
        std::io::ErrorKind::StorageFull => {
            Error::TooLarge(Text::new("服务器磁盘空间不足", "there is no room on the server's disk"))
        }
        _ => Error::internal(e),
    }
}

/// The name of a file without what could lead elsewhere.
fn plain(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept = last.chars().filter(|c| !c.is_control()).collect::<String>();
    let kept = kept.trim().trim_start_matches('.');
    // A file's name has at most 255 bytes; its end says what it is.
    let skip = kept.chars().count().saturating_sub(60);
    match kept.chars().skip(skip).collect::<String>() {
        name if name.is_empty() => "delivery".to_owned(),
        name => name,
    }
}
