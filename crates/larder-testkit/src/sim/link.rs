//! The network between one node and the shared store: delays, lost requests, lost replies.
//!
//! Messages under way belong to no node: a request that was sent arrives even if its sender is
//! frozen, has given up or no longer cares.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use larder_core::area::Areas;
use larder_core::bus::{Bus, Pushed, Reader, Readers, Replay, Subscription};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lane::{Gap, Position};
use larder_core::runtime::{BoxFuture, Runtime, Timestamp};
use larder_core::space::Space;
use larder_core::store::{
    Batch, Committed, Description, Fill, Keyspace, Lease, LeaseToken, Leases, Lookup, Page,
    Pending, Put, Store, TagStore,
};
use larder_core::tag::Cut as TagCut;
use larder_core::version::Version;

use tokio::sync::{mpsc, oneshot};

use super::{Fault, Journal, Random, SimRuntime};

/// What goes wrong on a link, in cases of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The request never arrives; its sender learns of it only by its time limit.
    pub lost_request: u64,
    /// The request arrives, up to some seconds after its sender has given up.
    pub late_request: u64,
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
/// How late a late request may be beyond that, in nanoseconds.
const LATE: u64 = 3_000_000_000;
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
    journal: Journal,
    node: usize,
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

impl Cut {
    fn as_str(self) -> &'static str {
        match self {
            Cut::Nothing => "is whole",
            Cut::Requests => "requests no longer arrive",
            Cut::Replies => "replies and pushes no longer arrive",
            Cut::Both => "nothing arrives any longer",
            Cut::Pushes => "pushes no longer arrive",
        }
    }
}

impl Link {
    /// The way of a node to `store`, with these faults, which are counted in `journal`.
    pub fn new(
        store: Arc<dyn Store>,
        runtime: &SimRuntime,
        faults: Faults,
        (node, journal): (usize, Journal),
    ) -> Link {
        let random = Arc::new(Mutex::new(runtime.fork_random()));
        Link {
            store,
            runtime: runtime.outside(),
            random,
            faults,
            journal,
            node,
            cut: Arc::default(),
            is_calm: Arc::default(),
        }
    }

    /// Cuts some ways, or heals all.
    pub fn cut(&self, cut: Cut) {
        match cut {
            Cut::Nothing => {}
            Cut::Requests => self.journal.fault(Fault::CutRequests),
            Cut::Replies => self.journal.fault(Fault::CutReplies),
            Cut::Both => self.journal.fault(Fault::CutBoth),
            Cut::Pushes => self.journal.fault(Fault::CutPushes),
        }
        self.note(cut.as_str(), "link");
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

    /// Whether a fault of this chance happens now; if so, it is counted.
    fn happens(&self, fault: Fault, chance: u64) -> bool {
        let happens = self.draw(|random| random.per_mille(chance));
        if happens {
            self.journal.fault(fault);
        }
        happens
    }

    fn way(&self) -> Duration {
        let scale = if self.happens(Fault::Slow, self.faults().slow) {
            100
        } else {
            1
        };
        Duration::from_nanos(self.draw(|random| random.below(WAY * scale)))
    }

    fn note(&self, what: &str, name: &'static str) {
        let at = self.runtime.now();
        let node = self.node;
        self.journal
            .note(at, || format!("node {node}: {name}: {what}"));
    }

    async fn lost<T>(&self, what: &str, name: &'static str) -> Result<T> {
        self.note(what, name);
        self.runtime.sleep(LIMIT).await;
        Err(Error::new(ErrorKind::Timeout, "no reply within 500ms"))
    }

    /// Sends a request on its way and waits for what becomes of it.
    fn carry<T, F>(
        &self,
        name: &'static str,
        operation: impl FnOnce(Arc<dyn Store>) -> F + Send + 'static,
    ) -> Pending<'static, T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let link = self.clone();
        Pending::waiting(async move {
            let (done, reply) = oneshot::channel();
            let runtime = link.runtime.clone();
            runtime.spawn(Box::pin(async move {
                // Nobody to tell if the sender no longer cares.
                let _ = done.send(link.travel(name, operation).await);
            }));
            let ended = |_| Err(Error::new(ErrorKind::Closed, "the run has ended"));
            reply.await.unwrap_or_else(ended)
        })
    }

