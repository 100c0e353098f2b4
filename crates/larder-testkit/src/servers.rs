//! Spawners of real servers, for tests that must not take a model's word for it.
//!
//! Everything blocks, on plain processes and files: a test starts a server, talks to it, hurts it,
//! and dropping the handle kills the process and removes its folder. Ports are free ones, and
//! nothing outlives the test. Tools that are not installed are reported as [`Missing`];
//! [`require`] turns that into a skipped test on a laptop and a failed one in CI.
//!
//! ```no_run
//! use larder_testkit::servers::{RedisOptions, RedisServer};
//!
//! let Some(mut server) = RedisServer::start_or_skip(RedisOptions::new()) else {
//!     return; // `redis-server` is not installed here; the reason has been printed.
//! };
//! assert_eq!(server.cli(&["SET", "user:1", "Ada"]), "OK");
//! server.kill();
//! server.restart();
//! assert_eq!(server.cli(&["GET", "user:1"]), "");
//! ```

mod dns;
mod ports;
mod proc;
mod reaper;
mod redis;
mod tools;
mod wait;

pub use dns::{DnsMood, DnsRecord, DnsServer};
pub use ports::free_port;
pub use proc::Daemon;
pub use redis::{RedisOptions, RedisServer, make_certificates};
pub use tools::{
    Missing, Node, node_with_ioredis, openssl, python, redis_benchmark, redis_cli, redis_server,
    require,
};
pub use wait::{TimedOut, until};
