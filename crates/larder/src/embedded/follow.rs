//! Changes that others have made, done here: what was here of their keys is void, and the log tells
//! so to whoever reads it.

use std::collections::HashSet;

use bytes::Bytes;
use larder_core::bus::{BusChange, ChangeKind, voided};
use larder_core::error::Result;
use larder_core::lane::Position;
use larder_core::space::Space;
use larder_core::store::{Batch, Committed, Put, Write};

use super::Embedded;

impl Embedded {
    /// Does what others have changed: records are removed or marked stale, leases revoked, tags and
    /// areas given numbers of this store. Gives the place in the log, if that is read. Doing it twice
    /// costs misses and nothing else.
    pub(crate) fn follow(&self, origin: u32, changes: Vec<BusChange>) -> Option<Position> {
        let mut part = Part::new(origin);
        // A record without changes shows who reads.
        part.batch.probe = changes.is_empty();
        let mut position = None;
        for change in changes {
            if change.kind == ChangeKind::Cleared {
                position = self.follow_part(&mut part).or(position);
                self.inner.clear_prefix(change.key);
                position = self.position().or(position);
            } else {
                part.add(change);
            }
        }
        self.follow_part(&mut part).or(position)
    }

    fn follow_part(&self, part: &mut Part) -> Option<Position> {
        let (batch, kinds) = part.take();
        if batch.writes.is_empty() && !batch.probe {
            return None;
        }
        match self.inner.commit_as(batch, Some(&kinds)) {
            Committed::Done(outcomes) => outcomes.position,
            Committed::Refused(_) => unreachable!("a batch without checks is never refused"),
        }
    }
}

/// A record as another node has it: its version, cut and moment are given here.
pub(crate) struct Placed {
    pub(crate) put: Put,
    /// Only fail-safe may use it.
    pub(crate) is_stale: bool,
}

impl Embedded {
    /// Puts what another node has put, and evicts nothing yet.
    pub(crate) fn place(&self, key: Bytes, origin: u32, placed: Placed) -> Option<Position> {
        let mut batch = Batch::one(key.clone(), Write::Put(placed.put)).by(origin);
        let mut kinds = vec![ChangeKind::Replaced];
        if placed.is_stale {
            batch.writes.push((key, Write::Expire));
            kinds.push(ChangeKind::Expired);
        }
        match self.inner.apply(batch, Some(&kinds)) {
            Committed::Done(outcomes) => outcomes.position,
            Committed::Refused(_) => unreachable!("a batch without checks is never refused"),
        }
    }

    /// When the life of a record ends, `u64::MAX` if never.
    pub(crate) fn end_of(&self, key: &[u8]) -> Option<u64> {
        let (inner, hash) = (&self.inner, self.inner.hasher.hash(key));
        let shard = inner.shards[inner.shard_of(hash)].lock();
        let slot = shard.live(hash, key, inner.now())?;
        Some(slot.ends().1.map_or(u64::MAX, |end| end.0))
    }

    /// Commits a batch, and evicts nothing yet.
    pub(crate) fn write(&self, batch: Batch) -> Result<Committed> {
        self.inner.check_room(&batch)?;
        Ok(self.inner.apply(batch, None))
    }

    /// Makes room, here and for what is written from now on.
    pub(crate) fn make_room(&self) {
        self.inner.make_room();
    }

    /// The same after others have written.
    pub(crate) fn make_room_for_others(&self) {
        self.inner.make_room_for_others();
    }

    /// Counts memory against the limit that was, and is now, held for the store outside of it.
    pub(crate) fn count_beside(&self, before: usize, after: usize) {
        if let Some(room) = &self.inner.room {
            room.take(after);
            room.give(before);
        }
    }

    /// Removes what another node has cleared, but for these keys.
    pub(crate) fn clear_but(&self, space: &Space, kept: &HashSet<Bytes>) {
        self.inner.clear_but(space, kept);
    }
}

/// Changes that are done together.
struct Part {
    batch: Batch,
    kinds: Vec<ChangeKind>,
}

impl Part {
    fn new(origin: u32) -> Part {
        Part {
            batch: Batch::default().by(origin),
            kinds: Vec::new(),
        }
    }

    fn add(&mut self, change: BusChange) {
        let (key, write): (Bytes, Write) = match change.kind {
            ChangeKind::Replaced | ChangeKind::Removed | ChangeKind::Cleared => {
                (change.key, Write::Remove { tombstone_ms: 0 })
            }
            ChangeKind::Expired => (change.key, Write::Expire),
            ChangeKind::TagBumped => (change.key, Write::Bump),
            ChangeKind::Voided => match voided(&change.key) {
                Some((cache, area)) => (cache, Write::Void(area)),
                // Nobody has such an area.
                None => return,
            },
        };
        self.batch.writes.push((key, write));
        self.kinds.push(change.kind);
    }

    fn take(&mut self) -> (Batch, Vec<ChangeKind>) {
        let next = Batch::default().by(self.batch.origin);
        let batch = std::mem::replace(&mut self.batch, next);
        (batch, std::mem::take(&mut self.kinds))
    }
}
