//! The enveloped layout: records with versions and leases.

pub(crate) mod commit;
pub(crate) mod encode;
mod leases;
mod locks;
mod rates;
mod read;
mod tags;

use std::sync::Arc;

use bytes::Bytes;
use larder_core::runtime::{Runtime, Timestamp};
use larder_core::space::Space;
use larder_core::store::{Batch, Committed, Description, Keyspace, Lookup, Page, Pending, Store};
use larder_core::tag::Cut;

use crate::browse::{Browser, Layout};
use crate::config::Redis;
use crate::tier::Tier;

/// A Redis or Valkey server that keeps records, from [`Redis::store`].
///
/// Reads are `GET` and `MGET`; every change is one script call, so one round trip, and the
/// server's single thread makes it atomic. A future that is dropped leaves open whether the
/// server has done what it was asked.
///
/// # Errors
///
/// Every method fails with `Unavailable` (not reached, or the connection broke), `Timeout`,
/// `Overloaded` (too many commands under way, or no free connection for a scan) or `Refused`
/// (login, permissions, memory, a key of another type). Nothing is retried here.
///
/// # Bytes of others
///
/// A string under one of our keys that Larder did not write is reported as damaged by `get` and
/// counts as absent in every check and outcome; `Put`, `lease` and `Remove` replace or remove it,
/// `clear` leaves it. A key of another type (a list, a hash) is refused with `WRONGTYPE` by every
/// change and never altered; `get` calls it damaged, `get_many` absent.
///
/// # Batches
///
/// Without checks any number of keys; more than
/// [`MAX_KEYS_PER_SCRIPT`](larder_core::limits::MAX_KEYS_PER_SCRIPT) writes become several script
/// calls, each atomic by itself. With checks a batch is always one call and takes up to 1024
/// checks and writes; more are `Invalid`.
pub struct RedisStore {
    pub(crate) tier: Tier,
}

impl RedisStore {
    pub(crate) fn new(redis: Redis, runtime: Arc<dyn Runtime>) -> RedisStore {
        RedisStore {
            tier: Tier::new(redis, runtime, Layout::Enveloped),
        }
    }

    fn browser(&self) -> Browser<'_> {
        Browser {
            tier: &self.tier,
            layout: Layout::Enveloped,
        }
    }
}

impl Store for RedisStore {
    fn get<'a>(&'a self, key: &'a Bytes) -> Pending<'a, Lookup> {
        Pending::waiting(self.read_one(key))
    }

    fn get_many<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Lookup>> {
        Pending::waiting(self.read_many(keys))
    }

    fn commit(&self, batch: Batch) -> Pending<'_, Committed> {
        Pending::waiting(self.commit_batch(batch))
    }

    fn now(&self) -> Timestamp {
        self.tier.clock.now()
    }

    fn describe(&self) -> Description<'_> {
        Description {
            name: &self.tier.name,
            leases: Some(self),
            keyspace: Some(self),
            bus: Some(self),
            tags: Some(self),
            vouch: None,
            health: Some(&*self.tier.gate),
            locks: Some(self),
            rates: Some(self),
            counters: Some(self),
            identity: &self.tier.name,
        }
    }
}

/// Scans run on connections of their own. `count` costs as much as a scan of the whole server;
/// `clear` too, and it is safe beside loads: a lease that was there before the call is met by the
/// scan (the server returns every key that is there from start to end) and removed with its key,
/// and a fill without a lease is refused.
impl Keyspace for RedisStore {
    fn scan<'a>(&'a self, space: &'a Space, cursor: u64, count: usize) -> Pending<'a, Page> {
        Pending::waiting(async move { self.browser().page(space, cursor, count).await })
    }

    fn count<'a>(&'a self, space: &'a Space) -> Pending<'a, u64> {
        Pending::waiting(async move { self.browser().count(space).await })
    }

    fn random_key<'a>(&'a self, space: &'a Space) -> Pending<'a, Option<Bytes>> {
        Pending::waiting(async move { self.browser().random_key(space).await })
    }

    fn clear<'a>(&'a self, space: &'a Space) -> Pending<'a, u64> {
        Pending::waiting(async move { self.browser().clear(space).await })
    }

    fn reclaim<'a>(&'a self, keys: &'a [Bytes], before: Cut) -> Pending<'a, u64> {
        Pending::waiting(async move { self.browser().reclaim(keys, before).await })
    }
}
