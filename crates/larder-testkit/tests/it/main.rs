//! The integration tests of the test kit: its tools against real processes.

mod conformance;
mod differential;
mod proxy;
mod redis;
mod script_mutants;
mod servers;
mod simulation;
