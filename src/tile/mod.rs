//! Layers, the vector tile writer, and the cache of finished tiles. Knows nothing of the register.
pub mod body;
pub mod cache;
pub mod layer;
pub mod mvt;
pub mod shape;
