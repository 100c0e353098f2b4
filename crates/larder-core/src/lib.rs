//! The pure centre of Larder: words and decisions.
//!
//! Nothing here reads a clock, draws a random number, opens a socket or awaits anything but what
//! it is handed. Time, randomness and tasks come in through [`Runtime`]; places that keep values
//! are behind [`store::Store`]. What is decided here (may this value be kept? is it fresh? is it
//! damaged?) is therefore the same in production and in simulation, and is tested as tables.
//!
//! Reading order: [`key`] and [`space`] name things, [`record`] and [`envelope`] say what is kept
//! and how it looks as bytes, [`version`], [`freshness`], [`refresh`], [`admit`] and [`tombstone`] decide,
//! [`store`], [`outbox`] and [`runtime`] are the joints; [`lock`], [`rate`] and [`counter`] are what a
//! store may offer beside records.

#![forbid(unsafe_code)]

pub mod glob;
pub mod key;
pub mod space;

pub mod envelope;
pub mod record;

pub mod admit;
pub mod area;
pub mod backlog;
pub mod breaker;
pub mod freshness;
pub mod lane;
pub mod refresh;
pub mod tag;
pub mod ticket;
pub mod tombstone;
pub mod version;

pub mod bus;
pub mod codec;
pub mod counter;
pub mod lock;
pub mod mesh;
pub mod outbox;
pub mod rate;
pub mod runtime;
pub mod store;

pub mod error;
pub mod limits;
pub mod mutant;
pub mod nearest;
pub mod units;

pub use codec::{Codec, CodecId};
pub use error::{Error, ErrorKind, Result};
pub use key::Key;
pub use record::{Kind, Record};
pub use runtime::{BoxFuture, Mono, Runtime, Timestamp};
pub use version::Version;
