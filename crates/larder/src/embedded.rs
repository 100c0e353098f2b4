//! The embedded store: everything a remote tier can do, in this process.
//!
//! It keeps the same contract as the Redis tier (versions, atomic batches, leases, scans) and is
//! held to it by the same conformance suite, so a node runs without any server, and tests and
//! the simulation run on the real thing.
//!
//! Keys are spread over a fixed number of shards, each a small table under its own lock. A batch
//! locks the shards that it touches, in order. The fixed spread makes a scan simple and exact: a
//! key never changes its shard, so a walk over the shards meets every key that stays.

mod commit;
mod data;
#[cfg(feature = "mesh")]
mod follow;
mod keyspace;
mod lease;
mod log;
mod readers;
mod shard;
mod sweep;
mod tags;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use larder_core::key::KeyHasher;
use larder_core::record::Record;
use larder_core::runtime::{Mono, Runtime, Timestamp};
use larder_core::store::{Batch, Committed, Description, Lookup, Pending, Store};
use larder_core::tag::Cut;
use parking_lot::Mutex;

use log::Log;
#[cfg(feature = "mesh")]
pub(crate) use log::Tap;
use shard::{Shard, Slot};
use tags::TagClock;

/// Enough that each shard stays small (a scan step and a sweep step lock one at a time) and that
/// threads seldom meet; an empty store costs about half a MiB.
const SHARDS: usize = 4096;

/// Tells the embedded stores of a process apart.
static BUILT: AtomicU64 = AtomicU64::new(0);

/// A store in this process.
///
/// Its clock is the wall clock of its start moved by the monotonic clock: a stepped wall clock
/// neither kills nor revives entries.
#[derive(Clone)]
pub struct Embedded {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Arc<dyn Runtime>,
    started: (Timestamp, Mono),
    hasher: KeyHasher,
    shards: Box<[Mutex<Shard>]>,
    expired: AtomicU64,
    log: Log,
    tags: TagClock,
    identity: String,
    /// Most bytes of one shard, if there is a limit.
    most: Option<usize>,
}

/// Counts of an embedded store at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddedStats {
    /// Records held, expired ones that nobody has met yet included.
    pub records: u64,
    /// Records held that have an end of life.
    pub expiring: u64,
    /// Bytes held: keys, values, and what each record costs beside them.
    pub bytes: u64,
    /// Records removed because their life had ended.
    pub expired: u64,
}

impl Embedded {
    /// An empty store. A background task releases the memory of expired records; it ends when
    /// the last clone is dropped.
    pub fn new(runtime: Arc<dyn Runtime>) -> Embedded {
        Embedded::with_shards(runtime, SHARDS)
    }

    /// The same with so many shards, at least one, instead of 4096: a store of a few hundred keys
    /// needs no more than 64, and is cheap to make then.
    pub fn with_shards(runtime: Arc<dyn Runtime>, shards: usize) -> Embedded {
        Embedded::with_limit(runtime, shards, None)
    }

    /// The same that holds at most so many bytes, keys and what records cost included. Each shard has
    /// its part of them, so a value that is larger than that is not kept; where a shard is full,
    /// arbitrary records make room.
    pub fn with_limit(runtime: Arc<dyn Runtime>, shards: usize, bytes: Option<usize>) -> Embedded {
        let most = bytes.map(|bytes| bytes / shards.max(1));
        let shard = || Mutex::new(Shard::within(most));
        let inner = Arc::new(Inner {
            started: (runtime.wall(), runtime.now()),
            hasher: KeyHasher::new(runtime.random()),
            shards: (0..shards.max(1)).map(|_| shard()).collect(),
            most,
            expired: AtomicU64::new(0),
            log: Log::default(),
            tags: TagClock::default(),
            identity: format!("embedded {}", BUILT.fetch_add(1, Ordering::Relaxed)),
            runtime,
        });
        inner.tags.start(inner.now().0.saturating_mul(1_000));
        sweep::start(&inner);
        Embedded { inner }
    }

    /// Counts; walks all shards without stopping writers for long.
    pub fn stats(&self) -> EmbeddedStats {
        let mut stats = EmbeddedStats {
            expired: self.inner.expired.load(Ordering::Relaxed),
            ..EmbeddedStats::default()
        };
        for shard in &self.inner.shards {
            let shard = shard.lock();
            stats.records += shard.len() as u64;
            stats.expiring += shard.expiring() as u64;
            stats.bytes += shard.bytes() as u64;
        }
        stats
    }
}

impl Inner {
    fn now(&self) -> Timestamp {
        let (wall, mono) = self.started;
        wall.after(self.runtime.now().since(mono))
    }

    fn shard_of(&self, hash: u64) -> usize {
        // The table inside a shard uses the low and the topmost bits.
        (hash >> 32) as usize % self.shards.len()
    }

    /// What a slot holds. One that has kept no cut has that which says least.
    fn record_of(&self, slot: &Slot) -> Record {
        let mut record = slot.record();
        if record.cut == Cut::default() {
            record.cut = self.tags.least_cut();
        }
        record
    }

    fn lookup(&self, key: &[u8], now: Timestamp) -> Lookup {
        let hash = self.hasher.hash(key);
        let shard = self.shards[self.shard_of(hash)].lock();
        match shard.live(hash, key, now) {
            Some(slot) => Lookup::Found(self.record_of(slot)),
            None => Lookup::Absent,
        }
    }
}

impl Store for Embedded {
    fn get<'a>(&'a self, key: &'a Bytes) -> Pending<'a, Lookup> {
        Pending::ready(Ok(self.inner.lookup(key, self.inner.now())))
    }

    fn get_many<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Lookup>> {
        let now = self.inner.now();
        Pending::ready(Ok(keys
            .iter()
            .map(|key| self.inner.lookup(key, now))
            .collect()))
    }

    fn commit(&self, batch: Batch) -> Pending<'_, Committed> {
        Pending::ready(Ok(self.inner.commit(batch)))
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn describe(&self) -> Description<'_> {
        Description {
            name: "embedded store",
            leases: Some(self),
            keyspace: Some(self),
            bus: Some(self),
            tags: Some(self),
            vouch: None,
            identity: &self.inner.identity,
        }
    }
}
