//! What the engine counts.

mod counter;
mod stats;

pub(crate) use counter::Counter;
pub use stats::{BusStats, LoadStats, NearStats, RemoteStats, Stats};
pub(crate) use stats::{Counts, count};
