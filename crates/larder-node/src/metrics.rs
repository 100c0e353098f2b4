//! What the node counts, and how it is exported.
//!
//! Counting must not cost what it measures: counts that every command touches are kept once per
//! group of threads, each group on cache lines of its own, and summed when somebody asks. What a
//! store knows about itself is asked of the store when somebody asks, never followed per command.
//! Nothing here is labelled by key, client or error text.

mod clients;
mod export;
mod health;
mod histogram;
mod locks;
mod near;
mod op;
mod outbox;
mod process;
mod rate;
mod shard;
#[cfg(test)]
mod tests;
mod text;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::bytes::ByteCache;
use larder::embedded::{Embedded, EmbeddedStats};
use larder::outbox::{Tail, TailStats};
use larder::{LockStats, Stats};
use larder_core::store::HealthReport;
use larder_core::{ErrorKind, Timestamp};
use tokio::time::Instant;

use clients::Clients;
pub(crate) use clients::ConnectionGuard;
pub(crate) use op::Op;
use rate::Rate;
use shard::Shards;
pub(crate) use text::CONTENT_TYPE;

/// The values of the label `kind` of `cache_errors_total`: [`ErrorKind::as_str`] of each kind,
/// and one for kinds that are newer than this list.
const ERROR_KINDS: [&str; 13] = [
    "invalid",
    "config",
    "connection",
    "timeout",
    "overloaded",
    "capacity",
    "codec",
    "conflict",
    "fenced",
    "refused",
    "loader",
    "closed",
    "other",
];

/// The counts of one node.
pub(crate) struct Metrics {
    /// Names by index, as the caller of [`Metrics::command`] numbers them.
    commands: &'static [&'static str],
    /// `embedded` or `l2`: where the node's values live.
    tier: &'static str,
    started: Instant,
    /// The same on the wall clock, worked out once so that a stepped clock does not move it.
    started_at: OnceLock<Timestamp>,
    shards: Shards,
    errors: [AtomicU64; ERROR_KINDS.len()],
    clients: Clients,
    rate: Rate,
    store: OnceLock<Embedded>,
    /// Asked what it hears of others and how its server is, and what it holds near, if it does.
    cache: OnceLock<ByteCache>,
    keeps_copies: bool,
    /// Follows an outbox for as long as it is kept here.
    tail: OnceLock<Tail>,
}

