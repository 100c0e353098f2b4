//! The capabilities of a mesh beside reading and changing: leases, tags, listing, and the log.

use std::time::Duration;

use ::bytes::Bytes;
use larder_core::area::Areas;
use larder_core::bus::{Bus, Reader, Readers, Replay, Seen, Subscription};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lane::{Gap, Position};
use larder_core::runtime::Timestamp;
use larder_core::space::Space;
use larder_core::store::{
    Fill, Keyspace, Lease, LeaseToken, Leases, Lookup, Page, Pending, Put, TagStore,
};
use larder_core::tag::Cut;
use larder_core::version::Version;
use larder_mesh::log::Others;

use super::incoming::now;
use super::{Inner, MeshStore};
use crate::embedded::Embedded;

impl Inner {
    /// A lease of this process. Without anybody who vouches for it, what is here counts as absent.
    fn lease(&self, key: &Bytes, token: LeaseToken, ttl: Duration, void: Version) -> Result<Lease> {
        let is_leased = self.is_leased();
        let mut void = void;
        loop {
            match now(self.store.lease(key, token, ttl, void)).ok_or_else(lost)? {
                Lease::Hit(record) if !is_leased => void = record.version,
                Lease::Granted { cut, .. } if !is_leased => {
                    return Ok(Lease::Granted { cut, stale: None });
                }
                Lease::Taken { remaining, .. } if !is_leased => {
                    return Ok(Lease::Taken {
                        remaining,
                        stale: None,
                    });
                }
                lease => return Ok(lease),
            }
        }
    }

    async fn poll(&self, reader: &Reader) -> Result<Position> {
        if !reader.leaves {
            // Everything that was acknowledged before this is in the log here when it returns.
            self.log.poll().await?;
        }
        self.store.poll(reader).await
    }
}

fn lost() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the store of this process does not answer",
    )
}

impl Leases for MeshStore {
    fn lease<'a>(
        &'a self,
        key: &'a Bytes,
        token: LeaseToken,
        ttl: Duration,
        void: Version,
    ) -> Pending<'a, Lease> {
        Pending::ready(self.inner.lease(key, token, ttl, void))
    }

    fn renew<'a>(&'a self, key: &'a Bytes, token: LeaseToken, ttl: Duration) -> Pending<'a, bool> {
        self.inner.store.renew(key, token, ttl)
    }

    fn fill<'a>(&'a self, key: &'a Bytes, token: LeaseToken, put: Put) -> Pending<'a, Fill> {
        let fill = || self.inner.store.fill(key, token, put);
        match &self.inner.values {
            Some(values) => values.fill(fill),
            None => fill(),
        }
    }

    fn confirm<'a>(
        &'a self,
        key: &'a Bytes,
        token: LeaseToken,
        old: Version,
        put: Put,
    ) -> Pending<'a, Fill> {
        let confirm = || self.inner.store.confirm(key, token, old, put);
        match &self.inner.values {
            Some(values) => values.fill(confirm),
            None => confirm(),
        }
    }

    fn release<'a>(&'a self, key: &'a Bytes, token: LeaseToken) -> Pending<'a, ()> {
        self.inner.store.release(key, token)
    }
}

impl TagStore for MeshStore {
    fn tags<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Cut>> {
        self.inner.store.tags(keys)
    }

    fn watch<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Cut>> {
        self.inner.store.watch(keys)
    }

    fn get_among<'a>(
        &'a self,
        keys: &'a [Bytes],
        caches: &'a [Bytes],
    ) -> Pending<'a, (Vec<Lookup>, Vec<Areas>)> {
        let is_leased = self.inner.is_leased();
        if let Some(values) = self.inner.values.as_ref().filter(|_| !is_leased) {
            return Pending::waiting(async move {
                values.whole().await;
                self.inner.store.get_among(keys, caches).await
            });
        }
        match self.inner.store.get_among(keys, caches) {
            Pending::Ready(Some(Ok((_, areas)))) if !is_leased => {
                Pending::ready(Ok((vec![Lookup::Absent; keys.len()], areas)))
            }
            found => found,
        }
    }
}

impl Keyspace for MeshStore {
    fn scan<'a>(&'a self, space: &'a Space, cursor: u64, count: usize) -> Pending<'a, Page> {
        self.inner.store.scan(space, cursor, count)
    }

    fn count<'a>(&'a self, space: &'a Space) -> Pending<'a, u64> {
        self.inner.store.count(space)
    }

    fn random_key<'a>(&'a self, space: &'a Space) -> Pending<'a, Option<Bytes>> {
        self.inner.store.random_key(space)
    }

    fn clear<'a>(&'a self, space: &'a Space) -> Pending<'a, u64> {
        if let Err(error) = self.inner.has_room() {
            return Pending::ready(Err(error));
        }
        let Some(values) = &self.inner.values else {
            return match now(self.inner.store.clear(space)) {
                Some(removed) => self.inner.tell(removed),
                None => Pending::ready(Err(lost())),
            };
        };
        Pending::waiting(async move {
            values.whole().await;
            let (removed, said) = values.clear(space)?;
            self.inner.say(values, said, removed).await
        })
    }

    fn reclaim<'a>(&'a self, keys: &'a [Bytes], before: Cut) -> Pending<'a, u64> {
        let reclaimed = self.inner.store.reclaim(keys, before);
        if let Some(values) = &self.inner.values {
            values.reclaimed(keys);
        }
        reclaimed
    }
}

impl Bus for MeshStore {
    fn poll<'a>(&'a self, reader: &'a Reader) -> Pending<'a, Position> {
        Pending::waiting(self.inner.poll(reader))
    }

    fn replay(&self, gap: Gap) -> Pending<'_, Replay> {
        self.inner.store.replay(gap)
    }

    fn subscribe(&self) -> Pending<'_, Box<dyn Subscription>> {
        self.inner.store.subscribe()
    }

    fn readers(&self) -> Pending<'_, Readers> {
        Pending::waiting(self.inner.readers())
    }

    fn nudge(&self) -> Pending<'_, ()> {
        self.inner.log.nudge();
        Pending::ready(Ok(()))
    }
}

/// Who reads in this process.
pub(super) fn local(store: &Embedded) -> Result<Readers> {
    now(store.readers()).ok_or_else(lost)
}

/// Adds those who read elsewhere, each with the place here that `place` gives for how far it is.
pub(super) fn add(readers: &mut Readers, others: Others, place: impl Fn(u64) -> Option<Position>) {
    let before = |ms: u64| Timestamp(readers.now.0.saturating_sub(ms));
    let mut since = readers.since;
    for heard in others.heard {
        // Whoever polled before the youngest list was begun may be on none.
        let kept = heard.kept_ms.map(before);
        since = since.max(kept);
        let seen = heard.readers.into_iter().map(|reader| Seen {
            node: reader.node,
            name: reader.name,
            cache: reader.cache,
            applied: place(reader.applied),
            polled: before(reader.silent_ms),
        });
        readers.seen.extend(seen);
    }
    if !others.is_complete {
        // Somebody may read of whom nobody could tell: only time says that he is fenced.
        since = Some(readers.now);
        readers.remembers_since = None;
    }
    readers.since = since;
}
