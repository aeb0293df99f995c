//! Where things are: positions, coordinate systems, tile ids, measures. Pure; `proj` is named only in `crs`.
pub mod crs;
pub mod datum;
pub mod ground;
pub mod measure;
pub mod near;
pub mod packed;
pub mod parameters;
pub mod plane;
pub mod position;
pub mod tile_id;
pub mod wkb;
pub mod wkt;
pub mod zone;
