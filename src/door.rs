//! Who somebody is: what a token, a key or a cookie allows, kept until the feed hears that something about grants has changed; and
//! passwords, which only people have.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use chrono::Utc;
use geo::Intersects;

use crate::domain::grant::Grant;
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::store::Store;
use crate::store::token::{Credential, Held, Kind};
use crate::text;

/// Grants kept; beyond that all are looked up again.
const MAX_KNOWN: usize = 10_000;
/// Seconds between two notes of the use of the same grant.
const NOTED: i64 = 60;

/// The door of one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Door(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    /// How long a session may be idle, in seconds.
    idle: AtomicU64,
    known: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// Rises when something about grants has changed: what was read before is not kept after it.
    generation: u64,
    held: HashMap<Credential, Arc<Known>>,
}

#[derive(Debug)]
struct Known {
    id: i32,
    grant: Arc<Grant>,
    /// Seconds since 1970.
    used: AtomicI64,
    noted: AtomicI64,
}

impl Door {
    /// A door that knows nobody yet. Sessions end when they have been idle for so long.
    pub fn new(store: Store, idle: Duration) -> Door {
        Door(Arc::new(Inner {
            store,
            idle: AtomicU64::new(idle.as_secs()),
            known: Mutex::default(),
        }))
    }

    /// Sessions end when they have been idle for so long.
    pub fn set_idle(&self, idle: Duration) {
        self.0.idle.store(idle.as_secs(), Ordering::Relaxed);
    }

