//! How fast a count grows, over the last seconds.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How far back the rate looks.
const WINDOW: Duration = Duration::from_secs(2);

/// Where the count stood at some moments of the window.
#[derive(Default)]
pub(super) struct Rate {
    // LIMIT: moments older than the window are dropped at each tick.
    moments: Mutex<VecDeque<(Instant, u64)>>,
}

impl Rate {
    pub(super) fn tick(&self, now: Instant, count: u64) {
        let mut moments = self.moments.lock();
        moments.push_back((now, count));
        while moments
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > WINDOW)
        {
            moments.pop_front();
        }
    }

    pub(super) fn per_second(&self, now: Instant, count: u64) -> u64 {
        let moments = self.moments.lock();
        let Some((at, before)) = moments.front() else {
            return 0;
        };
        let seconds = now.duration_since(*at).as_secs_f64();
        // Less than a tick says nothing.
        if seconds < 0.01 {
            return 0;
        }
        (count.saturating_sub(*before) as f64 / seconds) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_window_counts() {
        let rate = Rate::default();
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        assert_eq!(rate.per_second(start, 1_000), 0);
        for (ms, count) in [(0, 0), (1_000, 1_000), (2_000, 2_000)] {
            rate.tick(after(ms), count);
        }
        assert_eq!(rate.per_second(after(2_000), 2_000), 1_000);
        for ms in [3_000, 4_000, 5_000] {
            rate.tick(after(ms), 2_000);
        }
        assert_eq!(rate.per_second(after(5_000), 2_000), 0);
    }
}
