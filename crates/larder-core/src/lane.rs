//! One lane of the bus, as its reader sees it: what has been applied, whether anything is missing,
//! and until when near copies may be used.
//!
//! A lane is the ordered log of changes of one shard. Its records carry the shard's incarnation
//! and a number that grows by one. A reader gets them pushed, possibly late, twice, out of order or
//! not at all; it also asks the shard every quarter of a second how far the log is. From these two
//! it knows, without any clock but its own monotonic one, that it has missed nothing:
//!
//! * A gap in the numbers is filled from the log; if the log no longer reaches back, everything
//!   that depends on the lane is dropped at once by raising the lane's generation.
//! * A poll sent at `t` that says "`n` records so far" grants a lease until `t` + Δ, but only once
//!   all `n` are applied. A near copy is used only under a lease. So a hit at any moment reflects
//!   every change acknowledged more than Δ earlier: such a change was in the log before the poll
//!   was sent, however the network behaved since.
//! * Another incarnation, or a log that has become shorter, means that the shard lost its memory:
//!   the generation is raised.
//!
//! Pure: time comes in, decisions come out.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::mutant::Mutant;
use crate::runtime::Mono;

/// How long a poll's answer keeps near copies usable, from the moment it was sent.
pub const LEASE: Duration = Duration::from_secs(1);

/// How often the shard is asked.
pub const POLL: Duration = Duration::from_millis(250);

/// Records beyond a gap that are remembered one by one. With more, the lane gives up on the gap.
const BEYOND: usize = 4096;

/// Where a log stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The life of the shard: another one has another log.
    pub incarnation: u64,
    /// The number of its newest record; 0 before the first.
    pub seq: u64,
}

/// What to do with a record that has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// It was applied before. Drop it.
    Duplicate,
    /// Apply it.
    Apply,
    /// Apply it, and fetch what lies between.
    ApplyAndReplay(Gap),
    /// It is of another life of the shard: everything of this lane has been dropped. Poll.
    Resync,
}

/// What to do with the answer to a poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Nothing is missing.
    Current,
    /// These records are missing. The lease is granted once they have been applied.
    Replay(Gap),
    /// Everything of this lane has been dropped; it continues from this position.
    Resync,
}

/// Records that are missing: from the first to the last of these numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// The first missing record.
    pub first: u64,
    /// The last missing record.
    pub last: u64,
}

/// A poll under way: what was known when it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PollSent {
    at: Mono,
    applied: u64,
}

/// The state of one lane.
#[derive(Debug)]
pub struct Lane {
    incarnation: Option<u64>,
    /// Every record up to here is applied.
    applied: u64,
    /// Records applied beyond a gap.
    beyond: BTreeSet<u64>,
    generation: u32,
    lease_until: Mono,
    /// The newest poll whose records are not all applied yet.
    waiting: Option<(Mono, u64)>,
    lease: Duration,
}

impl Default for Lane {
    fn default() -> Lane {
        Lane::new(LEASE)
    }
}

impl Lane {
    /// A lane that has heard nothing yet, and grants leases of this length.
    pub fn new(lease: Duration) -> Lane {
        Lane {
            incarnation: None,
            applied: 0,
            beyond: BTreeSet::new(),
            generation: 0,
            lease_until: Mono(0),
            waiting: None,
            lease,
        }
    }

    /// Near copies are of use only if they were made under this generation.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Near copies may be used before this.
    pub fn lease_until(&self) -> Mono {
        self.lease_until
    }

    /// Where the lane stands, once it knows its shard.
    pub fn position(&self) -> Option<Position> {
        self.incarnation.map(|incarnation| Position {
            incarnation,
            seq: self.applied,
        })
    }

    /// Whether this record is the next one, and none behind it was applied: then what it says of a
    /// key is the newest that is known here.
    pub fn is_next(&self, record: Position) -> bool {
        let follows =
            self.incarnation == Some(record.incarnation) && record.seq == self.applied + 1;
        follows && self.beyond.is_empty()
    }

    /// Whether this record will be told from a new one when it comes again. (Of records far behind a
    /// gap only so many are remembered; applying one of the others twice does no harm.)
    pub fn has_seen(&self, record: Position) -> bool {
        self.incarnation == Some(record.incarnation)
            && (record.seq <= self.applied || self.beyond.contains(&record.seq))
    }

