//! A store that keeps nothing, for a node that is switched off: writes succeed, reads miss.

use std::sync::Arc;

use bytes::Bytes;
use larder_core::Version;
use larder_core::runtime::{Runtime, Timestamp};
use larder_core::space::Space;
use larder_core::store::{
    Batch, Committed, Description, Keyspace, Lookup, Outcome, Page, Pending, Store,
};

pub(crate) struct Discard {
    runtime: Arc<dyn Runtime>,
}

impl Discard {
    pub(crate) fn new(runtime: Arc<dyn Runtime>) -> Discard {
        Discard { runtime }
    }
}

impl Store for Discard {
    fn get<'a>(&'a self, _key: &'a Bytes) -> Pending<'a, Lookup> {
        Pending::ready(Ok(Lookup::Absent))
    }

    fn get_many<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Lookup>> {
        Pending::ready(Ok(vec![Lookup::Absent; keys.len()]))
    }

    fn commit(&self, batch: Batch) -> Pending<'_, Committed> {
        let outcome = Outcome {
            version: Version::ZERO,
            existed: false,
        };
        let outcomes = batch.writes.iter().map(|_| outcome).collect();
        Pending::ready(Ok(Committed::Done(outcomes)))
    }

    fn now(&self) -> Timestamp {
        self.runtime.wall()
    }

    fn describe(&self) -> Description<'_> {
        Description {
            name: "nothing: caching is switched off",
            leases: None,
            keyspace: Some(self),
            bus: None,
            tags: None,
        }
    }
}

impl Keyspace for Discard {
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
}
