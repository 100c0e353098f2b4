//! One life of the simulated server after the other: all that commands read and change.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::channels::Channels;
use super::keyspace::{Content, Entry, Keyspace};
use super::stream::Stream;

/// Whether the server takes changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Writes {
    /// It does.
    #[default]
    Allowed,
    /// It is a replica: `READONLY`.
    Replica,
    /// It has fewer replicas than `min-replicas-to-write`: `NOREPLICAS`.
    NoReplicas,
}

/// What a command fails with: the text of the error reply, which begins with its code.
pub(super) type Failure = std::borrow::Cow<'static, str>;

pub(super) const WRONG_TYPE: Failure =
    Failure::Borrowed("WRONGTYPE Operation against a key holding the wrong kind of value");
pub(super) const NO_INTEGER: Failure =
    Failure::Borrowed("ERR value is not an integer or out of range");
pub(super) const SYNTAX: Failure = Failure::Borrowed("ERR syntax error");

#[derive(Default)]
pub(super) struct Server {
    pub(super) keys: Keyspace,
    /// Texts by their hash.
    pub(super) scripts: BTreeMap<String, Bytes>,
    pub(super) channels: Channels,
    pub(super) run_id: String,
    pub(super) writes: Writes,
    /// Whether commands that need memory are refused.
    pub(super) is_full: bool,
    /// The time of the command that runs; it stands still while a script runs.
    pub(super) now_us: i64,
}

impl Server {
    pub(super) fn now_ms(&self) -> i64 {
        self.now_us.div_euclid(1_000)
    }

    /// The entry under a key.
    pub(super) fn entry(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let now = self.now_ms();
        self.keys.get(key, now)
    }

    /// The string under a key.
    pub(super) fn text(&mut self, key: &[u8]) -> Result<Option<&mut Bytes>, Failure> {
        match self.entry(key).map(|entry| &mut entry.content) {
            Some(Content::Text(text)) => Ok(Some(text)),
            Some(_) => Err(WRONG_TYPE),
            None => Ok(None),
        }
    }

    /// The fields of the hash under a key.
    pub(super) fn hash(&mut self, key: &[u8]) -> Result<Option<&mut Vec<(Bytes, Bytes)>>, Failure> {
        match self.entry(key).map(|entry| &mut entry.content) {
            Some(Content::Hash(fields)) => Ok(Some(fields)),
            Some(_) => Err(WRONG_TYPE),
            None => Ok(None),
        }
    }

    /// The stream under a key.
    pub(super) fn stream(&mut self, key: &[u8]) -> Result<Option<&mut Stream>, Failure> {
        match self.entry(key).map(|entry| &mut entry.content) {
            Some(Content::Stream(stream)) => Ok(Some(stream)),
            Some(_) => Err(WRONG_TYPE),
            None => Ok(None),
        }
    }
}
