//! One file per question.
pub mod difference;
pub mod feature;
pub mod list;
pub mod nearest;
pub mod tile;
pub mod place;
