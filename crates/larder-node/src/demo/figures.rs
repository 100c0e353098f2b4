//! What a node counts, and what it says of that a few times a second.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::catalogue::Kind;
use super::spread::{Measured, Spread};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Reads that gave an answer.
    Reads,
    /// Those that the near cache answered.
    NearHits,
    /// Those whose answer was that there is no such product.
    Negatives,
    /// Those of a shelf.
    Shelves,
    /// Reads that gave an error.
    Errors,
    /// Reads that gave something older than was promised.
    Stale,
    /// Those among them that did not show an acknowledged change of their own node.
    OwnStale,
    Created,
    Updated,
    Removed,
    Sales,
    /// Changes that could not be told to the others, and were left to the outbox.
    Left,
    /// Invalidations sent to others.
    Sent,
    /// Invalidations of others that were heard of.
    Received,
    /// Changes of others to which reads were held.
    Judged,
    /// Those of which this node was told too late for that.
    Unjudged,
    /// Notices found in the outbox and carried out.
    CarriedOut,
    /// Milliseconds in which near copies were not used, because nobody vouched for them.
    FencedMs,
}

impl Count {
    pub(super) const ALL: [Count; 18] = [
        Count::Reads,
        Count::NearHits,
        Count::Negatives,
        Count::Shelves,
        Count::Errors,
        Count::Stale,
        Count::OwnStale,
        Count::Created,
        Count::Updated,
        Count::Removed,
        Count::Sales,
        Count::Left,
        Count::Sent,
        Count::Received,
        Count::Judged,
        Count::Unjudged,
        Count::CarriedOut,
        Count::FencedMs,
    ];

    pub(super) fn of(kind: Kind) -> Count {
        match kind {
            Kind::Created => Count::Created,
            Kind::Updated => Count::Updated,
            Kind::Removed => Count::Removed,
            Kind::Sale => Count::Sales,
        }
    }
}

/// The counts of one life of a node.
#[derive(Default)]
pub(super) struct Counters {
    counts: [AtomicU64; Count::ALL.len()],
    /// How long reads took.
    pub(super) reads: Measured,
    /// How long after the commit of another node its word came.
    pub(super) heard: Measured,
}

/// The same as they stood at one moment; or those of several lives or nodes together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Figures {
    counts: [u64; Count::ALL.len()],
    pub(super) reads: Spread,
    pub(super) heard: Spread,
    /// What the near caches hold.
    pub(super) entries: u64,
    /// What that weighs, in bytes.
    pub(super) bytes: u64,
}

impl Counters {
    pub(super) fn add(&self, count: Count) {
        self.counts[count as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set(&self, count: Count, to: u64) {
        self.counts[count as usize].store(to, Ordering::Relaxed);
    }

    pub(super) fn figures(&self) -> Figures {
        Figures {
            counts: self
                .counts
                .each_ref()
                .map(|count| count.load(Ordering::Relaxed)),
            reads: self.reads.spread(),
            heard: self.heard.spread(),
            ..Figures::default()
        }
    }
}

impl Figures {
    pub(super) fn get(&self, count: Count) -> u64 {
        self.counts[count as usize]
    }

    /// Creations, updates, removals and sales.
    pub(super) fn changes(&self) -> u64 {
        let kinds = [Kind::Created, Kind::Updated, Kind::Removed, Kind::Sale];
        kinds.map(|kind| self.get(Count::of(kind))).iter().sum()
    }

    /// The same with what is held: entries and bytes.
    pub(super) fn holding(self, (entries, bytes): (u64, u64)) -> Figures {
        Figures {
            entries,
            bytes,
            ..self
        }
    }

    /// The share of reads that the near cache answered, in percent; `None` without reads.
    pub(super) fn near_percent(&self) -> Option<f64> {
        let reads = self.get(Count::Reads);
        (reads > 0).then(|| self.get(Count::NearHits) as f64 * 100.0 / reads as f64)
    }

    /// Adds what others have counted; what they hold is added as well.
    pub(super) fn add(&mut self, other: &Figures) {
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum += count;
        }
        self.reads.add(&other.reads);
        self.heard.add(&other.heard);
        self.entries += other.entries;
        self.bytes += other.bytes;
    }

    /// What was counted since `earlier`, and what is held now.
    pub(super) fn since(&self, earlier: &Figures) -> Figures {
        let mut since = self.clone();
        for (count, before) in since.counts.iter_mut().zip(earlier.counts) {
            *count = count.saturating_sub(before);
        }
        since.reads = self.reads.since(&earlier.reads);
        since.heard = self.heard.since(&earlier.heard);
        since
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_count_has_a_place_of_its_own() {
        let counters = Counters::default();
        for (times, count) in Count::ALL.into_iter().enumerate() {
            assert_eq!(count as usize, times);
            (0..times).for_each(|_| counters.add(count));
        }
        let figures = counters.figures();
        for (times, count) in Count::ALL.into_iter().enumerate() {
            assert_eq!(figures.get(count), times as u64);
        }
        assert_eq!(figures.changes(), 7 + 8 + 9 + 10);
    }

    #[test]
    fn figures_add_up_and_come_apart_again() {
        let counters = Counters::default();
        counters.add(Count::Reads);
        counters.reads.add(Duration::from_millis(3));
        let earlier = counters.figures();
        counters.add(Count::Reads);
        counters.add(Count::NearHits);
        counters.reads.add(Duration::from_millis(5));
        let now = counters.figures();
        let since = now.since(&earlier);
        assert_eq!(since.near_percent(), Some(100.0));
        let mut sum = earlier.clone();
        sum.add(&since);
        assert_eq!(sum, now);
        assert_eq!(Figures::default().near_percent(), None);
    }
}
