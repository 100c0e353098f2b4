//! A histogram of durations with fixed bounds.
//!
//! The usual bounds of HTTP metrics begin where a cache ends; these reach from one microsecond,
//! a read in this process, to one second, a remote store in trouble.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in nanoseconds and as they are written in seconds.
pub(crate) const BOUNDS: [(u64, &str); 18] = [
    (1_000, "0.000001"),
    (2_500, "0.0000025"),
    (5_000, "0.000005"),
    (10_000, "0.00001"),
    (25_000, "0.000025"),
    (50_000, "0.00005"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (1_000_000_000, "1"),
];

/// Counts by bound, the last one for everything slower, and the sum.
#[derive(Default)]
pub(crate) struct Histogram {
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// The counts of some histograms at one moment, not yet cumulated.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) counts: [u64; BOUNDS.len() + 1],
    pub(crate) nanos: u64,
}

impl Histogram {
    pub(crate) fn record(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let at = BOUNDS.partition_point(|(bound, _)| *bound < nanos);
        self.counts[at].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Adds this histogram to `reading`.
    pub(crate) fn add_to(&self, reading: &mut Reading) {
        for (sum, count) in reading.counts.iter_mut().zip(&self.counts) {
            *sum += count.load(Ordering::Relaxed);
        }
        // Wraps after some centuries of recorded time; a counter reset, as Prometheus sees it.
        reading.nanos = reading
            .nanos
            .wrapping_add(self.nanos.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for nanos in [0, 1_000, 1_001, 2_000_000_000] {
            histogram.record(Duration::from_nanos(nanos));
        }
        let mut reading = Reading::default();
        histogram.add_to(&mut reading);
        assert_eq!((reading.counts[0], reading.counts[1]), (2, 1));
        assert_eq!(reading.counts[BOUNDS.len()], 1);
        assert_eq!(reading.nanos, 2_000_002_001);
    }

    #[test]
    fn bounds_are_written_as_what_they_are() {
        for (nanos, text) in BOUNDS {
            let seconds: f64 = text.parse().unwrap();
            assert_eq!((seconds * 1e9).round() as u64, nanos, "{text}");
        }
    }
}
