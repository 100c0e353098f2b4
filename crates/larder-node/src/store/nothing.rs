//! The store of a node that is switched off: it takes every write and keeps none.
//!
//! Programs go on as if each of their entries had been evicted at once, which they must be able
//! to do anyway.

use std::sync::Arc;

use bytes::Bytes;
use larder_core::space::Space;
use larder_core::store::{
    Batch, Committed, Description, Expect, Keyspace, Lookup, Outcome, Page, Pending, Store,
};
use larder_core::tag::Cut;
use larder_core::{Runtime, Timestamp, Version};

/// Keeps nothing.
pub(super) struct Nothing {
    runtime: Arc<dyn Runtime>,
}

impl Nothing {
    pub(super) fn new(runtime: Arc<dyn Runtime>) -> Nothing {
        Nothing { runtime }
    }
}

impl Store for Nothing {
    fn get<'a>(&'a self, _key: &'a Bytes) -> Pending<'a, Lookup> {
        Pending::ready(Ok(Lookup::Absent))
    }

    fn get_many<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Lookup>> {
        Pending::ready(Ok(vec![Lookup::Absent; keys.len()]))
    }

    fn commit(&self, batch: Batch) -> Pending<'_, Committed> {
        let holds = |expect: &Expect| match expect {
            Expect::Absent => true,
            Expect::Present => false,
            Expect::Version(version) => *version == Version::ZERO,
        };
        let failed = batch.checks.iter().position(|(_, expect)| !holds(expect));
        let outcome = Outcome {
            version: Version(self.now().0 * 1_000),
            cut: Cut::default(),
            existed: false,
        };
        Pending::ready(Ok(match failed {
            Some(check) => Committed::Refused(check),
            None => Committed::Done(batch.writes.iter().map(|_| outcome).collect()),
        }))
    }

    fn now(&self) -> Timestamp {
        self.runtime.wall()
    }

    fn describe(&self) -> Description<'_> {
        Description {
            name: "nothing (the cache is switched off)",
            leases: None,
            keyspace: Some(self),
            bus: None,
            tags: None,
            vouch: None,
            health: None,
            locks: None,
            rates: None,
            counters: None,
            identity: "",
        }
    }
}

impl Keyspace for Nothing {
    fn scan<'a>(&'a self, _space: &'a Space, _cursor: u64, _count: usize) -> Pending<'a, Page> {
        let keys = Vec::new();
        Pending::ready(Ok(Page { next: 0, keys }))
    }

    fn count<'a>(&'a self, _space: &'a Space) -> Pending<'a, u64> {
        Pending::ready(Ok(0))
    }

    fn random_key<'a>(&'a self, _space: &'a Space) -> Pending<'a, Option<Bytes>> {
        Pending::ready(Ok(None))
    }

    fn clear<'a>(&'a self, _space: &'a Space) -> Pending<'a, u64> {
        Pending::ready(Ok(0))
    }

    fn reclaim<'a>(&'a self, _: &'a [Bytes], _: Cut) -> Pending<'a, u64> {
        Pending::ready(Ok(0))
    }
}

#[cfg(test)]
mod tests {
    use larder::TokioRuntime;
    use larder::bytes::{ByteCache, put};
    use larder_core::record::Life;

    use super::*;

    #[tokio::test]
    async fn every_write_succeeds_and_every_read_misses() {
        let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime::current());
        let cache = ByteCache::new(Arc::new(Nothing::new(runtime.clone())), runtime);
        let (database, key) = (cache.database(0), Bytes::from_static(b"k"));
        let write = || put(Bytes::from_static(b"v"), Life::FOREVER);
        assert!(database.write(&key, None, write()).await.unwrap().is_some());
        let absent = Some(Expect::Absent);
        assert!(
            database
                .write(&key, absent, write())
                .await
                .unwrap()
                .is_some()
        );
        let present = Some(Expect::Present);
        assert_eq!(database.write(&key, present, write()).await.unwrap(), None);
        assert_eq!(database.get(&key).await.unwrap(), None);
        assert_eq!(database.count().await.unwrap(), 0);
    }
}
