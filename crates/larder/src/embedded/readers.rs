//! Who reads the log of the embedded store.

use std::collections::HashMap;
use std::sync::Arc;

use larder_core::bus::{MAX_READERS, READER_LIFE_MS, Reader, Readers, Seen};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lane::Position;
use larder_core::runtime::Timestamp;

type Name = (u32, Arc<str>, Arc<str>);

/// The readers, by number, cache and name.
#[derive(Default)]
pub(super) struct Registry {
    since: Option<Timestamp>,
    read: HashMap<Name, (Option<Position>, Timestamp)>,
}

impl Registry {
    /// Enters a reader that polls, or takes it off when it leaves.
    pub(super) fn enter(&mut self, reader: &Reader, now: Timestamp) -> Result<()> {
        let name = (reader.node, reader.cache.clone(), reader.name.clone());
        if reader.leaves {
            self.read.remove(&name);
            return Ok(());
        }
        self.since.get_or_insert(now);
        if !self.read.contains_key(&name) && self.read.len() >= MAX_READERS {
            self.forget_silent(now);
            if self.read.len() >= MAX_READERS {
                let message = "the embedded store has too many readers of its log";
                return Err(Error::new(ErrorKind::Overloaded, message));
            }
        }
        self.read.insert(name, (reader.applied, now));
        Ok(())
    }

    pub(super) fn readers(&mut self, log: Option<Position>, now: Timestamp) -> Readers {
        self.forget_silent(now);
        let seen = |((node, cache, name), (applied, polled)): (&Name, &_)| Seen {
            node: *node,
            name: name.clone(),
            cache: cache.clone(),
            applied: *applied,
            polled: *polled,
        };
        Readers {
            now,
            log,
            // A log that was there once is there.
            remembers_since: Some(Timestamp(0)),
            since: self.since,
            seen: self.read.iter().map(seen).collect(),
        }
    }

    fn forget_silent(&mut self, now: Timestamp) {
        let life = std::time::Duration::from_millis(READER_LIFE_MS);
        self.read
            .retain(|_, (_, polled)| now.since(*polled) <= life);
    }
}
