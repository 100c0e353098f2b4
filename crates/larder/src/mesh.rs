//! A remote tier without a server: the nodes of a mesh, each with a store of its own that is told of
//! every change of the others.
//!
//! [`MeshStore`] is a [`Store`] with a [`Bus`](larder_core::bus::Bus), as Redis is one. Behind it is an embedded store in this
//! process, to whose log the changes of all members are added as they arrive. What is different:
//!
//! * A change is acknowledged when a majority of the configured members has it (with learned members:
//!   all that are connected). It is an error if that takes longer than two seconds.
//! * A poll of the log is a poll of all members. So near caches, which follow this log as they follow
//!   any other, have their lease from a majority, and a minority fences itself.
//! * The store here is a copy like a near copy. While no poll vouches for it, it is as good as empty.
//! * Values stay where they were loaded or put: others are told that theirs are void, and load.
//!   Conditions of a batch, and leases, are those of this process.

mod incoming;
mod outgoing;
mod reading;
mod record;
mod values;

use std::sync::Arc;

use larder_core::bus::Readers;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lane::LEASE;
use larder_core::mutant::Mutant;
use larder_core::runtime::{Mono, Runtime, Timestamp};
use larder_core::store::{Batch, Committed, Description, Lookup, Pending, Store, Vouch};
use larder_mesh::log::Acknowledge;
use larder_mesh::{Config, MeshLog};

use ::bytes::Bytes;

use crate::embedded::{Embedded, MemoryLimit};
use crate::remote::{Opening, Remote, enveloped_only};

use incoming::Incoming;
use outgoing::Outgoing;
use values::Values;

pub use larder_mesh::Config as MeshConfig;
pub use larder_mesh::log::Standing;
pub use larder_mesh::{
    Address, ClusterName, Discovery, DnsName, Membership, NodeName, Seat, Secret, State, Tls,
    TlsFiles,
};

/// Shards of the store in this process: enough that threads seldom meet, and few enough that each has
/// room for a large value.
const SHARDS: usize = 64;

/// Least bytes of a table of replicated values: there is room for the removals of some seconds.
const LEAST: usize = 16 << 20;

/// What the store in this process may hold, in bytes, if nothing else is said.
const MEMORY: usize = 64 << 20;

/// A member of a mesh, as a remote tier. A cheap clone of one member: give clones to all caches of a
/// process. When the last one is dropped, the member ends without a goodbye.
#[derive(Clone)]
pub struct MeshStore {
    inner: Arc<Inner>,
}

struct Inner {
    store: Embedded,
    log: MeshLog,
    outgoing: Arc<Outgoing>,
    /// The table, if values are replicated.
    values: Option<Arc<Values>>,
    runtime: Arc<dyn Runtime>,
    name: String,
}

impl MeshStore {
    /// Starts a member of a mesh with a store of 64 MiB. It listens when this returns, and looks for
    /// the others from then on; it never waits for them. Costs no round trip.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if settings do not fit together or a file cannot be read,
    /// [`ErrorKind::Unavailable`] if the address cannot be listened on.
    pub async fn start(config: Config, runtime: Arc<dyn Runtime>) -> Result<MeshStore> {
        let store = Embedded::build(runtime.clone(), SHARDS, Some(MemoryLimit::bytes(MEMORY)));
        MeshStore::start_with(config, store, runtime).await
    }

    /// The same with a store of this process that nothing else uses, and that is empty.
    ///
    /// # Errors
    ///
    /// Those of [`MeshStore::start`].
    pub async fn start_with(
        config: Config,
        store: Embedded,
        runtime: Arc<dyn Runtime>,
    ) -> Result<MeshStore> {
        let name = format!("mesh {}, node {}", config.cluster, config.name);
        let follower = Arc::new(Incoming::new(store.clone()));
        let who = Acknowledge::Majority;
        let log = MeshLog::start(config, who, follower, runtime.clone()).await?;
        let outgoing = Arc::new(Outgoing::default());
        store.tap(outgoing.clone());
        Ok(MeshStore {
            inner: Arc::new(Inner {
                store,
                log,
                outgoing,
                values: None,
                runtime,
                name,
            }),
        })
    }

