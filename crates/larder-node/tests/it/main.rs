//! The `larder` binary as users and programs meet it: real processes, real sockets.

mod node;

mod check;
mod http;
mod lifecycle;
mod metrics;
mod refusals;
