//! Locks as users hold them: taken for a time, renewed if wished, with a number that grows from holder
//! to holder.
//!
//! What a lock is worth is decided in the store (`larder_core::lock`); here is the holder's side: how
//! long it may rely on its lock, how it waits for one, and what becomes of one that was asked for when
//! the answer is lost.

mod counts;
mod guard;
mod request;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::bytes::Bytes;
use larder_core::codec::CodecId;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::key::{Key, Name, wire_key};
use larder_core::lock::{self, FencingToken, Owner, lock_key};
use larder_core::runtime::Runtime;
use larder_core::store::Store;

use crate::observe::count;
use crate::options::IntoDuration;
use crate::remote::{Layout, Opening, Remote};
use crate::runtime::TokioRuntime;

use counts::LockCounts;
use request::check_ttl;
use waiting::Waiting;

pub use counts::LockStats;
pub use guard::LockGuard;
pub use request::LockRequest;

/// Locks under the name of one cache, in its remote tier. A cheap clone of one set of locks.
///
/// A lock keeps others away from the same lock, for as long as its holder renews it; it cannot keep a
/// holder from going on that has lost it and does not know yet (a process that stood still for longer
/// than the ttl, say). What must never be done twice needs [`LockGuard::token`]: see `docs/locks.md`.
///
/// Locks are there for stores with one place that decides: Redis in the enveloped layout, and the
/// embedded store, whose locks are those of this process (of a node, for all its clients). A mesh has
/// none: to lock there, two of three nodes would have to agree at each step, which is not built.
#[derive(Clone)]
pub struct Locks {
    place: Arc<Place>,
}

/// Where the locks are, and what this process knows of them.
struct Place {
    store: Arc<dyn Store>,
    runtime: Arc<dyn Runtime>,
    prefix: Box<[u8]>,
    /// The greatest token that was ever given here.
    seen: AtomicU64,
    waiting: Waiting,
    counts: LockCounts,
}

impl Locks {
    /// Locks under `name` (`<namespace>:<entity>`) in a remote tier of their own. Does no I/O. A cache
    /// with that name over that server has the same locks ([`Cache::locks`](crate::Cache::locks)).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a bad name, [`ErrorKind::Config`] if the remote tier has no locks.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn open(name: &str, remote: impl Remote + 'static) -> Result<Locks> {
        let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime::current());
        let opening = Opening::new(Layout::Enveloped, CodecId::RAW, &runtime);
        let store = Box::new(remote).open(opening)?;
        let name = Name::new(name)?;
        Locks::of(store, runtime, format!("{name}:").into_bytes().into())
    }

    pub(crate) fn of(
        store: Arc<dyn Store>,
        runtime: Arc<dyn Runtime>,
        prefix: Box<[u8]>,
    ) -> Result<Locks> {
        locks_of(&*store)?;
        let place = Place {
            store,
            runtime,
            prefix,
            seen: AtomicU64::new(0),
            waiting: Waiting::default(),
            counts: LockCounts::default(),
        };
        Ok(Locks {
            place: Arc::new(place),
        })
    }

    /// The lock of a key for `ttl`, if nobody holds it. One round trip.
    ///
    /// The lock is given back when the guard is dropped, and ends by itself after the ttl. If this
    /// future is dropped, or fails, and the store has given the lock all the same, it is given back
    /// in the background.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a ttl outside of 10 ms to a day. Others: the store could not be
    /// asked, and nobody holds a lock by this call.
    #[doc(alias("acquire", "setnx"))]
    pub async fn try_lock<Q>(&self, key: &Q, ttl: impl IntoDuration) -> Result<Option<LockGuard>>
    where
        Q: Key + ?Sized,
    {
        self.lock(key, ttl).try_acquire().await
    }

    /// Begins to ask for the lock of a key: for how long to wait for it, and whether to renew it, is
    /// said on the request.
    pub fn lock<Q>(&self, key: &Q, ttl: impl IntoDuration) -> LockRequest
    where
        Q: Key + ?Sized,
    {
        let ttl = ttl.into_duration();
        LockRequest::new(self.place.clone(), self.place.name(key), ttl)
    }

    /// Makes a lock last `ttl` from now that was left by [`LockGuard::into_owner`]. `false`: it is not
    /// this owner's any more. One round trip.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a ttl outside of 10 ms to a day. Others: the store could not be
    /// asked.
    pub async fn renew_of<Q>(&self, key: &Q, owner: Owner, ttl: impl IntoDuration) -> Result<bool>
    where
        Q: Key + ?Sized,
    {
        let (name, ttl) = (self.place.name(key)?, check_ttl(ttl.into_duration())?);
        let is_renewed = self.place.locks()?.prolong(&name, owner, ttl).await?;
        let counts = &self.place.counts;
        count(if is_renewed {
            &counts.renewed
        } else {
            &counts.lost
        });
        Ok(is_renewed)
    }

    /// Gives a lock back that was left by [`LockGuard::into_owner`]. `false`: it is not this owner's any
    /// more. One round trip.
    ///
    /// # Errors
    ///
    /// If the store could not be asked: then the lock may stand until it ends.
    pub async fn release_of<Q>(&self, key: &Q, owner: Owner) -> Result<bool>
    where
        Q: Key + ?Sized,
    {
        let name = self.place.name(key)?;
        let is_released = self.place.locks()?.release(&name, owner).await?;
        let counts = &self.place.counts;
        count(if is_released {
            &counts.released
        } else {
            &counts.lost
        });
        Ok(is_released)
    }

    /// What came of the locks of this process.
    pub fn stats(&self) -> LockStats {
        self.place.counts.stats()
    }
}

impl std::fmt::Debug for Locks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Locks").finish_non_exhaustive()
    }
}

impl Place {
    fn name<Q: Key + ?Sized>(&self, key: &Q) -> Result<Bytes> {
        Ok(lock_key(&wire_key(&self.prefix, key)?))
    }

    /// The store's locks. They were there when this was made.
    fn locks(&self) -> Result<&dyn lock::Locks> {
        locks_of(&*self.store)
    }

    fn seen(&self) -> FencingToken {
        FencingToken::from_number(self.seen.load(Ordering::Relaxed))
    }

    fn saw(&self, token: FencingToken) {
        self.seen.fetch_max(token.get(), Ordering::Relaxed);
    }
}

/// The locks of a store, or that it has none.
pub(crate) fn locks_of(store: &dyn Store) -> Result<&dyn lock::Locks> {
    let description = store.describe();
    description
        .locks
        .ok_or_else(|| lacks(description.name, "locks"))
}

/// The refusal of what a store does not have.
pub(crate) fn lacks(store: &str, what: &str) -> Error {
    let message = format!(
        "{store} has no {what}: they need one place that decides, which is Redis in the enveloped \
         layout, or the embedded store"
    );
    Error::new(ErrorKind::Config, message)
}
