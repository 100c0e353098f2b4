//! The `larder` binary as users and programs meet it: real processes, real sockets.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on is to fail there"
)]

mod node;
mod wire;

mod abuse;
mod check;
mod clients;
mod demo;
mod differential;
mod doctor;
mod events;
mod golden;
mod http;
mod invalidations;
mod lifecycle;
mod lives;
mod locks;
mod memory;
mod mesh;
mod metrics;
mod near;
mod outage;
mod outbox;
mod ping;
mod refusals;
mod session;
