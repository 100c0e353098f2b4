//! The cache as users hold it. Every method is a few lines over the engine.

mod compute;
mod guarded;
mod hit;
mod invalidate;
mod load;
mod many;
mod refresh;
mod session;
mod watch;

use std::borrow::{Borrow, ToOwned};
use std::sync::Arc;

use larder_core::error::{Error, ErrorKind, Result};
use larder_core::key::Key;

use self::hit::Get;
use crate::builder::Builder;
use crate::engine::refresh::Lifeline;
use crate::engine::{Change, Engine, EngineKey, Incoming};
use crate::loaded::Loaded;
use crate::loader::{Cx, LoadError, LoadFn};
use crate::options::{InsertOptions, LoadOptions};
use crate::receipt::Receipt;
use crate::sync::atomic::Ordering;

pub use session::Session;

/// A cache of values of type `V` under keys of type `K`.
///
/// Cheap to clone; clones are the same cache. `Send + Sync`: share it between tasks and threads
/// as it is.
///
/// # Tiers
///
/// A read looks into the near cache of this process, then into the remote tier. A change goes to
/// the remote tier and returns once that has taken it; from then on no read through this cache
/// gives an older value. Other processes with a near cache follow the log of the remote tier: they
/// are told at once, and never use a copy that the log has not vouched for within the last second
/// (`docs/consistency.md`). In the plain layout there is no log; near copies of other processes end
/// with their own ttl.
///
/// # Cancellation
///
/// Dropping the future of a read has no effect on the cache. A change that was sent is seen
/// through even when its future is dropped. A load goes on while anyone waits for it.
pub struct Cache<K, V> {
    engine: Arc<Engine<V>>,
    life: Arc<Lifeline>,
    loader: Option<Arc<LoadFn<K, V>>>,
}

impl<K, V> Clone for Cache<K, V> {
    fn clone(&self) -> Cache<K, V> {
        Cache {
            engine: self.engine.clone(),
            life: self.life.clone(),
            loader: self.loader.clone(),
        }
    }
}

impl<K, V> Cache<K, V> {
    /// Begins a cache. `name` is `<namespace>:<entity>`, such as `app:users`; all keys begin with
    /// it.
    pub fn builder(name: &str) -> Builder<K, V> {
        Builder::new(name)
    }

