//! The documents: files under their SHA-256 in one directory. A file is there, whole and on disk, before the row that names it, so that
//! a crash leaves a file too many at worst, which `lamppost verify` reports.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::evidence::Kept;
use crate::domain::text::{Fault, Text};
use crate::error::{Error, Result};
use crate::exchange::document::{Form, taken_at};
use crate::text;
use crate::thread::blocking;

/// Files that arrive at a time.
const ARRIVING: usize = 8;
/// The longest name of a file.
const MAX_NAME: usize = 200;

/// Where documents are kept. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Archive(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    /// Bytes of one file.
    most: u64,
    arriving: Arc<Semaphore>,
}

/// A document on its way in. Dropped before [`Arrival::keep`] it leaves nothing behind.
#[derive(Debug)]
pub struct Arrival {
    inner: Arc<Inner>,
    name: String,
    file: File,
    path: TempPath,
    hash: Sha256,
    bytes: u64,
    _place: OwnedSemaphorePermit,
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

/// A fault of the file that was sent.
fn refused(detail: Text) -> Error {
    Error::Invalid(vec![Fault::new("/file", detail)])
}

impl Archive {
    /// Opens a directory for files of at most so many bytes, makes it if need be, and clears what never came whole.
    pub async fn open(dir: &Path, most: u64) -> Result<Archive> {
        let own = dir.to_owned();
        let opened = move || {
            let incoming = own.join("incoming");
            if incoming.exists() {
                std::fs::remove_dir_all(&incoming)?;
            }
            std::fs::create_dir_all(&incoming)?;
            Ok::<_, std::io::Error>(own)
        };
        let dir = blocking(opened).await?.map_err(|e| {
            let dir = dir.display();
            Error::Setup(text!(
                "无法使用证明材料目录 {dir}：{e}",
                "cannot use {dir} for documents: {e}"
            ))
        })?;
        Ok(Archive(Some(Arc::new(Inner {
            dir,
            most,
            arriving: Arc::new(Semaphore::new(ARRIVING)),
        }))))
    }

    /// The documents of a directory that another process may use: for looking, not for taking.
    pub fn look(dir: &Path) -> Archive {
        Archive(Some(Arc::new(Inner {
            dir: dir.to_owned(),
            most: 0,
            arriving: Arc::new(Semaphore::new(0)),
        })))
    }

    fn inner(&self) -> Result<&Arc<Inner>> {
        self.0.as_ref().ok_or_else(|| {
            Error::Busy(Text::new(
                "本服务没有存放证明材料的目录（--evidence）",
                "this service has no directory for documents (--evidence)",
            ))
        })
    }

    /// Begins to take a file of a name.
    pub async fn receive(&self, name: &str) -> Result<Arrival> {
        let inner = self.inner()?.clone();
        let plain = |c: char| !c.is_control() && !['/', '\\'].contains(&c);
        if name.is_empty() || name.chars().count() > MAX_NAME || !name.chars().all(plain) {
            return Err(refused(text!(
                "文件名应为 1 至 {MAX_NAME} 个字符，不含路径",
                "the name of the file should be 1 to {MAX_NAME} characters without a path"
            )));
        }
        let busy = |_| {
            Error::Busy(Text::new(
                "同时上传的文件过多，请稍后重试",
                "too many files arrive at the same time; try again shortly",
            ))
        };
        let place = inner.arriving.clone().try_acquire_owned().map_err(busy)?;
        let dir = inner.dir.join("incoming");
        let made = blocking(move || tempfile::NamedTempFile::new_in(dir)).await?;
        let (file, path) = made.map_err(Error::internal)?.into_parts();
        Ok(Arrival {
            inner,
            name: name.to_owned(),
            file: File::from_std(file),
            path,
            hash: Sha256::new(),
            bytes: 0,
            _place: place,
        })
    }

    /// A document's file.
    pub async fn file(&self, hash: &[u8]) -> Result<File> {
        File::open(self.inner()?.path(hash)).await.map_err(Error::internal)
    }

    /// Names of the files that are kept and are none of these, and of those of these that are not kept whole.
    pub async fn differences(&self, known: Vec<(Vec<u8>, i64)>) -> Result<(Vec<String>, Vec<String>)> {
        let inner = self.inner()?.clone();
        blocking(move || inner.differences(&known))
            .await?
            .map_err(Error::internal)
    }
}

impl Inner {
    fn path(&self, hash: &[u8]) -> PathBuf {
        let name = hex(hash);
        self.dir.join(name.get(..2).unwrap_or("")).join(name)
    }

    fn differences(&self, known: &[(Vec<u8>, i64)]) -> std::io::Result<(Vec<String>, Vec<String>)> {
        let names: std::collections::BTreeSet<String> = known.iter().map(|(hash, _)| hex(hash)).collect();
        let (mut over, mut lost) = (Vec::new(), Vec::new());
        let dirs = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for dir in dirs.filter(|d| d.file_name() != "incoming") {
            for file in std::fs::read_dir(dir.path())?.flatten() {
                let name = file.file_name().to_string_lossy().into_owned();
                if !names.contains(&name) {
                    over.push(name);
                }
            }
        }
        for (hash, bytes) in known {
            let whole = || {
                let mut file = std::fs::File::open(self.path(hash))?;
                let (mut own, mut piece, mut read) = (Sha256::new(), vec![0; 1 << 16], 0);
                loop {
                    let n = file.read(&mut piece)?;
                    if n == 0 {
                        break;
                    }
                    read += n as i64;
                    own.update(&piece[..n]);
                }
                Ok::<_, std::io::Error>(read == *bytes && own.finalize()[..] == hash[..])
            };
            if !whole().unwrap_or(false) {
                lost.push(hex(hash));
            }
        }
        over.sort();
        Ok((over, lost))
    }
}

impl Arrival {
    /// Takes the next bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.inner.most {
            let mb = self.inner.most >> 20;
            return Err(Error::TooLarge(text!(
                "文件超过 {mb} MB",
                "the file is larger than {mb} MB"
            )));
        }
        self.hash.update(bytes);
        self.file.write_all(bytes).await.map_err(Error::internal)
    }

    /// Keeps it, if it is what its name says: from then on it survives a power cut.
    pub async fn keep(mut self) -> Result<Kept> {
        if self.bytes == 0 {
            return Err(refused(Text::new("文件是空的", "the file is empty")));
        }
        self.file.flush().await.map_err(Error::internal)?;
        self.file.sync_all().await.map_err(Error::internal)?;
        let Arrival {
            inner,
            name,
            path,
            hash,
            bytes,
            ..
        } = self;
        let hash: [u8; 32] = hash.finalize().into();
        let keep = move || {
            let form = Form::of(&path, &name).map_err(refused)?;
            let taken_at = (form == Form::Jpeg).then(|| taken_at(&path)).flatten();
            let place = inner.path(&hash);
            let put = || {
                let dir = place.parent().unwrap_or(&inner.dir);
                std::fs::create_dir_all(dir)?;
                // The same document again is the same file.
                path.persist(&place).map_err(|e| e.error)?;
                std::fs::File::open(dir)?.sync_all()?;
                std::fs::File::open(&inner.dir)?.sync_all()
            };
            put().map_err(Error::internal)?;
            Ok(Kept {
                hash,
                bytes,
                media: form.media(),
                name,
                taken_at,
            })
        };
        blocking(keep).await?
    }
}
