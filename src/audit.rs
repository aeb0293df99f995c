//! What is written to the access log, and to syslog where that is asked for. Whoever notes something waits for nothing; what is the
//! same within a minute becomes one row.

use std::collections::HashMap;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::store::Store;
use crate::store::access_log::Access;

/// Between two writings.
const PULSE: Duration = Duration::from_secs(1);
/// For how long the same is one row.
const SAME: i64 = 60;
/// Different things held; what is beyond is counted under one name.
const MAX_HELD: usize = 10_000;
/// Bytes of a subject.
const MAX_SUBJECT: usize = 300;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Somebody wanted what they may not.
    Refused,
    /// Somebody signed in.
    SignIn,
    /// Somebody could not sign in.
    SignInFailed,
    /// Somebody signed out.
    SignOut,
    /// A password was changed.
    Password,
    /// A restricted class was read.
    Restricted,
    /// A file was taken away.
    Export,
}

impl Act {
    fn key(self) -> &'static str {
        match self {
            Act::Refused => "refused",
            Act::SignIn => "sign-in",
            Act::SignInFailed => "sign-in-failed",
            Act::SignOut => "sign-out",
            Act::Password => "password",
            Act::Restricted => "restricted",
            Act::Export => "export",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct What {
    act: Act,
    who: String,
    peer: String,
    subject: String,
}

#[derive(Debug)]
struct Held {
    at: DateTime<Utc>,
    /// Not yet written.
    times: i32,
    written: bool,
}

/// The access log of one node.
#[derive(Debug, Default)]
pub struct Audit {
    held: Mutex<HashMap<What, Held>>,
    syslog: Option<UnixDatagram>,
}

impl Audit {
    /// A log that also tells a local syslog, by its socket (usually `/dev/log`).
    pub fn with_syslog(socket: Option<PathBuf>) -> std::io::Result<Audit> {
        let open = |path: PathBuf| {
            let own = UnixDatagram::unbound()?;
            own.connect(path)?;
            own.set_nonblocking(true)?;
            Ok::<_, std::io::Error>(own)
        };
        Ok(Audit {
            held: Mutex::default(),
            syslog: socket.map(open).transpose()?,
        })
    }

    /// Notes that somebody did something.
    pub fn note(&self, act: Act, who: &str, peer: &str, subject: &str) {
        let mut end = subject.len().min(MAX_SUBJECT);
        while !subject.is_char_boundary(end) {
            end -= 1;
        }
        let mut what = What {
            act,
            who: who.to_owned(),
            peer: peer.to_owned(),
            subject: subject[..end].replace('\0', ""),
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MAX_HELD && !held.contains_key(&what) {
            what = What {
                act,
                who: String::new(),
                peer: String::new(),
                subject: "…".to_owned(),
            };
        }
        let entry = held.entry(what).or_insert_with(|| Held {
            at: Utc::now(),
            times: 0,
            written: false,
        });
        entry.times = entry.times.saturating_add(1);
    }

    /// What is due: what is new, and what has been the same for a minute; with `all`, everything.
    fn due(&self, all: bool) -> Vec<Access> {
        let now = Utc::now();
        let mut rows = Vec::new();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|what, entry| {
            let over = all || (now - entry.at).num_seconds() >= SAME;
            if entry.times > 0 && (over || !entry.written) {
                rows.push(Access {
                    at: entry.at,
                    act: what.act.key().to_owned(),
                    who: what.who.clone(),
                    peer: what.peer.clone(),
                    subject: what.subject.clone(),
                    times: entry.times,
                });
                let again = entry.written || all;
                *entry = Held {
                    at: if again { now } else { entry.at },
                    times: 0,
                    written: true,
                };
                return !all;
            }
            !over
        });
        rows
    }

    /// Writes what is due. What cannot be written is kept for the next time.
    pub async fn write(&self, store: &Store, all: bool) -> Result<()> {
        let rows = self.due(all);
        if rows.is_empty() {
            return Ok(());
        }
        if let Err(e) = store.log_accesses(&rows).await {
            tracing::error!(error = ?e, rows = rows.len(), "the access log could not be written");
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            for row in rows {
                let again = held.keys().find(|w| {
                    w.act.key() == row.act && w.who == row.who && w.peer == row.peer && w.subject == row.subject
                });
                if let Some(entry) = again.cloned().and_then(|w| held.get_mut(&w)) {
                    (entry.times, entry.written, entry.at) = (entry.times.saturating_add(row.times), false, row.at);
                }
            }
            return Err(e);
        }
        for row in &rows {
            self.tell(row);
        }
        Ok(())
    }

    /// RFC 3164, facility 10 (security), severity notice. A syslog that takes nothing is not waited for.
    fn tell(&self, row: &Access) {
        let Some(socket) = &self.syslog else { return };
        let plain = |s: &str| {
            s.chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect::<String>()
        };
        let line = format!(
            "<85>lamppost: act={} who=\"{}\" peer={} subject=\"{}\" times={} at={}",
            row.act,
            plain(&row.who),
            plain(&row.peer),
            plain(&row.subject),
            row.times,
            row.at.to_rfc3339()
        );
        if let Err(e) = socket.send(line.as_bytes()) {
            tracing::warn!(error = %e, "syslog took no line of the access log");
        }
    }

    /// Writes until the future is dropped, and once a day forgets what is older than `days`.
    pub async fn follow(&self, store: &Store, days: i32) {
        let mut forgotten = None;
        loop {
            tokio::time::sleep(PULSE).await;
            // Logged there, and tried again.
            let _ = self.write(store, false).await;
            let today = Utc::now().date_naive();
            if forgotten != Some(today) {
                forgotten = Some(today);
                if let Err(e) = store.forget_accesses(days).await {
                    tracing::warn!(error = ?e, "old rows of the access log could not be forgotten");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_within_a_minute_is_one_row_and_nothing_goes_uncounted() {
        let audit = Audit::default();
        for _ in 0..3 {
            audit.note(Act::Refused, "甲", "::1", "/x");
        }
        let times = |rows: Vec<Access>| rows.iter().map(|r| r.times).collect::<Vec<_>>();
        assert_eq!(times(audit.due(false)), [3], "what is new is written at once");
        audit.note(Act::Refused, "甲", "::1", "/x");
        assert_eq!(
            times(audit.due(false)),
            [] as [i32; 0],
            "what is the same waits for its minute"
        );
        assert_eq!(times(audit.due(true)), [1]);
        for n in 0..MAX_HELD + 5 {
            audit.note(Act::Refused, "", "::1", &format!("/{n}"));
        }
        let rows = audit.due(true);
        assert_eq!(rows.iter().map(|r| r.times as usize).sum::<usize>(), MAX_HELD + 5);
        assert_eq!(rows.len(), MAX_HELD + 1);
    }
}
