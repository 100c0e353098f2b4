//! How durations are spread: counts in buckets that are an eighth of a power of two wide, from
//! nanoseconds to years, so that a percentile is at most an eighth too great.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Eight for each power of two that does not fit into the first eight.
const BUCKETS: usize = 62 * 8;

/// Durations as they are measured, by any number of threads.
pub(super) struct Measured([AtomicU64; BUCKETS]);

/// Durations that were measured: the buckets that are not empty, with their counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spread(BTreeMap<usize, u64>);

impl Default for Measured {
    fn default() -> Measured {
        Measured(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Measured {
    pub(super) fn add(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0[bucket(nanos)].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn spread(&self) -> Spread {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        Spread(counts.enumerate().filter(|(_, count)| *count > 0).collect())
    }
}

impl Spread {
    pub(super) fn add(&mut self, other: &Spread) {
        for (bucket, count) in &other.0 {
            *self.0.entry(*bucket).or_default() += count;
        }
    }

    /// What was measured since `earlier`, which is an earlier reading of the same.
    pub(super) fn since(&self, earlier: &Spread) -> Spread {
        let before = |bucket: &usize| earlier.0.get(bucket).copied().unwrap_or(0);
        let since = |(bucket, count): (&usize, &u64)| {
            let count = count.saturating_sub(before(bucket));
            (count > 0).then_some((*bucket, count))
        };
        Spread(self.0.iter().filter_map(since).collect())
    }

    /// The duration that this percentage of all does not exceed; `None` if nothing was measured.
    pub(super) fn percentile(&self, percent: u64) -> Option<Duration> {
        let all: u64 = self.0.values().sum();
        let rank = (all * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (bucket, count) in &self.0 {
            seen += count;
            if seen >= rank {
                return Some(Duration::from_nanos(end(*bucket)));
            }
        }
        None
    }
}

/// The bucket of a number of nanoseconds.
fn bucket(nanos: u64) -> usize {
    if nanos < 8 {
        return nanos as usize;
    }
    let power = nanos.ilog2() as usize;
    let eighth = (nanos >> (power - 3)) as usize & 7;
    (power - 2) * 8 + eighth
}

/// The greatest number of nanoseconds of a bucket.
fn end(bucket: usize) -> u64 {
    if bucket < 8 {
        return bucket as u64;
    }
    let (power, eighth) = (bucket / 8 + 2, bucket as u128 % 8);
    let end = ((8 + eighth + 1) << (power - 3)) - 1;
    u64::try_from(end).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_lies_in_its_bucket_which_is_an_eighth_wide() {
        for nanos in (0..100).chain([1_000, 12_345, 1 << 40, u64::MAX / 3, u64::MAX]) {
            let (at, end) = (bucket(nanos), end(bucket(nanos)));
            assert!(at < BUCKETS && nanos <= end, "{nanos} {at} {end}");
            assert!(end - nanos <= nanos / 8, "{nanos} {end}");
            assert!(at == 0 || super::end(at - 1) < nanos, "{nanos} {at}");
        }
    }

    #[test]
    fn percentiles_are_of_what_was_measured_since() {
        let measured = Measured::default();
        measured.add(Duration::from_secs(9));
        let earlier = measured.spread();
        assert_eq!(Spread::default().percentile(50), None);
        for nanos in 1..=7 {
            measured.add(Duration::from_nanos(nanos));
        }
        let mut since = measured.spread().since(&earlier);
        assert_eq!(since.percentile(50), Some(Duration::from_nanos(4)));
        assert_eq!(since.percentile(99), Some(Duration::from_nanos(7)));
        since.add(&earlier);
        assert!(since.percentile(99) > Some(Duration::from_secs(8)));
    }
}
