//! The one test binary: everything that needs a database, a process or the network.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod cluster;
mod crash;
mod support;

/// Told once and in words, before the others that need it fail one by one.
#[test]
fn a_database_for_the_tests_is_given() {
    support::database_url();
}
