//! Which write of each key is the newest, on every node the same: the order of replicated values.
//!
//! A write has a stamp: a counter that exceeds all that its node had seen, the node, and its life. Of
//! two writes of a key the one with the greater stamp stays, whatever the order in which they arrive.
//! Removals are remembered like values, and so is that a whole space was cleared.
//!
//! Memory ends somewhere. Where something is forgotten, the *floor* rises to its stamp: what is not
//! known here and has a stamp up to that is taken for something that is gone, and is refused.
//!
//! Pure.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::mem;
use std::ops::Bound;

use ::bytes::Bytes;
use larder_core::mesh::{LaneId, NodeId};
use larder_core::space::Space;

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// LIMIT: most removals, and values that are not held.
    pub(super) gone: usize,
    /// LIMIT: bytes of these.
    pub(super) bytes_gone: usize,
    /// LIMIT: most clears.
    pub(super) clears: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            gone: 1 << 20,
            bytes_gone: usize::MAX,
            clears: 1024,
        }
    }
}

/// The place of a write among all of its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Stamp {
    pub(super) counter: u64,
    /// Whose. Two lives of a node may give the same counter.
    pub(super) lane: LaneId,
}

impl Stamp {
    /// Before every write.
    pub(super) const ZERO: Stamp = Stamp {
        counter: 0,
        lane: LaneId {
            node: NodeId(0),
            boot: 0,
        },
    };
}

/// What is known of a write. Of two with the same stamp the later kind stays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    /// A value, for which there was no room here.
    Unheld,
    /// A value.
    Live,
    /// None: it was removed, or its life is over.
    Absent,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) stamp: Stamp,
    pub(super) kind: Kind,
    /// The end of the life of the value, by the clock of the store.
    ends: u64,
}

impl Entry {
    pub(super) fn has_ended(&self, now: u64) -> bool {
        self.ends <= now
    }
}

/// The newest writes of all keys.
#[derive(Default, Debug)]
pub(super) struct Ledger {
    limits: Limits,
    counter: u64,
    entries: BTreeMap<Bytes, Entry>,
    /// The removals, and what is not held, in the order in which they came.
    gone: VecDeque<(Bytes, Stamp)>,
    clears: VecDeque<(Space, Stamp)>,
    floor: Stamp,
    /// Whether something was forgotten that others may have: then the floor says nothing to them.
    is_partial: bool,
    /// Bytes of everything, and of what is gone among it.
    used: usize,
    used_by_gone: usize,
    /// Up to where it was looked which values have ended.
    swept: Option<Bytes>,
}

impl Default for Stamp {
    fn default() -> Stamp {
        Stamp::ZERO
    }
}

/// What a key costs beside its bytes: its entry with its part of the tree, and the rounding of the
/// allocation.
const ENTRY_COST: usize = (mem::size_of::<Bytes>() + mem::size_of::<Entry>()) * 3 / 2 + 24;

/// What one that is gone costs beside that.
const GONE_COST: usize = mem::size_of::<(Bytes, Stamp)>() * 3 / 2;

impl Ledger {
    pub(super) fn within(limits: Limits) -> Ledger {
        Ledger {
            limits,
            ..Ledger::default()
        }
    }

    /// The stamp of a write that is made here now.
    pub(super) fn stamp(&mut self, lane: LaneId) -> Stamp {
        self.counter = self.counter.saturating_add(1);
        Stamp {
            counter: self.counter,
            lane,
        }
    }

    /// Others have come so far: whatever is written here from now on is behind it.
    pub(super) fn seen(&mut self, counter: u64) {
        self.counter = self.counter.max(counter);
    }

    pub(super) fn counter(&self) -> u64 {
        self.counter
    }

    /// Whether a write is the newest of its key; then it is noted.
    pub(super) fn accept(&mut self, key: &Bytes, stamp: Stamp, kind: Kind) -> bool {
        self.seen(stamp.counter);
        let known = self.entries.get(key);
        let is_known = match known {
            Some(entry) => (entry.stamp, entry.kind) >= (stamp, kind),
            None => stamp <= self.floor,
        };
        let is_cleared = |(space, clear): &(Space, Stamp)| space.contains(key) && *clear > stamp;
        if is_known || self.clears.iter().any(is_cleared) {
            return false;
        }
        self.note(key, stamp, kind);
        true
    }

    fn note(&mut self, key: &Bytes, stamp: Stamp, kind: Kind) {
        // What arrived shares a buffer with its neighbours, and keys are kept long.
        let key = Bytes::copy_from_slice(key);
        let ends = u64::MAX;
        let entry = Entry { stamp, kind, ends };
        if self.entries.insert(key.clone(), entry).is_none() {
            self.used += ENTRY_COST + key.len();
        }
        if kind != Kind::Live {
            self.used += GONE_COST;
            self.used_by_gone += gone_cost(&key);
            self.gone.push_back((key, stamp));
            self.forget();
        }
    }

    fn forget(&mut self) {
        let Limits {
            gone, bytes_gone, ..
        } = self.limits;
        while self.gone.len() > gone || self.used_by_gone > bytes_gone {
            let Some((key, stamp)) = self.gone.pop_front() else {
                return;
            };
            self.used -= GONE_COST;
            self.used_by_gone -= gone_cost(&key);
            let is_same = |entry: &&Entry| entry.kind != Kind::Live && entry.stamp == stamp;
            if let Some(entry) = self.entries.get(&key).filter(is_same) {
                self.is_partial |= entry.kind == Kind::Unheld;
                self.floor = self.floor.max(stamp);
                self.entries.remove(&key);
                self.used -= ENTRY_COST + key.len();
            }
        }
    }

