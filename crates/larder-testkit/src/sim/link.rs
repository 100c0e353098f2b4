//! The network between one node and the shared store: delays, lost requests, lost replies.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use larder_core::bus::{Bus, BusRecord, Replay, Subscription};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lane::{Gap, Position};
use larder_core::runtime::{BoxFuture, Runtime, Timestamp};
use larder_core::space::Space;
use larder_core::store::{
    Batch, Committed, Description, Fill, Keyspace, Lease, LeaseToken, Leases, Lookup, Page,
    Pending, Put, Store, TagStore,
};

use tokio::sync::mpsc;

use super::{Random, SimRuntime};

/// What goes wrong on a link, in cases of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The request never arrives; its sender learns of it only by its time limit.
    pub lost_request: u64,
    /// The store has done it, but the reply is lost.
    pub lost_reply: u64,
    /// The request, the reply or the pushed record takes up to a hundred times as long as usual;
    /// pushed records overtake each other.
    pub slow: u64,
    /// A pushed record is lost.
    pub lost_push: u64,
    /// A pushed record arrives twice.
    pub doubled_push: u64,
    /// The subscription breaks.
    pub broken_push: u64,
}

/// How long a sender waits for a reply.
const LIMIT: Duration = Duration::from_millis(500);
/// The longest usual way in one direction.
const WAY: u64 = 1_000_000;

/// One node's way to the store. Each operation takes place at the store at one moment between
/// its request and its reply.
#[derive(Clone)]
pub struct Link {
    store: Arc<dyn Store>,
    runtime: SimRuntime,
    random: Arc<Mutex<Random>>,
    faults: Faults,
    cut: Arc<AtomicU8>,
    is_calm: Arc<AtomicBool>,
}

/// Which ways of a link are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// None.
    Nothing = 0,
    /// Requests do not arrive.
    Requests = 1,
    /// Replies and pushed records do not arrive.
    Replies = 2,
    /// Nothing arrives.
    Both = 3,
    /// Only pushed records do not arrive.
    Pushes = 4,
}

impl Link {
    /// A way to `store` with these faults.
    pub fn new(store: Arc<dyn Store>, runtime: SimRuntime, faults: Faults) -> Link {
        let random = Arc::new(Mutex::new(runtime.fork_random()));
        Link {
            store,
            runtime,
            random,
            faults,
            cut: Arc::default(),
            is_calm: Arc::default(),
        }
    }

    /// Cuts some ways, or heals all.
    pub fn cut(&self, cut: Cut) {
        self.cut.store(cut as u8, Ordering::Relaxed);
    }

    /// Ends all that goes wrong: nothing is cut, and from now on nothing is lost or slow.
    pub fn calm(&self) {
        self.cut(Cut::Nothing);
        self.is_calm.store(true, Ordering::Relaxed);
    }

    fn faults(&self) -> Faults {
        if self.is_calm.load(Ordering::Relaxed) {
            Faults::default()
        } else {
            self.faults
        }
    }

    fn is_cut(&self, ways: &[Cut]) -> bool {
        let cut = self.cut.load(Ordering::Relaxed);
        ways.iter().any(|way| *way as u8 == cut)
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.random.lock().expect("drawing does not panic"))
    }

    fn way(&self) -> Duration {
        Duration::from_nanos(self.draw(|random| {
            let scale = if random.per_mille(self.faults().slow) {
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
        let lost = self.draw(|random| random.per_mille(self.faults().lost_request));
        if lost || self.is_cut(&[Cut::Requests, Cut::Both]) {
            return self.lost().await;
        }
        let result = operation.await;
        self.runtime.sleep(self.way()).await;
        let lost = self.draw(|random| random.per_mille(self.faults().lost_reply));
        if lost || self.is_cut(&[Cut::Replies, Cut::Both]) {
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

    fn bus_there(&self) -> &dyn Bus {
        let description = self.store.describe();
        description.bus.expect("the simulated store has a bus")
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
            bus: self.store.describe().bus.map(|_| self as &dyn Bus),
            tags: Some(self),
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

impl TagStore for Link {
    fn tags<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<larder_core::tag::Cut>> {
        Pending::waiting(self.carry(async move {
            let there = self.store.describe().tags;
            there
                .expect("the simulated store has tags")
                .tags(keys)
                .await
        }))
    }
}

impl Bus for Link {
    fn poll(&self) -> Pending<'_, Position> {
        Pending::waiting(self.carry(async move { self.bus_there().poll().await }))
    }

    fn replay(&self, gap: Gap) -> Pending<'_, Replay> {
        Pending::waiting(self.carry(async move { self.bus_there().replay(gap).await }))
    }

    fn subscribe(&self) -> Pending<'_, Box<dyn Subscription>> {
        Pending::waiting(self.carry(async move {
            let there = self.bus_there().subscribe().await?;
            let (deliver, arriving) = mpsc::unbounded_channel();
            self.runtime
                .spawn(Box::pin(self.clone().push(there, deliver)));
            Ok(Box::new(Arriving(arriving)) as Box<dyn Subscription>)
        }))
    }
}

impl Link {
    /// Carries pushed records, each on a way of its own, until the subscription breaks.
    async fn push(
        self,
        mut there: Box<dyn Subscription>,
        deliver: mpsc::UnboundedSender<BusRecord>,
    ) {
        while let Some(record) = there.next().await {
            if deliver.is_closed()
                || self.draw(|random| random.per_mille(self.faults().broken_push))
            {
                return;
            }
            let lost = self.draw(|random| random.per_mille(self.faults().lost_push));
            if lost || self.is_cut(&[Cut::Replies, Cut::Both, Cut::Pushes]) {
                continue;
            }
            let twice = self.draw(|random| random.per_mille(self.faults().doubled_push));
            for _ in 0..1 + u8::from(twice) {
                let (record, deliver) = (record.clone(), deliver.clone());
                let arrival = self.runtime.sleep(self.way());
                self.runtime.spawn(Box::pin(async move {
                    arrival.await;
                    let _ = deliver.send(record);
                }));
            }
        }
    }
}

struct Arriving(mpsc::UnboundedReceiver<BusRecord>);

impl Subscription for Arriving {
    fn next(&mut self) -> BoxFuture<'_, Option<BusRecord>> {
        Box::pin(self.0.recv())
    }
}
