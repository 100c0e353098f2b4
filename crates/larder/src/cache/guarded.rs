//! Locks, writes that bear their tokens, limits and counters of a cache.

use std::borrow::{Borrow, ToOwned};
use std::sync::Arc;
use std::time::Duration;

use larder_core::error::{Error, ErrorKind, Result};
use larder_core::key::Key;
use larder_core::lock::FencingToken;
use larder_core::rate::{RateLimit, Verdict};
use larder_core::store::Store;

use super::Cache;
use crate::counters::Counters;
use crate::loaded::Loaded;
use crate::loader::{Cx, LoadError};
use crate::locks::{LockGuard, LockRequest, Locks};
use crate::options::{InsertOptions, IntoDuration};
use crate::rates::RateLimits;
use crate::receipt::Receipt;

/// How long [`Cache::get_with_lock`] holds its lock without renewing it.
const LOAD_TTL: Duration = Duration::from_secs(10);
/// How long it renews it at most, and how long it waits for one.
const LOAD_LONGEST: Duration = Duration::from_secs(300);

impl<K, V> Cache<K, V>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    /// The locks of this cache, in its remote tier. Their names are keys of the cache, but they are no
    /// entries: to clear the cache releases none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the cache has no remote tier, or that has no locks (the plain layout, a
    /// mesh).
    pub fn locks(&self) -> Result<Locks> {
        let (engine, known) = (&self.engine, &self.engine.locks);
        if let Some(locks) = known.get() {
            return Ok(locks.clone());
        }
        let locks = Locks::of(self.store()?, engine.runtime.clone(), engine.prefix.clone())?;
        Ok(known.get_or_init(|| locks).clone())
    }

    /// The lock of a key for `ttl`, if nobody holds it. See [`Locks::try_lock`].
    ///
    /// # Errors
    ///
    /// Those of [`Locks::try_lock`] and of [`locks`](Cache::locks).
    pub async fn try_lock<Q>(&self, key: &Q, ttl: impl IntoDuration) -> Result<Option<LockGuard>>
    where
        K: Borrow<Q>,
        Q: Key + ?Sized,
    {
        self.locks()?.try_lock(key, ttl).await
    }

    /// Begins to ask for the lock of a key. See [`Locks::lock`].
    ///
    /// # Errors
    ///
    /// Those of [`locks`](Cache::locks).
    pub fn lock<Q>(&self, key: &Q, ttl: impl IntoDuration) -> Result<LockRequest>
    where
        K: Borrow<Q>,
        Q: Key + ?Sized,
    {
        Ok(self.locks()?.lock(key, ttl))
    }

    /// The value of a key, loaded while the lock of the key is held.
    ///
    /// [`get_or_load`](Cache::get_or_load) loads once among all processes as well, without a lock, and
    /// is what most want. This is for a loader that must not run while somebody holds the lock of the
    /// key for another purpose ([`lock`](Cache::lock)). The lock is waited for, and renewed, for up to
    /// five minutes. If it is lost meanwhile, the load goes on; what it gives is stored only if nothing
    /// has changed, as ever.
    ///
    /// Costs one round trip more than a load before it, and one after it.
    ///
    /// # Errors
    ///
    /// Those of [`get_or_load`](Cache::get_or_load) and of [`lock`](Cache::lock).
    pub async fn get_with_lock<Q, E, F, Fut>(
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
        if let Some(hit) = self.hit(key) {
            return Ok(hit);
        }
        let wire = self.engine.key(key).map_err(LoadError::Cache)?;
        if let Ok(Some(hit)) = Box::pin(self.engine.remote_hit(&wire)).await {
            return Ok(hit);
        }
        let locked = async {
            let request = self.lock(key, LOAD_TTL)?;
            let request = request.wait(LOAD_LONGEST).renewed_for(LOAD_LONGEST);
            request.acquire().await
        };
        let guard = Box::pin(locked).await.map_err(LoadError::Cache)?;
        let loaded = Box::pin(self.get_or_load(key, loader)).await;
        // If this fails, it ends by itself.
        let _ = guard.release().await;
        loaded
    }

    /// Stores a value in all tiers, unless somebody with a greater token has written this key before:
    /// the holder of a lock that came after the one of this token.
    ///
    /// Once this returns, no write of an older token passes, however late. Tokens are held against each
    /// key by itself, for as long as the server lives and remembers; when it may have forgotten (it was
    /// restarted, another one took over, its memory was cleared, or 65 536 other keys were written
    /// since), every token from before is refused, and its holder has to take the lock again.
    /// [`insert`](Cache::insert) and [`invalidate`](Cache::invalidate) ask for no token, and make
    /// nobody's older.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fenced`] if the token was refused: nothing was stored. [`ErrorKind::Config`] if the
    /// remote tier has no locks. Those of [`insert`](Cache::insert).
    pub async fn insert_fenced<Q>(&self, key: &Q, value: V, token: FencingToken) -> Result<Receipt>
    where
        K: Borrow<Q>,
        Q: Key + Sync + ?Sized,
    {
        let options = InsertOptions::new();
        self.insert_fenced_with(key, value, token, options).await
    }

    /// The same with a life of its own.
    ///
    /// # Errors
    ///
    /// Those of [`insert_fenced`](Cache::insert_fenced).
    pub async fn insert_fenced_with<Q>(
        &self,
        key: &Q,
        value: V,
        token: FencingToken,
        options: InsertOptions,
    ) -> Result<Receipt>
    where
        K: Borrow<Q>,
        Q: Key + Sync + ?Sized,
    {
        drop(self.locks()?);
        let change = self.insertion(key, value, options)?;
        Box::pin(self.engine.change_fenced(change, token)).await
    }

    /// The limits of this cache, in its remote tier.
    ///
    /// # Errors
    ///
    /// Those of [`locks`](Cache::locks).
    pub fn rate_limits(&self) -> Result<RateLimits> {
        RateLimits::of(self.store()?, self.engine.prefix.clone())
    }

    /// Counts a request of this key if it is within the limit, and says whether it is. See
    /// [`RateLimits::request`].
    ///
    /// # Errors
    ///
    /// Those of [`RateLimits::request`] and of [`rate_limits`](Cache::rate_limits).
    pub async fn rate_limit<Q>(&self, key: &Q, limit: &RateLimit) -> Result<Verdict>
    where
        K: Borrow<Q>,
        Q: Key + ?Sized,
    {
        self.rate_limits()?.request(key, limit).await
    }

    /// The counters of this cache, in its remote tier.
    ///
    /// # Errors
    ///
    /// Those of [`locks`](Cache::locks).
    pub fn counters(&self) -> Result<Counters> {
        Counters::of(self.store()?, self.engine.prefix.clone())
    }

    /// The remote tier.
    fn store(&self) -> Result<Arc<dyn Store>> {
        self.engine.check_open()?;
        self.engine.remote.clone().ok_or_else(|| {
            let message = format!(
                "{} has no remote tier, so it has no locks, limits and counters; add .remote(…), for \
                 instance an embedded store",
                self.engine.name
            );
            Error::new(ErrorKind::Config, message)
        })
    }
}
