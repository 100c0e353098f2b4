//! The rim: sockets, TLS, name service and tasks. What is decided is decided elsewhere.

pub(crate) mod accept;
pub(crate) mod dial;
pub(crate) mod discover;
mod greet;
mod link;
pub(crate) mod pacer;
pub(crate) mod resolver;
mod socket;
pub(crate) mod tls;
mod write;
