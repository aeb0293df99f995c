//! Where to build next: the solver against brute force, and the service against PostGIS.

mod service;
mod solver;
