//! Larder's remote tier on one Redis or Valkey server.
//!
//! [`Redis`] says where the server is and how much may be asked of it; nothing is opened before
//! the first command, so a dead server never delays a start. From it comes one of two stores:
//!
//! * [`RedisStore`], the enveloped layout: records with versions, leases and checksums, changed
//!   by scripts that run on the server (`docs/wire-format.md`);
//! * [`PlainStore`], the plain layout: values as they are, for programs in other languages that
//!   read and write the same keys. It knows no leases and keeps nothing stale.
//!
//! Redis 6.0 or later, or any Valkey (tested with Redis 7.0). An ACL user needs `GET MGET GETRANGE
//! SET SETRANGE UNLINK PEXPIRE PEXPIREAT PERSIST PTTL HGET HMGET HSET HDEL TIME EVAL EVALSHA` for
//! records, `SCAN RANDOMKEY` for listing and clearing, `INFO HGETALL HINCRBY HLEN XADD XRANGE PUBLISH
//! SUBSCRIBE PING` and the channel of the shard for the bus, `INFO HLEN PUBLISH SUBSCRIBE` and the channel
//! of locks for locks, `INCRBY` for counters, and for the plain layout `STRLEN EXISTS TYPE`.
//!
//! Reading order: [`config`](Redis) parses; `connect` opens, `line` is one open connection over
//! its `carrier`, `link` keeps one alive for all commands, `pool` a few more for slow ones; `tier`
//! is what the stores share; `store`, `browse` and `plain` are the stores; `bus` is the log of one
//! of them; `inspect` asks about the server itself. The feature `wire` is for simulation: something
//! else than sockets to a server.

#![forbid(unsafe_code)]

mod config;
mod secret;

mod carrier;
mod connect;
mod fault;
mod gate;
mod line;
mod link;
mod pace;
mod pool;
#[cfg(feature = "wire")]
pub mod wire;

mod clock;
mod keys;
mod reply;
mod scripts;
mod tier;

mod browse;
mod bus;
mod plain;
mod store;

mod inspect;

pub use config::Redis;
pub use inspect::{AddressParts, Answer, Denied, Inspector, Purpose};
pub use plain::PlainStore;
pub use store::RedisStore;

/// The page on the breaker: its example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/breaker.md")]
mod page {}
