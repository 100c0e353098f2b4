//! Simulation: production engines on a seeded scheduler, in virtual time, over a network of
//! delays and losses.
//!
//! A run is decided by its seed alone: which task goes next, how long everything takes, what is
//! lost. Nothing here models the engine; it is the engine.

mod chaos;
mod courses;
mod derived;
mod everywhere;
mod executor;
mod history;
mod journal;
mod ladder;
mod link;
mod many;
mod net;
mod nodes;
mod outbox;
mod random;
mod remote;
mod report;
mod rows;
mod rule;
mod run;
mod scenarios;
mod setup;
mod source;
mod steps;
mod way;
mod wire;
mod workload;

pub use courses::{COURSES, Course, Failure};
pub use executor::{SimRuntime, simulate};
pub use history::{History, Violation};
pub use journal::{Fault, Journal, Line};
pub use ladder::{RUNGS, Rung, WEATHERS, Weather};
pub use link::Link;
pub use net::{Death, Net};
pub use nodes::Nodes;
pub use random::Random;
pub use remote::{Remote, Shared};
pub use report::Report;
pub use rule::{Out, Rule, take_out};
pub use scenarios::{SCENARIOS, Scenario};
pub use setup::{Beyond, Setup};
pub use source::Source;
pub use way::{Cut, Faults, Way};
pub use workload::World;
