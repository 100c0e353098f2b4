//! Is a value fresh, stale or gone? The only place that decides.

use std::time::Duration;

use crate::record::Record;
use crate::runtime::{Mono, Timestamp};

/// What a value may be used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// Returned to anyone.
    Fresh,
    /// Returned only under fail-safe, and marked as stale.
    Stale,
    /// Never returned.
    Expired,
}

/// Classifies a record at `now` of its store's clock. The ends belong to the next state: at
/// `fresh_until` a record is stale, at `expires_at` it is gone.
pub fn classify(record: &Record, now: Timestamp) -> Freshness {
    if record.expires_at.is_some_and(|end| now >= end) {
        Freshness::Expired
    } else if record.marked_stale || record.fresh_until.is_some_and(|end| now >= end) {
        Freshness::Stale
    } else {
        Freshness::Fresh
    }
}

/// The life of a near copy, as instants of the local monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NearLife {
    /// Fresh before this.
    pub fresh_until: Mono,
    /// Usable under fail-safe before this.
    pub usable_until: Mono,
}

impl NearLife {
    /// What is left of a record for a near copy taken at `now`, when the store's clock showed
    /// `store_now`: never more than the record has left, and never more fresh life than
    /// `near_ttl`.
    pub fn of(record: &Record, store_now: Timestamp, now: Mono, near_ttl: Duration) -> NearLife {
        let left = |end: Option<Timestamp>| match end {
            Some(end) => now.after(end.since(store_now)),
            None => Mono::MAX,
        };
        let usable_until = left(record.expires_at);
        let fresh = if record.marked_stale {
            now
        } else {
            left(record.fresh_until)
        };
        NearLife {
            fresh_until: fresh.min(now.after(near_ttl)).min(usable_until),
            usable_until,
        }
    }

    /// Classifies the near copy.
    pub fn classify(&self, now: Mono) -> Freshness {
        if now < self.fresh_until {
            Freshness::Fresh
        } else if now < self.usable_until {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }
}

/// Shortens `ttl` by a random part of at most `percent`, so that entries stored together do not
/// expire together. `random` is uniform over `u64`. A life never gets longer than asked for.
pub fn jitter(ttl: Duration, percent: u8, random: u64) -> Duration {
    if percent == 0 {
        return ttl;
    }
    let span = ttl.as_nanos() * u128::from(percent.min(100)) / 100;
    let cut = span * u128::from(random >> 32) / u128::from(u32::MAX);
    ttl.saturating_sub(Duration::from_nanos(u64::try_from(cut).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests;
