//! What a store keeps under one key.

use bytes::Bytes;

use crate::codec::CodecId;
use crate::runtime::Timestamp;
use crate::tag::{Cut, Tags};
use crate::version::Version;

/// What a stored record stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A value.
    Value,
    /// The source has nothing under this key; remembered so that it is not asked again.
    Negative,
    /// The key was invalidated; only the version is kept.
    Tombstone,
    /// No value yet: somebody holds a lease and loads it.
    Lease,
}

/// A value (or its remembered absence) with everything that decides whether it may be used.
///
/// Times are on the clock of the store that holds the record; compare them with
/// [`crate::store::Store::now`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Never [`Kind::Tombstone`] or [`Kind::Lease`] when it comes from a read.
    pub kind: Kind,
    /// The order of this record among all changes of its key.
    pub version: Version,
    /// Set by `expire`: the value stays for fail-safe, but is no longer fresh.
    pub marked_stale: bool,
    /// The node that wrote it; 0 when unknown.
    pub origin: u32,
    /// How long the loader took, in milliseconds; 0 for values that users inserted.
    pub load_cost_ms: u32,
    /// When it was stored.
    pub created: Timestamp,
    /// Fresh before this; `None` means for ever.
    pub fresh_until: Option<Timestamp>,
    /// Gone from this on; `None` means never.
    pub expires_at: Option<Timestamp>,
    /// How [`Record::value`] was encoded.
    pub codec: CodecId,
    /// The schema that the writer declared for the value; 0 when none.
    pub schema: u32,
    /// What the record can be invalidated by, beside its key.
    pub tags: Tags,
    /// Where the tag clock stood when all that it depends on was known to hold.
    pub cut: Cut,
    /// The encoded value.
    pub value: Bytes,
}

/// When a record ends, as given by a writer. The store's clock does the arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    /// Never.
    Never,
    /// So many milliseconds after the store has taken it.
    In(u64),
    /// At this time of the store's clock.
    At(Timestamp),
    /// As the record that it replaces; never, if there is none.
    Keep,
}

/// How long a record is fresh, and how long it may be used after that when a load fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Life {
    /// The end of the fresh life.
    pub fresh: Expiry,
    /// Milliseconds after the fresh life in which the value may be used, marked as stale.
    pub stale_for_ms: u64,
}

impl Life {
    /// No end.
    pub const FOREVER: Life = Life {
        fresh: Expiry::Never,
        stale_for_ms: 0,
    };
    /// The same end as the record that is replaced.
    pub const KEEP: Life = Life {
        fresh: Expiry::Keep,
        stale_for_ms: 0,
    };

    /// Fresh for `ms` milliseconds and then gone.
    pub fn fresh_for_ms(ms: u64) -> Life {
        Life {
            fresh: Expiry::In(ms),
            stale_for_ms: 0,
        }
    }

    /// The end of the fresh life and of all life, for a record stored at `now` in place of one
    /// that had `kept` as its ends.
    pub fn resolve(
        self,
        now: Timestamp,
        kept: (Option<Timestamp>, Option<Timestamp>),
    ) -> (Option<Timestamp>, Option<Timestamp>) {
        let fresh = match self.fresh {
            Expiry::Never => return (None, None),
            Expiry::Keep => return kept,
            Expiry::In(ms) => Timestamp(now.0.saturating_add(ms)),
            Expiry::At(at) => at,
        };
        (
            Some(fresh),
            Some(Timestamp(fresh.0.saturating_add(self.stale_for_ms))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_ends_after_its_stale_part_and_never_overflows() {
        let now = Timestamp(1_000);
        let life = Life {
            fresh: Expiry::In(50),
            stale_for_ms: 7,
        };
        assert_eq!(
            life.resolve(now, (None, None)),
            (Some(Timestamp(1_050)), Some(Timestamp(1_057)))
        );
        let long = Life {
            fresh: Expiry::In(u64::MAX),
            stale_for_ms: u64::MAX,
        };
        assert_eq!(long.resolve(now, (None, None)).1, Some(Timestamp(u64::MAX)));
        assert_eq!(
            Life::KEEP.resolve(now, (Some(now), None)),
            (Some(now), None)
        );
        assert_eq!(
            Life::FOREVER.resolve(now, (Some(now), Some(now))),
            (None, None)
        );
    }
}
