//! The one test binary: everything that needs a database, a process or the network.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod accounts;
mod api;
mod backup;
mod batches;
mod city;
mod claims;
mod clients;
mod cluster;
mod coords;
mod coverage;
mod crash;
mod disputes;
mod dossier;
mod edits;
mod events;
mod evidence;
mod feed;
mod filter;
mod filters;
mod frame;
mod import;
mod indicators;
mod meetings;
mod mvt;
mod past;
mod places;
mod rights;
mod siting;
mod statistics;
mod support;
mod tidy;
mod tiles;

/// Told once and in words, beside the tests that need it and fail one by one.
#[test]
fn a_database_for_the_tests_is_given() {
    assert!(
        std::env::var("DATABASE_URL").is_ok_and(|url| !url.is_empty()),
        "the tests need a PostgreSQL with PostGIS: run `make test`, or first `export DATABASE_URL=$(scripts/test-db)`"
    );
}
