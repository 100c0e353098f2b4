//! A value as the cache returns it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use larder_core::runtime::Mono;
use larder_core::version::Version;

use crate::engine::Landed;
use crate::loader::{Failure, LoadError};
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
    /// The caller itself ([`LoadOptions::default_value`](crate::LoadOptions::default_value)).
    Default,
}

/// A value, and how it came to be here. Dereferences to the value; cheap to clone (the value is
/// shared, not copied).
pub struct Loaded<V> {
    entry: Arc<Entry<V>>,
    given: Given,
}

/// Why a stale value was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum StaleReason {
    /// A load of its key has failed; [`Loaded::error`] says how.
    Failed,
    /// One has failed a moment ago, so that none was tried ([`throttle`](crate::Builder::throttle)).
    Throttled,
    /// The load takes longer than the caller waits ([`Timeouts`](crate::Timeouts)); it goes on behind.
    TimedOut,
    /// The load was refused ([`LoadLimit`](crate::LoadLimit)).
    Overloaded,
    /// A [refresh](crate::Refresh) of it runs behind, or has failed a moment ago.
    Refreshing,
    /// The remote tier is away, and the source is spared
    /// ([`WhenFenced::SpareSource`](crate::WhenFenced::SpareSource)).
    Fenced,
}

impl StaleReason {
    /// The reason as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            StaleReason::Failed => "error",
            StaleReason::Throttled => "throttle",
            StaleReason::TimedOut => "timeout",
            StaleReason::Overloaded => "overload",
            StaleReason::Refreshing => "refresh",
            StaleReason::Fenced => "fenced",
        }
    }
}

/// What is known of a value that is not fresh.
pub(crate) struct Stale {
    pub(crate) source: Source,
    pub(crate) reason: StaleReason,
    pub(crate) failure: Option<Failure>,
}

/// The source of a value, or what is to be said of a stale one, and when its caller got it. Its first
/// part is a whole word: parts of one, which are moved together just after they were written apart, hold a
/// processor up for longer than all else in a near hit.
#[derive(Clone)]
#[repr(u64)]
enum Given {
    Near(Mono),
    Remote(Mono),
    Loaded(Mono),
    Stale(Arc<(Mono, Arc<Stale>)>),
}

impl<V> Loaded<V> {
    #[inline]
    pub(crate) fn fresh(entry: Arc<Entry<V>>, source: Source, now: Mono) -> Loaded<V> {
        let given = match source {
            Source::Near => Given::Near(now),
            Source::Remote => Given::Remote(now),
            // A default is never fresh.
            Source::Loaded | Source::Default => Given::Loaded(now),
        };
        Loaded { entry, given }
    }

    pub(crate) fn landed(landed: Landed<V>, now: Mono) -> Loaded<V> {
        match landed.stale {
            None => Loaded::fresh(landed.entry, landed.source, now),
            Some(stale) => Loaded {
                entry: landed.entry,
                given: Given::Stale(Arc::new((now, stale))),
            },
        }
    }

    pub(crate) fn entry(&self) -> &Arc<Entry<V>> {
        &self.entry
    }

    /// When it was given out.
    pub(crate) fn given_at(&self) -> Mono {
        match &self.given {
            Given::Near(got) | Given::Remote(got) | Given::Loaded(got) => *got,
            Given::Stale(stale) => stale.0,
        }
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> &V {
        self.entry.value()
    }

    /// Where this caller got it from.
    pub fn source(&self) -> Source {
        match &self.given {
            Given::Near(_) => Source::Near,
            Given::Remote(_) => Source::Remote,
            Given::Loaded(_) => Source::Loaded,
            Given::Stale(stale) => stale.1.source,
        }
    }

    /// How long ago it was loaded or inserted when this caller got it, as far as this process can tell; some
    /// milliseconds short at most.
    pub fn age(&self) -> Duration {
        self.given_at().since(self.entry.created())
    }

    /// Whether its fresh life is over, and it was returned only because nothing better could be had:
    /// [`stale_reason`](Loaded::stale_reason) says why. A default value counts as stale.
    pub fn is_stale(&self) -> bool {
        matches!(self.given, Given::Stale(_))
    }

    /// Why a stale value was returned; `None` for a fresh one.
    pub fn stale_reason(&self) -> Option<StaleReason> {
        match &self.given {
            Given::Stale(stale) => Some(stale.1.reason),
            _ => None,
        }
    }

    /// The error that this value was given in place of. `None` for a fresh value, for one that no error
    /// preceded, and if the load was that of a caller with another type of error.
    pub fn error<E: Send + Sync + 'static>(&self) -> Option<LoadError<E>> {
        match &self.given {
            Given::Stale(stale) => stale.1.failure.clone()?.told().ok(),
            _ => None,
        }
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
            given: self.given.clone(),
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
