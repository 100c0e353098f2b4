//! A store at the other end of a link: each of its operations is one request, which takes place
//! there at one moment between its sending and its reply.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder_core::area::Areas;
use larder_core::bus::{Bus, Pushed, Reader, Readers, Replay, Subscription};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lane::{Gap, Position};
use larder_core::runtime::{BoxFuture, Timestamp};
use larder_core::space::Space;
use larder_core::store::{
    Batch, Committed, Description, Fill, Keyspace, Lease, LeaseToken, Leases, Lookup, Page,
    Pending, Put, Store, TagStore,
};
use larder_core::tag::Cut as TagCut;
use larder_core::version::Version;
use tokio::sync::mpsc;

use super::way::{LIMIT, Source};
use super::{Cut, Faults, Journal, SimRuntime, Way};

/// The store as one node sees it.
#[derive(Clone)]
pub struct Link {
    store: Arc<dyn Store>,
    way: Way,
}

impl Link {
    /// The link of a node to `store`, with these faults, which are counted in `journal`.
    pub fn new(
        store: Arc<dyn Store>,
        runtime: &SimRuntime,
        faults: Faults,
        place: (usize, Journal),
    ) -> Link {
        Link::over(store, Way::new(runtime, faults, place))
    }

    /// The store at the end of this way.
    pub(super) fn over(store: Arc<dyn Store>, way: Way) -> Link {
        Link { store, way }
    }

    /// Cuts some ways, or heals all.
    pub fn cut(&self, cut: Cut) {
        self.way.cut(cut);
    }

    /// Ends all that goes wrong: nothing is cut, and from now on nothing is lost or slow.
    pub fn calm(&self) {
        self.way.calm();
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
        let (store, way) = (self.store.clone(), self.way.clone());
        Pending::waiting(async move {
            let reply = way.carry(move || name.to_owned(), move || operation(store));
            match reply.await {
                Some(reply) => reply,
                None => {
                    way.sleep(LIMIT).await;
                    Err(Error::new(ErrorKind::Timeout, "no reply within 500ms"))
                }
            }
        })
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
            vouch: None,
            health: self.store.describe().health,
            locks: None,
            rates: None,
            counters: None,
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

    fn confirm<'a>(
        &'a self,
        key: &'a Bytes,
        token: LeaseToken,
        old: Version,
        put: Put,
    ) -> Pending<'a, Fill> {
        let key = key.clone();
        self.carry("confirm", move |store| async move {
            leases(&*store).confirm(&key, token, old, put).await
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

    fn get_among<'a>(
        &'a self,
        keys: &'a [Bytes],
        caches: &'a [Bytes],
    ) -> Pending<'a, (Vec<Lookup>, Vec<Areas>)> {
        let (keys, caches) = (keys.to_vec(), caches.to_vec());
        self.carry("get", move |store| async move {
            tags(&*store).get_among(&keys, &caches).await
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
        let way = self.way.clone();
        self.carry("subscribe", |store| async move {
            let there = bus(&*store).subscribe().await?;
            let (deliver, arriving) = mpsc::unbounded_channel();
            way.spawn(way.clone().push(there, deliver));
            Ok(Box::new(Arriving(arriving)) as Box<dyn Subscription>)
        })
    }
}

impl Source for Box<dyn Subscription> {
    type Message = Pushed;

    fn next(&mut self) -> BoxFuture<'_, Option<Pushed>> {
        (**self).next()
    }
}

struct Arriving(mpsc::UnboundedReceiver<Pushed>);

impl Subscription for Arriving {
    fn next(&mut self) -> BoxFuture<'_, Option<Pushed>> {
        Box::pin(self.0.recv())
    }
}
