//! Who may use a data directory: one owner that runs PostgreSQL, and any number of guests that connect to it.
//!
//! Both locks belong to the open file, so that the kernel lets go of them however a process ends; nothing has to be cleaned
//! up after a kill -9.
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use super::account::unusable;
use crate::error::Result;

/// The exclusive right to run PostgreSQL in a data directory.
#[derive(Debug)]
pub(super) struct OwnerLock {
    _file: File,
}

/// Who holds the owner's lock, as its file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holder {
    /// Process number; 0 when the file does not say.
    pub(super) pid: u32,
    /// `serve`, or `verb` for one that keeps the cluster only for its own duration.
    pub(super) verb: String,
}

/// Takes the owner's lock, or says who has it.
pub(super) fn own(dir: &Path, verb: &str) -> Result<std::result::Result<OwnerLock, Holder>> {
    let path = dir.join("lamppost.lock");
    let mut file = open(&path)?;
    match file.try_lock() {
        Ok(()) => {
            let pid = std::process::id();
            file.set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| write!(file, "{pid} {verb}"))
                .map_err(|e| unusable(&path, &e))?;
            Ok(Ok(OwnerLock { _file: file }))
        }
        Err(TryLockError::WouldBlock) => {
            let mut said = String::new();
            // The holder may be writing it right now; then its number is simply not known yet.
            let _ = file.read_to_string(&mut said);
            let (pid, verb) = said.split_once(' ').unwrap_or_default();
            Ok(Err(Holder {
                pid: pid.parse().unwrap_or(0),
                verb: verb.to_owned(),
            }))
        }
        Err(TryLockError::Error(e)) => Err(unusable(&path, &e)),
    }
}

/// A guest's mark: a verb that owns the cluster does not stop it under anybody who holds one.
#[derive(Debug)]
pub(super) struct GuestLock {
    _file: File,
}

/// Announces a guest; `None` while the owner is stopping.
pub(super) fn visit(dir: &Path) -> Result<Option<GuestLock>> {
    let path = dir.join("lamppost.guests");
    let file = open(&path)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(GuestLock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(unusable(&path, &e)),
    }
}

/// Shuts the door: `None` while guests are there. Hold it until PostgreSQL has stopped.
pub(super) fn close_door(dir: &Path) -> Result<Option<GuestLock>> {
    let path = dir.join("lamppost.guests");
    let file = open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(GuestLock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(unusable(&path, &e)),
    }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|e| unusable(path, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owns_and_the_other_learns_who() {
        let dir = std::env::temp_dir().join(format!("lamppost-lock-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let first = own(&dir, "serve").unwrap();
        assert!(first.is_ok());
        let second = own(&dir, "verb").unwrap().unwrap_err();
        assert_eq!(second.pid, std::process::id());
        assert_eq!(second.verb, "serve");
        drop(first);
        assert!(own(&dir, "verb").unwrap().is_ok());

        let guest = visit(&dir).unwrap();
        assert!(guest.is_some() && close_door(&dir).unwrap().is_none());
        drop(guest);
        let door = close_door(&dir).unwrap();
        assert!(door.is_some() && visit(&dir).unwrap().is_none());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