    /// When the life of the value of a key ends, by the clock of the store.
    pub(super) fn ends(&mut self, key: &Bytes, ends: u64) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.ends = ends;
        }
    }

    /// Bytes that all of this takes.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// The record of a key is gone because it was void.
    pub(super) fn void(&mut self, key: &Bytes) {
        if let Some(entry) = self.entries.get(key).copied()
            && entry.kind == Kind::Live
        {
            self.note(key, entry.stamp, Kind::Absent);
        }
    }

    /// Whether the newest write of a key is a value.
    pub(super) fn is_live(&self, key: &Bytes) -> bool {
        let entry = self.entries.get(key);
        entry.is_some_and(|entry| entry.kind == Kind::Live)
    }

    /// Something was made void at this moment. Gives the keys that have newer values; most often there
    /// are none, and then it costs nothing.
    pub(super) fn newer(&mut self, stamp: Stamp) -> Vec<Bytes> {
        let is_newest = self.counter < stamp.counter;
        self.seen(stamp.counter);
        if is_newest {
            return Vec::new();
        }
        let newer = |(_, entry): &(&Bytes, &Entry)| entry.kind == Kind::Live && entry.stamp > stamp;
        let entries = self.entries.iter().filter(newer);
        entries.map(|(key, _)| key.clone()).collect()
    }

    /// Everything in a space that is older is gone. Gives the keys that are not; `None` if a later
    /// clear of all of this is known.
    pub(super) fn clear(&mut self, space: &Space, stamp: Stamp) -> Option<HashSet<Bytes>> {
        self.seen(stamp.counter);
        let covers = |wide: &Space| {
            wide.database == space.database && space.prefix.starts_with(&wide.prefix)
        };
        if self
            .clears
            .iter()
            .any(|(wide, clear)| covers(wide) && *clear >= stamp)
        {
            return None;
        }
        self.clears.retain(|(known, _)| known != space);
        self.clears.push_back((space.clone(), stamp));
        if self.clears.len() > self.limits.clears
            && let Some((_, forgotten)) = self.clears.pop_front()
        {
            self.floor = self.floor.max(forgotten);
        }
        let (mut kept, mut freed) = (HashSet::new(), 0);
        self.entries.retain(|key, entry| {
            let is_gone = space.contains(key) && entry.stamp < stamp;
            if is_gone {
                freed += ENTRY_COST + key.len();
            } else if space.contains(key) {
                kept.insert(key.clone());
            }
            !is_gone
        });
        let entries = &self.entries;
        self.gone.retain(|(key, stamp)| {
            let is_left = entries.get(key).is_some_and(|entry| entry.stamp == *stamp);
            if !is_left {
                freed += GONE_COST;
                self.used_by_gone -= gone_cost(key);
            }
            is_left
        });
        self.used -= freed;
        Some(kept)
    }

    /// The clears that are remembered.
    pub(super) fn clears(&self) -> impl Iterator<Item = (&Space, Stamp)> {
        self.clears.iter().map(|(space, stamp)| (space, *stamp))
    }

    /// The keys behind this one, with their newest writes, in order.
    pub(super) fn behind<'a>(
        &'a self,
        key: Option<&Bytes>,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Entry)> + use<'a> {
        let from = key.cloned().map_or(Bound::Unbounded, Bound::Excluded);
        self.entries.range((from, Bound::Unbounded))
    }

    /// Up to where another member may take what is not in this table for gone.
    pub(super) fn floor(&self) -> Stamp {
        match self.is_partial {
            true => Stamp::ZERO,
            false => self.floor,
        }
    }

    /// What was forgotten before this stamp is gone, here as well.
    pub(super) fn raise(&mut self, floor: Stamp) {
        self.seen(floor.counter);
        self.floor = self.floor.max(floor);
    }

    /// The keys behind `behind`, and up to `last` if there is one, that a member with this floor does
    /// not name: they are gone.
    pub(super) fn unnamed(
        &self,
        behind: Option<&Bytes>,
        last: Option<&Bytes>,
        floor: Stamp,
        is_named: impl Fn(&Bytes) -> bool,
    ) -> Vec<(Bytes, Stamp)> {
        let is_within = |key: &Bytes| last.is_none_or(|last| key <= last);
        let keys = self.behind(behind).take_while(|(key, _)| is_within(key));
        let is_gone = |(key, entry): &(&Bytes, &Entry)| {
            let is_value = matches!(entry.kind, Kind::Live | Kind::Unheld);
            is_value && entry.stamp <= floor && !is_named(key)
        };
        let gone = keys.filter(is_gone);
        gone.map(|(key, entry)| (key.clone(), entry.stamp))
            .collect()
    }

    /// Looks at the next few keys: values that have ended by themselves are removals from now on, and
    /// those that the store has lost for want of room are not held.
    pub(super) fn sweep(&mut self, few: usize, now: u64, is_held: impl Fn(&Bytes) -> bool) {
        let next: Vec<(Bytes, Entry)> = self
            .behind(self.swept.as_ref())
            .take(few)
            .map(|(key, entry)| (key.clone(), *entry))
            .collect();
        self.swept = match next.len() == few {
            true => next.last().map(|(key, _)| key.clone()),
            false => None,
        };
        for (key, entry) in next {
            if entry.kind != Kind::Live {
                continue;
            } else if entry.has_ended(now) {
                self.note(&key, entry.stamp, Kind::Absent);
            } else if !is_held(&key) {
                self.note(&key, entry.stamp, Kind::Unheld);
            }
        }
    }
}

fn gone_cost(key: &Bytes) -> usize {
    ENTRY_COST + GONE_COST + key.len()
}
