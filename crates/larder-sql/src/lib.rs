//! Larder beside SQL databases.
//!
//! What is here is the *outbox*: a table in the source's own database, in which a transaction records
//! what it makes invalid. A writer that is killed right after its commit then leaves nothing stale,
//! because any process that lives finds the notice and carries it out (`larder::outbox::Tail`).
//!
//! It does not do: connections, migrations or queries of the source, which belong to the program
//! that owns it; and no step of coherence, which belongs to `larder`.

#![forbid(unsafe_code)]

#[cfg(feature = "sqlite")]
pub mod sqlite;