impl Metrics {
    /// All counts at zero. `commands` names the indices of [`Metrics::command`].
    pub(crate) fn new(commands: &'static [&'static str], tier: &'static str) -> Metrics {
        Metrics {
            commands,
            tier,
            started: Instant::now(),
            started_at: OnceLock::new(),
            shards: Shards::new(commands.len()),
            errors: Default::default(),
            clients: Clients::default(),
            rate: Rate::default(),
            store: OnceLock::new(),
            cache: OnceLock::new(),
            keeps_copies: false,
            tail: OnceLock::new(),
        }
    }

    /// The store in this process that is asked for sizes; without one they are zero.
    pub(crate) fn with_store(self, store: Option<Embedded>) -> Metrics {
        Metrics {
            store: store.map_or_else(OnceLock::new, OnceLock::from),
            ..self
        }
    }

    /// The cache, and whether it keeps near copies.
    pub(crate) fn with_cache(self, cache: ByteCache, keeps_copies: bool) -> Metrics {
        Metrics {
            cache: OnceLock::from(cache),
            keeps_copies,
            ..self
        }
    }

    /// What follows the outbox, if there is one.
    pub(crate) fn with_tail(self, tail: Option<Tail>) -> Metrics {
        Metrics {
            tail: tail.map_or_else(OnceLock::new, OnceLock::from),
            ..self
        }
    }

    // ===== counting =====

    /// Counts keys that were read.
    pub(crate) fn reads(&self, hits: u64, misses: u64) {
        self.shards.mine().reads(hits, misses);
    }

    /// Records how long an operation took. The caller chooses a sample: reading the clock costs
    /// as much as a read of the embedded store.
    pub(crate) fn observe(&self, op: Op, took: Duration) {
        self.shards.mine().observe(op, took);
    }

    /// Counts an error of the store.
    pub(crate) fn error(&self, kind: ErrorKind) {
        let last = ERROR_KINDS.len() - 1;
        let known = ERROR_KINDS.iter().position(|name| *name == kind.as_str());
        self.errors[known.unwrap_or(last)].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a command by its index; an index beyond the table counts as `other`.
    pub(crate) fn command(&self, index: usize, failed: bool) {
        self.shards.mine().command(index, failed);
    }

    /// Counts bytes that clients sent.
    pub(crate) fn bytes_in(&self, bytes: u64) {
        self.shards.mine().bytes_in(bytes);
    }

    /// Counts bytes that were sent to clients.
    pub(crate) fn bytes_out(&self, bytes: u64) {
        self.shards.mine().bytes_out(bytes);
    }

    /// Counts a connection; dropping the guard says that it has ended.
    pub(crate) fn connection(&self) -> ConnectionGuard {
        self.clients.accept()
    }

    /// Counts a connection that was turned away.
    pub(crate) fn rejected_connection(&self) {
        self.clients.reject();
    }

    /// Remembers where the count of commands stands; called a few times per second.
    pub(crate) fn tick(&self) {
        self.rate.tick(Instant::now(), self.total_commands());
    }

    // ===== asking =====

    pub(crate) fn total_commands(&self) -> u64 {
        self.shards.sum(shard::Shard::total_commands)
    }

    /// Connections that are open now.
    pub(crate) fn connections(&self) -> u64 {
        self.clients.open()
    }

    /// Connections accepted since the start.
    pub(crate) fn total_connections(&self) -> u64 {
        self.clients.accepted()
    }

    pub(crate) fn rejected_connections(&self) -> u64 {
        self.clients.rejected()
    }

    pub(crate) fn hits(&self) -> u64 {
        self.shards.sum(shard::Shard::hits)
    }

    pub(crate) fn misses(&self) -> u64 {
        self.shards.sum(shard::Shard::misses)
    }

    pub(crate) fn bytes_in_total(&self) -> u64 {
        self.shards.sum(shard::Shard::received)
    }

    pub(crate) fn bytes_out_total(&self) -> u64 {
        self.shards.sum(shard::Shard::sent)
    }

    /// The most bytes that the store in this process may hold; 0 without a limit, and without a store.
    pub(crate) fn memory_limit(&self) -> u64 {
        let limit = self.store.get().and_then(Embedded::limit);
        limit.map_or(0, |bytes| bytes as u64)
    }

    /// What the store in this process says about itself; zeroes when values live elsewhere.
    /// Walks the store's shards: for people and scrapes, not for commands.
    pub(crate) fn store_stats(&self) -> EmbeddedStats {
        self.store.get().map(Embedded::stats).unwrap_or_default()
    }

    /// What the cache says of its near copies and of the log; `None` if it keeps none.
    pub(crate) fn near_stats(&self) -> Option<Stats> {
        let cache = self.cache.get().filter(|_| self.keeps_copies);
        cache.map(ByteCache::stats)
    }

    /// How the server behind the node is treated; `None` without one.
    fn health(&self) -> Option<HealthReport> {
        self.cache.get()?.stats().remote.health
    }

    /// What came of locks, if any can be taken.
    fn lock_stats(&self) -> Option<LockStats> {
        self.cache.get().map(ByteCache::lock_stats)
    }

    /// What is known of the outbox that is followed.
    fn tail_stats(&self) -> Option<TailStats> {
        self.tail.get().map(Tail::stats)
    }

    /// Whether values live in this process.
    fn is_embedded(&self) -> bool {
        self.tier == "embedded"
    }

    /// Commands per second over the last seconds.
    pub(crate) fn instantaneous_ops_per_sec(&self) -> u64 {
        self.rate.per_second(Instant::now(), self.total_commands())
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// When the node started; `now` is the wall clock.
    fn started_at(&self, now: Timestamp) -> Timestamp {
        let started_at = || {
            Timestamp(
                now.since(Timestamp::default().after(self.uptime()))
                    .as_millis() as u64,
            )
        };
        *self.started_at.get_or_init(started_at)
    }

    /// Everything in the text format of Prometheus; `now` is the wall clock.
    pub(crate) fn export(&self, now: Timestamp) -> String {
        export::export(self, now)
    }
}
