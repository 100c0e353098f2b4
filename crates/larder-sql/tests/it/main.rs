//! The outbox on real SQLite files, with real Redis servers behind the caches.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod conformance;
mod contract;
mod delivery;
mod kills;
mod support;
mod tails;
mod trouble;
mod writer;
