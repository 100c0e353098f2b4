//! The engine of one cache: reading, loading, writing, invalidating.
//!
//! It knows values but not the types of keys or of loaders' errors; [`crate::Cache`] adds those.
//! Three rules hold everywhere below:
//!
//! * The near guard's snapshot is taken before a value is read from anywhere.
//! * A change is concluded (older copies forgotten, reads and loads under way shut out) before
//!   its caller is told of it, whether it succeeded or its outcome is unknown.
//! * A change, once sent, is seen through in a task of its own, whatever becomes of its caller.

mod answer;
pub(crate) mod areas;
mod claim;
pub(crate) mod compute;
mod defer;
mod flight;
mod keep;
mod load;
pub(crate) mod many;
mod protect;
pub(crate) mod read;
pub(crate) mod refresh;
pub(crate) mod relabel;
mod retries;
pub(crate) mod tagging;
mod tell;
mod ticketed;
mod update;
pub(crate) mod waiters;
mod write;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::bytes::Bytes;
use larder_core::admit::Refusal;
use larder_core::codec::Codec;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::freshness::NearLife;
use larder_core::key::{Id, Key, KeyHasher, Name, WireKey, wire_key};
use larder_core::lane::{LEASE, Position};
use larder_core::mutant::Mutant;
use larder_core::record::{Expiry, Life};
use larder_core::runtime::{Mono, Runtime};
use larder_core::store::{Health, Store};
use larder_core::tag::{Cut, Tags};
use larder_core::version::Version;
use tokio::sync::oneshot;

use crate::backlog::Deferred;
use crate::coherence::Coherence;
use crate::depend::{Depends, Place, Touched};
use crate::loaded::{Loaded, Source};
use crate::locks::Locks;
use crate::near::{Cause, Content, Entry, EntryMeta, Near, NearKey, NearSnapshot};
use crate::observe::{Counts, NearStats, Stats};
use crate::options::WhenFenced;
use crate::receipt::Receipt;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::tags::{EntryTags, TagCells};
use areas::{KnownAreas, Reach};
use compute::Turns;
pub(crate) use flight::{Flights, Landed, Load};
pub(crate) use protect::{Patience, Protection};
use refresh::Refreshes;
pub(crate) use ticketed::Standing;
pub(crate) use update::Updates;
use waiters::Waiters;
pub(crate) use write::Change;

/// Weighs a value, in bytes.
pub(crate) type Weigher<V> = Box<dyn Fn(&V) -> usize + Send + Sync>;

pub(crate) struct Engine<V> {
    pub(crate) name: Name,
    /// The name and a `:`: what every wire key begins with.
    pub(crate) prefix: Box<[u8]>,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) hasher: KeyHasher,
    pub(crate) near: Arc<Near<V>>,
    pub(crate) remote: Option<Arc<dyn Store>>,
    pub(crate) codec: Box<dyn Codec<V>>,
    pub(crate) schema: u32,
    pub(crate) weigher: Option<Weigher<V>>,
    pub(crate) lives: Lives,
    pub(crate) when_fenced: WhenFenced,
    pub(crate) max_value: usize,
    pub(crate) flights: Flights<V>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) refreshes: Refreshes,
    pub(crate) protection: Protection,
    pub(crate) turns: Turns,
    pub(crate) tags: TagCells,
    pub(crate) coherence: Coherence,
    pub(crate) areas: KnownAreas,
    pub(crate) reach: Reach,
    pub(crate) touched: Arc<Touched>,
    pub(crate) place: Option<Place>,
    /// What waits for the remote tier; `None` if nothing may.
    pub(crate) deferred: Option<Deferred>,
    pub(crate) counts: Counts,
    pub(crate) closed: AtomicBool,
    pub(crate) last_version: AtomicU64,
    /// Made when they are asked for.
    pub(crate) locks: OnceLock<Locks>,
}

