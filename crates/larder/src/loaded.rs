//! A value as the cache returns it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use larder_core::runtime::Mono;
use larder_core::version::Version;

use crate::near::Entry;

/// Where a value came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The near cache of this process.
    Near,
    /// The remote tier.
    Remote,
    /// The loader.
    Loaded,
}

/// A value, and how it came to be here. Dereferences to the value; cheap to clone (the value is
/// shared, not copied).
pub struct Loaded<V> {
    entry: Arc<Entry<V>>,
    /// When this caller got it.
    got: Mono,
    given: Given,
}

/// The source of a value, and whether it is stale. A whole word: parts of one, which are moved together
/// just after they were written apart, hold a processor up for longer than all else in a near hit.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
enum Given {
    Near,
    Remote,
    Loaded,
    NearStale,
    RemoteStale,
    LoadedStale,
}

impl Given {
    fn new(source: Source, stale: bool) -> Given {
        match (source, stale) {
            (Source::Near, false) => Given::Near,
            (Source::Remote, false) => Given::Remote,
            (Source::Loaded, false) => Given::Loaded,
            (Source::Near, true) => Given::NearStale,
            (Source::Remote, true) => Given::RemoteStale,
            (Source::Loaded, true) => Given::LoadedStale,
        }
    }
}

impl<V> Loaded<V> {
    #[inline]
    pub(crate) fn new(entry: Arc<Entry<V>>, source: Source, stale: bool, now: Mono) -> Loaded<V> {
        Loaded {
            entry,
            got: now,
            given: Given::new(source, stale),
        }
    }

    pub(crate) fn entry(&self) -> &Arc<Entry<V>> {
        &self.entry
    }

    /// When it was given out.
    pub(crate) fn given_at(&self) -> Mono {
        self.got
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> &V {
        self.entry.value()
    }

    /// Where this caller got it from.
    pub fn source(&self) -> Source {
        match self.given {
            Given::Near | Given::NearStale => Source::Near,
            Given::Remote | Given::RemoteStale => Source::Remote,
            Given::Loaded | Given::LoadedStale => Source::Loaded,
        }
    }

    /// How long ago it was loaded or inserted when this caller got it, as far as this process can tell; some
    /// milliseconds short at most.
    pub fn age(&self) -> Duration {
        self.got.since(self.entry.created())
    }

    /// Whether its fresh life is over, and it was returned only because the load failed, or because
    /// a [refresh](crate::Refresh) of it runs behind.
    pub fn is_stale(&self) -> bool {
        matches!(
            self.given,
            Given::NearStale | Given::RemoteStale | Given::LoadedStale
        )
    }

    /// Its version among all values of its key.
    pub fn version(&self) -> Version {
        self.entry.version()
    }

    /// The value itself: moved out if nobody else holds it, else cloned.
    pub fn into_value(self) -> V
    where
        V: Clone,
    {
        match Arc::try_unwrap(self.entry) {
            Ok(entry) => entry.into_value(),
            Err(shared) => shared.value().clone(),
        }
    }
}

impl<V> Deref for Loaded<V> {
    type Target = V;

    #[inline]
    fn deref(&self) -> &V {
        self.value()
    }
}

impl<V> Clone for Loaded<V> {
    fn clone(&self) -> Loaded<V> {
        Loaded {
            entry: self.entry.clone(),
            ..*self
        }
    }
}

impl<V: fmt::Debug> fmt::Debug for Loaded<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("value", self.value())
            .field("source", &self.source())
            .field("stale", &self.is_stale())
            .field("age", &self.age())
            .finish()
    }
}

impl<V: PartialEq> PartialEq<V> for Loaded<V> {
    fn eq(&self, other: &V) -> bool {
        self.value() == other
    }
}
