//! A place that keeps records: the joint between the engine and its remote tier.
//!
//! [`Store`] is what every tier can do. [`Leases`] and [`Keyspace`] are capabilities, and so are
//! [`Locks`], [`Rates`] and [`Counters`]: a tier that has them says so. The contract of each method is checked by one conformance suite, which
//! every implementation mounts.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::area::{Area, Areas};
use crate::breaker::BreakerState;
use crate::bus::Bus;
use crate::codec::CodecId;
use crate::counter::Counters;
use crate::error::Result;
use crate::lane::Position;
use crate::lock::Locks;
use crate::rate::Rates;
use crate::record::{Kind, Life, Record};
use crate::runtime::{BoxFuture, Mono, Timestamp};
use crate::space::Space;
use crate::tag::{Bond, Cut, Tags};
use crate::version::Version;

pub use crate::envelope::Damage;

/// The result of a store operation: there already (a store in this process), or on its way.
/// Dropping it before it is done leaves open whether the operation took place.
pub enum Pending<'a, T> {
    /// Done without waiting; `None` once taken.
    Ready(Option<Result<T>>),
    /// Under way.
    Waiting(BoxFuture<'a, Result<T>>),
}

impl<'a, T> Pending<'a, T> {
    /// Done.
    pub fn ready(result: Result<T>) -> Pending<'a, T> {
        Pending::Ready(Some(result))
    }

    /// Under way.
    pub fn waiting(future: impl Future<Output = Result<T>> + Send + 'a) -> Pending<'a, T> {
        Pending::Waiting(Box::pin(future))
    }
}

// The ready value is moved out, never pinned; the boxed future is pinned by its box.
impl<T> Unpin for Pending<'_, T> {}

impl<T> Future for Pending<'_, T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        match self.get_mut() {
            Pending::Ready(result) => {
                Poll::Ready(result.take().expect("polled again after it had completed"))
            }
            Pending::Waiting(future) => future.as_mut().poll(cx),
        }
    }
}

/// What a read found under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Nothing that can be used: no record, a tombstone, a lease, or one that has expired.
    Absent,
    /// A value or a negative entry, fresh or stale.
    Found(Record),
    /// Bytes that are not a sound record of this key. To be treated as absent and counted.
    Damaged(Damage),
}

impl Lookup {
    /// The record, if there is a sound one.
    pub fn into_record(self) -> Option<Record> {
        match self {
            Lookup::Found(record) => Some(record),
            Lookup::Absent | Lookup::Damaged(_) => None,
        }
    }
}

/// A record to be written; the store adds version and times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// [`Kind::Value`] or [`Kind::Negative`].
    pub kind: Kind,
    /// How long it lives.
    pub life: Life,
    /// The node that writes it.
    pub origin: u32,
    /// How long the loader took, in milliseconds.
    pub load_cost_ms: u32,
    /// How the value is encoded.
    pub codec: CodecId,
    /// The schema of the value.
    pub schema: u32,
    /// What it can be invalidated by, beside its key.
    pub tags: Tags,
    /// What it depends on beside its tags. Readers of the record hold it to these as to its tags.
    /// Checked by a fill; a batch only records them.
    pub bonds: Vec<Bond>,
    /// The cache that it belongs to; `None` for values that no area can make void.
    pub within: Option<Within>,
    /// As of when it is valid. For a fill: where the tag clock stood when its lease was given. In
    /// a batch: [`Cut::default`] for the tag clock's present number, or the cut of the record
    /// whose value this is.
    pub cut: Cut,
    /// The encoded value.
    pub value: Bytes,
}

impl Put {
    /// Everything that a fill checks: tags, bonds, and the areas of its cache.
    pub fn all_bonds(&self) -> Vec<Bond> {
        let tags = self.tags.keys().iter().map(|tag| Bond {
            tag: tag.clone(),
            cut: self.cut,
            version: Version::ZERO,
        });
        let within = self.within.iter().map(|within| Bond {
            tag: within.cache.clone(),
            cut: within.checked.max(self.cut),
            version: Version::ZERO,
        });
        tags.chain(self.bonds.iter().cloned())
            .chain(within)
            .collect()
    }
}

/// The cache that a value belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Within {
    /// The stored key for its areas ([`crate::area::area_key`]).
    pub cache: Bytes,
    /// For a fill: no area up to this number covers the key.
    pub checked: Cut,
}