/// The times of a cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lives {
    /// `None`: no end.
    pub(crate) ttl: Option<Duration>,
    pub(crate) stale_for: Duration,
    /// For how long it is remembered that there is no record; zero for not at all.
    pub(crate) negative_ttl: Duration,
    pub(crate) jitter_percent: u8,
    pub(crate) near_ttl: Duration,
    pub(crate) lease: Duration,
    pub(crate) tombstone: Duration,
}

/// The moment before a read: what the near guard showed, and when that was.
#[derive(Clone, Copy)]
pub(crate) struct Before {
    pub(crate) near: NearSnapshot,
    pub(crate) at: Mono,
    /// As of when what the remote tier tells from now on holds at least, which may be a copy itself.
    pub(crate) remote: Mono,
    /// For what is read, where nobody else gives versions. A change draws its own once the source, or
    /// the store, has it: what was read before that is older, and not by when its reading ended.
    pub(crate) version: Version,
}

/// One key of this cache.
#[derive(Clone)]
pub(crate) struct EngineKey {
    wire: WireKey,
    prefix: usize,
    hash: u64,
}

impl EngineKey {
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// What stands behind the name of the cache.
    pub(crate) fn id_bytes(&self) -> &[u8] {
        &self.wire[self.prefix..]
    }

    pub(crate) fn near(&self) -> NearKey<'_> {
        NearKey {
            hash: self.hash,
            id: Id::of(self.id_bytes()),
        }
    }

    /// The key in the remote tier. A name never begins with the reserved byte, so that the wire
    /// key and the stored key are the same.
    pub(crate) fn stored(&self) -> Bytes {
        Bytes::copy_from_slice(&self.wire)
    }
}

/// What a stored value was given.
pub(crate) struct Kept {
    pub(crate) version: Version,
    /// As of when it holds, on the tag clock.
    pub(crate) cut: Cut,
    /// Whether other values may rely on it.
    pub(crate) is_proven: bool,
    /// What its near copy depends on.
    pub(crate) tags: Option<Box<EntryTags>>,
    /// How long its load took; zero for what was inserted.
    pub(crate) cost: Duration,
}

impl Kept {
    /// A value that nobody may rely on.
    pub(crate) fn unproven(version: Version) -> Kept {
        Kept {
            version,
            cut: Cut::default(),
            is_proven: false,
            tags: None,
            cost: Duration::ZERO,
        }
    }
}

/// A value about to enter the tiers, with its life and its size.
pub(crate) struct Incoming<V> {
    pub(crate) value: Content<V>,
    pub(crate) encoded: Option<Bytes>,
    pub(crate) weight: usize,
    pub(crate) ttl: Option<Duration>,
    pub(crate) stale_for: Duration,
    /// What users named; from this the rest follows.
    pub(crate) tags: Tags,
    /// What its loader read from caches.
    pub(crate) depends: Depends,
    /// The entry that it takes the place of, if that has the same bytes in the remote tier.
    pub(crate) same_as: Option<Arc<Entry<V>>>,
}

impl<V> Incoming<V> {
    /// What is given to callers and kept nowhere.
    pub(crate) fn unkept(value: Content<V>) -> Incoming<V> {
        Incoming {
            value,
            encoded: None,
            weight: 0,
            ttl: None,
            stale_for: Duration::ZERO,
            tags: Tags::default(),
            depends: Depends::default(),
            same_as: None,
        }
    }

    /// Whether it can only be invalidated by its key, or by what its key lies in.
    pub(crate) fn is_independent(&self) -> bool {
        self.tags.is_empty() && self.depends.bonds.is_empty() && self.depends.cells.len() == 0
    }