    /// A record arrived. The caller applies it when told so, before it calls again.
    pub fn on_record(&mut self, record: Position) -> Arrival {
        if self.incarnation != Some(record.incarnation) && !Mutant::IgnoreIncarnation.is_active() {
            // Its place in the new log is only known from a poll.
            if self.incarnation.take().is_some() {
                self.drop_everything();
            }
            return Arrival::Resync;
        }
        if self.has_seen(record) {
            return Arrival::Duplicate;
        }
        if record.seq == self.applied + 1 || Mutant::IgnoreGaps.is_active() {
            self.advance(record.seq);
            return Arrival::Apply;
        }
        let gap = Gap {
            first: self.applied + 1,
            last: record.seq - 1,
        };
        // An early invalidation does no harm; remembering it keeps the replay short.
        if self.beyond.len() < BEYOND {
            self.beyond.insert(record.seq);
        }
        Arrival::ApplyAndReplay(gap)
    }

    /// Call when a poll is sent; give the result to [`Lane::on_poll`].
    pub fn poll(&self, now: Mono) -> PollSent {
        PollSent {
            at: now,
            applied: self.applied,
        }
    }

    /// The answer to a poll arrived.
    pub fn on_poll(&mut self, sent: PollSent, log: Position) -> Answer {
        let same_life = self.incarnation == Some(log.incarnation)
            || (self.incarnation.is_some() && Mutant::IgnoreIncarnation.is_active());
        // The log of one life only grows: shorter than what was applied before the question, it
        // is another one (an old dump, a replica that lagged).
        let is_ignored = Mutant::IgnoreRewind.is_active() || Mutant::IgnoreIncarnation.is_active();
        let went_back = log.seq < sent.applied && !is_ignored;
        if !same_life || went_back {
            self.restart_at(log);
            self.grant(sent.at);
            return Answer::Resync;
        }
        if log.seq <= self.applied || Mutant::LeaseBeforeReplay.is_active() {
            self.grant(sent.at);
        }
        if log.seq <= self.applied {
            return Answer::Current;
        }
        self.waiting = Some((sent.at, log.seq));
        Answer::Replay(Gap {
            first: self.applied + 1,
            last: log.seq,
        })
    }

    /// The records of a gap were fetched: `oldest` is the oldest number that the log still has.
    /// Call it before the fetched records are given to [`Lane::on_record`].
    pub fn on_replay(&mut self, gap: Gap, oldest: u64) {
        if oldest > gap.first && self.applied + 1 >= gap.first && self.applied < oldest - 1 {
            // The log was trimmed beyond what is missing here: nobody knows what it said. With all
            // copies dropped, it is as good as applied, and the lease stands.
            if !Mutant::IgnoreTrim.is_active() {
                self.generation = self.generation.wrapping_add(1);
            }
            self.advance(oldest - 1);
        }
    }

    /// The connection to the shard was lost: nothing is known until the next poll.
    pub fn fence(&mut self) {
        self.lease_until = Mono(0);
        self.waiting = None;
    }

    fn restart_at(&mut self, log: Position) {
        self.drop_everything();
        self.incarnation = Some(log.incarnation);
        self.applied = log.seq;
    }

    fn drop_everything(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.beyond.clear();
        self.fence();
    }

    /// Marks a record as applied, and all that follow it without a gap.
    fn advance(&mut self, seq: u64) {
        self.applied = self.applied.max(seq);
        self.beyond = self.beyond.split_off(&(self.applied + 1));
        while self.beyond.remove(&(self.applied + 1)) {
            self.applied += 1;
        }
        if let Some((sent, needed)) = self.waiting
            && self.applied >= needed
        {
            self.waiting = None;
            self.grant(sent);
        }
    }

    fn grant(&mut self, sent: Mono) {
        // As if the answer had come so late, and the lease began with it.
        let is_late = Mutant::LateGrant.is_active();
        let sent = sent.after(if is_late {
            self.lease / 2
        } else {
            Duration::ZERO
        });
        self.lease_until = self.lease_until.max(sent.after(self.lease));
    }
}

#[cfg(test)]
mod tests;