/// One change of one key. Every change gives the key a new version and revokes its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Stores a record, whatever was there.
    Put(Put),
    /// Removes the record, so that nothing of it is ever returned again. Where copies of a
    /// record travel on their own, a tombstone stays for `tombstone_ms` (0 for none).
    Remove {
        /// Milliseconds for which the version outlives the value.
        tombstone_ms: u64,
    },
    /// Marks the value stale: fail-safe may still use it. Revokes the lease of an absent key too.
    Expire,
    /// Gives the live value another life. Nothing happens to an absent key.
    Touch(Life),
    /// Invalidates a tag, whose stored key this is: gives it the tag clock's next number, which is
    /// the outcome's version. `existed` is of no meaning.
    Bump,
    /// Invalidates a part of a cache, whose stored key for areas this is
    /// ([`crate::area::area_key`]): every record of that cache with an older cut whose key it
    /// covers is void. The outcome's version is its number; `existed` is of no meaning.
    Void(Area),
}

/// What must be true of a key for a batch to take place. Tombstones, leases and expired records
/// count as absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// There is no live record.
    Absent,
    /// There is a live record.
    Present,
    /// The live record has this version; [`Version::ZERO`] means that there is none.
    Version(Version),
}

/// Changes that take place together or not at all, in order. Keys are stored keys
/// ([`Space::stored`]).
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// All must hold.
    pub checks: SmallVec<[(Bytes, Expect); 1]>,
    /// Done one after the other if they do.
    pub writes: SmallVec<[(Bytes, Write); 1]>,
    /// The node that makes the changes, for those who read the log; 0 when it has no number.
    pub origin: u32,
    /// Records that are put travel with what is pushed, up to
    /// [`MAX_CARRIED`](crate::bus::MAX_CARRIED) bytes in all: readers need not fetch them.
    pub carry: bool,
    /// Writes a record into the log, if there is one, even if nothing changes: by it shows who
    /// reads the log, and how soon.
    pub probe: bool,
}

impl Batch {
    /// One change without a condition.
    pub fn one(key: Bytes, write: Write) -> Batch {
        let mut batch = Batch::default();
        batch.writes.push((key, write));
        batch
    }

    /// No change, and a record in the log all the same.
    pub fn probe() -> Batch {
        Batch {
            probe: true,
            ..Batch::default()
        }
    }

    /// Says who makes the changes.
    #[must_use]
    pub fn by(mut self, origin: u32) -> Batch {
        self.origin = origin;
        self
    }

    /// Adds a condition.
    #[must_use]
    pub fn check(mut self, key: Bytes, expect: Expect) -> Batch {
        self.checks.push((key, expect));
        self
    }

    /// Adds a change.
    #[must_use]
    pub fn write(mut self, key: Bytes, write: Write) -> Batch {
        self.writes.push((key, write));
        self
    }
}

/// What became of one write of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The key's new version.
    pub version: Version,
    /// The tag clock's number for this moment: what a value that was put depends on held then.
    pub cut: Cut,
    /// Whether a live record was there before this write.
    pub existed: bool,
}

/// What became of the writes of a batch, in order, and where the log tells of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    each: SmallVec<[Outcome; 1]>,
    /// The place of the batch in the log; the last one, if it was divided. `None` if nothing was
    /// changed, or if the shard has no log now: then nobody reads it.
    pub position: Option<Position>,
}

impl Outcomes {
    /// The same with a place in the log.
    #[must_use]
    pub fn at(mut self, position: Option<Position>) -> Outcomes {
        self.position = position;
        self
    }

    /// Adds what became of further writes of the batch, which have a later place in the log.
    pub fn append(&mut self, more: Outcomes) {
        self.position = more.position.or(self.position);
        self.each.extend(more.each);
    }
}

impl From<SmallVec<[Outcome; 1]>> for Outcomes {
    fn from(each: SmallVec<[Outcome; 1]>) -> Outcomes {
        Outcomes {
            each,
            position: None,
        }
    }
}

impl FromIterator<Outcome> for Outcomes {
    fn from_iter<I: IntoIterator<Item = Outcome>>(outcomes: I) -> Outcomes {
        Outcomes::from(outcomes.into_iter().collect::<SmallVec<_>>())
    }
}

impl IntoIterator for Outcomes {
    type Item = Outcome;
    type IntoIter = smallvec::IntoIter<[Outcome; 1]>;

    fn into_iter(self) -> Self::IntoIter {
        self.each.into_iter()
    }
}

impl Deref for Outcomes {
    type Target = [Outcome];

    fn deref(&self) -> &[Outcome] {
        &self.each
    }
}

/// The result of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// All writes took place; one outcome for each, in order.
    Done(Outcomes),
    /// Nothing took place: the check with this index did not hold.
    Refused(usize),
}

