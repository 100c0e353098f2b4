//! Changes that others have made, done here: what was here of their keys is void, and the log tells
//! so to whoever reads it.

use bytes::Bytes;
use larder_core::bus::{BusChange, ChangeKind, voided};
use larder_core::lane::Position;
use larder_core::store::{Batch, Committed, Write};

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