    fn idle(&self) -> u64 {
        self.0.idle.load(Ordering::Relaxed)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something about grants has changed. For `feed` alone.
    pub fn forget(&self) {
        let mut book = self.book();
        book.generation += 1;
        book.held.clear();
    }

    /// Rises when something about grants has changed.
    pub fn generation(&self) -> u64 {
        self.book().generation
    }

    /// What a secret allows; none if it is unknown or has ended. Asks the database once, and then not again until grants change.
    pub async fn grant(&self, credential: &Credential) -> Result<Option<Arc<Grant>>> {
        let (generation, known) = {
            let book = self.book();
            (book.generation, book.held.get(credential).cloned())
        };
        if let Some(known) = known.filter(|k| self.in_force(credential.kind, k)) {
            self.note_use(credential.kind, &known);
            return Ok(Some(known.grant.clone()));
        }
        // Another node may have seen it used.
        let Some(held) = self.0.store.held(credential).await? else {
            return Ok(None);
        };
        let known = Arc::new(Known::of(held));
        if !self.in_force(credential.kind, &known) {
            return Ok(None);
        }
        self.note_use(credential.kind, &known);
        let mut book = self.book();
        if book.generation == generation {
            if book.held.len() >= MAX_KNOWN {
                book.held.clear();
            }
            book.held.insert(*credential, known.clone());
        }
        Ok(Some(known.grant.clone()))
    }

    fn in_force(&self, kind: Kind, known: &Known) -> bool {
        let now = Utc::now();
        let idle = now.timestamp().saturating_sub(known.used.load(Ordering::Relaxed));
        let awake = kind != Kind::Session || u64::try_from(idle).unwrap_or(0) < self.idle();
        awake && known.grant.expires.is_none_or(|end| now < end)
    }

    /// Notes the use here at once, and in the record about once a minute.
    fn note_use(&self, kind: Kind, known: &Known) {
        let now = Utc::now().timestamp();
        known.used.store(now, Ordering::Relaxed);
        let noted = known.noted.load(Ordering::Relaxed);
        let due = now - noted >= NOTED.min(i64::try_from(self.idle() / 4).unwrap_or(NOTED));
        let mine = due && {
            let swapped = known
                .noted
                .compare_exchange(noted, now, Ordering::Relaxed, Ordering::Relaxed);
            swapped.is_ok()
        };
        if mine {
            let (store, id) = (self.0.store.clone(), known.id);
            tokio::spawn(async move {
                if let Err(e) = store.note_use(kind, id).await {
                    tracing::warn!(error = ?e, "the use of a grant could not be noted");
                }
            });
        }
    }
}

impl Known {
    fn of(held: Held) -> Known {
        let used = held.used.timestamp();
        Known {
            id: held.id,
            grant: Arc::new(held.grant),
            used: AtomicI64::new(used),
            noted: AtomicI64::new(used),
        }
    }
}

/// Refuses an edit outside of what bounds it: the caller's area, of something at lon,lat degrees, and the caller's party.
pub fn within(memory: &Memory, grant: &Grant, at: (f64, f64), parties: &[Option<i32>]) -> Result<(), Text> {
    if let Some(id) = grant.area {
        let area = memory.areas.get(id.unsigned_abs().into()).filter(|a| a.shown);
        if !area.is_some_and(|a| a.geometry.unpack().intersects(&geo::Point::new(at.0, at.1))) {
            let name = memory.areas.what(id).map_or("", |a| &a.name);
            return Err(text!(
                "您只能编辑“{name}”范围内的部件",
                "you may edit only what stands in \"{name}\""
            ));
        }
    }
    if !grant.serves(parties) {
        return Err(Text::new(
            "您只能编辑由本单位主管、权属或养护的部件",
            "you may edit only what your party is the authority, the owner or the maintainer of",
        ));
    }
    Ok(())
}

/// Fewest characters of a password.
const MIN_PASSWORD: usize = 10;
/// Most bytes of a password.
const MAX_PASSWORD: usize = 1000;

/// What is wrong with a new password, if anything. Length is what counts; rules on kinds of characters make passwords worse.
pub fn fault_of(password: &str, name: &str, old: &str) -> Option<Text> {
    let length = password.chars().count();
    if length < MIN_PASSWORD || password.len() > MAX_PASSWORD {
        return Some(text!(
            "密码至少 {MIN_PASSWORD} 个字符，至多 {MAX_PASSWORD} 字节",
            "a password has at least {MIN_PASSWORD} characters and at most {MAX_PASSWORD} bytes"
        ));
    }
    if password == old {
        return Some(Text::new("新密码不可与旧密码相同", "the new password is the old one"));
    }
    let first = password.chars().next();
    if password.contains(name) || password.chars().all(|c| Some(c) == first) {
        return Some(Text::new(
            "密码不可含账号名，也不可只是一个字符的重复",
            "a password neither contains the account's name nor repeats one character",
        ));
    }
    None
}

/// argon2id with a random salt, as a PHC string. Slow on purpose, and 19 MB: not for an async thread.
pub fn hash(password: &str) -> Result<String> {
    let hashed: Result<PasswordHash, _> = Argon2::default().hash_password(password.as_bytes());
    hashed
        .map(|h| h.to_string())
        .map_err(|e| Error::internal(e.to_string()))
}

/// Whether a password is the one that a PHC string was made of; without one, takes as long to say no. Cost: as [`hash`].
pub fn verify(password: &str, phc: Option<&str>) -> bool {
    static NOBODY: LazyLock<String> = LazyLock::new(|| hash("nobody has this one").unwrap_or_default());
    let parsed = PasswordHash::new(phc.unwrap_or(&NOBODY));
    let fits = parsed.is_ok_and(|p| Argon2::default().verify_password(password.as_bytes(), &p).is_ok());
    fits && phc.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_alone() {
        let phc = hash("一盏路灯，两座井盖").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$"), "{phc}");
        assert!(verify("一盏路灯，两座井盖", Some(&phc)));
        assert!(!verify("一盏路灯,两座井盖", Some(&phc)));
        assert!(!verify("nobody has this one", None));
        assert_ne!(phc, hash("一盏路灯，两座井盖").unwrap(), "each has its own salt");
    }

    #[test]
    fn a_weak_password_is_refused_with_what_is_wrong() {
        let zh = |p: &str| fault_of(p, "wang", "one two three").map(|t| t.zh.to_string());
        assert!(zh("short").unwrap().contains("10"));
        assert!(zh("one two three").unwrap().contains("旧密码"));
        assert!(zh("aaaaaaaaaaaa").is_some() && zh("wang is my name").is_some());
        assert_eq!(zh("correct horse"), None);
    }
}
