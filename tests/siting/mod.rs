//! Where to build next: the solver against brute force, and the service against PostGIS.

mod scenarios;
mod service;
mod solver;
