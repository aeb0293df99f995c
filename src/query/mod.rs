//! One file per question.
pub mod difference;
pub mod feature;
pub mod gaps;
pub mod list;
pub mod matcher;
pub mod nearest;
pub mod place;
pub mod retile;
pub mod roll;
pub mod sketch;
pub mod statistics;
pub mod summary;
pub mod tile;
pub mod word;
