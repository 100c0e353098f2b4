//! The counts that every command touches, one set per group of threads.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::histogram::{Histogram, Reading};
use super::op::Op;

/// Threads beyond this many share. A power of two; more than the workers of most machines.
const SHARDS: usize = 16;

/// Whether a command failed, as a position in the counts.
const OUTCOMES: usize = 2;

/// One [`Shard`] per group of threads.
pub(super) struct Shards(Box<[Shard]>);

/// Aligned to two cache lines: processors fetch lines in pairs, so that one line of distance
/// still makes neighbours wait for each other.
#[repr(align(128))]
pub(super) struct Shard {
    hits: AtomicU64,
    misses: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    latency: [Histogram; Op::ALL.len()],
    /// By command and outcome; the last command is all that have no index.
    commands: Box<[AtomicU64]>,
}

impl Shards {
    pub(super) fn new(commands: usize) -> Shards {
        Shards((0..SHARDS).map(|_| Shard::new(commands + 1)).collect())
    }

    /// The shard of the calling thread.
    pub(super) fn mine(&self) -> &Shard {
        &self.0[thread_number() % SHARDS]
    }

    pub(super) fn sum(&self, count: impl Fn(&Shard) -> u64) -> u64 {
        self.0.iter().map(count).sum()
    }

    /// How often the command at `index` ended well and badly.
    pub(super) fn command(&self, index: usize) -> [u64; OUTCOMES] {
        [0, 1].map(|outcome| self.sum(|shard| shard.ended(index, outcome)))
    }

    pub(super) fn latency(&self, op: Op) -> Reading {
        let mut reading = Reading::default();
        for shard in &self.0 {
            shard.latency[op.index()].add_to(&mut reading);
        }
        reading
    }
}

impl Shard {
    fn new(commands: usize) -> Shard {
        Shard {
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            latency: Default::default(),
            commands: (0..commands * OUTCOMES)
                .map(|_| AtomicU64::new(0))
                .collect(),
        }
    }

    pub(super) fn reads(&self, hits: u64, misses: u64) {
        // Most reads are of one key: leave the line alone that does not change.
        if hits > 0 {
            self.hits.fetch_add(hits, Ordering::Relaxed);
        }
        if misses > 0 {
            self.misses.fetch_add(misses, Ordering::Relaxed);
        }
    }

    pub(super) fn observe(&self, op: Op, took: Duration) {
        self.latency[op.index()].record(took);
    }

    pub(super) fn command(&self, index: usize, failed: bool) {
        let other = self.commands.len() / OUTCOMES - 1;
        let at = index.min(other) * OUTCOMES + usize::from(failed);
        self.commands[at].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn bytes_in(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn bytes_out(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    pub(super) fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn total_commands(&self) -> u64 {
        let counts = self.commands.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn ended(&self, index: usize, outcome: usize) -> u64 {
        self.commands[index * OUTCOMES + outcome].load(Ordering::Relaxed)
    }
}

/// A small number that is this thread's own while there are fewer than [`SHARDS`] threads.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    MINE.with(|mine| *mine)
}
