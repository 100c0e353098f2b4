//! The bus of a shard: the ordered log of its changes, written by the store itself in the same
//! step as the change, so that the two cannot diverge.
//!
//! [`crate::lane`] says how a reader knows that it has missed nothing.

mod reader;

use bytes::Bytes;

use crate::lane::{Gap, Position};
use crate::record::Record;
use crate::runtime::{BoxFuture, Timestamp};
use crate::store::Pending;
use crate::version::Version;

pub use reader::{Hearing, Reader, Readers, Seen, fenced_after};

/// Records that a log keeps at least, if its server has the memory: enough for a reader that was
/// away for some time to catch up instead of dropping everything.
pub const LOG_LENGTH: usize = 65_536;

/// Most bytes of records (header and payload) that travel with one pushed record: a reader that
/// lags behind a thousand of them holds 64 MiB.
pub const MAX_CARRIED: usize = 64 * 1024;

/// Most readers that a shard keeps. Whoever comes then is refused: a reader that the shard does
/// not know of must not rely on its log, because nobody would wait for it.
pub const MAX_READERS: usize = 4096;

/// A reader that has not polled for so many milliseconds is forgotten.
pub const READER_LIFE_MS: u64 = 60_000;

/// One record: what one batch has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusRecord {
    /// Its place in the log.
    pub position: Position,
    /// The node that made the changes; 0 when unknown.
    pub origin: u32,
    /// When it was written, on the shard's clock.
    pub written: Timestamp,
    /// The changes, in order. None in a record that only shows who reads the log.
    pub changes: Vec<BusChange>,
}

/// One changed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusChange {
    /// The stored key ([`crate::space::Space::stored`]).
    pub key: Bytes,
    /// The version that the change gave it.
    pub version: Version,
    /// What older copies are still good for.
    pub kind: ChangeKind,
    /// The record that took their place, where its writer let it travel along
    /// ([`crate::store::Batch::carry`]). Only with what is pushed; the log keeps no values.
    pub carried: Option<Box<Record>>,
}

impl BusChange {
    /// A change that carries nothing.
    pub fn new(key: Bytes, version: Version, kind: ChangeKind) -> BusChange {
        BusChange {
            key,
            version,
            kind,
            carried: None,
        }
    }
}

/// What a change means for older copies of its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeKind {
    /// Another value, or another life, took their place.
    Replaced,
    /// They must never be used again.
    Removed,
    /// Only fail-safe may use them.
    Expired,
    /// Copies of all keys that begin with this one must never be used again.
    Cleared,
    /// The key is that of a tag; entries with an older cut that name it are void.
    TagBumped,
}

/// A part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The life of the shard that answered.
    pub incarnation: u64,
    /// The oldest number that the log still has; with an empty log, the next one.
    pub oldest: u64,
    /// The records asked for that are still there, in order. May be cut short: ask again from
    /// where it ends.
    pub records: Vec<BusRecord>,
}

/// What a shard pushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// A record of the log.
    Record(BusRecord),
    /// Somebody waits for all readers to say how far they are: poll now.
    Nudge,
}

/// What is pushed by the shard: quick, and without any promise.
pub trait Subscription: Send {
    /// The next message; `None` when the subscription is lost (subscribe again). Dropping the
    /// future loses nothing.
    fn next(&mut self) -> BoxFuture<'_, Option<Pushed>>;
}

/// Reading the log of a shard.
pub trait Bus: Send + Sync {
    /// Where the log stands now. One round trip. Creates the log if the shard has none.
    ///
    /// The same step enters `reader` into the list of those who read, with the shard's time, or
    /// takes it off if it leaves. Fails if there are [`MAX_READERS`] others.
    fn poll<'a>(&'a self, reader: &'a Reader) -> Pending<'a, Position>;

    /// Reads records again. One round trip.
    fn replay(&self, gap: Gap) -> Pending<'_, Replay>;

    /// Asks for all records from now on to be pushed. Once this is done, every record that a
    /// later poll mentions is on its way, unless it gets lost.
    fn subscribe(&self) -> Pending<'_, Box<dyn Subscription>>;

    /// Who reads the log. One round trip. Forgets those who have not polled for
    /// [`READER_LIFE_MS`].
    fn readers(&self) -> Pending<'_, Readers>;

    /// Asks all subscribers to poll at once. One message, which may get lost.
    fn nudge(&self) -> Pending<'_, ()>;
}
