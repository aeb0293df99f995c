//! CRS.
