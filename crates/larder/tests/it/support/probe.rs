//! An embedded store that counts what it is asked, and can be made to fail or to wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder::core::error::Result;
use larder::core::space::Space;
use larder::core::store::{
    Batch, Committed, Description, Fill, Keyspace, Lease, LeaseToken, Leases, Lookup, Page,
    Pending, Put, Store,
};
use larder::core::{Runtime, Timestamp};
use larder::embedded::Embedded;
use larder::{Error, ErrorKind};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use larder::core::Version;
use larder::core::tag::Cut;

use super::in_time;

/// An operation of a store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Op {
    Get,
    GetMany,
    Commit,
    Lease,
    Renew,
    Fill,
    Confirm,
    Release,
    Clear,
    Acquire,
    Prolong,
    Unlock,
    Fenced,
    Releases,
}

/// How every operation fails until the store is healed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It does not take place.
    Refuses,
    /// It takes place, but the reply is lost.
    LosesReplies,
    /// Leases are not to be had; all else takes place.
    RefusesLeases,
}

/// Where one operation of a store, or its reply, stops until it is let through.
pub(crate) struct Gate {
    arrived: Semaphore,
    open: Semaphore,
}

impl Gate {
    fn closed() -> Gate {
        Gate {
            arrived: Semaphore::new(0),
            open: Semaphore::new(0),
        }
    }

    /// Returns once an operation, or its reply, waits here.
    pub(crate) async fn reached(&self) {
        in_time(self.arrived.acquire())
            .await
            .expect("gates stay open")
            .forget();
    }

    /// Lets the reply through.
    pub(crate) fn open(&self) {
        self.open.add_permits(1);
    }

    async fn pass(&self) {
        self.arrived.add_permits(1);
        self.open.acquire().await.expect("gates stay open").forget();
    }
}

/// The store.
pub(crate) struct Probe {
    pub(super) inner: Embedded,
    calls: Mutex<HashMap<Op, u64>>,
    trouble: Mutex<Option<Trouble>>,
    gate: Mutex<Option<(Op, Arc<Gate>)>>,
    barrier: Mutex<Option<(Op, Arc<Gate>)>>,
    lagging: Mutex<Option<Lookup>>,
    runtime: Arc<dyn Runtime>,
    link: tokio::sync::Mutex<Option<Duration>>,
    longest: Mutex<Duration>,
}

impl Probe {
    pub(crate) fn new(runtime: Arc<dyn Runtime>) -> Probe {
        Probe {
            inner: Embedded::new(runtime.clone()),
            calls: Mutex::default(),
            trouble: Mutex::default(),
            gate: Mutex::default(),
            barrier: Mutex::default(),
            lagging: Mutex::default(),
            runtime,
            link: tokio::sync::Mutex::default(),
            longest: Mutex::default(),
        }
    }

    /// How often it was asked for this so far.
    pub(crate) fn calls(&self, op: Op) -> u64 {
        self.calls.lock().get(&op).copied().unwrap_or(0)
    }

    /// Stops the next reply to `op`.
    pub(crate) fn gate(&self, op: Op) -> Arc<Gate> {
        let gate = Arc::new(Gate::closed());
        *self.gate.lock() = Some((op, gate.clone()));
        gate
    }

    /// Stops the next `op` before it takes place.
    pub(crate) fn barrier(&self, op: Op) -> Arc<Gate> {
        let gate = Arc::new(Gate::closed());
        *self.barrier.lock() = Some((op, gate.clone()));
        gate
    }

    pub(crate) fn hurt(&self, trouble: Trouble) {
        *self.trouble.lock() = Some(trouble);
    }

    /// Makes the next `get` answer as a replica does that has not heard of the last changes.
    pub(crate) fn lag(&self, answer: Lookup) {
        *self.lagging.lock() = Some(answer);
    }

    /// From now on one operation comes after the other, and each takes this long.
    pub(crate) async fn slow_down(&self, each: Duration) {
        *self.link.lock().await = Some(each);
    }

    /// How long the slowest operation since then took, with all that it waited for.
    pub(crate) fn longest(&self) -> Duration {
        *self.longest.lock()
    }

    async fn pass_link(&self) {
        let begun = self.runtime.now();
        let link = self.link.lock().await;
        if let Some(each) = *link {
            self.runtime.sleep(each).await;
            let took = self.runtime.now().since(begun);
            let mut longest = self.longest.lock();
            *longest = took.max(*longest);
        }
    }

    pub(crate) fn heal(&self) {
        *self.trouble.lock() = None;
    }

