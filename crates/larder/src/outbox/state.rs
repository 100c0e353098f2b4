//! What a tail remembers of each cache and of its outbox: who is busy, who failed, and when to try
//! again. No I/O.

use std::time::Duration;

use larder_core::error::{Error, ErrorKind};
use larder_core::runtime::Mono;

/// First and longest pause after a failure. The longest bounds how late a notice is carried out once
/// what it needs has come back.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Failures in a row, and when to try again.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failures: u32,
    at: Mono,
}

impl Retry {
    /// Whether it is time.
    pub(super) fn is_due(&self, now: Mono) -> bool {
        now >= self.at
    }

    /// Notes a failure; tells whether it is the first in a row.
    pub(super) fn failed(&mut self, now: Mono) -> bool {
        let doubled = RETRY.0.saturating_mul(1 << self.failures.min(8));
        self.at = now.after(doubled.min(RETRY.1));
        self.failures = self.failures.saturating_add(1);
        self.failures == 1
    }

    /// Notes a success; tells whether it ends a row of failures.
    pub(super) fn succeeded(&mut self) -> bool {
        std::mem::take(self).failures > 0
    }
}

/// One cache.
#[derive(Debug, Default)]
pub(super) struct CacheState {
    /// A batch of its notices is being carried out. There is one at a time, so that a tier that
    /// hangs holds up its own cache alone.
    pub(super) is_busy: bool,
    /// When that batch was taken, there was more than could be taken.
    pub(super) has_more: bool,
    pub(super) retry: Retry,
}

impl CacheState {
    /// Whether notices may be taken for it.
    pub(super) fn is_ready(&self, now: Mono) -> bool {
        !self.is_busy && self.retry.is_due(now)
    }
}

/// How long to wait before the outbox is asked again.
#[derive(Debug)]
pub(super) struct Pace {
    every: Duration,
    idle: Duration,
}

/// The longest pause of an outbox in which there is nothing.
const IDLE: Duration = Duration::from_millis(500);

impl Pace {
    pub(super) fn new(every: Duration) -> Pace {
        Pace { every, idle: every }
    }

    /// The pause after `found` notices were found.
    pub(super) fn after(&mut self, found: usize) -> Duration {
        if found > 0 {
            self.idle = self.every;
            return self.every;
        }
        let most = self.every.saturating_mul(3).min(IDLE).max(self.every);
        let pause = self.idle;
        self.idle = self.idle.saturating_mul(2).min(most);
        pause
    }
}

/// Whether it is of use to try again soon: whoever was asked was away or busy, and said nothing
/// about what it was asked.
pub(super) fn is_passing(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable
            | ErrorKind::Timeout
            | ErrorKind::Overloaded
            | ErrorKind::Conflict
            | ErrorKind::Closed
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn failures_are_tried_again_ever_later_and_at_least_once_a_second() {
        let mut retry = Retry::default();
        let mut now = Mono(0);
        assert!(retry.is_due(now));
        let mut pauses = Vec::new();
        for _ in 0..12 {
            let is_first = retry.failed(now);
            assert_eq!(is_first, pauses.is_empty());
            let pause = (0..).find(|pause| retry.is_due(now.after(ms(*pause))));
            pauses.push(pause.unwrap());
            now = now.after(ms(5_000));
        }
        assert_eq!(pauses[..5], [100, 200, 400, 800, 1_000]);
        assert_eq!(pauses[11], 1_000);
        assert!(retry.succeeded());
        assert!(!retry.succeeded());
        assert!(retry.failed(now));
    }

    #[test]
    fn an_empty_outbox_is_asked_less_often_but_often_enough() {
        let mut pace = Pace::new(ms(100));
        let pauses: Vec<Duration> = (0..6).map(|_| pace.after(0)).collect();
        assert_eq!(pauses, [100, 200, 300, 300, 300, 300].map(ms));
        assert_eq!(pace.after(1), ms(100));
        assert_eq!(pace.after(0), ms(100));
        let mut slow = Pace::new(ms(500));
        assert_eq!([slow.after(0), slow.after(0)], [ms(500), ms(500)]);
    }

    #[test]
    fn who_is_busy_or_failing_is_left_alone() {
        let mut cache = CacheState::default();
        assert!(cache.is_ready(Mono(0)));
        cache.is_busy = true;
        assert!(!cache.is_ready(Mono(0)));
        cache.is_busy = false;
        cache.retry.failed(Mono(0));
        assert!(!cache.is_ready(Mono(0).after(ms(99))));
        assert!(cache.is_ready(Mono(0).after(ms(100))));
    }
}
