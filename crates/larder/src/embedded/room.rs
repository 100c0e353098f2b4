//! How much an embedded store may hold, and what makes room.
//!
//! A hand goes round the shards, as that of a clock does (Corbató, "A Paging Experiment with the
//! Multics System", 1968): a record that was read since the hand came by loses one of its marks, and
//! one that has none goes. A record has three marks at most, so that what was read often stays for a
//! few rounds, and what was written once and never read goes first.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use larder_core::error::{Error, ErrorKind, Result};
use larder_core::store::{Batch, Put, Write};
use larder_core::units::show_bytes;

use super::Inner;
use super::shard::{MOST_MARKS, Slot};

/// Shards that one change visits, unless much too much is held: nobody's change waits for a whole
/// round.
const VISITS: usize = 32;
/// Much too much: more by this part of the limit.
const MUCH: usize = 16;

/// What is said when so much of a hundred is held, and again once it has been less.
const HIGH: usize = 80;
const LOW: usize = 70;

/// What an embedded store does when it is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// It evicts what was not read for longest.
    #[default]
    Evict,
    /// It takes no more values, with an error that begins with `OOM`. Removals go on.
    Refuse,
}

/// The most that an embedded store may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryLimit {
    /// In bytes: keys, values, and what records cost beside them.
    pub bytes: usize,
    /// What becomes of more.
    pub when_full: WhenFull,
}

impl MemoryLimit {
    /// So many bytes, beyond which records are evicted.
    pub fn bytes(bytes: usize) -> MemoryLimit {
        MemoryLimit {
            bytes,
            when_full: WhenFull::Evict,
        }
    }
}

/// What all shards together hold, and may.
pub(super) struct Room {
    pub(super) limit: MemoryLimit,
    held: AtomicUsize,
    hand: AtomicUsize,
    evicted: AtomicU64,
    is_high: AtomicBool,
}

impl Room {
    pub(super) fn of(limit: MemoryLimit) -> Room {
        Room {
            limit,
            held: AtomicUsize::new(0),
            hand: AtomicUsize::new(0),
            evicted: AtomicU64::new(0),
            is_high: AtomicBool::new(false),
        }
    }

    /// What has just been allocated.
    pub(super) fn take(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn give(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    fn surplus(&self) -> usize {
        self.held().saturating_sub(self.limit.bytes)
    }

    /// Says once that little room is left.
    fn look(&self) {
        let limit = self.limit.bytes;
        let held = self.held();
        let is_high = self.is_high.load(Ordering::Relaxed);
        let (high, low) = (limit / 100 * HIGH, limit / 100 * LOW);
        if !is_high && held > high {
            if !self.is_high.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    held,
                    limit,
                    "the store is four fifths full; at its limit {}",
                    match self.limit.when_full {
                        WhenFull::Evict => "it evicts what is read least",
                        WhenFull::Refuse => "it takes no more values",
                    }
                );
            }
        } else if is_high && held < low {
            self.is_high.store(false, Ordering::Relaxed);
        }
    }
}

impl Inner {
    /// Whether there is room for what a batch puts.
    pub(super) fn check_room(&self, batch: &Batch) -> Result<()> {
        let Some(room) = &self.room else {
            return Ok(());
        };
        let puts = batch.writes.iter().filter_map(|(key, write)| match write {
            Write::Put(put) => Some((key, put)),
            _ => None,
        });
        for (key, put) in puts {
            self.check_put(room, key, put)?;
        }
        Ok(())
    }

    /// Whether there is room for a value.
    pub(super) fn check_fill(&self, key: &[u8], put: &Put) -> Result<()> {
        let room = self.room.as_ref();
        room.map_or(Ok(()), |room| self.check_put(room, key, put))
    }

    fn check_put(&self, room: &Room, key: &[u8], put: &Put) -> Result<()> {
        let limit = room.limit.bytes;
        let cost = Slot::cost_of(key.len() + put.value.len());
        if cost > limit {
            let message = format!(
                "OOM a value of {} does not fit into the {} that the store may hold",
                show_bytes(put.value.len() as u64),
                show_bytes(limit as u64)
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        if room.limit.when_full == WhenFull::Refuse && room.surplus() > 0 {
            let message = format!(
                "OOM the store holds the {} that it may; remove something, or give it more",
                show_bytes(limit as u64)
            );
            return Err(Error::new(ErrorKind::Refused, message));
        }
        Ok(())
    }

    /// Evicts until what is held is within the limit, or nearly.
    pub(super) fn make_room(&self) {
        let Some(room) = &self.room else { return };
        room.look();
        if room.limit.when_full == WhenFull::Evict {
            self.evict(room);
        }
    }

    /// The same after others have written what nobody can refuse: there is a bound for that, too.
    #[cfg(feature = "mesh")]
    pub(super) fn make_room_for_others(&self) {
        let Some(room) = &self.room else { return };
        let is_much = room.surplus() > room.limit.bytes / MUCH;
        if is_much || room.limit.when_full == WhenFull::Evict {
            self.evict(room);
        }
    }

    fn evict(&self, room: &Room) {
        let now = self.now();
        // After so many rounds no record has a mark: what is left is held beside the store.
        let most = (usize::from(MOST_MARKS) + 1) * self.shards.len();
        for visited in 0..most {
            let surplus = room.surplus();
            let is_much = surplus > room.limit.bytes / MUCH;
            if surplus == 0 || visited >= VISITS && !is_much {
                return;
            }
            let at = room.hand.fetch_add(1, Ordering::Relaxed) % self.shards.len();
            let evicted = self.shards[at].lock().remove_unread(now);
            room.evicted.fetch_add(evicted as u64, Ordering::Relaxed);
        }
    }
}
