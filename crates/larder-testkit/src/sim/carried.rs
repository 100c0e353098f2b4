//! A store at the other end of a link: each of its operations is one request.

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
use larder_core::tag::Cut;
use larder_core::version::Version;
use tokio::sync::mpsc;

use super::Link;
use super::link::{LIMIT, Source};

/// The store as one node sees it.
pub struct Carried {
    store: Arc<dyn Store>,
    link: Link,
}

impl Carried {
    /// `store` behind `link`.
    pub fn new(store: Arc<dyn Store>, link: Link) -> Carried {
        Carried { store, link }
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
        let (store, link) = (self.store.clone(), self.link.clone());
        Pending::waiting(async move {
            let reply = link.carry(move || name.to_owned(), move || operation(store));
            match reply.await {
                Some(reply) => reply,
                None => {
                    link.sleep(LIMIT).await;
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

impl Store for Carried {
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

impl Leases for Carried {
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

impl Keyspace for Carried {
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

    fn reclaim<'a>(&'a self, keys: &'a [Bytes], before: Cut) -> Pending<'a, u64> {
        let keys = keys.to_vec();
        self.carry("reclaim", move |store| async move {
            keyspace(&*store).reclaim(&keys, before).await
        })
    }
}

impl TagStore for Carried {
    fn tags<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Cut>> {
        let keys = keys.to_vec();
        self.carry("tags", move |store| async move {
            tags(&*store).tags(&keys).await
        })
    }

    fn watch<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Cut>> {
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

impl Bus for Carried {
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
        let link = self.link.clone();
        self.carry("subscribe", |store| async move {
            let there = bus(&*store).subscribe().await?;
            let (deliver, arriving) = mpsc::unbounded_channel();
            link.spawn(link.clone().push(there, deliver));
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
