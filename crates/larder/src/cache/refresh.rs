//! Beginning a refresh behind a near hit.

use std::borrow::{Borrow, ToOwned};

use larder_core::key::Key;

use super::Cache;
use super::load::load_of;
use crate::loaded::Loaded;
use crate::loader::Cx;

impl<K, V> Cache<K, V>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    /// Begins a refresh of a value that was just read, if it is due. The loader is dropped if not.
    #[cold]
    pub(super) fn refresh<Q, E, F, Fut>(&self, key: &Q, hit: &Loaded<V>, loader: F)
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + ?Sized,
        E: Send + Sync + 'static,
        F: FnOnce(Cx<K, V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        if self.engine.is_due(hit) {
            self.begin_refresh(key, hit, loader);
        }
    }

    /// The same with the loader of a loading cache.
    #[cold]
    pub(super) fn refresh_through<Q>(&self, key: &Q, hit: &Loaded<V>)
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(loader) = &self.loader
            && self.engine.is_due(hit)
        {
            let loader = loader.clone();
            self.begin_refresh(key, hit, move |cx| loader(cx));
        }
    }

    fn begin_refresh<Q, E, F, Fut>(&self, key: &Q, hit: &Loaded<V>, loader: F)
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + ?Sized,
        E: Send + Sync + 'static,
        F: FnOnce(Cx<K, V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        if let Ok(wire) = self.engine.key(key) {
            let load = || load_of(key.to_owned(), loader);
            self.engine.refresh(wire, hit, load);
        }
    }
}
