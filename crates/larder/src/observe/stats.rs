//! The counts of one cache.

use std::sync::atomic::{AtomicU64, Ordering};

use larder_core::admit::Refusal;
use larder_core::error::ErrorKind;
use larder_core::runtime::Mono;
use larder_core::store::HealthReport;

use super::Counters;
use super::bus::{BusCounts, BusStats};
use crate::backlog::BacklogStats;
use crate::near::Cause;

/// Counts since the cache was built, and its present size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The near cache.
    pub near: NearStats,
    /// The remote tier.
    pub remote: RemoteStats,
    /// Loaders, those of refreshes included.
    pub loads: LoadStats,
    /// Changes that wait for the remote tier.
    pub backlog: BacklogStats,
    /// What protects the source, and those who wait for it.
    pub protection: ProtectionStats,
    /// Refreshes.
    pub refreshes: RefreshStats,
    /// The bus.
    pub bus: BusStats,
    /// Values that were given to their caller but not stored, by reason.
    pub refused: Vec<(Refusal, u64)>,
    /// Errors of the remote tier, by kind.
    pub errors: Vec<(ErrorKind, u64)>,
}

/// Counts of the near cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearStats {
    /// Reads answered by it.
    pub hits: u64,
    /// Reads that it could not answer.
    pub misses: u64,
    /// Entries held.
    pub entries: u64,
    /// What they weigh, in bytes.
    pub bytes: u64,
    /// The most they may weigh.
    pub capacity: u64,
    /// Entries that left, by cause.
    pub left: Vec<(Cause, u64)>,
}

/// Counts of the remote tier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteStats {
    /// Keys found fresh there.
    pub hits: u64,
    /// Keys not found there, or not fresh.
    pub misses: u64,
    /// Records that could not be used: damaged, foreign, or of another codec or schema.
    pub damaged: u64,
    /// How the server behind it is treated; `None` where there is none.
    pub health: Option<HealthReport>,
}

/// Counts of loads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadStats {
    /// Loaders that gave a value, or said that it is the same, or that there is none.
    pub succeeded: u64,
    /// Loaders that gave an error or panicked.
    pub failed: u64,
    /// Calls of loaders of many keys. Each key that one loads counts among the others as well.
    pub batches: u64,
    /// Loaders that were dropped because nobody waited for them any more.
    pub abandoned: u64,
    /// Callers that were served by a load which somebody else had begun.
    pub shared: u64,
    /// Stale values returned because a load failed.
    pub stale_served: u64,
    /// Values that a load has found to be the same, and given another life where they are.
    pub confirmed: u64,
    /// Loaders that said that there is no record.
    pub absent: u64,
}

/// Counts of what protects the source, and those who wait for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProtectionStats {
    /// Callers that got an error because they had waited long enough.
    pub timed_out: u64,
    /// Callers that got a stale value because the load took longer than they wait.
    pub stale_in_time: u64,
    /// Callers that got the default value that they had given.
    pub defaults: u64,
    /// Reads that got a stale value because a load of the key had failed a moment ago.
    pub throttled: u64,
    /// Loads of this cache that were refused by its [`LoadLimit`](crate::LoadLimit).
    pub overloaded: u64,
    /// Loads that went on after all their callers had left.
    pub left_behind: u64,
    /// Those of them that brought a value.
    pub landed_behind: u64,
    /// Loads that were not left behind because there were too many already.
    pub behind_limited: u64,
    /// Loads that go on behind now.
    pub behind: u64,
}

/// Counts of refreshes: loads behind a value that was served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshStats {
    /// Refreshes begun.
    pub begun: u64,
    /// Those that stored a newly loaded value, or heard that the source has none any more.
    pub loaded: u64,
    /// Those that found a newer value in a tier, which another process had stored.
    pub adopted: u64,
    /// Those whose loader gave an error or panicked.
    pub failed: u64,
    /// Those whose value was not stored; [`Stats::refused`] says why.
    pub refused: u64,
    /// Those that ended before they loaded: another process holds the lease, or the remote tier
    /// could not be asked.
    pub given_up: u64,
    /// Those that were dropped because the cache was.
    pub stopped: u64,
    /// Refreshes that did not begin because there were too many under way.
    pub limited: u64,
    /// Reads that got a stale value while it was refreshed, or soon after that had failed.
    pub stale_served: u64,
    /// Refreshes under way.
    pub under_way: u64,
}

const KINDS: [ErrorKind; 7] = [
    ErrorKind::Unavailable,
    ErrorKind::Timeout,
    ErrorKind::Overloaded,
    ErrorKind::Codec,
    ErrorKind::Conflict,
    ErrorKind::Fenced,
    ErrorKind::Refused,
];

