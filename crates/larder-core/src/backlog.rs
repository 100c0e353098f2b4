//! Changes that wait for a remote tier which could not be reached, and what becomes of them when it is
//! back.
//!
//! A removal that is carried out late is always safe: it costs a load. A value that is stored late may
//! undo what others have done meanwhile. So a late removal spares only what is known to be newer, and a
//! late value takes only the place of what is known to be older.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;

use crate::area::Area;
use crate::record::Record;
use crate::runtime::{Mono, Timestamp};
use crate::store::Put;

/// How far two readings of a clock may be apart from what has passed meanwhile, before it counts as
/// stepped; and how much younger than a change a record must be to be newer for sure.
const MARGIN: Duration = Duration::from_secs(1);

/// What each change costs in memory beside its bytes.
const COST: usize = 128;

/// When a change was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// By the clock of the store, as it was known then.
    pub store: Timestamp,
    /// By the clock of this machine.
    pub here: Mono,
}

/// What a change does to one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Late {
    /// Removes it.
    Remove,
    /// Makes it stale.
    Expire,
    /// Stores a value.
    Put(Box<Put>),
}

/// What to do with a change that has waited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Do it.
    CarryOut,
    /// Nobody can tell what is newer: remove what is there.
    Remove,
    /// What is there is newer, or the key is gone: leave it.
    Spare,
}

/// What to do with a change made at `moment`, if this is found under its key `now`. `found` is `None`
/// where there is nothing, and for stores that do not say when a record was stored.
pub fn verdict(late: &Late, moment: Moment, found: Option<&Record>, now: Moment) -> Verdict {
    let passed = now.here.since(moment.here);
    let expected = moment.store.after(passed);
    let apart = expected.since(now.store).max(now.store.since(expected));
    // Another server, or another life of this machine, or a clock that was set.
    let is_stepped = apart > MARGIN || now.here < moment.here;
    // The change as the store's clock shows it now.
    let made = Timestamp(now.store.0.saturating_sub(passed.as_millis() as u64));
    let made = made.max(moment.store);
    let is_newer = |record: &Record| {
        // What was loaded is as old as the beginning of its load.
        let as_of = record.created.0.saturating_sub(record.load_cost_ms.into());
        let is_of_this_clock = record.created <= now.store.after(MARGIN);
        !is_stepped && is_of_this_clock && Timestamp(as_of) > made.after(MARGIN)
    };
    match (late, found) {
        (Late::Remove | Late::Expire, Some(record)) if is_newer(record) => Verdict::Spare,
        // Of an absent key, a lease may be left, and copies of others.
        (Late::Remove | Late::Expire, _) => Verdict::CarryOut,
        // Somebody may have removed it since.
        (Late::Put(_), None) => Verdict::Spare,
        (Late::Put(_), Some(record)) if is_newer(record) => Verdict::Spare,
        (Late::Put(_), Some(_)) if is_stepped => Verdict::Remove,
        (Late::Put(_), Some(record)) => {
            let as_of = record.created.0;
            // About as old as the change: either may be the newer one.
            if Timestamp(as_of).after(MARGIN) < made {
                Verdict::CarryOut
            } else {
                Verdict::Remove
            }
        }
    }
}

/// Changes that wait, the last one of each key.
#[derive(Debug, Default)]
pub struct Backlog {
    keys: HashMap<Bytes, (Late, Moment)>,
    tags: BTreeSet<Bytes>,
    areas: Vec<Area>,
    everything: bool,
    bytes: usize,
    limit: usize,
}

/// What waits in a [`Backlog`], to be carried out.
#[derive(Debug, Default, PartialEq)]
pub struct Work {
    /// All of the cache is to be invalidated; then there is nothing else.
    pub everything: bool,
    /// Keys, by their stored keys.
    pub keys: Vec<(Bytes, Late, Moment)>,
    /// Tags, by their stored keys.
    pub tags: Vec<Bytes>,
    /// Parts of the cache.
    pub areas: Vec<Area>,
}

impl Work {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        !self.everything && self.keys.is_empty() && self.tags.is_empty() && self.areas.is_empty()
    }
}

impl Backlog {
    /// An empty one that holds at most so many bytes. What would be too much takes the form of one
    /// change that invalidates the whole cache: nothing is forgotten, and no more is held.
    pub fn new(limit: usize) -> Backlog {
        Backlog {
            limit,
            ..Backlog::default()
        }
    }

    /// How many changes wait.
    pub fn len(&self) -> usize {
        self.keys.len() + self.tags.len() + self.areas.len() + usize::from(self.everything)
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A change of a key, in place of an earlier one.
    pub fn add(&mut self, key: Bytes, late: Late, moment: Moment) {
        if self.everything {
            return;
        }
        self.bytes += cost(&key, &late);
        let replaced = self.keys.insert(key.clone(), (late, moment));
        if let Some((late, _)) = replaced {
            self.bytes -= cost(&key, &late);
        }
        self.fit();
    }

    /// The invalidation of a tag, by its stored key.
    pub fn add_tag(&mut self, tag: Bytes) {
        if self.everything {
            return;
        }
        let cost = tag.len() + COST;
        if self.tags.insert(tag) {
            self.bytes += cost;
            self.fit();
        }
    }

    /// The invalidation of a part of the cache.
    pub fn add_area(&mut self, area: Area) {
        if area == Area::ALL {
            self.add_everything();
        } else if !self.everything && !self.areas.contains(&area) {
            self.bytes += area_cost(&area);
            self.areas.push(area);
            self.fit();
        }
    }

    /// All of the cache is to be invalidated, which makes all else needless.
    pub fn add_everything(&mut self) {
        *self = Backlog {
            everything: true,
            ..Backlog::new(self.limit)
        };
    }

    fn fit(&mut self) {
        if self.bytes > self.limit {
            self.add_everything();
        }
    }

    /// Takes what waits, at most so many keys of it.
    pub fn take(&mut self, keys: usize) -> Work {
        let names: Vec<Bytes> = self.keys.keys().take(keys).cloned().collect();
        let mut work = Work {
            everything: std::mem::take(&mut self.everything),
            tags: std::mem::take(&mut self.tags).into_iter().collect(),
            areas: std::mem::take(&mut self.areas),
            ..Work::default()
        };
        for name in names {
            if let Some((late, moment)) = self.keys.remove(&name) {
                self.bytes -= cost(&name, &late);
                work.keys.push((name, late, moment));
            }
        }
        self.bytes -= work.tags.iter().map(|tag| tag.len() + COST).sum::<usize>();
        self.bytes -= work.areas.iter().map(area_cost).sum::<usize>();
        work
    }

    /// Puts back what could not be done. What was added meanwhile is newer and stays.
    pub fn put_back(&mut self, work: Work) {
        if self.everything {
            return;
        }
        if work.everything {
            return self.add_everything();
        }
        for (key, late, moment) in work.keys {
            if !self.keys.contains_key(&key) {
                self.add(key, late, moment);
            }
        }
        work.tags.into_iter().for_each(|tag| self.add_tag(tag));
        work.areas.into_iter().for_each(|area| self.add_area(area));
    }
}

fn area_cost(area: &Area) -> usize {
    area.parts().1.len() + COST
}

fn cost(key: &Bytes, late: &Late) -> usize {
    let value = match late {
        Late::Put(put) => put.value.len(),
        Late::Remove | Late::Expire => 0,
    };
    key.len() + value + COST
}