    async fn travel<T, F>(
        &self,
        name: &'static str,
        operation: impl FnOnce(Arc<dyn Store>) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let faults = self.faults();
        self.runtime.sleep(self.way()).await;
        let lost = self.happens(Fault::LostRequest, faults.lost_request);
        if lost || self.is_cut(&[Cut::Requests, Cut::Both]) {
            return self.lost("the request is lost", name).await;
        }
        if self.happens(Fault::LateRequest, faults.late_request) {
            let late = LIMIT + Duration::from_nanos(self.draw(|random| random.below(LATE)));
            let link = self.clone();
            self.runtime.spawn(Box::pin(async move {
                link.runtime.sleep(late).await;
                link.note("arrives late", name);
                // Its sender has given up: there is nobody to tell.
                let _ = operation(link.store.clone()).await;
            }));
            return self.lost("the request is late", name).await;
        }
        let result = operation(self.store.clone()).await;
        self.note("done by the store", name);
        self.runtime.sleep(self.way()).await;
        let lost = self.happens(Fault::LostReply, faults.lost_reply);
        if lost || self.is_cut(&[Cut::Replies, Cut::Both]) {
            return self.lost("the reply is lost", name).await;
        }
        result
    }
}

fn leases(store: &dyn Store) -> &dyn Leases {
    let description = store.describe();
    description.leases.expect("the simulated store has leases")
}

fn tags(store: &dyn Store) -> &dyn TagStore {
    store.describe().tags.expect("the simulated store has tags")
}

fn bus(store: &dyn Store) -> &dyn Bus {
    let description = store.describe();
    description.bus.expect("the simulated store has a bus")
}

fn keyspace(store: &dyn Store) -> &dyn Keyspace {
    let description = store.describe();
    description
        .keyspace
        .expect("the simulated store has a keyspace")
}

impl Store for Link {
    fn get<'a>(&'a self, key: &'a Bytes) -> Pending<'a, Lookup> {
        let key = key.clone();
        self.carry("get", |store| async move { store.get(&key).await })
    }

    fn get_many<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Lookup>> {
        let keys = keys.to_vec();
        self.carry("get", |store| async move { store.get_many(&keys).await })
    }

    fn commit(&self, batch: Batch) -> Pending<'_, Committed> {
        self.carry("commit", |store| async move { store.commit(batch).await })
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
            identity: self.store.describe().identity,
        }
    }
}

impl Leases for Link {
    fn lease<'a>(
        &'a self,
        key: &'a Bytes,
        token: LeaseToken,
        ttl: Duration,
        void: Version,
    ) -> Pending<'a, Lease> {
        let key = key.clone();
        self.carry("lease", move |store| async move {
            leases(&*store).lease(&key, token, ttl, void).await
        })
    }

    fn renew<'a>(&'a self, key: &'a Bytes, token: LeaseToken, ttl: Duration) -> Pending<'a, bool> {
        let key = key.clone();
        self.carry("renew", move |store| async move {
            leases(&*store).renew(&key, token, ttl).await
        })
    }

    fn fill<'a>(&'a self, key: &'a Bytes, token: LeaseToken, put: Put) -> Pending<'a, Fill> {
        let key = key.clone();
        self.carry("fill", move |store| async move {
            leases(&*store).fill(&key, token, put).await
        })
    }

    fn release<'a>(&'a self, key: &'a Bytes, token: LeaseToken) -> Pending<'a, ()> {
        let key = key.clone();
        self.carry("release", move |store| async move {
            leases(&*store).release(&key, token).await
        })
    }
}

impl Keyspace for Link {
    fn scan<'a>(&'a self, space: &'a Space, cursor: u64, count: usize) -> Pending<'a, Page> {
        let space = space.clone();
        self.carry("scan", move |store| async move {
            keyspace(&*store).scan(&space, cursor, count).await
        })
    }

    fn count<'a>(&'a self, space: &'a Space) -> Pending<'a, u64> {
        let space = space.clone();
        self.carry("count", |store| async move {
            keyspace(&*store).count(&space).await
        })
    }

