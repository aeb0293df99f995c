//! The integration tests: one binary, one module a subject.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod import;