/// Keeps records and changes them atomically.
pub trait Store: Send + Sync + 'static {
    /// Reads one key. One round trip.
    fn get<'a>(&'a self, key: &'a Bytes) -> Pending<'a, Lookup>;

    /// Reads many keys, in order; not a snapshot across keys. One round trip per shard.
    fn get_many<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Lookup>>;

    /// Changes keys together, in one round trip. When it fails, or is dropped, it is open whether
    /// it took place; it never takes place in part. A remote store may divide a batch *without
    /// checks* into groups of [`crate::limits::MAX_KEYS_PER_SCRIPT`] writes, and then this holds
    /// for each group.
    fn commit(&self, batch: Batch) -> Pending<'_, Committed>;

    /// The store's clock: never behind it by more than the clock's own resolution, so that what
    /// looks alive by this time is alive there.
    fn now(&self) -> Timestamp;

    /// The capabilities of this store and a line for people that says what it is, without
    /// secrets.
    fn describe(&self) -> Description<'_>;
}

/// What a store can do beyond [`Store`].
#[derive(Clone, Copy)]
pub struct Description<'a> {
    /// For people: `redis://cache:6379/0`, `embedded store`.
    pub name: &'a str,
    /// Fenced fills.
    pub leases: Option<&'a dyn Leases>,
    /// Listing and clearing.
    pub keyspace: Option<&'a dyn Keyspace>,
    /// The log of changes.
    pub bus: Option<&'a dyn Bus>,
    /// Tags and areas. A store without them refuses [`Write::Bump`], [`Write::Void`] and records
    /// with tags.
    pub tags: Option<&'a dyn TagStore>,
    /// What sees to it that reads show everything, where they need not. `None` where there is one
    /// place that has every acknowledged change.
    pub vouch: Option<&'a dyn Vouch>,
    /// Whether the server behind it is left alone for now. `None` where there is none.
    pub health: Option<&'a dyn Health>,
    /// Locks with fencing tokens.
    pub locks: Option<&'a dyn Locks>,
    /// Limits of rates.
    pub rates: Option<&'a dyn Rates>,
    /// Counters.
    pub counters: Option<&'a dyn Counters>,
    /// Two descriptions with the same identity are of one store: versions and cuts of one can be
    /// held against those of the other. Empty for stores without tags.
    pub identity: &'a str,
}

/// What stands before a server, so that one that does not answer costs little.
pub trait Health: Send + Sync {
    /// The present state, and counts since the store was opened. Free.
    fn report(&self) -> HealthReport;
}

/// How the server behind a store is treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HealthReport {
    /// Whether calls go through.
    pub breaker: BreakerState,
    /// How often the breaker has opened.
    pub opened: u64,
    /// Calls that it has refused.
    pub refused: u64,
    /// Calls that were repeated after their connection broke.
    pub repeated: u64,
}

/// A store that is a copy itself: what was acknowledged elsewhere may show a little later here, and
/// versions and places in the log are those of this copy.
pub trait Vouch: Send + Sync {
    /// Returns once reads from this store show everything that was acknowledged before the call. One
    /// round trip or two. An error if nobody can tell.
    fn vouch(&self) -> Pending<'_, ()>;

    /// As of when everything that a read gives which begins now holds at least. Costs no round trip.
    fn as_of(&self) -> Mono;
}

/// A random, non-zero number that names one load of one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct LeaseToken(u64);

impl LeaseToken {
    /// A token from a random number; below 2^53, so that scripts hold it exactly.
    pub fn from_random(random: u64) -> LeaseToken {
        LeaseToken((random >> 11).max(1))
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// The answer to a request for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// There is a fresh record; no lease was given.
    Hit(Record),
    /// The lease is given. A stale value, if one is left, is for fail-safe.
    Granted {
        /// Where the tag clock stands.
        cut: Cut,
        /// A value that is no longer fresh.
        stale: Option<Record>,
    },
    /// Somebody else holds it for this much longer, unless renewed.
    Taken {
        /// What remains of the other lease.
        remaining: Duration,
        /// A value that is no longer fresh.
        stale: Option<Record>,
    },
}

/// The answer to a fill.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fill {
    /// Stored; the lease has ended.
    Stored {
        /// The record's version.
        version: Version,
        /// Its cut: everything that it depends on held at this number.
        cut: Cut,
    },
    /// Not stored: the key changed since the lease was given.
    Revoked,
    /// Not stored: the store no longer knows of a lease for this key. Absence refuses.
    Lost,
    /// Not stored: these of its tags and bonds, by their stored keys, do not hold any more, or
    /// nobody can tell. The lease stands.
    Raced(Vec<Bytes>),
    /// Not confirmed ([`Leases::confirm`]): there is no live record of that version. The lease stands.
    Gone,
}

