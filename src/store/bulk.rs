//! Bulk writes of the demo city by COPY.
