//! A cache of which only the name is known, in a store that somebody else fills.

use std::collections::BTreeSet;

use ::bytes::Bytes;
use larder_core::area::Area;
use larder_core::error::Result;
use larder_core::key::Name;
use larder_core::limits::MAX_KEY_BYTES;
use larder_core::runtime::BoxFuture;

use super::{Hands, Sweep, Swept, Target, sweep};
use crate::bytes::ByteCache;

pub(super) struct Named {
    store: ByteCache,
    name: Name,
}

impl Named {
    pub(super) fn new(store: &ByteCache, cache: &str) -> Result<Named> {
        Ok(Named {
            store: store.clone(),
            name: Name::new(cache)?,
        })
    }

    /// The key in the store; `None` for one that is longer than any that could be stored.
    fn stored(&self, key: &[u8]) -> Option<Bytes> {
        let stored = [self.name.as_str().as_bytes(), b":", key].concat();
        (stored.len() <= MAX_KEY_BYTES).then(|| stored.into())
    }
}

impl Target for Named {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn sweep(&self, sweep: Sweep) -> BoxFuture<'_, Swept> {
        Box::pin(self::sweep(self, sweep))
    }
}

impl Hands for Named {
    fn keys(&self, keys: BTreeSet<Bytes>) -> BoxFuture<'_, Result<usize>> {
        let stored = keys.iter().filter_map(|key| self.stored(key)).collect();
        Box::pin(async move {
            let stored: Vec<Bytes> = stored;
            let done = self.store.database(0).invalidate(&stored).await;
            done.map(|receipt| receipt.existed())
        })
    }

    fn tags<'a>(&'a self, tags: &'a [String]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let done = self.store.invalidate_tags(self.name.as_str(), tags).await;
            done.map(drop)
        })
    }

    fn void(&self, area: Area) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.store.void(self.name.as_str(), area).await.map(drop) })
    }

    fn dependents(&self, key: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            match self.stored(&key) {
                Some(key) => self
                    .store
                    .database(0)
                    .invalidate_dependents(&key)
                    .await
                    .map(drop),
                None => Ok(()),
            }
        })
    }
}
