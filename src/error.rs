//! The one error that every layer returns. It knows neither HTTP nor SQL; `api::problem` gives it a status.

use crate::domain::text::{Fault, Text};

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A parameter or a body that cannot be read.
    #[error("cannot be read: {}", list(.0))]
    Syntax(Vec<Fault>),
    /// What was read breaks a rule; every fault at once.
    #[error("not accepted: {}", list(.0))]
    Invalid(Vec<Fault>),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(Text),
    /// It clashes with what is there.
    #[error("{0}")]
    Conflict(Text),
    /// The version that the writer saw is no longer the current one.
    #[error("version {want} was edited, but version {have} is current")]
    Stale {
        /// The current version.
        have: i64,
        /// The version that the writer saw.
        want: i64,
    },
    /// An edit that does not say which version it edits met another person's: every field, and what was kept of it.
    #[error("meets another edit: {}", list(.faults))]
    Clash {
        /// Both values of each field.
        faults: Vec<Fault>,
        /// The number of the proposal that it was kept as.
        proposal: Option<i64>,
    },
    /// An edit that does not say which version it edits.
    #[error("If-Match is missing")]
    VersionRequired,
    /// No token, or one that is not known.
    #[error("no valid token")]
    Unauthenticated,
    /// A name and a password that do not go together, or an account that is locked or disabled.
    #[error("signing in failed")]
    SignIn,
    /// Too often; to be tried again after this time.
    #[error("too many, for another {0:?}")]
    TooMany(std::time::Duration),
    /// A token that does not allow it.
    #[error("{0}")]
    Forbidden(Text),
    /// Larger than the stated limit.
    #[error("{0}")]
    TooLarge(Text),
    /// Try again a little later.
    #[error("{0}")]
    Busy(Text),
    /// Something the operator of this program must mend: a missing package, a directory in use, a database without PostGIS.
    #[error("{0}")]
    Setup(Text),
    /// A fault of ours or of the machine; logged, never shown.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Error {
    /// An internal error from any other.
    pub fn internal(e: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Internal(e.into())
    }

    /// One fault in what was sent.
    pub fn syntax(pointer: &str, detail: Text) -> Error {
        Error::Syntax(vec![Fault::new(pointer, detail)])
    }
}

/// The result of everything above L0.
pub type Result<T, E = Error> = std::result::Result<T, E>;
