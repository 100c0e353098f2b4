//! What the engine counts.

mod counter;
mod stats;

pub(crate) use counter::Counter;
pub(crate) use stats::{Counts, count};
pub use stats::{LoadStats, NearStats, RemoteStats, Stats};
