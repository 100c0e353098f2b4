//! What the engine counts.

mod bus;
mod counter;
mod stats;

pub use bus::{BusStats, Delay};
pub(crate) use counter::Counter;
pub(crate) use stats::{Counts, count};
pub use stats::{LoadStats, NearStats, RefreshStats, RemoteStats, Stats};
