//! What the engine counts.

mod bus;
mod counter;
mod stats;

pub use bus::{BusStats, Delay};
pub(crate) use counter::Counters;
pub(crate) use stats::{Counts, Read, count};
pub use stats::{LoadStats, NearStats, ProtectionStats, RefreshStats, RemoteStats, Stats};
