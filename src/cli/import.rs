//! `lamppost import`.