    /// Starts a member whose values are those of all: what is written on one is read on all of them,
    /// without a source. The store is one of this process that nothing else uses, and that is empty.
    ///
    /// A write is acknowledged when all members that are connected have it, so that no value is lost
    /// while any of them lives. Of two writes of a key at the same time one stays, on all nodes the
    /// same. A member that starts has the values of the others before it answers; alone, it waits for
    /// them for two and a half seconds. A part that is cut off goes on by itself, and both are merged
    /// when they meet, by the same rule.
    ///
    /// The limit of the store holds for everything, removals that are remembered included. Give all
    /// members the same. A store that evicts does so by itself: it reads as absent what the others have,
    /// and nothing older comes back in its place. One that refuses takes what others have written
    /// nevertheless, and evicts when that is more than a sixteenth too much.
    ///
    /// # Errors
    ///
    /// Those of [`MeshStore::start`]; and [`ErrorKind::Config`] if the limit is less than 16 MiB.
    pub async fn replicated(
        config: Config,
        store: Embedded,
        runtime: Arc<dyn Runtime>,
    ) -> Result<MeshStore> {
        if store.limit().is_some_and(|bytes| bytes < LEAST) {
            let message = "the memory of a node with replicated values is at least 16 MiB";
            return Err(Error::new(ErrorKind::Config, message));
        }
        let name = format!("mesh {}, node {}", config.cluster, config.name);
        let outgoing = Arc::new(Outgoing::default());
        let values = Values::new(store.clone(), outgoing.clone(), &*runtime);
        let values = Arc::new(values);
        let who = Acknowledge::Everybody;
        let log = MeshLog::start(config, who, values.clone(), runtime.clone()).await?;
        values.begin(log.lane());
        Ok(MeshStore {
            inner: Arc::new(Inner {
                store,
                log,
                outgoing,
                values: Some(values),
                runtime,
                name,
            }),
        })
    }

    /// The log of the mesh, and the links below it.
    pub fn log(&self) -> &MeshLog {
        &self.inner.log
    }

    /// The other members, by name: who is there, and how far their changes are applied here.
    pub fn members(&self) -> Vec<Standing> {
        self.inner.log.standings()
    }

    /// Whether somebody vouches for what is here: a majority of the configured members has answered
    /// within Δ (one second).
    pub fn is_leased(&self) -> bool {
        self.inner.is_leased()
    }

    /// Leaves the mesh, and says so to the others: they do not wait for this node to be silent. Takes
    /// at most about two seconds. Changes fail from then on.
    pub async fn shutdown(&self) {
        self.inner.log.shutdown().await;
    }
}

impl std::fmt::Debug for MeshStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeshStore")
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}

impl Remote for MeshStore {
    fn open(self: Box<Self>, how: Opening<'_>) -> Result<Arc<dyn Store>> {
        enveloped_only("a mesh", how.layout)?;
        Ok(Arc::new(*self))
    }
}

impl Inner {
    /// To be asked before the store is read: what is found then is covered by the lease.
    fn is_leased(&self) -> bool {
        match &self.values {
            // They are no copies of anything.
            Some(values) => values.is_whole(),
            None => {
                self.runtime.now() < self.log.lease_until() || Mutant::StoreUnleased.is_active()
            }
        }
    }

    /// Sends what was changed here, and waits until enough members have it.
    async fn acknowledged<T>(&self, number: u64, result: T) -> Result<T> {
        self.log.acknowledged(number).await?;
        Ok(result)
    }

    /// Refuses a change before anything is done, when too many wait: a change of which nobody can be
    /// told must not be made.
    fn has_room(&self) -> Result<()> {
        if !self.log.is_full() {
            return Ok(());
        }
        let message = "too many changes wait for the other members of the mesh";
        Err(Error::new(ErrorKind::Overloaded, message))
    }

