//! Figures of a town: gaps along streets, and tables to sign, against PostGIS and loops.

mod gaps;
mod table;
