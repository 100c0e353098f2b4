//! The rim: sockets, TLS, name service and tasks. What is decided is decided elsewhere.
//!
//! Every `select!` here and above is biased: whatever is not decided by the [`Runtime`] would make runs
//! of the simulation differ. Where neither side may starve the other, they take turns.
//!
//! [`Runtime`]: larder_core::Runtime

pub(crate) mod accept;
pub(crate) mod dial;
pub(crate) mod discover;
mod greet;
mod link;
pub(crate) mod pacer;
pub(crate) mod resolver;
pub(crate) mod socket;
pub(crate) mod tls;
mod write;
