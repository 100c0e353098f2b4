//! The bus of a shard: the ordered log of its changes, written by the store itself in the same
//! step as the change, so that the two cannot diverge.
//!
//! [`crate::lane`] says how a reader knows that it has missed nothing.

mod reader;

use bytes::{BufMut, Bytes, BytesMut};

use crate::area::Area;
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
    /// The key is that of a cache's areas, and behind it a 0 and the area ([`voided`]): what it
    /// covers is void.
    Voided,
}

/// The key of a [`ChangeKind::Voided`]: the stored key for the areas of the cache, then a 0, the
/// letter of the area's kind and its bytes.
pub fn voided_key(cache: &[u8], area: &Area) -> Bytes {
    let (kind, bytes) = area.parts();
    let mut out = BytesMut::with_capacity(cache.len() + 2 + bytes.len());
    out.put_slice(cache);
    out.put_u8(0);
    out.put_u8(kind);
    out.put_slice(bytes);
    out.freeze()
}

/// The stored key for areas, and the area, of a [`ChangeKind::Voided`]; `None` if it cannot be read.
pub fn voided(key: &Bytes) -> Option<(Bytes, Area)> {
    // The first two bytes mark a system key; names contain no 0.
    let end = 2 + key.get(2..)?.iter().position(|byte| *byte == 0)?;
    let area = Area::from_parts(*key.get(end + 1)?, key.slice(end + 2..))?;
    Some((key.slice(..end), area))
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
    /// The lease of this stored key is free, filled or given back, and somebody was refused it
    /// ([`crate::store::Lease::Taken`]) since it was given: ask again now.
    Free(Bytes),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::area::area_key;

    #[test]
    fn voided_areas_read_back_and_nothing_else_does() {
        let cache = area_key("app:users");
        for area in [Area::ALL, Area::pattern(b"a*\0b").unwrap()] {
            let key = voided_key(&cache, &area);
            assert_eq!(voided(&key), Some((cache.clone(), area)));
        }
        for key in [
            &b""[..],
            b"\0s",
            b"\0sarea:c",
            b"\0sarea:c\0",
            b"\0sarea:c\0?",
        ] {
            assert_eq!(voided(&Bytes::from_static(key)), None);
        }
    }
}
