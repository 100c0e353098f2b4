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
mod locks;
mod log;
mod rates;
mod readers;
mod room;
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

#[cfg(feature = "mesh")]
pub(crate) use follow::Placed;
use locks::LockTable;
use log::Log;
#[cfg(feature = "mesh")]
pub(crate) use log::Tap;
use rates::Meters;
use room::Room;
pub use room::{MemoryLimit, WhenFull};
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
    locks: LockTable,
    meters: Meters,
    identity: String,
    /// `None`: as much as there is.
    room: Option<Arc<Room>>,
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
    /// Records removed to make room.
    pub evicted: u64,
    /// The most that may be held, in bytes; 0 without a limit.
    pub limit: u64,
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
        Embedded::build(runtime, shards, None)
    }

    /// An empty store that holds no more than this. A value that would not fit by itself is refused
    /// with [`ErrorKind::TooLarge`](larder_core::error::ErrorKind::TooLarge). Under changes by many
    /// threads at once it may hold a sixteenth more for a moment.
    pub fn within(runtime: Arc<dyn Runtime>, limit: MemoryLimit) -> Embedded {
        Embedded::build(runtime, SHARDS, Some(limit))
    }

    pub(crate) fn build(
        runtime: Arc<dyn Runtime>,
        shards: usize,
        limit: Option<MemoryLimit>,
    ) -> Embedded {
        let room = limit.map(|limit| Arc::new(Room::of(limit)));
        let shard = || Mutex::new(Shard::within(room.clone()));
        let inner = Arc::new(Inner {
            started: (runtime.wall(), runtime.now()),
            hasher: KeyHasher::new(runtime.random()),
            shards: (0..shards.max(1)).map(|_| shard()).collect(),
            room: room.clone(),
            expired: AtomicU64::new(0),
            log: Log::default(),
            tags: TagClock::default(),
            locks: LockTable::new(runtime.wall().0.saturating_mul(1_000)),
            meters: Meters::default(),
            identity: format!("embedded {}", BUILT.fetch_add(1, Ordering::Relaxed)),
            runtime,
        });
        inner.tags.start(inner.now().0.saturating_mul(1_000));
        sweep::start(&inner);
        Embedded { inner }
    }

    /// The most that may be held, in bytes. Free.
    pub fn limit(&self) -> Option<usize> {
        self.inner.room.as_ref().map(|room| room.limit.bytes)
    }

    /// Bytes held now, as they are counted against the limit: 0 without one. Free.
    pub fn held_now(&self) -> usize {
        self.inner.room.as_ref().map_or(0, |room| room.held())
    }

    /// Counts; walks all shards without stopping writers for long.
    pub fn stats(&self) -> EmbeddedStats {
        let mut stats = EmbeddedStats {
            expired: self.inner.expired.load(Ordering::Relaxed),
            evicted: self.inner.room.as_ref().map_or(0, |room| room.evicted()),
            limit: self.limit().map_or(0, |bytes| bytes as u64),
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

    /// The same clock in microseconds, as precise as the runtime has it.
    fn precise_us(&self) -> u64 {
        let (wall, mono) = self.started;
        let passed = self.runtime.precise().since(mono);
        let passed = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX);
        wall.0.saturating_mul(1_000).saturating_add(passed)
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
            Some(slot) => {
                slot.mark();
                Lookup::Found(self.record_of(slot))
            }
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
        let fits = self.inner.check_room(&batch);
        Pending::ready(fits.map(|()| self.inner.commit(batch)))
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
            health: None,
            locks: Some(self),
            rates: Some(self),
            counters: Some(self),
            identity: &self.inner.identity,
        }
    }
}
