//! Larder: a coherent, multi-tier distributed cache.

#![forbid(unsafe_code)]

mod builder;
mod cache;
mod events;
mod invalidator;
mod loaded;
mod loader;
mod mode;
mod options;
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

pub use builder::{Builder, DefaultCodec};
pub use cache::{Cache, Session};
pub use depend::{tracked, untracked};
pub use engine::compute::Computed;
pub use events::{Changed, Event, EventCause, Events, Target};
pub use invalidator::{Delivery, Invalidator, InvalidatorBuilder};
pub use loaded::{Loaded, Source};
pub use loader::{Cx, LoadError};
pub use mode::Mode;
pub use near::Cause;
pub use observe::{BusStats, Delay, LoadStats, NearStats, RefreshStats, RemoteStats, Stats};
pub use options::{
    InsertOptions, IntoBytes, IntoDuration, IntoPoint, Near, Policy, Refresh, RefreshPolicy,
    WhenFenced,
};
pub use receipt::{Acknowledged, Receipt};
pub use remote::{Layout, Opening, Remote};
pub use rules::{Report, Rule, Rules};
pub use runtime::TokioRuntime;

pub use larder_core as core;
pub use larder_core::admit::Refusal;
pub use larder_core::error::{Error, ErrorKind};
pub use larder_core::key::{Key, KeyWriter, RawKey};
pub use larder_core::ticket::Ticket;
#[cfg(feature = "redis")]
pub use larder_redis as redis;
