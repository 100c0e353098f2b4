//! What a tail counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts of a [`Tail`](super::Tail) since its start, and what waits now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TailStats {
    /// Notices carried out here, some of them perhaps more than once.
    pub carried_out: u64,
    /// Attempts that failed, one for each notice: a remote tier was away, or refused.
    pub failed: u64,
    /// Notices met here that cannot be read. They stay, and are looked at again every ten seconds.
    pub unreadable: u64,
    /// Questions to the outbox that failed: its file is missing, locked, or not an outbox.
    pub outbox_errors: u64,
    /// The longest time between a notice and its being carried out here.
    pub longest: Duration,
    /// Notices in the outbox that can be carried out here, when last looked at (every second).
    pub waiting: u64,
    /// How long ago the oldest of them was recorded, at that time. Alarm on this one: in a sound
    /// system it stays below a second.
    pub oldest: Duration,
    /// Notices in the outbox that cannot be carried out here, at that time: of caches that were not
    /// added, or of kinds that this version does not know.
    pub not_understood: u64,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) carried_out: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) unreadable: AtomicU64,
    pub(super) outbox_errors: AtomicU64,
    pub(super) longest_ms: AtomicU64,
    pub(super) waiting: AtomicU64,
    pub(super) oldest_ms: AtomicU64,
    pub(super) not_understood: AtomicU64,
}

pub(super) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Counts {
    pub(super) fn took(&self, duration: Duration) {
        self.longest_ms
            .fetch_max(millis(duration), Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> TailStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TailStats {
            carried_out: get(&self.carried_out),
            failed: get(&self.failed),
            unreadable: get(&self.unreadable),
            outbox_errors: get(&self.outbox_errors),
            longest: Duration::from_millis(get(&self.longest_ms)),
            waiting: get(&self.waiting),
            oldest: Duration::from_millis(get(&self.oldest_ms)),
            not_understood: get(&self.not_understood),
        }
    }
}
