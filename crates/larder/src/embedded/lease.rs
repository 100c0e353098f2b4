//! Leases on the embedded store.

use std::time::Duration;

use bytes::Bytes;
use larder_core::freshness::{Freshness, classify};
use larder_core::mutant::Mutant;
use larder_core::runtime::Timestamp;
use larder_core::store::{Fill, Lease, LeaseToken, Leases, Pending, Put};
use larder_core::version::Version;

use super::commit::Stamp;
use super::shard::{LeaseSlot, Shard};
use super::{Embedded, Inner};

impl Shard {
    /// Ends the lease of a key: its holder will be refused.
    pub(super) fn revoke(&mut self, key: &[u8]) {
        if Mutant::Revoke.is_active() {
            return;
        }
        self.end_lease(key);
    }

    /// Tells whether somebody waits for that.
    fn end_lease(&mut self, key: &[u8]) -> bool {
        let at = self.leases.iter().position(|lease| *lease.key == *key);
        at.is_some_and(|at| self.leases.swap_remove(at).is_awaited)
    }

    /// Ends every lease of which `gone` holds.
    pub(super) fn revoke_if(&mut self, mut gone: impl FnMut(&LeaseSlot) -> bool) {
        self.leases.retain(|lease| !gone(lease));
        if self.leases.is_empty() {
            self.leases = Vec::new();
        }
    }

    fn lease_of(&mut self, key: &[u8], now: Timestamp) -> Option<&mut LeaseSlot> {
        self.leases
            .iter_mut()
            .find(|lease| *lease.key == *key && now < lease.until)
    }
}

impl Inner {
    fn with_shard<R>(&self, key: &[u8], act: impl FnOnce(&mut Shard, u64, Timestamp) -> R) -> R {
        let hash = self.hasher.hash(key);
        let now = self.now();
        act(&mut self.shards[self.shard_of(hash)].lock(), hash, now)
    }

    fn lease(&self, key: &[u8], token: LeaseToken, ttl: Duration, void: Version) -> Lease {
        self.with_shard(key, |shard, hash, now| {
            let record = shard.live(hash, key, now).map(|slot| {
                slot.mark();
                self.record_of(slot)
            });
            let record = record.filter(|record| record.version != void);
            let stale = match record {
                Some(record) if classify(&record, now) == Freshness::Fresh => {
                    return Lease::Hit(record);
                }
                other => other,
            };
            let other = shard
                .lease_of(key, now)
                .filter(|lease| lease.token != token.get());
            if let Some(other) = other {
                other.is_awaited = true;
                return Lease::Taken {
                    remaining: other.until.since(now),
                    stale,
                };
            }
            shard.end_lease(key);
            let lease = LeaseSlot {
                key: key.into(),
                token: token.get(),
                until: now.after(ttl),
                is_awaited: false,
            };
            shard.leases.push(lease);
            Lease::Granted {
                cut: self.tags.cut(),
                stale,
            }
        })
    }

    /// Stores a value; or leaves that of version `stays`, with another life.
    fn fill(&self, key: &[u8], token: LeaseToken, stays: Option<Version>, put: Put) -> Fill {
        let unfenced = stays.is_some() && Mutant::ConfirmUnfenced.is_active();
        // Before the lease is looked at, because that holds the lock of a shard.
        let proven = self.prove(&put.all_bonds());
        let is_of_this_life = self.tags.began_before(put.cut);
        self.with_shard(key, |shard, hash, now| {
            match shard.lease_of(key, now) {
                _ if Mutant::AbsenceRefuses.is_active() || unfenced => {}
                None => return Fill::Lost,
                Some(lease) if lease.token != token.get() => return Fill::Revoked,
                Some(_) if !is_of_this_life => return Fill::Lost,
                Some(_) => {}
            }
            let live = shard.live(hash, key, now).map(|slot| slot.version);
            let is_there = |stays| live == Some(stays) || unfenced && live.is_some();
            if stays.is_some_and(|stays| !is_there(stays)) {
                return Fill::Gone;
            }
            let cut = match proven {
                Ok(cut) => cut,
                Err(raced) => return Fill::Raced(raced),
            };
            let waits = shard.end_lease(key);
            let version = shard.next_version(now, live.unwrap_or_default());
            let stamp = Stamp {
                version,
                cut,
                keeps_cut: false,
                now,
                kept: (None, None),
            };
            match stays {
                Some(_) => shard.confirm(hash, key, &put, stamp),
                None => shard.store(hash, key, &put, stamp),
            }
            if waits {
                self.log.free(key);
            }
            Fill::Stored { version, cut }
        })
    }
}

impl Leases for Embedded {
    fn lease<'a>(
        &'a self,
        key: &'a Bytes,
        token: LeaseToken,
        ttl: Duration,
        void: Version,
    ) -> Pending<'a, Lease> {
        Pending::ready(Ok(self.inner.lease(key, token, ttl, void)))
    }

    fn renew<'a>(&'a self, key: &'a Bytes, token: LeaseToken, ttl: Duration) -> Pending<'a, bool> {
        Pending::ready(Ok(self.inner.with_shard(
            key,
            |shard, _, now| match shard.lease_of(key, now) {
                Some(lease) if lease.token == token.get() => {
                    lease.until = now.after(ttl);
                    true
                }
                _ => false,
            },
        )))
    }

    fn fill<'a>(&'a self, key: &'a Bytes, token: LeaseToken, put: Put) -> Pending<'a, Fill> {
        let filled = self.inner.check_fill(key, &put).map(|()| {
            let filled = self.inner.fill(key, token, None, put);
            self.inner.make_room();
            filled
        });
        Pending::ready(filled)
    }

    fn confirm<'a>(
        &'a self,
        key: &'a Bytes,
        token: LeaseToken,
        old: Version,
        put: Put,
    ) -> Pending<'a, Fill> {
        Pending::ready(Ok(self.inner.fill(key, token, Some(old), put)))
    }

    fn release<'a>(&'a self, key: &'a Bytes, token: LeaseToken) -> Pending<'a, ()> {
        self.inner.with_shard(key, |shard, _, now| {
            if shard
                .lease_of(key, now)
                .is_some_and(|lease| lease.token == token.get())
                && shard.end_lease(key)
            {
                self.inner.log.free(key);
            }
        });
        Pending::ready(Ok(()))
    }
}
