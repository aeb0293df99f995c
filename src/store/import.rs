//! Batches of imported rows.
