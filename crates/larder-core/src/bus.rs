//! The bus of a shard: the ordered log of its changes, written by the store itself in the same
//! step as the change, so that the two cannot diverge.
//!
//! [`crate::lane`] says how a reader knows that it has missed nothing.

use bytes::Bytes;

use crate::lane::{Gap, Position};
use crate::runtime::BoxFuture;
use crate::store::Pending;
use crate::version::Version;

/// Records that a log keeps at least, if its server has the memory: enough for a reader that was
/// away for some time to catch up instead of dropping everything.
pub const LOG_LENGTH: usize = 65_536;

/// One record: what one batch has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusRecord {
    /// Its place in the log.
    pub position: Position,
    /// The changes, in order.
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

/// Records pushed by the shard: quick, and without any promise.
pub trait Subscription: Send {
    /// The next record; `None` when the subscription is lost (subscribe again). Dropping the
    /// future loses nothing.
    fn next(&mut self) -> BoxFuture<'_, Option<BusRecord>>;
}

/// Reading the log of a shard.
pub trait Bus: Send + Sync {
    /// Where the log stands now. One round trip. Creates the log if the shard has none.
    fn poll(&self) -> Pending<'_, Position>;

    /// Reads records again. One round trip.
    fn replay(&self, gap: Gap) -> Pending<'_, Replay>;

    /// Asks for all records from now on to be pushed. Once this is done, every record that a
    /// later poll mentions is on its way, unless it gets lost.
    fn subscribe(&self) -> Pending<'_, Box<dyn Subscription>>;
}
