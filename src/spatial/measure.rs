//! Measures in metres.
