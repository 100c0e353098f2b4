//! What every [`Store`](larder_core::store::Store) must do, as tests that any of them can mount.
//!
//! A claim is an async function over a [`Subject`]; its name says what it claims. One line mounts
//! all of them, each as a test of its own, so that a failure names the claim:
//!
//! ```text
//! larder_testkit::conformance::store!(embedded, make);        // records, leases, tags, keyspace
//! larder_testkit::conformance::bus!(embedded_bus, make);      // the log of changes
//! larder_testkit::conformance::server!(redis_server, make);   // what a hurt server may not break
//! larder_testkit::conformance::primitives!(locks, make);      // locks, limits, counters
//! larder_testkit::conformance::plain_store!(plain, make);     // what bare values can keep
//! larder_testkit::conformance_outbox!(sqlite, make);          // outboxes, over their own subject
//! ```
//!
//! `make` is an async function without arguments that gives `Option<Subject>`, each time a fresh
//! and empty one; `None` skips the test where a server is not installed.
//!
//! Time passes only through [`Subject::pass`], virtual or real. With a real server a short life
//! may end at any moment, so claims use short lives only for what must be over, and long ones for
//! what must not.

pub mod areas;
pub mod batches;
pub mod bus;
pub mod bus_batches;
pub mod bus_carried;
pub mod bus_feed;
pub mod bus_leases;
pub mod bus_positions;
pub mod bus_readers;
pub mod bus_replay;
pub mod bus_tags;
pub mod clearing;
pub mod concurrency;
pub mod confirms;
pub mod counters;
pub mod dependencies;
pub mod expectations;
pub mod fences;
pub mod fills;
pub mod keyspace;
pub mod leases;
pub mod lives;
pub mod locks;
pub mod outbox;
pub mod rates;
pub mod records;
pub mod server_ends;
pub mod server_forgets;
pub mod server_locks;
pub mod server_refuses;
pub mod server_restarts;
pub mod stale;
pub mod tag_fills;
pub mod tags;
pub mod values;

mod claims;
mod hand;
mod lock_words;
mod subject;

pub use crate::conformance_bus as bus;
pub use crate::conformance_plain_store as plain_store;
pub use crate::conformance_primitives as primitives;
pub use crate::conformance_server as server;
pub use crate::conformance_store as store;
pub use claims::Claim;
pub use hand::{Hand, OnReal, OnSimulated};
pub use subject::Subject;
