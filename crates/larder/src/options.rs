//! The settings of a cache, as builders take them.

mod loads;
mod many;
mod refresh;

use std::time::Duration;

use larder_core::units::{parse_bytes, parse_duration};

use crate::mode::Mode;

pub use loads::{LoadOptions, TimeoutPolicy, Timeouts};
pub use many::ManyOptions;
pub use refresh::{IntoPoint, Refresh, RefreshPolicy};

/// A duration in code or as text (`"90s"`, `"1h"`).
pub trait IntoDuration {
    /// The duration, or what is wrong with the text.
    fn into_duration(self) -> Result<Duration, String>;
}

impl IntoDuration for Duration {
    fn into_duration(self) -> Result<Duration, String> {
        Ok(self)
    }
}

impl IntoDuration for &str {
    fn into_duration(self) -> Result<Duration, String> {
        parse_duration(self)
    }
}

/// A size in code (bytes) or as text (`"64MiB"`).
pub trait IntoBytes {
    /// The number of bytes, or what is wrong with the text.
    fn into_bytes(self) -> Result<u64, String>;
}

impl IntoBytes for u64 {
    fn into_bytes(self) -> Result<u64, String> {
        Ok(self)
    }
}

impl IntoBytes for &str {
    fn into_bytes(self) -> Result<u64, String> {
        parse_bytes(self)
    }
}

/// The near cache of a process.
#[derive(Clone, Debug)]
#[must_use]
pub struct Near {
    pub(crate) capacity: Result<u64, String>,
    pub(crate) ttl: Option<Result<Duration, String>>,
}

impl Near {
    /// A near cache that holds so many bytes: keys, values (as long as the weigher says, or as
    /// their encoded form) and what each entry costs beside them.
    pub fn bytes(capacity: impl IntoBytes) -> Near {
        Near {
            capacity: capacity.into_bytes(),
            ttl: None,
        }
    }

    /// No near copy is fresh for longer than this, however long the value itself is. It never
    /// outlives what remains of the remote life either.
    pub fn ttl(mut self, ttl: impl IntoDuration) -> Near {
        self.ttl = Some(ttl.into_duration());
        self
    }
}

/// What becomes of near copies while the bus does not say that they are current: its server is
/// away, or this process is cut off from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[non_exhaustive]
pub enum WhenFenced {
    /// They are not used. Reads go to the remote tier, and if that is away, to the loader.
    #[default]
    Bypass,
    /// The same, but if the loader fails too, a copy is used for as long as it was stored for,
    /// marked as stale. It may have been invalidated elsewhere in the meantime: nothing for
    /// permissions, prices or other values that must vanish when they are told to.
    ServeStale,
    /// While the remote tier is away, a copy is used for as long as it was stored for, marked as
    /// stale ([`StaleReason::Fenced`](crate::StaleReason::Fenced)), and the loader is not asked: each process asks for a key once in a ttl,
    /// and not once in a second. What is loaded meanwhile is such a copy a second after its load
    /// began, to the end of its ttl, without a `stale_for`. The warning above holds here as well.
    SpareSource,
}

/// How one value is inserted, where it differs from the cache's settings.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct InsertOptions {
    pub(crate) ttl: Option<Duration>,
    pub(crate) stale_for: Option<Duration>,
    pub(crate) tags: Vec<String>,
}

impl InsertOptions {
    /// The cache's settings.
    pub fn new() -> InsertOptions {
        InsertOptions::default()
    }

    /// A fresh life of its own. Zero is refused by
    /// [`insert_with`](crate::Cache::insert_with): such a value would never be seen.
    pub fn ttl(mut self, ttl: Duration) -> InsertOptions {
        self.ttl = Some(ttl);
        self
    }

    /// Adds a label by which the value can be invalidated.
    pub fn tag(mut self, tag: impl Into<String>) -> InsertOptions {
        self.tags.push(tag.into());
        self
    }

    /// A stale life of its own.
    pub fn stale_for(mut self, stale_for: Duration) -> InsertOptions {
        self.stale_for = Some(stale_for);
        self
    }
}

/// The settings of a cache in force.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// The cache's name.
    pub name: String,
    /// Fresh life of a value; `None` is for ever.
    pub ttl: Option<Duration>,
    /// Life after that, under fail-safe.
    pub stale_for: Duration,
    /// How long it is remembered that the source has no record; zero for not at all.
    pub negative_ttl: Duration,
    /// When values are loaded again while they are served; `None` for never.
    pub refresh: Option<RefreshPolicy>,
    /// How long readers wait for a load.
    pub timeouts: TimeoutPolicy,
    /// How long after a load that failed its key is not loaded again; zero for not at all.
    pub throttle: Duration,
    /// The most by which a life is shortened at random, in percent.
    pub jitter_percent: u8,
    /// Capacity of the near cache in bytes; 0 without one.
    pub near_capacity: u64,
    /// The longest fresh life of a near copy.
    pub near_ttl: Duration,
    /// What it stores into, if it has a remote tier.
    pub remote: Option<String>,
    /// The largest value, in bytes.
    pub max_value: usize,
    /// How long a lease lasts without being renewed.
    pub lease: Duration,
    /// What becomes of near copies while the bus is silent.
    pub when_fenced: WhenFenced,
    /// How near copies follow the changes of other nodes.
    pub coherence: Mode,
    /// What people call this node.
    pub node: String,
}
