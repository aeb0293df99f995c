//! Tile ids.
