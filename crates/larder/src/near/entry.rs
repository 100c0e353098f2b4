//! A value in the near cache, with what decides about its use.

use std::time::Duration;

use larder_core::freshness::{Freshness, NearLife};
use larder_core::runtime::Mono;
use larder_core::tag::Cut;
use larder_core::version::Version;
use smallvec::SmallVec;

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::tags::EntryTags;

/// A value that was read or written, shared by the near cache and everyone who holds it.
///
/// What a hit looks at comes first, so that it lies in one cache line with the reference counts.
#[repr(C)]
pub(crate) struct Entry<V> {
    key: SmallVec<[u8; 16]>,
    /// An atomic only because `expire` brings it forward.
    fresh_until: AtomicU64,
    usable_until: Mono,
    /// Usable before this even without a lease of the bus: it was read so recently that no change
    /// which had to be seen can be missing.
    proven_until: Mono,
    /// The epoch of the near cache in which it was last known to hold.
    epoch: AtomicU64,
    /// The instant at which the value was stored, or loaded.
    created: Mono,
    /// From here on reads may refresh it.
    refresh_from: Mono,
    tags: Option<Box<EntryTags>>,
    value: V,
    version: Version,
    cut: Cut,
    is_proven: bool,
    /// How long its load took, in milliseconds; up to a minute.
    load_cost_ms: u16,
    weight: u32,
}

/// Everything about an entry but its key and value.
pub(crate) struct EntryMeta {
    pub(crate) version: Version,
    /// As of when it holds, on the tag clock.
    pub(crate) cut: Cut,
    /// Whether others may rely on it: it is stored, under this version.
    pub(crate) is_proven: bool,
    pub(crate) created: Mono,
    pub(crate) life: NearLife,
    pub(crate) refresh_from: Mono,
    pub(crate) load_cost: Duration,
    pub(crate) proven_until: Mono,
    pub(crate) tags: Option<Box<EntryTags>>,
    pub(crate) weight: usize,
}

impl<V> Entry<V> {
    pub(crate) fn new(key: &[u8], value: V, meta: EntryMeta) -> Entry<V> {
        Entry {
            key: SmallVec::from_slice(key),
            version: meta.version,
            cut: meta.cut,
            is_proven: meta.is_proven,
            created: meta.created,
            refresh_from: meta.refresh_from,
            load_cost_ms: u16::try_from(meta.load_cost.as_millis()).unwrap_or(u16::MAX),
            fresh_until: AtomicU64::new(meta.life.fresh_until.0),
            usable_until: meta.life.usable_until,
            proven_until: meta.proven_until,
            epoch: AtomicU64::new(0),
            tags: meta.tags,
            weight: u32::try_from(meta.weight).unwrap_or(u32::MAX),
            value,
        }
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn cut(&self) -> Cut {
        self.cut
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.is_proven
    }

    pub(crate) fn tags(&self) -> Option<&EntryTags> {
        self.tags.as_deref()
    }

    pub(crate) fn created(&self) -> Mono {
        self.created
    }

    pub(crate) fn refresh_from(&self) -> Mono {
        self.refresh_from
    }

    pub(crate) fn load_cost(&self) -> Duration {
        Duration::from_millis(self.load_cost_ms.into())
    }

    pub(crate) fn weight(&self) -> u32 {
        self.weight
    }

    pub(crate) fn value(&self) -> &V {
        &self.value
    }

    pub(crate) fn into_value(self) -> V {
        self.value
    }

    pub(crate) fn freshness(&self, now: Mono) -> Freshness {
        let fresh_until = Mono(self.fresh_until.load(Ordering::Relaxed));
        NearLife {
            fresh_until,
            usable_until: self.usable_until,
        }
        .classify(now)
    }

    /// Whether none of its tags was invalidated since it was read.
    pub(crate) fn are_tags_valid(&self) -> bool {
        self.tags.as_ref().is_none_or(|tags| tags.are_valid())
    }

    pub(crate) fn proven_until(&self) -> Mono {
        self.proven_until
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// It holds in this epoch too.
    pub(super) fn raise_epoch(&self, epoch: u64) {
        self.epoch.fetch_max(epoch, Ordering::Relaxed);
    }

    /// Whether somebody has ended its fresh life, and not the time.
    pub(crate) fn is_marked_stale(&self) -> bool {
        self.fresh_until.load(Ordering::Relaxed) == 0
    }

    /// Ends the fresh life. Ordered against admissions by the stripe's lock, which the caller
    /// holds.
    pub(crate) fn mark_stale(&self) {
        self.fresh_until.store(0, Ordering::Relaxed);
    }
}
