//! Which database a verb works on.
