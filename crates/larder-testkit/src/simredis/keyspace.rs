//! What the simulated server keeps: keys with their contents and the ends of their lives.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::stream::Stream;

/// What is under a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// A string.
    Text(Bytes),
    /// A hash, in the order in which its fields were added; never empty.
    Hash(Vec<(Bytes, Bytes)>),
    /// A stream, which may be empty.
    Stream(Stream),
}

impl Content {
    /// What `TYPE` calls it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Content::Text(_) => "string",
            Content::Hash(_) => "hash",
            Content::Stream(_) => "stream",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) content: Content,
    /// In milliseconds by the server's clock: the last at which the key is still there.
    pub(super) ends: Option<i64>,
}

/// All keys, in an order that is the same in every run.
#[derive(Clone, Debug, Default)]
pub(super) struct Keyspace {
    keys: BTreeMap<Bytes, Entry>,
    /// A replica hides keys whose life is over, and leaves it to its primary to remove them.
    pub(super) keeps_ended: bool,
}

fn is_over(entry: &Entry, now_ms: i64) -> bool {
    entry.ends.is_some_and(|ends| now_ms > ends)
}

impl Keyspace {
    /// The entry under `key`, if its life is not over.
    pub(super) fn get(&mut self, key: &[u8], now_ms: i64) -> Option<&mut Entry> {
        let over = is_over(self.keys.get(key)?, now_ms);
        if over && !self.keeps_ended {
            self.keys.remove(key);
        }
        if over { None } else { self.keys.get_mut(key) }
    }

    /// Puts content under a key, in place of whatever is there.
    pub(super) fn put(&mut self, key: &[u8], content: Content, ends: Option<i64>) {
        let entry = Entry { content, ends };
        match self.keys.get_mut(key) {
            Some(there) => *there = entry,
            None => drop(self.keys.insert(Bytes::copy_from_slice(key), entry)),
        }
    }

    /// Removes a key; tells whether it was there.
    pub(super) fn remove(&mut self, key: &[u8], now_ms: i64) -> bool {
        let was_there = self.get(key, now_ms).is_some();
        self.keys.remove(key);
        was_there
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
    }

    /// Removes every key of which `goes` holds; gives their number.
    pub(super) fn evict(&mut self, mut goes: impl FnMut(&Bytes) -> bool) -> usize {
        let before = self.keys.len();
        self.keys.retain(|key, _| !goes(key));
        before - self.keys.len()
    }

    /// The keys whose life is not over, in order.
    pub(super) fn live(&self, now_ms: i64) -> impl Iterator<Item = (&Bytes, &Entry)> {
        let keys = self.keys.iter();
        keys.filter(move |(_, entry)| !is_over(entry, now_ms))
    }

    /// The ends of all lives that have one.
    pub(super) fn ends(&self) -> impl Iterator<Item = i64> {
        self.keys.values().filter_map(|entry| entry.ends)
    }
}
