//! Why entries leave the near cache, and who is told.

use std::hash::{BuildHasher, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::{Lifecycle, Weighter};
use smallvec::SmallVec;

use super::entry::Entry;

/// Why an entry left the near cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Its life had ended.
    Expired,
    /// It was invalidated or cleared.
    Explicit,
    /// A newer value took its place.
    Replaced,
    /// There was no room.
    Size,
}

impl Cause {
    /// Every cause, in label order.
    pub const ALL: [Cause; 4] = [
        Cause::Expired,
        Cause::Explicit,
        Cause::Replaced,
        Cause::Size,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Expired => "expired",
            Cause::Explicit => "explicit",
            Cause::Replaced => "replaced",
            Cause::Size => "size",
        }
    }
}

/// A listener: the key without the cache's name, the value, and why it left.
pub(crate) type Listener<V> = dyn Fn(&[u8], &V, Cause) + Send + Sync;

/// Counts departures and tells the listener. Called outside of all locks.
pub(crate) struct Reporter<V> {
    counts: [AtomicU64; Cause::ALL.len()],
    listener: Option<Box<Listener<V>>>,
}

impl<V> Reporter<V> {
    pub(crate) fn new(listener: Option<Box<Listener<V>>>) -> Reporter<V> {
        Reporter {
            counts: Default::default(),
            listener,
        }
    }

    pub(super) fn report(&self, entry: Arc<Entry<V>>, cause: Cause) {
        self.counts[cause as usize].fetch_add(1, Ordering::Relaxed);
        let (Some(listener), Some(value)) = (&self.listener, entry.held()) else {
            return;
        };
        // A listener that panics must not take down the request that happened to evict.
        let told = catch_unwind(AssertUnwindSafe(|| {
            listener(&entry.id().spelled(), value, cause)
        }));
        if told.is_err() {
            tracing::error!(cause = cause.as_str(), "the eviction listener panicked");
        }
    }

    pub(crate) fn count(&self, cause: Cause) -> u64 {
        self.counts[cause as usize].load(Ordering::Relaxed)
    }
}

/// The keys are hashes already.
#[derive(Clone, Copy, Default)]
pub(super) struct IdentityHash;

pub(super) struct Identity(u64);

impl BuildHasher for IdentityHash {
    type Hasher = Identity;

    fn build_hasher(&self) -> Identity {
        Identity(0)
    }
}

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only whole hashes are keys")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[derive(Clone, Copy)]
pub(super) struct Weight;

impl<V> Weighter<u64, Arc<Entry<V>>> for Weight {
    fn weight(&self, _: &u64, entry: &Arc<Entry<V>>) -> u64 {
        u64::from(entry.weight())
    }
}

/// Collects what the map evicts.
pub(super) struct Eviction<V> {
    reporter: Arc<Reporter<V>>,
}

impl<V> Eviction<V> {
    pub(super) fn new(reporter: Arc<Reporter<V>>) -> Eviction<V> {
        Eviction { reporter }
    }
}

impl<V> Clone for Eviction<V> {
    fn clone(&self) -> Eviction<V> {
        Eviction {
            reporter: self.reporter.clone(),
        }
    }
}

/// What one request displaced; reported when dropped, which must be outside of all locks.
pub(super) struct Evicted<V> {
    reporter: Option<Arc<Reporter<V>>>,
    entries: SmallVec<[Arc<Entry<V>>; 2]>,
    replaced: Option<Arc<Entry<V>>>,
}

impl<V> Evicted<V> {
    /// The map hands over a replaced value as it does an evicted one; tells them apart.
    pub(super) fn mark_replaced(&mut self, replaced: Option<Arc<Entry<V>>>) {
        if let Some(entry) = &replaced {
            self.entries.retain(|other| !Arc::ptr_eq(other, entry));
        }
        self.replaced = replaced;
    }
}

impl<V> Default for Evicted<V> {
    fn default() -> Evicted<V> {
        Evicted {
            reporter: None,
            entries: SmallVec::new(),
            replaced: None,
        }
    }
}

impl<V> Lifecycle<u64, Arc<Entry<V>>> for Eviction<V> {
    type RequestState = Evicted<V>;

    fn on_evict(&self, evicted: &mut Evicted<V>, _: u64, entry: Arc<Entry<V>>) {
        evicted
            .reporter
            .get_or_insert_with(|| self.reporter.clone());
        evicted.entries.push(entry);
    }
}

impl<V> Drop for Evicted<V> {
    fn drop(&mut self) {
        let Some(reporter) = self.reporter.take() else {
            return;
        };
        for entry in self.entries.drain(..) {
            reporter.report(entry, Cause::Size);
        }
        if let Some(entry) = self.replaced.take() {
            reporter.report(entry, Cause::Replaced);
        }
    }
}
