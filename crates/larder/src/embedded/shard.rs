//! One shard of the embedded store: a table of records and the leases of its keys.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use larder_core::Version;
use larder_core::codec::CodecId;
use larder_core::record::{Kind, Record};
use larder_core::runtime::Timestamp;
use larder_core::tag::{Cut, Tags};

use super::data::Data;
use super::room::Room;

/// What a record costs beside its allocation, at most: the slot, and its part of a table that has just
/// grown to twice its size.
const SLOT_COST: usize = mem::size_of::<Slot>() * 16 / 7;

/// The two counts before the bytes of a record.
const COUNTS: usize = 2 * mem::size_of::<usize>();

/// The most marks of a record that is read.
pub(super) const MOST_MARKS: u8 = 3;

/// A table is given back when it is this many times larger than its content needs.
const SHRINK_FACTOR: usize = 4;

#[derive(Default)]
pub(super) struct Shard {
    slots: HashTable<Slot>,
    /// Leases are few and short: beside the records, they cost nothing where there are none.
    pub(super) leases: Vec<LeaseSlot>,
    high_water: Version,
    /// What the records hold, and the table.
    bytes: usize,
    table: usize,
    expiring: usize,
    /// What all shards may hold, if there is a limit.
    room: Option<Arc<Room>>,
}

pub(super) struct LeaseSlot {
    pub(super) key: Box<[u8]>,
    pub(super) token: u64,
    pub(super) until: Timestamp,
    /// Somebody was refused it.
    pub(super) is_awaited: bool,
}

pub(super) struct Slot {
    hash: u64,
    data: Data,
    pub(super) version: Version,
    pub(super) created: Timestamp,
    /// 0 is for ever.
    fresh_until: u64,
    /// 0 is never.
    expires_at: u64,
    pub(super) origin: u32,
    pub(super) load_cost_ms: u32,
    pub(super) schema: u32,
    pub(super) codec: CodecId,
    pub(super) negative: bool,
    pub(super) marked_stale: bool,
    /// How often it was read lately, for who makes room.
    marks: AtomicU8,
    /// The records of RESP clients have neither; they pay a word for them.
    tagged: Option<Box<(Tags, Cut)>>,
}

impl Slot {
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at == 0 || now.0 < self.expires_at
    }

    pub(super) fn cut(&self) -> Cut {
        self.tagged
            .as_ref()
            .map_or(Cut::default(), |tagged| tagged.1)
    }

    pub(super) fn key(&self) -> &[u8] {
        self.data.key()
    }

    pub(super) fn ends(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let end = |ms: u64| (ms != 0).then_some(Timestamp(ms));
        (end(self.fresh_until), end(self.expires_at))
    }

    pub(super) fn record(&self) -> Record {
        let (fresh_until, expires_at) = self.ends();
        let (tags, cut) = self.tagged.as_deref().cloned().unwrap_or_default();
        Record {
            kind: if self.negative {
                Kind::Negative
            } else {
                Kind::Value
            },
            version: self.version,
            marked_stale: self.marked_stale,
            origin: self.origin,
            load_cost_ms: self.load_cost_ms,
            created: self.created,
            fresh_until,
            expires_at,
            codec: self.codec,
            schema: self.schema,
            tags,
            cut,
            value: self.data.value(),
        }
    }

    /// What it holds beside its place in the table.
    fn held(&self) -> usize {
        allocated(COUNTS + self.data.len())
    }

    /// The most that a record costs whose key and value have so many bytes.
    pub(super) fn cost_of(bytes: usize) -> usize {
        allocated(COUNTS + bytes) + SLOT_COST
    }

    /// It is read.
    pub(super) fn mark(&self) {
        let marks = self.marks.load(Ordering::Relaxed);
        if marks < MOST_MARKS {
            // Under the lock of its shard.
            self.marks.store(marks + 1, Ordering::Relaxed);
        }
    }

    /// Takes one of its marks; whether it had none.
    fn is_unread(&self) -> bool {
        let marks = self.marks.load(Ordering::Relaxed);
        self.marks.store(marks.saturating_sub(1), Ordering::Relaxed);
        marks == 0
    }
}

/// What the allocator takes for so many bytes. It has four sizes between a power of two and the next; and
/// an eighth more is gone in pages that are not quite full (measured with small values that come and go).
fn allocated(bytes: usize) -> usize {
    let step = match bytes {
        0..=128 => 16,
        _ => 1 << ((bytes - 1).ilog2() - 2),
    };
    let size = bytes.next_multiple_of(step);
    size + size / 8
}

/// The ends of a life as a slot keeps them. An end at 0 would read as "none"; 1 is as long gone.
fn end(at: Option<Timestamp>) -> u64 {
    at.map_or(0, |at| at.0.max(1))
}

impl Shard {
    /// An empty one, which shares this room with others.
    pub(super) fn within(room: Option<Arc<Room>>) -> Shard {
        Shard {
            room,
            ..Shard::default()
        }
    }

