//! Lamppost: the spatial register of a city's street facilities.
//!
//! Reading order, from the bottom up; a module uses only those above it in this list's order of layers.
//!
//! * L0 [`domain`] what the city counts (codes, classes, states, drafts) and [`spatial`] where it is (positions, CRS, tile ids).
//!   Pure: no I/O, no async.
//! * L1 [`store`] every SQL statement · [`index`] the copy in memory · [`tile`] layers, MVT and the cache · [`exchange`] files. [`thread`]: work off the async ones. [`definitions`]: what stands in TOML files.
//! * L2 [`query`] one file per question · [`delivery`] a file into the record · [`feed`] the only writer of memory and cache
//!   · [`push`] what edits touched, for clients that want to be told · [`batch`] the same on many roles at once · [`calendar`] what begins and ends by itself
//!   · [`door`] who somebody is · [`audit`] what is written down of them · [`archive`] documents
//!   · [`backup`] one copy of everything · [`coverage`] what facilities serve · [`siting`] where to build next · [`indicator`] tables to sign.
//! * L3 [`api`] HTTP.  L4 [`cli`] the verbs.
pub mod api;
pub mod archive;
pub mod audit;
pub mod backup;
pub mod batch;
pub mod calendar;
pub mod cli;
pub mod coverage;
pub mod definitions;
pub mod delivery;
pub mod domain;
pub mod door;
pub mod error;
pub mod exchange;
pub mod feed;
pub mod index;
pub mod indicator;
pub mod past;
pub mod push;
pub mod query;
pub mod siting;
pub mod spatial;
pub mod store;
pub mod thread;
pub mod tile;