    pub(crate) fn new(
        engine: Arc<Engine<V>>,
        life: Lifeline,
        loader: Option<Arc<LoadFn<K, V>>>,
    ) -> Cache<K, V> {
        let life = Arc::new(life);
        Cache {
            engine,
            life,
            loader,
        }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine<V>> {
        &self.engine
    }
}

impl<K, V> Cache<K, V>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    /// The fresh value of a key, or `None`. A cache with a [loader](Builder::loader) loads what
    /// it does not find, and then gives `None` only for what its source does not have
    /// ([`Cx::absent`](crate::Cx::absent)).
    ///
    /// A near hit allocates nothing and does no I/O; else one round trip to the remote tier.
    ///
    /// # Errors
    ///
    /// When the remote tier cannot be asked, or the loader fails and nothing stale may be used
    /// ([`ErrorKind::Load`]).
    #[doc(alias = "get_with_ttl")]
    #[inline]
    pub fn get<'a, Q>(
        &'a self,
        key: &'a Q,
    ) -> impl Future<Output = Result<Option<Loaded<V>>>> + Send + 'a
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + Sync + ?Sized,
    {
        Get::Begun(self, key)
    }

    /// The values of many keys, in order. One round trip for all that the near cache does not
    /// have. A cache with a loader loads the missing ones side by side; the first failure is the
    /// error of all.
    #[doc(alias = "pipeline")]
    pub async fn get_many<'k, Q>(
        &self,
        keys: impl IntoIterator<Item = &'k Q>,
    ) -> Result<Vec<Option<Loaded<V>>>>
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + Sync + ?Sized + 'k,
    {
        let keys: Vec<&Q> = keys.into_iter().collect();
        let mut found = Vec::with_capacity(keys.len());
        let mut missing = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            found.push(self.hit(*key));
            if found[at].is_none() {
                let wire = self.engine.key(*key)?;
                if !self.engine.is_known_absent(&wire) {
                    missing.push((at, wire));
                }
            }
        }
        if let Some(loader) = &self.loader {
            let loads = missing
                .iter()
                .map(|(at, wire)| self.load_through(wire.clone(), keys[*at].to_owned(), loader));
            let loaded = Box::pin(futures_util::future::try_join_all(loads)).await?;
            for ((at, _), value) in missing.into_iter().zip(loaded) {
                found[at] = value;
            }
        } else {
            let (places, asked): (Vec<usize>, Vec<EngineKey>) = missing.into_iter().unzip();
            let fetched = Box::pin(self.engine.remote_hits(&asked)).await?;
            for (at, value) in places.into_iter().zip(fetched) {
                found[at] = value;
            }
        }
        Ok(found)
    }

    /// The value of a key, loaded if no tier has it fresh.
    ///
    /// # Concurrent calls
    ///
    /// In one process, one load per key at a time: callers that come while it runs share its
    /// outcome, value or error. The load runs in a task of its own; it goes on while anyone
    /// waits, and is dropped when nobody does. Processes that share a remote tier take turns by
    /// a lease there. A caller that comes after a change of the key, made in this process, never
    /// joins a load that began before it.
    ///
    /// # What is stored
    ///
    /// Only a value with proof that its key has not changed since before the load. Others are
    /// returned and not stored ([`Stats::refused`](crate::Stats::refused) counts them by reason). When the remote tier
    /// cannot be asked, the value is kept in this process for a second at most.
    ///
    /// # Errors
    ///
    /// [`LoadError::Absent`] when the source has no such record, as the loader says now or as a negative
    /// entry says. Else when the loader fails or panics, the caller's [`Timeouts`](crate::Timeouts) are over, or the
    /// [`LoadLimit`](crate::LoadLimit) refuses the load, and no stale value may be used. Trouble of the
    /// cache itself is no error: then the loader runs.
    ///
    /// # Cost
    ///
    /// A near hit allocates nothing; a hit in the remote tier is one round trip; a load is three
    /// (read, lease, fill) and the loader. Where the loader gives the same bytes as before, or says
    /// [`not_modified`](crate::Cx::not_modified), the remote tier is sent no value: it is given another life
    /// where it is.
    #[doc(alias("get_with_fallback", "get_with", "fetch"))]
    pub async fn get_or_load<Q, E, F, Fut>(
        &self,
        key: &Q,
        loader: F,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + Sync + ?Sized,
        E: Send + Sync + 'static,
        F: FnOnce(Cx<K, V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        if let Some((entry, now)) = self.engine.near_hit(key) {
            return Ok(self.hit_or_refresh(key, entry, now, loader));
        }
        self.load_beyond(key, loader).await
    }

    /// Loads as [`get_or_load`](Cache::get_or_load) does, with limits of its own for how long this
    /// caller waits, and with a default value. What other callers of the same load are given is theirs
    /// to say.
    ///
    /// # Errors
    ///
    /// Those of [`get_or_load`](Cache::get_or_load); with a default value only those of a key that
    /// cannot be used, of a loader that asks for its own key, and of a closed cache.
    pub async fn get_or_load_with<Q, E, F, Fut>(
        &self,
        key: &Q,
        options: LoadOptions<V>,
        loader: F,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + Sync + ?Sized,
        E: Send + Sync + 'static,
        F: FnOnce(Cx<K, V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        if let Some((entry, now)) = self.engine.near_hit(key) {
            return Ok(self.hit_or_refresh(key, entry, now, loader));
        }
        let wire = self.engine.key(key)?;
        if self.engine.is_known_absent(&wire) {
            return Err(LoadError::Absent);
        }
        Box::pin(self.load(wire, key.to_owned(), options, loader)).await
    }

    /// Stores a value in all tiers.
    ///
    /// Inserts of one key are ordered by the remote tier; the last one stays. An insert proves
    /// nothing about the source: of two tasks that each write the source and then insert, the
    /// slower insert wins, whatever the source says. Prefer
    /// [`invalidate`](Cache::invalidate) after a change of the source.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] and [`ErrorKind::TooLarge`]: nothing was stored. Others: it is open
    /// whether the value was stored; the near cache has forgotten the key.
    #[doc(alias("set", "put"))]
    pub async fn insert<Q>(&self, key: &Q, value: V) -> Result<Receipt>
    where
        K: Borrow<Q>,
        Q: Key + Sync + ?Sized,
    {
        self.insert_with(key, value, InsertOptions::new()).await
    }

    /// Stores a value with a life of its own. See [`insert`](Cache::insert).
    pub async fn insert_with<Q>(&self, key: &Q, value: V, options: InsertOptions) -> Result<Receipt>
    where
        K: Borrow<Q>,
        Q: Key + Sync + ?Sized,
    {
        let change = self.insertion(key, value, options)?;
        Box::pin(self.engine.change(vec![change])).await
    }

    /// Stores several values. One round trip; on a remote tier they are stored together, in
    /// groups of at most 64. See [`insert`](Cache::insert).
    #[doc(alias = "batch")]
    pub async fn insert_many<Q>(&self, values: impl IntoIterator<Item = (Q, V)>) -> Result<Receipt>
    where
        K: Borrow<Q>,
        Q: Key + Sync,
    {
        let changes: Vec<_> = values
            .into_iter()
            .map(|(key, value)| self.insertion(&key, value, InsertOptions::new()))
            .collect::<Result<_>>()?;
        Box::pin(self.engine.change(changes)).await
    }

    /// Removes a value from all tiers of this process and from the remote tier, for good: a load
    /// that is under way is not stored, and fail-safe cannot bring the value back. Once this
    /// returns, no read through this cache gives a value that was read from the source before
    /// the call. One round trip.
    ///
    /// # Errors
    ///
    /// It is open whether the value was removed from the remote tier. Repeat it.
    #[doc(alias("delete", "remove"))]
    pub async fn invalidate<Q>(&self, key: &Q) -> Result<Receipt>
    where
        K: Borrow<Q>,
        Q: Key + Sync + ?Sized,
    {
        self.change_one(key, Change::Invalidate).await
    }

    /// Removes several values. One round trip; on a remote tier they are removed together, in
    /// groups of at most 64. See [`invalidate`](Cache::invalidate).
    pub async fn invalidate_many<'k, Q>(
        &self,
        keys: impl IntoIterator<Item = &'k Q>,
    ) -> Result<Receipt>
    where
        K: Borrow<Q>,
        Q: Key + Sync + ?Sized + 'k,
    {
        let invalidate = |key: &'k Q| Ok((self.engine.key(key)?, Change::Invalidate));
        let changes = keys
            .into_iter()
            .map(invalidate)
            .collect::<Result<Vec<_>>>()?;
        Box::pin(self.engine.change(changes)).await
    }

    /// Makes every value void that bears this tag, in all tiers and processes, and every load under
    /// way that will name it: fail-safe cannot bring such a value back. Once this returns, no read
    /// through this cache gives one; other processes follow as for
    /// [`invalidate`](Cache::invalidate). One round trip, whatever the number of entries; what
    /// they hold is released when it is met, or by its ttl.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for an empty tag or one that is too long. Others: it is open whether
    /// the values are void; repeat it.
    pub async fn invalidate_tag(&self, tag: impl Into<String>) -> Result<Receipt> {
        self.invalidate_tags([tag]).await
    }

    /// Invalidates several tags together, in one round trip. See
    /// [`invalidate_tag`](Cache::invalidate_tag).
    pub async fn invalidate_tags<T: Into<String>>(
        &self,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<Receipt> {
        self.engine.check_open()?;
        let tags: Vec<String> = tags.into_iter().map(Into::into).collect();
        Box::pin(self.engine.invalidate_tags(&tags)).await
    }

    /// Ends the fresh life of a value, but keeps it for fail-safe: the next reader loads, and if
    /// that fails, gets the old value, marked as stale. A load under way is not stored. One round
    /// trip.
    pub async fn expire<Q>(&self, key: &Q) -> Result<Receipt>
    where
        K: Borrow<Q>,
        Q: Key + Sync + ?Sized,
    {
        self.change_one(key, Change::Expire).await
    }

    /// Whether a fresh value is there. Never loads. At most one round trip.
    #[doc(alias = "has")]
    pub async fn contains_key<Q>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: Key + Sync + ?Sized,
    {
        if self.engine.near_hit(key).is_some() {
            return Ok(true);
        }
        let wire = self.engine.key(key)?;
        if self.engine.is_known_absent(&wire) {
            return Ok(false);
        }
        Ok(Box::pin(self.engine.remote_hit(&wire)).await?.is_some())
    }

    /// Changes the capacity of the near cache, evicting what no longer fits. Nothing happens to
    /// a cache without one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a capacity of zero.
    pub fn resize_near(&self, capacity: u64) -> Result<()> {
        if capacity == 0 {
            let message = "the near capacity must be more than zero";
            return Err(Error::new(ErrorKind::Config, message));
        }
        self.engine.near.resize(capacity);
        Ok(())
    }

    /// Closes the cache, for all its clones: near copies are dropped, and every later call gives
    /// [`ErrorKind::Closed`]. Loads and changes that are under way end as usual; refreshes stop. The
    /// remote tier keeps its values.
    pub async fn close(&self) {
        self.engine.closed.store(true, Ordering::Relaxed);
        self.life.end();
        self.engine.flights.detach_all();
        self.engine.near.drop_all();
    }

    async fn change_one<Q>(&self, key: &Q, change: Change<V>) -> Result<Receipt>
    where
        Q: Key + Sync + ?Sized,
    {
        let changes = vec![(self.engine.key(key)?, change)];
        Box::pin(self.engine.change(changes)).await
    }

    fn insertion<Q>(
        &self,
        key: &Q,
        value: V,
        options: InsertOptions,
    ) -> Result<(EngineKey, Change<V>)>
    where
        Q: Key + ?Sized,
    {
        let wire = self.engine.key(key)?;
        if options.ttl.is_some_and(|ttl| ttl.is_zero()) {
            let message = "a ttl of zero stores nothing; use invalidate to remove a value";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let tags = self.engine.tags(&options.tags)?;
        let incoming = self
            .engine
            .incoming(&wire, value, options.ttl, options.stale_for)
            .map_err(|(_, error)| error)?;
        let incoming = Incoming { tags, ..incoming };
        Ok((wire, Change::Insert(incoming)))
    }
}
