//! What a session holds so that it sees its own changes, and never goes back behind what it has
//! read, whichever node it talks to.
//!
//! A ticket says two things. *Marks*: in the log of this cache everything up to here must have been
//! heard of. *Floors*: of this key nothing older than this version must be given. A near copy is
//! used only if the node that holds it can show both; otherwise the remote tier is asked, which has
//! every change that was ever acknowledged. So a ticket that is wrong, old or forged costs round
//! trips, as a miss does, and has no other effect: it is no secret and no permission, and needs no
//! signature.
//!
//! It is small and stays small. Where it would have to forget a mark, it asks for the remote tier
//! from then on ([`Ticket::is_strict`]); of floors it keeps the newest [`MAX_FLOORS`].

mod text;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::lane::Position;
use crate::version::Version;

/// Most places in logs that a ticket holds.
pub const MAX_MARKS: usize = 12;

/// Most keys of which a ticket remembers what was read.
pub const MAX_FLOORS: usize = 24;

/// Longest text of a ticket, in bytes: it travels in a header of HTTP.
pub const MAX_TEXT_BYTES: usize = 1024;

/// The place of a change that has none: no log has this incarnation.
const NOWHERE: Position = Position {
    incarnation: 0,
    seq: 0,
};

/// The seed of the hashes below; another one would be another format.
const SEED: u64 = 0x6c61_7264_6572_0002;

/// The lane that a cache with this name follows, the same on every node.
pub fn lane_of(cache: &str) -> u64 {
    xxh3_64_with_seed(cache.as_bytes(), SEED)
}

/// What a ticket calls the key that is stored under this one. Two keys that happen to be called the
/// same cost round trips.
pub fn key_of(stored: &[u8]) -> u64 {
    xxh3_64_with_seed(stored, SEED)
}

/// A place in the log that a lane follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mark {
    lane: u64,
    position: Position,
}

/// The oldest version of a key that may be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Floor {
    key: u64,
    version: Version,
}

/// Places in logs, and versions of keys, behind which its holder must not be taken back.
///
/// It is written as text by [`Display`](std::fmt::Display) and read by
/// [`FromStr`](std::str::FromStr): at most [`MAX_TEXT_BYTES`] letters, digits, `-` and `_`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticket {
    marks: Vec<Mark>,
    /// The last one is the newest.
    floors: Vec<Floor>,
    strict: bool,
}

impl Ticket {
    /// A ticket that asks for nothing.
    pub fn new() -> Ticket {
        Ticket::default()
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty() && self.floors.is_empty() && !self.strict
    }

    /// Whether it holds more than it could remember, so that no near copy will do.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// The holder has made, or heard of, the change with this place in the log of `lane`, later
    /// than all that the ticket says so far. `None` for a change that no log told of: nobody can
    /// show that it was heard of, and the remote tier is asked until a later change has a place.
    pub fn passed(&mut self, lane: u64, position: Option<Position>) {
        let position = position.unwrap_or(NOWHERE);
        // A log has one life after the other: what the ticket says of others is over, and whoever
        // follows this one has dropped all copies since.
        let is_over =
            |mark: &Mark| mark.lane == lane && mark.position.incarnation != position.incarnation;
        self.marks.retain(|mark| !is_over(mark));
        self.mark(Mark { lane, position });
    }

    /// The holder was given this version of a key ([`key_of`]). [`Version::ZERO`] says nothing.
    pub fn saw(&mut self, key: u64, version: Version) {
        if version != Version::ZERO {
            self.floor(Floor { key, version });
        }
    }

    /// Takes over what another ticket asks for: a holder of both may be taken back behind neither.
    pub fn merge(&mut self, other: &Ticket) {
        self.strict |= other.strict;
        other.marks.iter().for_each(|mark| self.mark(*mark));
        other.floors.iter().for_each(|floor| self.floor(*floor));
    }

    /// Whether everything that it asks for has been heard of in a cache that follows `lane` and has
    /// applied everything up to `applied`.
    pub fn is_reached(&self, lane: u64, applied: Option<Position>) -> bool {
        let is_reached = |mark: &Mark| match applied {
            Some(applied) if applied.incarnation == mark.position.incarnation => {
                applied.seq >= mark.position.seq
            }
            // Another life of this lane's log, before or after the one that is followed here, or
            // another lane's log, which is that lane's business.
            _ => mark.lane != lane,
        };
        !self.strict && self.marks.iter().all(is_reached)
    }

    /// The oldest version of the key that is called `key` that may be given.
    pub fn floor_of(&self, key: u64) -> Version {
        let floor = self.floors.iter().find(|floor| floor.key == key);
        floor.map_or(Version::ZERO, |floor| floor.version)
    }

    fn mark(&mut self, mark: Mark) {
        let same = |other: &&mut Mark| {
            other.lane == mark.lane && other.position.incarnation == mark.position.incarnation
        };
        if let Some(known) = self.marks.iter_mut().find(same) {
            known.position.seq = known.position.seq.max(mark.position.seq);
        } else if self.marks.len() < MAX_MARKS {
            self.marks.push(mark);
        } else {
            self.strict = true;
        }
    }

    fn floor(&mut self, mut floor: Floor) {
        if let Some(at) = self.floors.iter().position(|known| known.key == floor.key) {
            floor.version = floor.version.max(self.floors.remove(at).version);
        } else if self.floors.len() == MAX_FLOORS {
            self.floors.remove(0);
        }
        self.floors.push(floor);
    }
}

#[cfg(test)]
mod tests;
