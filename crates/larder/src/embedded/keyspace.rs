//! Scanning, counting and clearing the embedded store.

use bytes::Bytes;
use larder_core::bus::{BusChange, ChangeKind};
use larder_core::runtime::Timestamp;
use larder_core::space::Space;
use larder_core::store::{Keyspace, Page, Pending};
use larder_core::tag::Cut;
use larder_core::version::Version;

use super::log::Written;
use super::shard::Slot;
use super::{Embedded, Inner};

/// How many shards are tried at random before a search begins at one of them.
const RANDOM_TRIES: usize = 64;

impl Inner {
    fn keys_of(&self, shard: usize, space: &Space, now: Timestamp, keys: &mut Vec<Bytes>) {
        let shard = self.shards[shard].lock();
        keys.extend(shard.iter().filter_map(|slot| user_key(slot, space, now)));
    }

    fn scan(&self, space: &Space, cursor: u64, count: usize) -> Page {
        let now = self.now();
        let (mut keys, shards) = (Vec::new(), self.shards.len());
        let mut at = usize::try_from(cursor).unwrap_or(shards);
        while at < shards && keys.len() < count.max(1) {
            self.keys_of(at, space, now, &mut keys);
            at += 1;
        }
        Page {
            next: if at < shards { at as u64 } else { 0 },
            keys,
        }
    }

    fn count(&self, space: &Space) -> u64 {
        let now = self.now();
        let live = |slot: &&Slot| slot.is_live(now) && space.contains(slot.key());
        self.shards
            .iter()
            .map(|shard| shard.lock().iter().filter(live).count() as u64)
            .sum()
    }

    fn random_key(&self, space: &Space) -> Option<Bytes> {
        let now = self.now();
        let (mut keys, shards) = (Vec::new(), self.shards.len());
        for _ in 0..RANDOM_TRIES {
            self.keys_of(
                self.runtime.random() as usize % shards,
                space,
                now,
                &mut keys,
            );
            if !keys.is_empty() {
                break;
            }
        }
        let start = self.runtime.random() as usize % shards;
        for step in 0..shards {
            if !keys.is_empty() {
                break;
            }
            self.keys_of((start + step) % shards, space, now, &mut keys);
        }
        let pick = self.runtime.random() as usize % keys.len().max(1);
        keys.into_iter().nth(pick)
    }

    fn reclaim(&self, keys: &[Bytes], before: Cut) -> u64 {
        let now = self.now();
        let mut removed = 0;
        for key in keys {
            let hash = self.hasher.hash(key);
            let mut shard = self.shards[self.shard_of(hash)].lock();
            let slot = shard.live(hash, key, now);
            // A value that no area can make void keeps no cut.
            if slot.is_some_and(|slot| Cut::default() < slot.cut() && slot.cut() < before) {
                shard.remove(hash, key);
                removed += 1;
            }
        }
        removed
    }

    fn clear(&self, space: &Space) -> u64 {
        let removed = self.clear_if(|key| space.contains(key));
        self.log_cleared(space.stored_prefix(), true);
        removed
    }

    /// Removes what others have cleared: every key that begins so.
    #[cfg(feature = "mesh")]
    pub(super) fn clear_prefix(&self, prefix: Bytes) {
        self.clear_if(|key| key.starts_with(&prefix));
        self.log_cleared(prefix, false);
    }

    /// The same for a space, but for these keys. Near copies of them are dropped with the others.
    #[cfg(feature = "mesh")]
    pub(super) fn clear_but(&self, space: &Space, kept: &std::collections::HashSet<Bytes>) {
        self.clear_if(|key| space.contains(key) && !kept.contains(key));
        self.log_cleared(space.stored_prefix(), false);
    }

    fn log_cleared(&self, prefix: Bytes, is_own: bool) {
        let now = self.now();
        let written = Written {
            origin: 0,
            at: now,
            probe: false,
            is_own,
        };
        self.log.append(written, || {
            let version = Version(now.0.saturating_mul(1_000));
            vec![BusChange::new(prefix, version, ChangeKind::Cleared)]
        });
    }

    fn clear_if(&self, is_cleared: impl Fn(&[u8]) -> bool) -> u64 {
        let now = self.now();
        // What is cleared is told of at last, once.
        let written = Written {
            origin: 0,
            at: now,
            probe: false,
            is_own: false,
        };
        let mut removed = 0;
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.revoke_if(|lease| is_cleared(&lease.key));
            let mut keys = Vec::new();
            removed += shard.remove_if(|slot| {
                let gone = is_cleared(slot.key());
                if gone {
                    self.tags.changed(slot.key(), now.0.saturating_mul(1_000));
                    keys.push(Bytes::copy_from_slice(slot.key()));
                }
                gone
            }) as u64;
            if keys.is_empty() {
                continue;
            }
            let version = shard.next_version(now, Version::ZERO);
            let change = |key| BusChange::new(key, version, ChangeKind::Removed);
            self.log
                .append(written, || keys.into_iter().map(change).collect());
        }
        removed
    }
}

fn user_key(slot: &Slot, space: &Space, now: Timestamp) -> Option<Bytes> {
    let listed = slot.is_live(now) && space.contains(slot.key());
    listed
        .then(|| space.user_key(&Bytes::copy_from_slice(slot.key())))
        .flatten()
}

impl Keyspace for Embedded {
    fn scan<'a>(&'a self, space: &'a Space, cursor: u64, count: usize) -> Pending<'a, Page> {
        Pending::ready(Ok(self.inner.scan(space, cursor, count)))
    }

    fn count<'a>(&'a self, space: &'a Space) -> Pending<'a, u64> {
        Pending::ready(Ok(self.inner.count(space)))
    }

    fn random_key<'a>(&'a self, space: &'a Space) -> Pending<'a, Option<Bytes>> {
        Pending::ready(Ok(self.inner.random_key(space)))
    }

    fn clear<'a>(&'a self, space: &'a Space) -> Pending<'a, u64> {
        Pending::ready(Ok(self.inner.clear(space)))
    }

    fn reclaim<'a>(&'a self, keys: &'a [Bytes], before: Cut) -> Pending<'a, u64> {
        Pending::ready(Ok(self.inner.reclaim(keys, before)))
    }
}