    /// Begins anew, as a server does that restarts empty.
    pub(super) fn restart(&mut self) {
        self.give(self.bytes);
        *self = Shard::within(self.room.take());
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn expiring(&self) -> usize {
        self.expiring
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    /// The version for a change at `now` of a key that has `stored`.
    pub(super) fn next_version(&mut self, now: Timestamp, stored: Version) -> Version {
        self.high_water = Version::next(now.0.saturating_mul(1_000), self.high_water, stored);
        self.high_water
    }

    /// The record of a key, if its life has not ended.
    pub(super) fn live(&self, hash: u64, key: &[u8], now: Timestamp) -> Option<&Slot> {
        self.slots
            .find(hash, |slot| slot.key() == key)
            .filter(|slot| slot.is_live(now))
    }

    /// Stores a record in place of whatever is there.
    pub(super) fn put(&mut self, hash: u64, key: &[u8], record: Record, keeps_cut: bool) {
        let slot = Slot {
            hash,
            data: Data::new(key, &record.value),
            version: record.version,
            created: record.created,
            fresh_until: end(record.fresh_until),
            expires_at: end(record.expires_at),
            origin: record.origin,
            load_cost_ms: record.load_cost_ms,
            schema: record.schema,
            codec: record.codec,
            negative: record.kind == Kind::Negative,
            marked_stale: record.marked_stale,
            marks: AtomicU8::new(0),
            tagged: keeps_cut.then(|| Box::new((record.tags, record.cut))),
        };
        self.take(slot.held());
        self.expiring += usize::from(slot.expires_at != 0);
        match self
            .slots
            .entry(hash, |old| old.key() == key, |slot| slot.hash)
        {
            Entry::Occupied(mut entry) => {
                let old = mem::replace(entry.get_mut(), slot);
                self.forget(&old);
            }
            Entry::Vacant(entry) => {
                entry.insert(slot);
                self.count_table();
            }
        }
    }

    /// Takes into account that the table may have another size.
    fn count_table(&mut self) {
        let size = allocated(self.slots.allocation_size());
        if size != self.table {
            let before = mem::replace(&mut self.table, size);
            self.take(size);
            self.give(before);
        }
    }

    /// Removes the live records that were not read since this was called last, and those whose life
    /// has ended; gives the number of the former.
    pub(super) fn remove_unread(&mut self, now: Timestamp) -> usize {
        let mut evicted = 0;
        self.remove_if(|slot| {
            let is_live = slot.is_live(now);
            let goes = slot.is_unread();
            evicted += usize::from(is_live && goes);
            goes || !is_live
        });
        evicted
    }

    fn take(&mut self, bytes: usize) {
        self.bytes += bytes;
        if let Some(room) = &self.room {
            room.take(bytes);
        }
    }

    fn give(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if let Some(room) = &self.room {
            room.give(bytes);
        }
    }

    /// Changes a live record in place; the bytes of key and value stay as they are.
    pub(super) fn alter(
        &mut self,
        hash: u64,
        key: &[u8],
        version: Version,
        change: impl FnOnce(&mut Slot),
    ) {
        if let Some(slot) = self.slots.find_mut(hash, |slot| slot.key() == key) {
            self.expiring -= usize::from(slot.expires_at != 0);
            slot.version = version;
            change(slot);
            self.expiring += usize::from(slot.expires_at != 0);
        }
    }

    pub(super) fn remove(&mut self, hash: u64, key: &[u8]) {
        if let Ok(entry) = self.slots.find_entry(hash, |slot| slot.key() == key) {
            let (slot, _) = entry.remove();
            self.forget(&slot);
        }
    }

    /// Removes the records that `gone` says, and the memory that they held; gives their number.
    pub(super) fn remove_if(&mut self, mut gone: impl FnMut(&Slot) -> bool) -> usize {
        let before = self.slots.len();
        let (mut bytes, mut expiring) = (0, 0);
        self.slots.retain(|slot| {
            let stays = !gone(slot);
            if !stays {
                bytes += slot.held();
                expiring += usize::from(slot.expires_at != 0);
            }
            stays
        });
        self.give(bytes);
        self.expiring -= expiring;
        if self.slots.capacity() > SHRINK_FACTOR * self.slots.len().max(4) {
            self.slots.shrink_to_fit(|slot| slot.hash);
            self.count_table();
        }
        before - self.slots.len()
    }

    fn forget(&mut self, slot: &Slot) {
        self.give(slot.held());
        self.expiring -= usize::from(slot.expires_at != 0);
    }
}

impl Slot {
    /// Holds as of this; nothing happens to a record that is held against nothing.
    pub(super) fn set_cut(&mut self, cut: Cut) {
        if let Some(tagged) = &mut self.tagged {
            tagged.1 = cut;
        }
    }

    pub(super) fn set_ends(&mut self, ends: (Option<Timestamp>, Option<Timestamp>)) {
        self.fresh_until = end(ends.0);
        self.expires_at = end(ends.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_rounded_as_the_allocator_does() {
        for (bytes, allocated_bytes) in [
            (0, 0),
            (1, 18),
            (16, 18),
            (128, 144),
            (129, 180),
            (257, 360),
            (1_024, 1_152),
            (1_056, 1_440),
            (100_000, 129_024),
        ] {
            assert_eq!(allocated(bytes), allocated_bytes, "{bytes}");
        }
    }
}
