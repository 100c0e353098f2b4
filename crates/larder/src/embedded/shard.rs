//! One shard of the embedded store: a table of records and the leases of its keys.

use std::mem;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use larder_core::Version;
use larder_core::codec::CodecId;
use larder_core::record::{Kind, Record};
use larder_core::runtime::Timestamp;
use larder_core::tag::{Cut, Tags};

use super::data::Data;

/// What a record costs beside the bytes of key and value: the slot, its part of the table, and
/// the counts and the rounding of the allocation.
const SLOT_COST: usize = mem::size_of::<Slot>() * 8 / 7 + 24;

/// A table is given back when it is this many times larger than its content needs.
const SHRINK_FACTOR: usize = 4;

#[derive(Default)]
pub(super) struct Shard {
    slots: HashTable<Slot>,
    /// Leases are few and short: beside the records, they cost nothing where there are none.
    pub(super) leases: Vec<LeaseSlot>,
    high_water: Version,
    bytes: usize,
    expiring: usize,
    /// Most bytes, if there is a limit.
    most: Option<usize>,
}

pub(super) struct LeaseSlot {
    pub(super) key: Box<[u8]>,
    pub(super) token: u64,
    pub(super) until: Timestamp,
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

    fn cost(&self) -> usize {
        self.data.len() + SLOT_COST
    }
}

/// The ends of a life as a slot keeps them. An end at 0 would read as "none"; 1 is as long gone.
fn end(at: Option<Timestamp>) -> u64 {
    at.map_or(0, |at| at.0.max(1))
}

impl Shard {
    /// An empty one that holds at most so many bytes.
    pub(super) fn within(most: Option<usize>) -> Shard {
        Shard {
            most,
            ..Shard::default()
        }
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
            tagged: keeps_cut.then(|| Box::new((record.tags, record.cut))),
        };
        self.bytes += slot.cost();
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
            }
        }
    }

    /// Removes arbitrary other records until what is left is within the limit; the record of this key
    /// goes last.
    pub(super) fn fit(&mut self, hash: u64, key: &[u8]) {
        while self.most.is_some_and(|most| self.bytes > most) {
            // The order of the table is that of the hashes: as good as drawn by lot.
            let other = self.slots.iter().find(|slot| slot.key() != key);
            let victim = other.map(|slot| (slot.hash, slot.key().to_vec()));
            match victim {
                Some((hash, key)) => self.remove(hash, &key),
                None => return self.remove(hash, key),
            }
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
                bytes += slot.cost();
                expiring += usize::from(slot.expires_at != 0);
            }
            stays
        });
        self.bytes -= bytes;
        self.expiring -= expiring;
        if self.slots.capacity() > SHRINK_FACTOR * self.slots.len().max(4) {
            self.slots.shrink_to_fit(|slot| slot.hash);
        }
        before - self.slots.len()
    }

    fn forget(&mut self, slot: &Slot) {
        self.bytes -= slot.cost();
        self.expiring -= usize::from(slot.expires_at != 0);
    }
}

impl Slot {
    pub(super) fn set_ends(&mut self, ends: (Option<Timestamp>, Option<Timestamp>)) {
        self.fresh_until = end(ends.0);
        self.expires_at = end(ends.1);
    }
}
