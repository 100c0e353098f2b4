//! The network between one node and the shared store: delays, lost requests, lost replies.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::runtime::{Runtime, Timestamp};
use larder_core::space::Space;
use larder_core::store::{
    Batch, Committed, Description, Fill, Keyspace, Lease, LeaseToken, Leases, Lookup, Page,
    Pending, Put, Store,
};

use super::{Random, SimRuntime};

/// What goes wrong on a link, in cases of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The request never arrives; its sender learns of it only by its time limit.
    pub lost_request: u64,
    /// The store has done it, but the reply is lost.
    pub lost_reply: u64,
    /// The request or the reply takes up to a hundred times as long as usual.
    pub slow: u64,
}

/// How long a sender waits for a reply.
const LIMIT: Duration = Duration::from_millis(500);
/// The longest usual way in one direction.
const WAY: u64 = 1_000_000;

/// One node's way to the store. Each operation takes place at the store at one moment between
/// its request and its reply.
pub struct Link {
    store: Arc<dyn Store>,
    runtime: SimRuntime,
    random: Mutex<Random>,
    faults: Faults,
}

impl Link {
    /// A way to `store` with these faults.
    pub fn new(store: Arc<dyn Store>, runtime: SimRuntime, faults: Faults) -> Link {
        let random = Mutex::new(runtime.fork_random());
        Link {
            store,
            runtime,
            random,
            faults,
        }
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.random.lock().expect("drawing does not panic"))
    }

    fn way(&self) -> Duration {
        Duration::from_nanos(self.draw(|random| {
            let scale = if random.per_mille(self.faults.slow) {
                100
            } else {
                1
            };
            random.below(WAY * scale)
        }))
    }

    async fn lost<T>(&self) -> Result<T> {
        self.runtime.sleep(LIMIT).await;
        Err(Error::new(ErrorKind::Timeout, "no reply within 500ms"))
    }

    async fn carry<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime.sleep(self.way()).await;
        if self.draw(|random| random.per_mille(self.faults.lost_request)) {
            return self.lost().await;
        }
        let result = operation.await;
        self.runtime.sleep(self.way()).await;
        if self.draw(|random| random.per_mille(self.faults.lost_reply)) {
            return self.lost().await;
        }
        result
    }

    fn leases_there(&self) -> &dyn Leases {
        self.store
            .describe()
            .leases
            .expect("the simulated store has leases")
    }

    fn keyspace_there(&self) -> &dyn Keyspace {
        self.store
            .describe()
            .keyspace
            .expect("the simulated store has a keyspace")
    }
}

impl Store for Link {
    fn get<'a>(&'a self, key: &'a Bytes) -> Pending<'a, Lookup> {
        Pending::waiting(self.carry(async move { self.store.get(key).await }))
    }

    fn get_many<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Lookup>> {
        Pending::waiting(self.carry(async move { self.store.get_many(keys).await }))
    }

    fn commit(&self, batch: Batch) -> Pending<'_, Committed> {
        Pending::waiting(self.carry(async move { self.store.commit(batch).await }))
    }

    fn now(&self) -> Timestamp {
        self.store.now()
    }

    fn describe(&self) -> Description<'_> {
        Description {
            name: "simulated link",
            leases: Some(self),
            keyspace: Some(self),
            bus: None,
        }
    }
}

impl Leases for Link {
    fn lease<'a>(&'a self, key: &'a Bytes, token: LeaseToken, ttl: Duration) -> Pending<'a, Lease> {
        Pending::waiting(
            self.carry(async move { self.leases_there().lease(key, token, ttl).await }),
        )
    }

    fn renew<'a>(&'a self, key: &'a Bytes, token: LeaseToken, ttl: Duration) -> Pending<'a, bool> {
        Pending::waiting(
            self.carry(async move { self.leases_there().renew(key, token, ttl).await }),
        )
    }

    fn fill<'a>(&'a self, key: &'a Bytes, token: LeaseToken, put: Put) -> Pending<'a, Fill> {
        Pending::waiting(self.carry(async move { self.leases_there().fill(key, token, put).await }))
    }

    fn release<'a>(&'a self, key: &'a Bytes, token: LeaseToken) -> Pending<'a, ()> {
        Pending::waiting(self.carry(async move { self.leases_there().release(key, token).await }))
    }
}

impl Keyspace for Link {
    fn scan<'a>(&'a self, space: &'a Space, cursor: u64, count: usize) -> Pending<'a, Page> {
        let scan = async move { self.keyspace_there().scan(space, cursor, count).await };
        Pending::waiting(self.carry(scan))
    }

    fn count<'a>(&'a self, space: &'a Space) -> Pending<'a, u64> {
        Pending::waiting(self.carry(async move { self.keyspace_there().count(space).await }))
    }

    fn random_key<'a>(&'a self, space: &'a Space) -> Pending<'a, Option<Bytes>> {
        Pending::waiting(self.carry(async move { self.keyspace_there().random_key(space).await }))
    }

    fn clear<'a>(&'a self, space: &'a Space) -> Pending<'a, u64> {
        Pending::waiting(self.carry(async move { self.keyspace_there().clear(space).await }))
    }
}
