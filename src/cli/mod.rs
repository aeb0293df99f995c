//! The verbs of the command line.
pub mod database;
pub mod demo;
pub mod import;
