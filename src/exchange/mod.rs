//! Files in and out. In: deliveries of any format, read by a mapping, checked row by row, with a report and a file of refused rows.
//!
//! [`read`] opens a file and cuts it into [`record`]s, [`mapping`] says what each column means and [`suggest`] proposes one, [`row`] and
//! [`shape`] turn a record into what the register keeps, [`doubt`] names what is the matter with a position, [`reject`], [`changes`] and
//! [`report`] tell what became of it. [`document`] knows what a document is by its bytes. [`write`] puts a list into a file.
pub mod changes;
pub mod document;
pub mod doubt;
pub mod fold;
pub mod key;
pub mod mapping;
pub mod nearest;
pub mod parties;
pub mod pick;
pub mod place;
pub mod read;
pub mod recode;
pub mod record;
pub mod reject;
pub mod report;
pub mod row;
pub mod shape;
pub mod suggest;
pub mod target;
pub mod value;
pub mod write;
