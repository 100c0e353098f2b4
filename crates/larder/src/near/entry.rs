//! A value in the near cache, with what decides about its use.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use larder_core::freshness::{Freshness, NearLife};
use larder_core::runtime::Mono;
use larder_core::version::Version;
use smallvec::SmallVec;

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
    /// The generation of the near cache under which it was admitted.
    generation: AtomicU32,
    /// The instant at which the value was stored, or loaded.
    created: Mono,
    tags: Option<Box<EntryTags>>,
    value: V,
    version: Version,
    weight: u32,
}

/// Everything about an entry but its key and value.
pub(crate) struct EntryMeta {
    pub(crate) version: Version,
    pub(crate) created: Mono,
    pub(crate) life: NearLife,
    pub(crate) proven_until: Mono,
    pub(crate) tags: Option<Box<EntryTags>>,
    pub(crate) weight: usize,
}

impl<V> Entry<V> {
    pub(crate) fn new(key: &[u8], value: V, meta: EntryMeta) -> Entry<V> {
        Entry {
            key: SmallVec::from_slice(key),
            version: meta.version,
            created: meta.created,
            fresh_until: AtomicU64::new(meta.life.fresh_until.0),
            usable_until: meta.life.usable_until,
            proven_until: meta.proven_until,
            generation: AtomicU32::new(0),
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

    pub(crate) fn created(&self) -> Mono {
        self.created
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

    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Set once, before the entry is put into the map.
    pub(super) fn set_generation(&self, generation: u32) {
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// Ends the fresh life. Ordered against admissions by the stripe's lock, which the caller
    /// holds.
    pub(crate) fn mark_stale(&self) {
        self.fresh_until.store(0, Ordering::Relaxed);
    }
}
