//! One file per question.
pub mod difference;
pub mod feature;
pub mod list;
pub mod nearest;
pub mod place;
pub mod summary;
pub mod tile;
