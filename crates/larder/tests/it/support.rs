//! What the tests share: a clock that stands still, a store that can be watched and hurt, loaders
//! that wait for their cue.

mod clock;
mod hand_fed;
mod loads;
pub(crate) mod many;
mod needs;
mod network;
mod probe;
mod probe_locks;
mod real;

use std::sync::Arc;
use std::time::Duration;

use larder::core::store::Store;
use larder::{Builder, Cache, Near};

pub(crate) use clock::{Clock, settle};
pub(crate) use hand_fed::{Collected, HandFed};
pub(crate) use loads::{Loader, Oops, Paused, paused, paused_load, spawn_load};
pub(crate) use needs::{needs, needs_alone};
pub(crate) use network::{Network, found, on_a_network, under};
pub(crate) use probe::{Op, Probe, Trouble};
pub(crate) use real::{address, eventually, node_at, node_on, or_from_env, redis_at, server};

/// The cache of most tests.
pub(crate) type Users = Cache<u64, u64>;

/// One clock, and one store that several caches may share: each of them is a node.
pub(crate) struct World {
    pub(crate) clock: Arc<Clock>,
    pub(crate) store: Arc<Probe>,
}

impl World {
    pub(crate) fn new() -> World {
        let clock = Arc::new(Clock::default());
        let store = Arc::new(Probe::new(clock.clone()));
        World { clock, store }
    }

    /// A cache of an hour without tiers, for the tests that differ.
    pub(crate) fn bare<V>(&self) -> Builder<u64, V> {
        Cache::builder("app:users")
            .ttl("1h")
            .jitter_percent(0)
            .runtime(self.clock.clone())
    }

    pub(crate) fn near_only(&self) -> Builder<u64, u64> {
        self.bare().near(Near::bytes("1MiB"))
    }

    pub(crate) fn remote_only(&self) -> Builder<u64, u64> {
        self.bare().remote(self.remote())
    }

    pub(crate) fn both(&self) -> Builder<u64, u64> {
        self.near_only().remote(self.remote())
    }

    pub(crate) fn remote(&self) -> Arc<dyn Store> {
        self.store.clone()
    }
}

/// Waits for what must happen, so that a test of something broken fails instead of hanging.
pub(crate) async fn in_time<F: Future>(what: F) -> F::Output {
    let patience = Duration::from_secs(10);
    let outcome = tokio::time::timeout(patience, what).await;
    outcome.expect("it happens within 10 s")
}