    /// What is stored under a key of the cache `app:users`, behind everybody's back.
    pub(crate) async fn peek(&self, key: u64) -> Lookup {
        let stored = Bytes::from(format!("app:users:{key}"));
        self.inner.get(&stored).await.expect("memory answers")
    }

    pub(super) async fn call<'a, T>(
        &'a self,
        op: Op,
        work: impl FnOnce() -> Pending<'a, T> + Send,
    ) -> Result<T> {
        *self.calls.lock().entry(op).or_default() += 1;
        let trouble = *self.trouble.lock();
        let failure = || Error::new(ErrorKind::Unavailable, "the test hurts the store");
        let is_refused = match trouble {
            Some(Trouble::Refuses) => true,
            Some(Trouble::RefusesLeases) => op == Op::Lease,
            Some(Trouble::LosesReplies) | None => false,
        };
        if is_refused {
            return Err(failure());
        }
        let barrier = self.barrier.lock().take_if(|(at, _)| *at == op);
        if let Some((_, gate)) = barrier {
            gate.pass().await;
        }
        self.pass_link().await;
        let reply = work().await;
        let gate = self.gate.lock().take_if(|(at, _)| *at == op);
        if let Some((_, gate)) = gate {
            gate.pass().await;
        }
        match trouble {
            Some(Trouble::LosesReplies) => Err(failure()),
            _ => reply,
        }
    }
}

impl Store for Probe {
    fn get<'a>(&'a self, key: &'a Bytes) -> Pending<'a, Lookup> {
        let lagging = self.lagging.lock().take();
        Pending::waiting(self.call(Op::Get, || match lagging {
            Some(answer) => Pending::ready(Ok(answer)),
            None => self.inner.get(key),
        }))
    }

    fn get_many<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Lookup>> {
        Pending::waiting(self.call(Op::GetMany, || self.inner.get_many(keys)))
    }

    fn commit(&self, batch: Batch) -> Pending<'_, Committed> {
        Pending::waiting(self.call(Op::Commit, || self.inner.commit(batch)))
    }

    fn now(&self) -> Timestamp {
        Store::now(&self.inner)
    }

    fn describe(&self) -> Description<'_> {
        Description {
            name: "probed store",
            leases: Some(self),
            keyspace: Some(self),
            bus: None,
            tags: None,
            vouch: None,
            health: None,
            locks: Some(self),
            rates: Some(&self.inner),
            counters: Some(&self.inner),
            identity: "",
        }
    }
}

impl Leases for Probe {
    fn lease<'a>(
        &'a self,
        key: &'a Bytes,
        token: LeaseToken,
        ttl: Duration,
        void: Version,
    ) -> Pending<'a, Lease> {
        Pending::waiting(self.call(Op::Lease, move || self.inner.lease(key, token, ttl, void)))
    }

    fn renew<'a>(&'a self, key: &'a Bytes, token: LeaseToken, ttl: Duration) -> Pending<'a, bool> {
        Pending::waiting(self.call(Op::Renew, move || self.inner.renew(key, token, ttl)))
    }

    fn fill<'a>(&'a self, key: &'a Bytes, token: LeaseToken, put: Put) -> Pending<'a, Fill> {
        Pending::waiting(self.call(Op::Fill, move || self.inner.fill(key, token, put)))
    }

    fn confirm<'a>(
        &'a self,
        key: &'a Bytes,
        token: LeaseToken,
        old: Version,
        put: Put,
    ) -> Pending<'a, Fill> {
        Pending::waiting(self.call(Op::Confirm, move || {
            self.inner.confirm(key, token, old, put)
        }))
    }

    fn release<'a>(&'a self, key: &'a Bytes, token: LeaseToken) -> Pending<'a, ()> {
        Pending::waiting(self.call(Op::Release, move || self.inner.release(key, token)))
    }
}

impl Keyspace for Probe {
    fn scan<'a>(&'a self, space: &'a Space, cursor: u64, count: usize) -> Pending<'a, Page> {
        self.inner.scan(space, cursor, count)
    }

    fn count<'a>(&'a self, space: &'a Space) -> Pending<'a, u64> {
        self.inner.count(space)
    }

    fn random_key<'a>(&'a self, space: &'a Space) -> Pending<'a, Option<Bytes>> {
        self.inner.random_key(space)
    }

    fn clear<'a>(&'a self, space: &'a Space) -> Pending<'a, u64> {
        Pending::waiting(self.call(Op::Clear, || self.inner.clear(space)))
    }

    fn reclaim<'a>(&'a self, keys: &'a [Bytes], before: Cut) -> Pending<'a, u64> {
        self.inner.reclaim(keys, before)
    }
}
