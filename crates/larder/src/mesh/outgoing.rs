//! The changes that are made here, on their way into the log of the mesh.

use std::collections::VecDeque;

use ::bytes::Bytes;
use larder_core::bus::{BusChange, LOG_LENGTH};
use larder_core::error::Result;
use larder_core::lane::Position;
use larder_core::mutant::Mutant;
use larder_mesh::MeshLog;
use parking_lot::Mutex;

use super::record;
use crate::embedded::Tap;

/// Records in the order in which they were made. Each is given its number in the lane of this member
/// before it is appended: the lane has no other writer.
#[derive(Default)]
pub(super) struct Outgoing {
    made: Mutex<Made>,
    /// Held by whoever appends.
    sending: Mutex<()>,
}

#[derive(Default)]
struct Made {
    waiting: VecDeque<Bytes>,
    /// The number of the newest record.
    newest: u64,
    /// The places of changes in the log of the store here, with the numbers of their last records.
    places: VecDeque<(u64, Position)>,
    /// The newest number whose place was forgotten.
    forgotten: u64,
    /// The newest number that has no place, since nobody read the log here when it was made.
    unplaced: u64,
}

impl Tap for Outgoing {
    fn made(&self, changes: &[BusChange], origin: u32, position: Option<Position>) {
        self.push(record::encode(origin, changes), position);
    }
}

impl Outgoing {
    /// Adds the records of one change, which has this place in the log of the store here.
    pub(super) fn push(&self, records: Vec<Bytes>, position: Option<Position>) {
        let mut made = self.made.lock();
        made.newest += records.len() as u64;
        made.waiting.extend(records);
        if position.is_none() && !Mutant::UnplacedHeard.is_active() {
            made.unplaced = made.newest;
        }
        if let Some(position) = position {
            let newest = made.newest;
            made.places.push_back((newest, position));
            if made.places.len() > LOG_LENGTH
                && let Some((number, _)) = made.places.pop_front()
            {
                made.forgotten = number;
            }
        }
    }

    /// The number of the newest record: whatever this thread has changed before the call has one up
    /// to this.
    pub(super) fn newest(&self) -> u64 {
        self.made.lock().newest
    }

    /// Appends everything that waits, in order.
    pub(super) fn send(&self, log: &MeshLog) -> Result<()> {
        let _sending = self.sending.lock();
        loop {
            let Some(record) = self.made.lock().waiting.front().cloned() else {
                return Ok(());
            };
            // If it is refused it stays, and is sent with the next.
            log.append(record)?;
            self.made.lock().waiting.pop_front();
        }
    }

    /// The place in the log here up to which a reader has heard of everything that was made here, if
    /// it has applied everything up to this number of the lane. `now` is where the log stood before
    /// the call.
    pub(super) fn place(&self, applied: u64, now: Position) -> Option<Position> {
        let made = self.made.lock();
        // Others may read, and no place here is behind such a change.
        if applied < made.forgotten.max(made.unplaced) {
            return None;
        }
        let next = made.places.iter().find(|(number, _)| *number > applied);
        match next {
            None => Some(now),
            // What it has not heard of is of an earlier life of the log here.
            Some((_, place)) if place.incarnation != now.incarnation => None,
            Some((_, place)) => Some(Position {
                seq: place.seq - 1,
                ..now
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(incarnation: u64, seq: u64) -> Position {
        Position { incarnation, seq }
    }

    #[test]
    fn how_far_a_reader_is_here_follows_from_how_far_it_is_in_the_lane() {
        let outgoing = Outgoing::default();
        let made = |position| outgoing.made(&[], 0, position);
        // Others change as well: places grow by more than one.
        made(None);
        made(Some(at(7, 3)));
        made(Some(at(7, 9)));
        let now = at(7, 12);
        let place = |applied| outgoing.place(applied, now);
        assert_eq!(outgoing.newest(), 3);
        assert_eq!(place(0), None, "of the first nobody can tell here");
        assert_eq!(place(1), Some(at(7, 2)));
        assert_eq!(place(2), Some(at(7, 8)));
        assert_eq!(place(3), Some(now));
        // Another life of the log here: only who has heard of all of the former one is in it.
        made(Some(at(8, 2)));
        let now = at(8, 5);
        let place = |applied| outgoing.place(applied, now);
        assert_eq!((place(1), place(2)), (None, None));
        assert_eq!((place(3), place(4)), (Some(at(8, 1)), Some(now)));
    }

    #[test]
    fn of_forgotten_places_nobody_can_tell() {
        let outgoing = Outgoing::default();
        for seq in 1..=LOG_LENGTH as u64 + 2 {
            outgoing.made(&[], 0, Some(at(7, seq)));
            outgoing.made.lock().waiting.clear();
        }
        let now = at(7, LOG_LENGTH as u64 + 2);
        assert_eq!(outgoing.place(1, now), None);
        assert_eq!(outgoing.place(2, now), Some(at(7, 2)));
    }
}
