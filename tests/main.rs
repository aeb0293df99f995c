//! The one test binary: everything that needs a database, a process or the network.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod api;
mod cluster;
mod feed;
mod places;
mod support;
mod tidy;
mod tiles;