#[derive(Default)]
pub(crate) struct Counts {
    reads: Counters<4>,
    pub(crate) damaged: AtomicU64,
    pub(crate) loaded: AtomicU64,
    pub(crate) load_failed: AtomicU64,
    pub(crate) load_abandoned: AtomicU64,
    pub(crate) load_batches: AtomicU64,
    pub(crate) load_shared: AtomicU64,
    pub(crate) stale_served: AtomicU64,
    pub(crate) confirmed: AtomicU64,
    pub(crate) absent: AtomicU64,
    pub(crate) refreshes: RefreshCounts,
    pub(crate) protection: ProtectionCounts,
    pub(crate) bus: BusCounts,
    refused: [AtomicU64; Refusal::ALL.len()],
    errors: [AtomicU64; KINDS.len()],
}

#[derive(Default)]
pub(crate) struct ProtectionCounts {
    pub(crate) timed_out: AtomicU64,
    pub(crate) stale_in_time: AtomicU64,
    pub(crate) defaults: AtomicU64,
    pub(crate) throttled: AtomicU64,
    pub(crate) overloaded: AtomicU64,
    pub(crate) left_behind: AtomicU64,
    pub(crate) landed_behind: AtomicU64,
    pub(crate) behind_limited: AtomicU64,
}

impl ProtectionCounts {
    fn stats(&self, behind: usize) -> ProtectionStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProtectionStats {
            timed_out: get(&self.timed_out),
            stale_in_time: get(&self.stale_in_time),
            defaults: get(&self.defaults),
            throttled: get(&self.throttled),
            overloaded: get(&self.overloaded),
            left_behind: get(&self.left_behind),
            landed_behind: get(&self.landed_behind),
            behind_limited: get(&self.behind_limited),
            behind: behind as u64,
        }
    }
}

#[derive(Default)]
pub(crate) struct RefreshCounts {
    pub(crate) begun: AtomicU64,
    pub(crate) loaded: AtomicU64,
    pub(crate) adopted: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) given_up: AtomicU64,
    pub(crate) stopped: AtomicU64,
    pub(crate) limited: AtomicU64,
    pub(crate) stale_served: AtomicU64,
}

impl RefreshCounts {
    fn stats(&self, under_way: usize) -> RefreshStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RefreshStats {
            begun: get(&self.begun),
            loaded: get(&self.loaded),
            adopted: get(&self.adopted),
            failed: get(&self.failed),
            refused: get(&self.refused),
            given_up: get(&self.given_up),
            stopped: get(&self.stopped),
            limited: get(&self.limited),
            stale_served: get(&self.stale_served),
            under_way: under_way as u64,
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// How a look into a tier ended.
#[derive(Clone, Copy)]
pub(crate) enum Read {
    NearHit,
    NearMiss,
    RemoteHit,
    RemoteMiss,
}

impl Counts {
    /// Counts a look into a tier: the only count of a near hit.
    #[inline]
    pub(crate) fn read(&self, read: Read) {
        self.reads.count(read as usize);
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        if let Some(at) = Refusal::ALL.iter().position(|other| *other == refusal) {
            count(&self.refused[at]);
        }
    }

    pub(crate) fn error(&self, kind: ErrorKind) {
        if let Some(at) = KINDS.iter().position(|other| *other == kind) {
            count(&self.errors[at]);
        }
    }

    /// `under_way` are refreshes, and loads that go on behind.
    pub(crate) fn stats(
        &self,
        near: NearStats,
        (refreshing, behind): (usize, usize),
        now: Mono,
    ) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let refused = Refusal::ALL.into_iter().zip(self.refused.iter().map(get));
        let errors = KINDS.into_iter().zip(self.errors.iter().map(get));
        Stats {
            near: NearStats {
                hits: self.reads.get(Read::NearHit as usize),
                misses: self.reads.get(Read::NearMiss as usize),
                ..near
            },
            backlog: BacklogStats::default(),
            remote: RemoteStats {
                hits: self.reads.get(Read::RemoteHit as usize),
                misses: self.reads.get(Read::RemoteMiss as usize),
                damaged: get(&self.damaged),
                health: None,
            },
            bus: self.bus.stats(now),
            refreshes: self.refreshes.stats(refreshing),
            protection: self.protection.stats(behind),
            loads: LoadStats {
                succeeded: get(&self.loaded),
                failed: get(&self.load_failed),
                batches: get(&self.load_batches),
                abandoned: get(&self.load_abandoned),
                shared: get(&self.load_shared),
                stale_served: get(&self.stale_served),
                confirmed: get(&self.confirmed),
                absent: get(&self.absent),
            },
            refused: refused.collect(),
            errors: errors.collect(),
        }
    }
}
