//! The store that all nodes share, and what can happen to it.

use std::sync::Arc;

use bytes::Bytes;
use larder::embedded::Embedded;
use larder_core::runtime::Runtime;
use larder_core::space::{Space, system_key};
use larder_core::store::Store;
use larder_redis::Redis;
use larder_resp::Reply;

use super::nodes::Nodes;
use super::wire::SimWire;
use super::{Journal, Link, Setup, SimRuntime, Way};
use crate::simredis::{Dump, SimRedis};

/// Which store the nodes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// The embedded store; each operation of a node is one request.
    Embedded,
    /// The simulated Redis behind Larder's Redis store; each request of the store is one.
    Redis,
    /// Nothing: the nodes are a mesh with a configured list of members.
    Mesh,
    /// The same with members that nobody has listed.
    Learned,
}

impl Shared {
    /// All of them.
    pub const ALL: [Shared; 4] = [
        Shared::Embedded,
        Shared::Redis,
        Shared::Mesh,
        Shared::Learned,
    ];

    /// What it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Shared::Embedded => "embedded",
            Shared::Redis => "redis",
            Shared::Mesh => "mesh",
            Shared::Learned => "learned",
        }
    }

    /// Whether every node has a store of its own, and hears of changes from the others.
    pub fn is_mesh(self) -> bool {
        matches!(self, Shared::Mesh | Shared::Learned)
    }

    /// The store of this name.
    pub fn named(name: &str) -> Option<Shared> {
        Shared::ALL.into_iter().find(|store| store.as_str() == name)
    }
}

/// Enough for the keys of a run; there is a store per run.
const SHARDS: usize = 64;

/// The store of one run.
pub enum Remote {
    /// In the process.
    Embedded(Embedded),
    /// A server.
    Redis(SimRedis),
    /// Each node's own.
    Mesh(Box<Nodes>),
}

/// Whether the system itself keeps this key: it lies in no database.
pub(super) fn is_system(key: &[u8]) -> bool {
    let key = Bytes::copy_from_slice(key);
    (0..=u8::MAX).all(|database| !Space::database(database).contains(&key))
}

impl Remote {
    pub(super) fn new(setup: Setup, runtime: &SimRuntime, journal: &Journal) -> Remote {
        let clock: Arc<dyn Runtime> = Arc::new(runtime.outside());
        match setup.store {
            Shared::Embedded => Remote::Embedded(Embedded::with_shards(clock, SHARDS)),
            Shared::Redis => Remote::Redis(SimRedis::new(clock)),
            Shared::Mesh | Shared::Learned => {
                Remote::Mesh(Box::new(Nodes::new(setup, runtime, journal.clone())))
            }
        }
    }

    /// The store as one node sees it: over its link, or its own.
    pub(super) async fn over(&self, way: Way, node: usize, own: &SimRuntime) -> Arc<dyn Store> {
        match self {
            Remote::Mesh(nodes) => Arc::new(nodes.start(node).await),
            Remote::Embedded(store) => Arc::new(Link::over(Arc::new(store.clone()), way)),
            Remote::Redis(server) => {
                let server = server.clone();
                let redis = Redis::open("redis://simulated").expect("this is an address");
                let redis = redis.over(Arc::new(SimWire { way, server }));
                Arc::new(redis.store(Arc::new(own.clone())))
            }
        }
    }

    /// Whether the clock repeats itself, so that only what the store remembers keeps versions from
    /// doing so too: losing it now breaks promises (docs/wire-format.md).
    pub(super) fn needs_its_memory(&self) -> bool {
        match self {
            Remote::Embedded(_) | Remote::Mesh(_) => false,
            Remote::Redis(server) => server.is_in_the_past(),
        }
    }

    /// Whether the store knows the highest version that it gave, so that its clock may be set back
    /// without versions being repeated.
    pub(super) fn remembers(&self) -> bool {
        match self {
            Remote::Embedded(_) | Remote::Mesh(_) => true,
            Remote::Redis(server) => {
                let known = server.run(&[b"HEXISTS", &system_key("shard"), b"high_water"]);
                known == Reply::Integer(1)
            }
        }
    }

    /// Loses everything, and begins another life.
    pub(super) fn restart_empty(&self) {
        match self {
            Remote::Embedded(store) => store.restart_empty(),
            Remote::Redis(server) => server.restart(&Dump::default()),
            Remote::Mesh(nodes) => nodes.stores().iter().for_each(Embedded::restart_empty),
        }
    }

    /// Forgets all records of the log but so many.
    pub(super) fn trim_log(&self, keep: u64) {
        match self {
            Remote::Embedded(store) => store.trim_log(keep as usize),
            Remote::Redis(server) => {
                let (log, keep) = (system_key("log"), keep.to_string());
                server.run(&[b"XTRIM", &log, b"MAXLEN", keep.as_bytes()]);
            }
            Remote::Mesh(nodes) => {
                let stores = nodes.stores();
                stores
                    .iter()
                    .for_each(|store| store.trim_log(keep as usize));
            }
        }
    }

    /// Silently loses keys and leases of users.
    pub(super) fn evict(&self, mut goes: impl FnMut() -> bool) {
        match self {
            Remote::Embedded(store) => store.evict(goes),
            Remote::Redis(server) => drop(server.evict(|key| !is_system(key) && goes())),
            Remote::Mesh(nodes) => {
                let stores = nodes.stores();
                stores.iter().for_each(|store| store.evict(&mut goes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_of_the_system_are_system_keys() {
        assert!(is_system(&system_key("shard")) && is_system(b"\0stag:c\0t"));
        for key in [&b"k"[..], b"", b"\0\0k", b"\0d\x01k", b"shard"] {
            assert!(!is_system(key), "{key:?}");
        }
    }
}
