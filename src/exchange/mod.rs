//! Files in: deliveries as CSV or GeoJSON, read by a mapping, checked row by row, with a report and a file of refused rows.
//!
//! [`source`] opens and decodes, [`csv`] and [`geojson`] cut it into [`record`]s, [`mapping`] says what each column means, [`row`]
//! and [`shape`] turn a record into what the register keeps, [`reject`] and [`report`] tell what did not go in and why.
pub mod csv;
pub mod geojson;
pub mod key;
pub mod mapping;
pub mod nearest;
pub mod pick;
pub mod place;
pub mod record;
pub mod reject;
pub mod report;
pub mod row;
pub mod shape;
pub mod source;
pub mod target;
pub mod value;
