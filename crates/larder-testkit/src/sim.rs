//! Simulation: production engines on a seeded scheduler, in virtual time, over a network of
//! delays and losses.
//!
//! A run is decided by its seed alone: which task goes next, how long everything takes, what is
//! lost. Nothing here models the engine; it is the engine.

mod chaos;
mod executor;
mod history;
mod link;
mod random;
mod scenarios;
mod source;
mod workload;

pub use executor::{SimRuntime, simulate};
pub use history::{History, Violation};
pub use link::{Cut, Faults, Link};
pub use random::Random;
pub use scenarios::{SCENARIOS, Scenario};
pub use source::Source;
pub use workload::{Report, Setup, World};

use larder_core::mutant::{Mutant, activate};

/// Runs `body` once for each of `seeds`, with `mutant` (if any) taken out of the engine, and
/// gives the first violation with its seed.
pub fn search<R>(
    seeds: impl IntoIterator<Item = u64>,
    mutant: Option<Mutant>,
    mut body: impl FnMut(u64) -> Result<R, Violation>,
) -> Result<Vec<R>, (u64, Violation)> {
    let _active = activate(mutant);
    seeds
        .into_iter()
        .map(|seed| body(seed).map_err(|violation| (seed, violation)))
        .collect()
}