    fn random_key<'a>(&'a self, space: &'a Space) -> Pending<'a, Option<Bytes>> {
        let space = space.clone();
        self.carry("random key", |store| async move {
            keyspace(&*store).random_key(&space).await
        })
    }

    fn clear<'a>(&'a self, space: &'a Space) -> Pending<'a, u64> {
        let space = space.clone();
        self.carry("clear", |store| async move {
            keyspace(&*store).clear(&space).await
        })
    }

    fn reclaim<'a>(&'a self, keys: &'a [Bytes], before: TagCut) -> Pending<'a, u64> {
        let keys = keys.to_vec();
        self.carry("reclaim", move |store| async move {
            keyspace(&*store).reclaim(&keys, before).await
        })
    }
}

impl TagStore for Link {
    fn tags<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<TagCut>> {
        let keys = keys.to_vec();
        self.carry("tags", move |store| async move {
            tags(&*store).tags(&keys).await
        })
    }

    fn watch<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<TagCut>> {
        let keys = keys.to_vec();
        self.carry("watch", move |store| async move {
            tags(&*store).watch(&keys).await
        })
    }

    fn get_within<'a>(
        &'a self,
        keys: &'a [Bytes],
        cache: &'a Bytes,
    ) -> Pending<'a, (Vec<Lookup>, Areas)> {
        let (keys, cache) = (keys.to_vec(), cache.clone());
        self.carry("get", move |store| async move {
            tags(&*store).get_within(&keys, &cache).await
        })
    }
}

impl Bus for Link {
    fn poll<'a>(&'a self, reader: &'a Reader) -> Pending<'a, Position> {
        let reader = reader.clone();
        self.carry("poll", move |store| async move {
            bus(&*store).poll(&reader).await
        })
    }

    fn readers(&self) -> Pending<'_, Readers> {
        self.carry(
            "readers",
            |store| async move { bus(&*store).readers().await },
        )
    }

    fn nudge(&self) -> Pending<'_, ()> {
        self.carry("nudge", |store| async move { bus(&*store).nudge().await })
    }

    fn replay(&self, gap: Gap) -> Pending<'_, Replay> {
        self.carry("replay", move |store| async move {
            bus(&*store).replay(gap).await
        })
    }

    fn subscribe(&self) -> Pending<'_, Box<dyn Subscription>> {
        let link = self.clone();
        self.carry("subscribe", move |store| async move {
            let there = bus(&*store).subscribe().await?;
            let (deliver, arriving) = mpsc::unbounded_channel();
            let runtime = link.runtime.clone();
            runtime.spawn(Box::pin(link.push(there, deliver)));
            Ok(Box::new(Arriving(arriving)) as Box<dyn Subscription>)
        })
    }
}

impl Link {
    /// Carries what is pushed, each message on a way of its own, until the subscription breaks.
    async fn push(self, mut there: Box<dyn Subscription>, deliver: mpsc::UnboundedSender<Pushed>) {
        while let Some(message) = there.next().await {
            let faults = self.faults();
            if deliver.is_closed() || self.happens(Fault::BrokenPush, faults.broken_push) {
                self.note("is broken", "subscription");
                return;
            }
            let lost = self.happens(Fault::LostPush, faults.lost_push);
            if lost || self.is_cut(&[Cut::Replies, Cut::Both, Cut::Pushes]) {
                self.note("a message is lost", "subscription");
                continue;
            }
            let twice = self.happens(Fault::DoubledPush, faults.doubled_push);
            for _ in 0..1 + u8::from(twice) {
                let (message, deliver) = (message.clone(), deliver.clone());
                let arrival = self.runtime.sleep(self.way());
                self.runtime.spawn(Box::pin(async move {
                    arrival.await;
                    let _ = deliver.send(message);
                }));
            }
        }
    }
}

struct Arriving(mpsc::UnboundedReceiver<Pushed>);

impl Subscription for Arriving {
    fn next(&mut self) -> BoxFuture<'_, Option<Pushed>> {
        Box::pin(self.0.recv())
    }
}
