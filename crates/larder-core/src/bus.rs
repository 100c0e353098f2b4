//! The bus of a shard: the ordered log of its changes, written by the store itself in the same
//! step as the change, so that the two cannot diverge.
//!
//! [`crate::lane`] says how a reader knows that it has missed nothing.

use bytes::{BufMut, Bytes, BytesMut};

use crate::area::Area;
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
