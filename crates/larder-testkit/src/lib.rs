//! Conformance suites, simulation, fault tools and spawners of real servers for Larder.

pub mod conformance;
pub mod differential;
pub mod mesh;
pub mod proxy;
pub mod servers;
pub mod sim;
pub mod simredis;
