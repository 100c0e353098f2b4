//! A store whose log tells a cache what the test lets through, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use larder::core::bus::{Bus, BusRecord, Pushed, Reader, Readers, Replay, Subscription};
use larder::core::error::Result;
use larder::core::lane::{Gap, Position};
use larder::core::store::{
    Batch, Committed, Description, Fill, Lease, LeaseToken, Leases, Lookup, Pending, Put, Store,
};
use larder::core::{BoxFuture, Timestamp, Version};
use larder::embedded::Embedded;
use larder::{Error, ErrorKind};
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// An embedded store to everybody, but for what it pushes and whether it can be polled.
pub(crate) struct HandFed {
    inner: Embedded,
    is_silent: AtomicBool,
    feed: Mutex<Option<mpsc::UnboundedSender<Pushed>>>,
}

impl HandFed {
    /// A view of `store`; the test holds the records in its hands.
    pub(crate) fn new(store: Embedded) -> Arc<HandFed> {
        Arc::new(HandFed {
            inner: store,
            is_silent: AtomicBool::new(false),
            feed: Mutex::default(),
        })
    }

    /// Polls and replays fail from here on, or no longer.
    pub(crate) fn silence(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Ordering::Relaxed);
    }

    /// Pushes a record to the cache that subscribed last.
    pub(crate) fn push(&self, record: &BusRecord) {
        let feed = self.feed.lock();
        let feed = feed.as_ref().expect("somebody has subscribed");
        feed.send(Pushed::Record(record.clone())).unwrap();
    }

    fn ask<'a, T: Send + 'a>(&self, answer: impl FnOnce() -> Pending<'a, T>) -> Pending<'a, T> {
        if self.is_silent.load(Ordering::Relaxed) {
            let error = Error::new(ErrorKind::Unavailable, "the test silences the bus");
            return Pending::ready(Err(error));
        }
        answer()
    }
}

impl Store for HandFed {
    fn get<'a>(&'a self, key: &'a Bytes) -> Pending<'a, Lookup> {
        self.inner.get(key)
    }

    fn get_many<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Lookup>> {
        self.inner.get_many(keys)
    }

    fn commit(&self, batch: Batch) -> Pending<'_, Committed> {
        Store::commit(&self.inner, batch)
    }

    fn now(&self) -> Timestamp {
        Store::now(&self.inner)
    }

    fn describe(&self) -> Description<'_> {
        Description {
            leases: Some(self),
            bus: Some(self),
            ..self.inner.describe()
        }
    }
}

impl Leases for HandFed {
    fn lease<'a>(
        &'a self,
        key: &'a Bytes,
        token: LeaseToken,
        ttl: Duration,
        void: Version,
    ) -> Pending<'a, Lease> {
        self.inner.lease(key, token, ttl, void)
    }

    fn renew<'a>(&'a self, key: &'a Bytes, token: LeaseToken, ttl: Duration) -> Pending<'a, bool> {
        self.inner.renew(key, token, ttl)
    }

    fn fill<'a>(&'a self, key: &'a Bytes, token: LeaseToken, put: Put) -> Pending<'a, Fill> {
        self.inner.fill(key, token, put)
    }

    fn confirm<'a>(
        &'a self,
        key: &'a Bytes,
        token: LeaseToken,
        old: Version,
        put: Put,
    ) -> Pending<'a, Fill> {
        self.inner.confirm(key, token, old, put)
    }

    fn release<'a>(&'a self, key: &'a Bytes, token: LeaseToken) -> Pending<'a, ()> {
        self.inner.release(key, token)
    }
}

impl Bus for HandFed {
    fn poll<'a>(&'a self, reader: &'a Reader) -> Pending<'a, Position> {
        self.ask(|| self.inner.poll(reader))
    }

    fn replay(&self, gap: Gap) -> Pending<'_, Replay> {
        self.ask(|| self.inner.replay(gap))
    }

    fn subscribe(&self) -> Pending<'_, Box<dyn Subscription>> {
        let (feed, fed) = mpsc::unbounded_channel();
        *self.feed.lock() = Some(feed);
        Pending::ready(Ok(Box::new(Fed(fed))))
    }

    fn readers(&self) -> Pending<'_, Readers> {
        self.inner.readers()
    }

    fn nudge(&self) -> Pending<'_, ()> {
        self.inner.nudge()
    }
}

struct Fed(mpsc::UnboundedReceiver<Pushed>);

impl Subscription for Fed {
    fn next(&mut self) -> BoxFuture<'_, Option<Pushed>> {
        Box::pin(self.0.recv())
    }
}

/// What a store pushes, as a test collects it.
pub(crate) struct Collected(Box<dyn Subscription>);

impl Collected {
    pub(crate) async fn of(store: &Embedded) -> Result<Collected> {
        Ok(Collected(store.subscribe().await?))
    }

    /// The next record; nudges are left out.
    pub(crate) async fn next(&mut self) -> BusRecord {
        loop {
            match self.0.next().await {
                Some(Pushed::Record(record)) => return record,
                Some(Pushed::Nudge | Pushed::Free(_)) => {}
                None => panic!("the subscription has ended"),
            }
        }
    }
}
