//! The counts of the bus link of one cache.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder_core::runtime::Mono;

use super::count;
use crate::events::EventCause;

/// Counts of the bus link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusStats {
    /// Changes made through this cache and acknowledged by the remote tier, by cause.
    pub sent: Vec<(EventCause, u64)>,
    /// Records applied, own ones included.
    pub received: u64,
    /// Changes of this cache that were heard of, own ones included, by cause.
    pub heard: Vec<(EventCause, u64)>,
    /// Values that came with their change and were kept ([`Mode::Update`](crate::Mode::Update)).
    pub updates: u64,
    /// Records that came with others missing before them.
    pub gaps: u64,
    /// How often missing records were read again from the log.
    pub replays: u64,
    /// How often all near copies were dropped because something may have been missed.
    pub flushes: u64,
    /// How long near copies could not be used because nobody vouched for them, from the first time
    /// that somebody did.
    pub fenced: Duration,
    /// How long pushed records took to arrive.
    pub delay: Delay,
}

/// How long records took from the moment that the shard wrote them, in milliseconds of its clock.
/// They are never told too short, and too long by a round trip at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delay {
    /// How many were measured.
    pub records: u64,
    /// Their delays in all.
    pub total: Duration,
    /// The longest one.
    pub longest: Duration,
    /// How many were no longer than each of [`Delay::BOUNDS`] and longer than the one before; at
    /// last, how many were longer than all of them.
    pub counts: [u64; BOUNDS_MS.len() + 1],
}

/// What delays are sorted by, in milliseconds.
const BOUNDS_MS: [u64; 11] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500];

impl Delay {
    /// The bounds of [`Delay::counts`].
    pub const BOUNDS: [Duration; BOUNDS_MS.len()] = {
        let mut bounds = [Duration::ZERO; BOUNDS_MS.len()];
        let mut at = 0;
        while at < bounds.len() {
            bounds[at] = Duration::from_millis(BOUNDS_MS[at]);
            at += 1;
        }
        bounds
    };

    /// The mean; zero if none was measured.
    pub fn mean(&self) -> Duration {
        let records = u32::try_from(self.records).unwrap_or(u32::MAX);
        self.total.checked_div(records).unwrap_or_default()
    }
}

/// One counter for each cause.
#[derive(Default)]
pub(crate) struct ByCause([AtomicU64; EventCause::ALL.len()]);

impl ByCause {
    pub(crate) fn add(&self, cause: EventCause) {
        if let Some(at) = EventCause::ALL.iter().position(|other| *other == cause) {
            count(&self.0[at]);
        }
    }

    fn get(&self) -> Vec<(EventCause, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        EventCause::ALL.into_iter().zip(counts).collect()
    }
}

#[derive(Default)]
pub(crate) struct BusCounts {
    pub(crate) sent: ByCause,
    pub(crate) received: AtomicU64,
    pub(crate) heard: ByCause,
    pub(crate) updates: AtomicU64,
    pub(crate) gaps: AtomicU64,
    pub(crate) replays: AtomicU64,
    pub(crate) flushes: AtomicU64,
    /// Nanoseconds of fences that are over.
    fenced: AtomicU64,
    /// When the fence in force began; 0 for none.
    fenced_since: AtomicU64,
    delays: AtomicU64,
    delay_ms: AtomicU64,
    longest_ms: AtomicU64,
    delays_by_bound: [AtomicU64; BOUNDS_MS.len() + 1],
}

impl BusCounts {
    /// A pushed record arrived so long after it was written.
    pub(crate) fn delayed(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        count(&self.delays);
        self.delay_ms.fetch_add(ms, Ordering::Relaxed);
        self.longest_ms.fetch_max(ms, Ordering::Relaxed);
        count(&self.delays_by_bound[BOUNDS_MS.partition_point(|bound| *bound < ms)]);
    }

    /// Near copies cannot be used from here on.
    pub(crate) fn fence(&self, since: Mono) {
        self.fenced_since.store(since.0.max(1), Ordering::Relaxed);
    }

    /// They can again; tells for how long they could not.
    pub(crate) fn resume(&self, now: Mono) -> Duration {
        let since = self.fenced_since.swap(0, Ordering::Relaxed);
        let fenced = now.since(Mono(since));
        let nanos = u64::try_from(fenced.as_nanos()).unwrap_or(u64::MAX);
        self.fenced.fetch_add(nanos, Ordering::Relaxed);
        fenced
    }

    pub(crate) fn stats(&self, now: Mono) -> BusStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let current = match get(&self.fenced_since) {
            0 => Duration::ZERO,
            since => now.since(Mono(since)),
        };
        BusStats {
            sent: self.sent.get(),
            received: get(&self.received),
            heard: self.heard.get(),
            updates: get(&self.updates),
            gaps: get(&self.gaps),
            replays: get(&self.replays),
            flushes: get(&self.flushes),
            fenced: Duration::from_nanos(get(&self.fenced)) + current,
            delay: Delay {
                records: get(&self.delays),
                total: Duration::from_millis(get(&self.delay_ms)),
                longest: Duration::from_millis(get(&self.longest_ms)),
                counts: self.delays_by_bound.each_ref().map(get),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_delay_is_counted_under_the_first_bound_that_it_does_not_exceed() {
        let counts = BusCounts::default();
        for ms in [0, 1, 2, 3, 2_500, 2_501, 9_000] {
            counts.delayed(Duration::from_millis(ms));
        }
        let delay = counts.stats(Mono(0)).delay;
        assert_eq!(delay.counts, [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(delay.counts.iter().sum::<u64>(), delay.records);
        assert_eq!(Delay::BOUNDS[10], Duration::from_millis(2_500));
    }
}
