//! The two ways of a read: a near hit, which is a few dozen instructions, and all the rest, which is kept
//! out of their way.

use std::borrow::{Borrow, ToOwned};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use larder_core::error::Result;
use larder_core::key::Key;
use larder_core::runtime::{BoxFuture, Mono};

use super::Cache;
use crate::loaded::{Loaded, Source};
use crate::loader::{Cx, LoadError};
use crate::near::Entry;
use crate::options::LoadOptions;

/// What [`Cache::get`] returns. By hand, as the code of an `async fn` is not always put where it is used:
/// then what it found goes through memory, and that takes as long as all the rest of a near hit.
pub(super) enum Get<'a, K, V, Q: ?Sized> {
    Begun(&'a Cache<K, V>, &'a Q),
    Beyond(BoxFuture<'a, Result<Option<Loaded<V>>>>),
}

impl<K, V, Q> Future for Get<'_, K, V, Q>
where
    K: Key + Send + Borrow<Q> + 'static,
    V: Send + Sync + 'static,
    Q: Key + ToOwned<Owned = K> + Sync + ?Sized,
{
    type Output = Result<Option<Loaded<V>>>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Get::Begun(cache, key) = *this {
            if let Some(hit) = cache.hit(key) {
                return Poll::Ready(Ok(Some(hit)));
            }
            *this = Get::Beyond(cache.get_beyond(key));
        }
        match this {
            Get::Beyond(beyond) => beyond.as_mut().poll(context),
            Get::Begun(..) => unreachable!("it has gone on"),
        }
    }
}

impl<K, V> Cache<K, V>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    /// A fresh value of the near cache; where it is due, a refresh begins behind it.
    #[inline(always)]
    pub(super) fn hit<Q>(&self, key: &Q) -> Option<Loaded<V>>
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + ?Sized,
    {
        let (entry, now) = self.engine.near_hit(key)?;
        if !entry.is_quiet(now) {
            // Of a clone: what is lent here would have to lie in memory when it is returned.
            self.refresh_through(key, &near(entry.clone(), now));
        }
        Some(near(entry, now))
    }

    /// A fresh value of the near cache, whether it is due for a refresh or not.
    pub(crate) fn near<Q: Key + ?Sized>(&self, key: &Q) -> Option<Loaded<V>> {
        let (entry, now) = self.engine.near_hit(key)?;
        Some(near(entry, now))
    }

    /// What was found in the near cache; where it is due, this loader refreshes it.
    #[inline]
    pub(super) fn hit_or_refresh<Q, E, F, Fut>(
        &self,
        key: &Q,
        entry: Arc<Entry<V>>,
        now: Mono,
        loader: F,
    ) -> Loaded<V>
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + ?Sized,
        E: Send + Sync + 'static,
        F: FnOnce(Cx<K, V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        if !entry.is_quiet(now) {
            self.refresh(key, &near(entry.clone(), now), loader);
        }
        near(entry, now)
    }

    /// The value of a key that the near cache does not have.
    #[inline(never)]
    pub(super) fn get_beyond<'a, Q>(
        &'a self,
        key: &'a Q,
    ) -> BoxFuture<'a, Result<Option<Loaded<V>>>>
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + Sync + ?Sized,
    {
        Box::pin(async move {
            let wire = self.engine.key(key)?;
            match &self.loader {
                Some(loader) => self.load_through(wire, key.to_owned(), loader).await,
                None if self.engine.is_known_absent(&wire) => Ok(None),
                None => self.engine.remote_hit(&wire).await,
            }
        })
    }

    /// The same with a loader.
    #[inline(never)]
    pub(super) fn load_beyond<'a, Q, E, F, Fut>(
        &'a self,
        key: &'a Q,
        loader: F,
    ) -> BoxFuture<'a, Result<Loaded<V>, LoadError<E>>>
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + Sync + ?Sized,
        E: Send + Sync + 'static,
        F: FnOnce(Cx<K, V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        Box::pin(async move {
            let wire = self.engine.key(key)?;
            if self.engine.is_known_absent(&wire) {
                return Err(LoadError::Absent);
            }
            self.load(wire, key.to_owned(), LoadOptions::new(), loader)
                .await
        })
    }
}

#[inline]
fn near<V>(entry: Arc<Entry<V>>, now: Mono) -> Loaded<V> {
    Loaded::fresh(entry, Source::Near, now)
}
