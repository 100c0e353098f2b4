//! The plain layout: value bytes as they are, with Redis's own expiry.

mod commit;
mod read;

use std::sync::Arc;

use bytes::Bytes;
use larder_core::codec::CodecId;
use larder_core::runtime::{Runtime, Timestamp};
use larder_core::space::Space;
use larder_core::store::{Batch, Committed, Description, Keyspace, Lookup, Page, Pending, Store};
use larder_core::tag::Cut;
use larder_core::version::Version;

use crate::browse::{Browser, Layout};
use crate::config::Redis;
use crate::tier::Tier;

/// A Redis or Valkey server that keeps bare values, from [`Redis::plain_store`]: programs in
/// other languages `GET` and `SET` the same keys.
///
/// What a bare value cannot say, this store does not keep:
///
/// * No leases: a fill cannot be fenced, so loads are ordered by who writes last.
/// * Versions are weak. The version of a value is a hash of its bytes: it tells two values apart,
///   but not their order, and a value that comes back has its old version. The version of a
///   removal is [`Version::ZERO`].
/// * Nothing stale: a value ends with its fresh life, and `Expire` removes it.
/// * No tags: a put with tags, and the invalidation of a tag, are `Refused`.
/// * No locks, limits and counters: take a store of the other layout beside it.
/// * No negative entries: putting one removes the value, and the next read misses.
/// * Origin, load cost, schema and time of creation read as zero; the codec is the one that the
///   store was made with. Nothing is checksummed.
///
/// Errors, batches, and costs in round trips are those of [`RedisStore`](crate::RedisStore);
/// a key of another type is refused by every change, reads as absent, and is not listed.
/// `clear` removes every string of the space, because nothing tells ours from others': give the
/// store a key prefix where others keep strings too.
pub struct PlainStore {
    tier: Tier,
    codec: CodecId,
}

impl PlainStore {
    pub(crate) fn new(redis: Redis, runtime: Arc<dyn Runtime>, codec: CodecId) -> PlainStore {
        PlainStore {
            tier: Tier::new(redis, runtime, Layout::Plain),
            codec,
        }
    }

    fn browser(&self) -> Browser<'_> {
        Browser {
            tier: &self.tier,
            layout: Layout::Plain,
        }
    }
}

/// 52 bits of the SHA-1 of a value, which is what scripts can calculate, and never zero.
fn version(value: &[u8]) -> Version {
    let digest = sha1_smol::Sha1::from(value).digest().bytes();
    let first = digest[..8]
        .iter()
        .fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    Version((first >> 12) + 1)
}

impl Store for PlainStore {
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
            leases: None,
            keyspace: Some(self),
            bus: None,
            tags: None,
            vouch: None,
            health: Some(&*self.tier.gate),
            locks: None,
            rates: None,
            counters: None,
            identity: "",
        }
    }
}

impl Keyspace for PlainStore {
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

    /// Nothing is ever void here.
    fn reclaim<'a>(&'a self, _: &'a [Bytes], _: Cut) -> Pending<'a, u64> {
        Pending::ready(Ok(0))
    }
}
