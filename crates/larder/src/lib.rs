//! Larder: a coherent, multi-tier distributed cache.

#![forbid(unsafe_code)]

mod backlog;
mod batcher;
mod builder;
mod cache;
mod counters;
mod events;
mod invalidator;
mod limit;
mod loaded;
mod loader;
mod locks;
mod many;
mod mode;
mod options;
mod rates;
mod receipt;
mod remote;
mod rules;

pub mod bytes;
pub mod codec;
pub mod embedded;
#[cfg(feature = "mesh")]
pub mod mesh;
pub mod outbox;

mod coherence;
mod depend;
mod engine;
mod epoch;
mod link;
mod near;
mod node;
mod observe;
mod runtime;
mod sync;
mod tags;
#[cfg(all(test, feature = "shuttle"))]
mod threads;

pub use backlog::{Backlog, BacklogStats};
pub use batcher::Batcher;
pub use builder::{Builder, DefaultCodec};
pub use cache::{Cache, Session};
pub use counters::Counters;
pub use depend::{tracked, untracked};
pub use engine::compute::Computed;
pub use events::{Changed, Event, EventCause, Events, Target};
pub use invalidator::{Delivery, Invalidator, InvalidatorBuilder};
pub use limit::{LimitStats, LoadLimit, Ramp};
pub use loaded::{Loaded, Source, StaleReason};
pub use loader::{Cx, LoadError};
pub use locks::{LockGuard, LockRequest, LockStats, Locks};
pub use many::{Answer, ManyCx, OneCx};
pub use mode::Mode;
pub use near::Cause;
pub use observe::{
    BusStats, Delay, LoadStats, NearStats, ProtectionStats, RefreshStats, RemoteStats, Stats,
};
pub use options::{
    InsertOptions, IntoBytes, IntoDuration, IntoPoint, LoadOptions, ManyOptions, Near, Policy,
    Refresh, RefreshPolicy, TimeoutPolicy, Timeouts, WhenFenced,
};
pub use rates::RateLimits;
pub use receipt::{Acknowledged, Receipt};
pub use remote::{Layout, Opening, Remote};
pub use rules::{Report, Rule, Rules};
pub use runtime::TokioRuntime;

pub use larder_core as core;
pub use larder_core::admit::Refusal;
pub use larder_core::error::{Error, ErrorKind};
pub use larder_core::key::{Key, KeyWriter, RawKey};
pub use larder_core::lock::{FencingToken, Owner};
pub use larder_core::rate::{RateLimit, Verdict};
pub use larder_core::ticket::Ticket;
#[cfg(feature = "redis")]
pub use larder_redis as redis;

/// The page on memory: its example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/memory.md")]
mod page {}

/// The page on many keys at once: its examples compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/bulk.md")]
mod bulk_page {}

/// The page on the backlog: its example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/backlog.md")]
mod backlog_page {}