/// Fenced fills: a value is stored only while the lease taken before its load stands
/// (Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, §3.2.1).
pub trait Leases: Send + Sync {
    /// Asks for the lease of a key for `ttl`. One round trip. Its holder, asking again, is given
    /// it again. A dropped or failed request may leave a lease behind; it ends by itself.
    ///
    /// A record of version `void` (if not zero) counts as absent: its reader has found that it
    /// must not be used.
    fn lease<'a>(
        &'a self,
        key: &'a Bytes,
        token: LeaseToken,
        ttl: Duration,
        void: Version,
    ) -> Pending<'a, Lease>;

    /// Makes a lease last `ttl` from now. `false`: it is revoked or lost; it does not come back.
    fn renew<'a>(&'a self, key: &'a Bytes, token: LeaseToken, ttl: Duration) -> Pending<'a, bool>;

    /// Stores the loaded record if `token` still stands, and everything that it depends on: its
    /// tags were not invalidated since the lease was given, its bonds not since their cuts. What
    /// is stored is valid as of the moment of the fill.
    fn fill<'a>(&'a self, key: &'a Bytes, token: LeaseToken, put: Put) -> Pending<'a, Fill>;

    /// A fill with the value that is there already, under version `old`: checks what a fill checks, and
    /// gives the record another version, cut, life, origin and load cost, and no mark. Its payload stays
    /// where it is and is not sent: of `put`, kind, codec, schema and value are of no meaning, and tags and
    /// bonds are those that the record names.
    fn confirm<'a>(
        &'a self,
        key: &'a Bytes,
        token: LeaseToken,
        old: Version,
        put: Put,
    ) -> Pending<'a, Fill>;

    /// Gives the lease back without a value. Nothing happens if it is not held.
    fn release<'a>(&'a self, key: &'a Bytes, token: LeaseToken) -> Pending<'a, ()>;
}

/// Reading the numbers of tags, and the areas of caches.
pub trait TagStore: Send + Sync {
    /// The number of each tag, in order; that of an unknown one is the tag clock's present number,
    /// that of an unknown dependency [`Cut::LOST`]. One round trip.
    fn tags<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Cut>>;

    /// Sees to it that these dependencies are known from now on, and gives their numbers. One
    /// round trip.
    fn watch<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Cut>>;

    /// Reads records, and then the areas of the caches in which they may lie, named by their stored
    /// keys ([`crate::area::area_key`]), in order. One round trip; without keys, the areas alone.
    fn get_among<'a>(
        &'a self,
        keys: &'a [Bytes],
        caches: &'a [Bytes],
    ) -> Pending<'a, (Vec<Lookup>, Vec<Areas>)>;

    /// The same for the records of one cache.
    fn get_within<'a>(
        &'a self,
        keys: &'a [Bytes],
        cache: &'a Bytes,
    ) -> Pending<'a, (Vec<Lookup>, Areas)> {
        Pending::waiting(async move {
            let (found, areas) = self.get_among(keys, std::slice::from_ref(cache)).await?;
            let areas = areas.into_iter().next().unwrap_or_else(Areas::unknown);
            Ok((found, areas))
        })
    }
}

/// One step of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where to go on; 0 when done.
    pub next: u64,
    /// User keys of the space with a live record.
    pub keys: Vec<Bytes>,
}

/// Listing and clearing a part of the store.
pub trait Keyspace: Send + Sync {
    /// One step through the live keys of `space`, from cursor 0 until it is 0 again. A key that
    /// is live all the while is returned at least once. `count` is a hint.
    fn scan<'a>(&'a self, space: &'a Space, cursor: u64, count: usize) -> Pending<'a, Page>;

    /// How many live keys `space` holds.
    fn count<'a>(&'a self, space: &'a Space) -> Pending<'a, u64>;

    /// Some live key of `space`, if there is one.
    fn random_key<'a>(&'a self, space: &'a Space) -> Pending<'a, Option<Bytes>>;

    /// Removes every record of `space` that is there when it is called, leases included: a fill
    /// whose load began before the call is refused. Gives the number of records removed. The log
    /// tells of each, and at last that the whole space was cleared.
    fn clear<'a>(&'a self, space: &'a Space) -> Pending<'a, u64>;

    /// Takes from these stored keys the records with a cut older than `before`, and tells nobody:
    /// they are void already. Gives the number of records removed. For stores with tags.
    fn reclaim<'a>(&'a self, keys: &'a [Bytes], before: Cut) -> Pending<'a, u64>;
}
