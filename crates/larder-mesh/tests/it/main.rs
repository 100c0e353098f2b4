//! Nodes with real sockets that find each other, refuse others, lose each other and return.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod certificates;
mod crowd;
mod discovery;
mod faults;
mod joining;
mod latency;
mod messages;
mod processes;
mod refusals;
mod support;