    pub(crate) fn life(&self) -> Life {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        match self.ttl {
            Some(ttl) => Life {
                fresh: Expiry::In(ms(ttl)),
                stale_for_ms: ms(self.stale_for),
            },
            None => Life::FOREVER,
        }
    }
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// The key on the wire, or why it cannot be one; and the refusal of a closed cache.
    pub(crate) fn key<Q: Key + ?Sized>(&self, key: &Q) -> Result<EngineKey> {
        self.check_open()?;
        Ok(self.wire_key(wire_key(&self.prefix, key)?))
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// The refusal of a closed cache.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.is_closed() {
            return Err(Error::new(
                ErrorKind::Closed,
                format!("the cache {} is closed", self.name),
            ));
        }
        Ok(())
    }

    /// A key of this cache that is on the wire already.
    pub(crate) fn wire_key(&self, wire: WireKey) -> EngineKey {
        let prefix = self.prefix.len();
        // All keys of a cache begin alike: the hash is over what differs.
        let hash = self.hasher.hash_id(Id::of(&wire[prefix..]));
        EngineKey { wire, prefix, hash }
    }

    /// A version for a cache without a remote tier: its own counter is the shard.
    pub(crate) fn local_version(&self) -> Version {
        Version(self.last_version.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The version of a value that `store` has given `version`. Stores without leases cannot
    /// order their values: there the order in which this process hears of them takes its place,
    /// and the near guard sees to it that nothing read before a change is heard of after it.
    pub(crate) fn ordered(store: &dyn Store, version: Version, local: Version) -> Version {
        match store.describe().leases {
            Some(_) => version,
            None => local,
        }
    }

    /// Weighs and encodes a value. `fresh` and `stale` replace the cache's own lives.
    pub(crate) fn incoming(
        &self,
        key: &EngineKey,
        value: V,
        fresh: Option<Duration>,
        stale: Option<Duration>,
    ) -> Result<Incoming<V>, (V, Error)> {
        let mut encoded = None;
        let weighed = self.weigher.as_ref().map(|weigher| weigher(&value));
        if self.remote.is_some() || weighed.is_none() {
            let mut bytes = Vec::new();
            match self.codec.encode(&value, &mut bytes) {
                Ok(()) => encoded = Some(Bytes::from(bytes)),
                Err(_) if self.remote.is_none() => {}
                Err(error) => {
                    let message = format!("a value of {} could not be encoded", self.name);
                    return Err((
                        value,
                        Error::with_source(ErrorKind::Codec, message, error.into()),
                    ));
                }
            }
        }
        let size = weighed
            .or(encoded.as_ref().map(Bytes::len))
            .unwrap_or(size_of::<V>());
        if encoded.as_ref().map_or(size, Bytes::len) > self.max_value {
            let message = format!(
                "a value of {} has {size} bytes; the limit is {} (max_value)",
                self.name, self.max_value
            );
            return Err((value, Error::new(ErrorKind::TooLarge, message)));
        }
        Ok(Incoming {
            encoded,
            weight: Near::<V>::weight(key.id_bytes(), size),
            ttl: fresh.or(self.lives.ttl).map(|ttl| self.jittered(ttl)),
            stale_for: stale.unwrap_or(self.lives.stale_for),
            ..Incoming::unkept(Content::Own(value))
        })
    }

    /// The proof to take before a value of this key is read from anywhere.
    pub(crate) fn before(&self, key: &EngineKey) -> Before {
        let at = self.runtime.now();
        Before {
            near: self.near.snapshot(key.hash),
            at,
            remote: self.remote_as_of(at),
            version: self.local_version(),
        }
    }

    fn remote_as_of(&self, now: Mono) -> Mono {
        let remote = self.remote.as_ref().map(|store| store.describe());
        match remote.and_then(|remote| remote.vouch) {
            Some(vouch) if !Mutant::AsOfAsked.is_active() => vouch.as_of().min(now),
            _ => now,
        }
    }

    /// Tells the caches of this process apart.
    pub(crate) fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Where versions and cuts of this cache mean something; `None` for a store without tags.
    pub(crate) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The near entry of a value that was read after `before`, and whose life begins at `start`.
    pub(crate) fn entry(
        &self,
        key: &EngineKey,
        incoming: Incoming<V>,
        kept: Kept,
        (before, start): (Mono, Mono),
    ) -> Arc<Entry<V>> {
        let fresh_end = incoming.ttl.map(|ttl| start.after(ttl));
        let fresh_until = fresh_end.unwrap_or(Mono::MAX);
        let usable_until = match incoming.ttl {
            Some(_) => fresh_until.after(incoming.stale_for),
            None => Mono::MAX,
        };
        let life = NearLife {
            fresh_until: fresh_until.min(start.after(self.lives.near_ttl)),
            usable_until,
        };
        let meta = EntryMeta {
            version: kept.version,
            cut: kept.cut,
            is_proven: kept.is_proven,
            created: start,
            life,
            refresh_from: self.refresh_from(start, fresh_end, kept.cost),
            load_cost: kept.cost,
            proven_until: before.after(LEASE),
            tags: kept.tags,
            weight: incoming.weight,
        };
        Arc::new(Entry::new(key.near().id, incoming.value, meta))
    }

    /// Offers a value to the near cache; whether it took it. A refusal is counted and otherwise no
    /// trouble.
    pub(crate) fn admit(&self, key: &EngineKey, before: Before, entry: &Arc<Entry<V>>) -> bool {
        let now = self.runtime.now();
        let admitted = self.near.admit(key.hash, before.near, entry, now);
        admitted.map_err(|refusal| self.refuse(refusal)).is_ok()
    }

    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.counts.refused(refusal);
    }

    /// A fresh value for its caller.
    pub(crate) fn fresh(&self, entry: Arc<Entry<V>>, source: Source) -> Loaded<V> {
        Loaded::fresh(entry, source, self.runtime.now())
    }

    /// What a flight brought.
    pub(crate) fn loaded(&self, landed: Landed<V>) -> Loaded<V> {
        Loaded::landed(landed, self.runtime.now())
    }

    /// The receipt of a change that the remote tier has just acknowledged.
    pub(crate) fn receipt(&self, existed: Vec<bool>, position: Option<Position>) -> Receipt {
        let receipt = Receipt::of(existed);
        match &self.remote {
            Some(store) => receipt.logged(
                position,
                (self.coherence.lane, &self.coherence.node),
                store,
                &self.runtime,
            ),
            None => receipt,
        }
    }

    /// Counts since the engine was made, and the present size of the near cache.
    pub(crate) fn stats(&self) -> Stats {
        let (entries, bytes) = self.near.size();
        let near = NearStats {
            entries,
            bytes,
            capacity: self.near.capacity(),
            left: Cause::ALL
                .into_iter()
                .map(|cause| (cause, self.near.left(cause)))
                .collect(),
            ..NearStats::default()
        };
        let refreshing = self.refreshes.under_way();
        let behind = self.protection.behind();
        let under_way = (refreshing, behind);
        let mut stats = self.counts.stats(near, under_way, self.runtime.now());
        let remote = self.remote.as_ref();
        let health = remote.and_then(|store| store.describe().health);
        stats.remote.health = health.map(Health::report);
        stats.backlog = self
            .deferred
            .as_ref()
            .map(Deferred::stats)
            .unwrap_or_default();
        stats
    }

    /// Counts an error of the remote tier and passes it on.
    pub(crate) fn failed(&self, error: Error) -> Error {
        self.counts.error(error.kind());
        error
    }

    /// Runs `work` to its end even if the caller goes away.
    pub(crate) async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        if Mutant::ChangeDropped.is_active() {
            return work.await;
        }
        let (done, result) = oneshot::channel();
        self.runtime.spawn(Box::pin(async move {
            // Nobody to tell if the caller is gone; the work is done all the same.
            let _ = done.send(work.await);
        }));
        result.await.unwrap_or_else(|_| {
            let message = "the runtime was shut down before the operation had ended";
            Err(Error::new(ErrorKind::Closed, message))
        })
    }
}
