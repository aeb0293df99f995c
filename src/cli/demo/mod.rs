//! `lamppost demo`.
