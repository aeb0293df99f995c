//! What the city counts: codes, classes, components, and the words for their states. Pure.
pub mod area;
pub mod claim;
pub mod class;
pub mod code;
pub mod component;
pub mod delivery;
pub mod evidence;
pub mod filter;
pub mod grant;
pub mod indicator;
pub mod patch;
pub mod record;
pub mod rule;
pub mod text;
pub mod word;