    fn commit(&self, batch: Batch) -> Pending<'_, Committed> {
        if let Some(values) = self.values.as_ref().filter(|values| !values.is_whole()) {
            return Pending::waiting(async move {
                values.whole().await;
                self.commit(batch).await
            });
        }
        let is_told = !batch.writes.is_empty() || batch.probe;
        if let Err(error) = self.has_room() {
            return Pending::ready(Err(error));
        }
        if let Some(values) = &self.values {
            return match values.commit(batch) {
                Ok((done @ Committed::Done(_), said)) if is_told => self.say(values, said, done),
                Ok((committed, _)) => Pending::ready(Ok(committed)),
                Err(error) => Pending::ready(Err(error)),
            };
        }
        match self.store.commit(batch) {
            Pending::Ready(Some(Ok(done @ Committed::Done(_)))) if is_told => self.tell(done),
            Pending::Ready(Some(result)) => Pending::ready(result),
            _ => Pending::ready(Err(Error::new(
                ErrorKind::Invalid,
                "the store of this process refuses the batch",
            ))),
        }
    }

    /// Tells the others what this thread has just changed.
    fn tell<T: Send + 'static>(&self, result: T) -> Pending<'_, T> {
        let number = self.outgoing.newest();
        if let Err(error) = self.outgoing.send(&self.log) {
            return Pending::ready(Err(error));
        }
        Pending::waiting(self.acknowledged(number, result))
    }

    /// The same for replicated values.
    fn say<'a, T: Send + 'static>(
        &'a self,
        values: &'a Values,
        said: Vec<Bytes>,
        result: T,
    ) -> Pending<'a, T> {
        let mut number = self.outgoing.newest();
        if let Err(error) = self.outgoing.send(&self.log) {
            return Pending::ready(Err(error));
        }
        Pending::waiting(async move {
            self.log.acknowledged(number).await?;
            while values.is_doubtful(number) {
                self.outgoing.push(said.clone(), None);
                number = self.outgoing.newest();
                self.outgoing.send(&self.log)?;
                self.log.acknowledged(number).await?;
            }
            Ok(result)
        })
    }

    /// Who reads here and elsewhere, in terms of the log here.
    async fn readers(&self) -> Result<Readers> {
        let others = self.log.others().await;
        let is_read = others.heard.iter().any(|heard| !heard.readers.is_empty());
        if is_read {
            self.store.begin_log();
        }
        // The place first: whatever is made after it lies behind it.
        let at = self.store.position();
        let mut readers = reading::local(&self.store)?;
        reading::add(&mut readers, others, |applied| {
            self.outgoing.place(applied, at?)
        });
        Ok(readers)
    }
}

impl Store for MeshStore {
    fn get<'a>(&'a self, key: &'a Bytes) -> Pending<'a, Lookup> {
        if self.inner.is_leased() {
            self.inner.store.get(key)
        } else if let Some(values) = &self.inner.values {
            Pending::waiting(async move {
                values.whole().await;
                self.inner.store.get(key).await
            })
        } else {
            Pending::ready(Ok(Lookup::Absent))
        }
    }

    fn get_many<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Lookup>> {
        if self.inner.is_leased() {
            self.inner.store.get_many(keys)
        } else if let Some(values) = &self.inner.values {
            Pending::waiting(async move {
                values.whole().await;
                self.inner.store.get_many(keys).await
            })
        } else {
            Pending::ready(Ok(vec![Lookup::Absent; keys.len()]))
        }
    }

    fn commit(&self, batch: Batch) -> Pending<'_, Committed> {
        self.inner.commit(batch)
    }

    fn now(&self) -> Timestamp {
        self.inner.store.now()
    }

    fn describe(&self) -> Description<'_> {
        let store = self.inner.store.describe();
        Description {
            name: &self.inner.name,
            leases: Some(self),
            keyspace: Some(self),
            bus: Some(self),
            tags: Some(self),
            vouch: Some(self),
            health: None,
            locks: None,
            rates: None,
            counters: None,
            identity: store.identity,
        }
    }
}

impl Vouch for MeshStore {
    fn vouch(&self) -> Pending<'_, ()> {
        Pending::waiting(self.inner.log.poll())
    }

    fn as_of(&self) -> Mono {
        let lease = u64::try_from(LEASE.as_nanos()).unwrap_or(u64::MAX);
        Mono(self.inner.log.lease_until().0.saturating_sub(lease))
    }
}
