//! May a value enter the near cache? The guard of one stripe of keys.
//!
//! Every key belongs to a stripe. Whoever wants to store a value takes the stripe's count
//! *before* reading the value from anywhere; every change of a key of the stripe raises the
//! count. A value is admitted only while the count stands: nothing that it depends on has changed
//! since before it was read. The version floor closes the remaining hole, a value that was read
//! after the change but from a place that had not seen it yet.
//!
//! Keys that share a stripe may refuse each other's values. That costs a repeated read, never
//! correctness.

use crate::mutant::Mutant;
use crate::runtime::Mono;
use crate::tombstone::Floors;
use crate::version::Version;

/// How long a version floor is kept: longer than a read from a lagging place may take.
pub const FLOOR_LIFE: std::time::Duration = std::time::Duration::from_secs(30);

/// Proof of the moment before a read. Opaque; taken from one stripe and good only there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Snapshot(u64);

/// Why a value was given to its caller but not stored. The metric label of
/// `cache_fill_refused_total`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The key, or one of its stripe, changed between the snapshot and the store.
    Raced,
    /// A newer version of the key is already known.
    Superseded,
    /// The remote tier revoked the lease: the key changed there.
    LeaseRevoked,
    /// The remote tier no longer knows the lease: evicted, expired, flushed or restarted.
    LeaseLost,
    /// The remote tier could not be asked.
    Unproven,
    /// The loader asked that its result is not kept.
    Skipped,
    /// The value is larger than this tier takes.
    TooLarge,
    /// The value could not be encoded.
    Unencoded,
    /// One of its tags was invalidated since before the load.
    TagRaced,
    /// Its tags cannot be used: too many, or this tier has none.
    TagsRefused,
    /// Something that the loader read from a cache was changed since, or could not be proven.
    DependencyRaced,
    /// The loader read from a cache whose changes this one does not hear of.
    ForeignDependency,
}

impl Refusal {
    /// Every reason, in label order.
    pub const ALL: [Refusal; 12] = [
        Refusal::Raced,
        Refusal::Superseded,
        Refusal::LeaseRevoked,
        Refusal::LeaseLost,
        Refusal::Unproven,
        Refusal::Skipped,
        Refusal::TooLarge,
        Refusal::Unencoded,
        Refusal::TagRaced,
        Refusal::TagsRefused,
        Refusal::DependencyRaced,
        Refusal::ForeignDependency,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::Raced => "raced",
            Refusal::Superseded => "superseded",
            Refusal::LeaseRevoked => "lease_revoked",
            Refusal::LeaseLost => "lease_lost",
            Refusal::Unproven => "unproven",
            Refusal::Skipped => "skipped",
            Refusal::TooLarge => "too_large",
            Refusal::Unencoded => "unencoded",
            Refusal::TagRaced => "tag_raced",
            Refusal::TagsRefused => "tags_refused",
            Refusal::DependencyRaced => "dependency_raced",
            Refusal::ForeignDependency => "foreign_dependency",
        }
    }
}

/// The guard of one stripe. The caller holds the stripe's lock over a decision and the change of
/// the map that follows from it.
#[derive(Debug, Default)]
pub struct Stripe {
    count: u64,
    floors: Floors,
}

impl Stripe {
    /// The proof to take before a read.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.count)
    }

    /// Records a change of the key with this hash, whose newest superseded version, where known,
    /// is `superseded`. Call before the map is touched.
    pub fn change(&mut self, hash: u64, superseded: Option<Version>, now: Mono) {
        self.count = self.count.wrapping_add(1);
        if let Some(version) = superseded {
            self.floors.raise(hash, version, now, now.after(FLOOR_LIFE));
        }
    }

    /// Decides about a value of `version` that was read after `snapshot` was taken.
    pub fn admit(
        &self,
        snapshot: Snapshot,
        hash: u64,
        version: Version,
        now: Mono,
    ) -> Result<(), Refusal> {
        if snapshot.0 != self.count && !Mutant::StripeCount.is_active() {
            Err(Refusal::Raced)
        } else if version <= self.floors.floor(hash, now) && !Mutant::VersionFloor.is_active() {
            Err(Refusal::Superseded)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_between_snapshot_and_store_refuses_the_value() {
        let mut stripe = Stripe::default();
        let before = stripe.snapshot();
        assert_eq!(stripe.admit(before, 7, Version(5), Mono(0)), Ok(()));
        stripe.change(7, None, Mono(0));
        assert_eq!(
            stripe.admit(before, 7, Version(5), Mono(0)),
            Err(Refusal::Raced)
        );
        assert_eq!(
            stripe.admit(stripe.snapshot(), 7, Version(5), Mono(0)),
            Ok(())
        );
    }

    #[test]
    fn a_superseded_version_is_refused_even_when_it_was_read_after_the_change() {
        let mut stripe = Stripe::default();
        stripe.change(7, Some(Version(9)), Mono(0));
        let after = stripe.snapshot();
        assert_eq!(
            stripe.admit(after, 7, Version(9), Mono(1)),
            Err(Refusal::Superseded)
        );
        assert_eq!(stripe.admit(after, 7, Version(10), Mono(1)), Ok(()));
        assert_eq!(stripe.admit(after, 8, Version(1), Mono(1)), Ok(()));
        let later = Mono(0).after(FLOOR_LIFE);
        assert_eq!(stripe.admit(after, 7, Version(9), later), Ok(()));
    }
}
