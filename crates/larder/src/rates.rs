//! Limits of rates as users ask them: so many requests in a time, so many at once.
//!
//! The decision is `larder_core::rate`, made in the store by the store's clock, in one step.

use std::sync::Arc;

use ::bytes::Bytes;
use larder_core::codec::CodecId;
use larder_core::error::Result;
use larder_core::key::{Key, Name, wire_key};
use larder_core::rate::{self, RateLimit, Verdict, rate_key};
use larder_core::runtime::Runtime;
use larder_core::store::Store;

use crate::locks::lacks;
use crate::remote::{Layout, Opening, Remote};
use crate::runtime::TokioRuntime;

/// Limits of rates under the name of one cache, in its remote tier. A cheap clone of one set.
///
/// All processes over one server share a limit; with the embedded store it is that of this process
/// (of a node: of all its clients). A mesh has none. What a store knows of a limit it may lose (a
/// restart without persistence, eviction): then everybody has a whole burst again.
///
/// Each request is one round trip, by the store's clock: clocks of callers do not matter. When the
/// store cannot be asked, that is an error, and whether to let the request pass is the caller's to
/// decide; it is open whether it was counted.
#[derive(Clone)]
pub struct RateLimits {
    store: Arc<dyn Store>,
    prefix: Box<[u8]>,
}

impl RateLimits {
    /// Limits under `name` (`<namespace>:<entity>`) in a remote tier of their own. Does no I/O. A cache
    /// with that name over that server has the same ([`Cache::rate_limits`](crate::Cache::rate_limits)).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a bad name,
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the remote tier has no limits.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn open(name: &str, remote: impl Remote + 'static) -> Result<RateLimits> {
        let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime::current());
        let opening = Opening::new(Layout::Enveloped, CodecId::RAW, &runtime);
        let store = Box::new(remote).open(opening)?;
        let name = Name::new(name)?;
        RateLimits::of(store, format!("{name}:").into_bytes().into())
    }

    pub(crate) fn of(store: Arc<dyn Store>, prefix: Box<[u8]>) -> Result<RateLimits> {
        rates_of(&*store)?;
        Ok(RateLimits { store, prefix })
    }

    /// Counts a request of this key if it is within the limit, and says whether it is.
    ///
    /// # Errors
    ///
    /// If the store could not be asked.
    #[doc(alias("throttle", "hit", "check"))]
    pub async fn request<Q>(&self, key: &Q, limit: &RateLimit) -> Result<Verdict>
    where
        Q: Key + ?Sized,
    {
        self.request_of(key, limit, 1).await
    }

    /// The same for a request that counts as so many.
    ///
    /// # Errors
    ///
    /// As well [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a cost above the burst: it could
    /// never be allowed.
    pub async fn request_of<Q>(&self, key: &Q, limit: &RateLimit, cost: u64) -> Result<Verdict>
    where
        Q: Key + ?Sized,
    {
        let name = self.name(key, limit)?;
        rates_of(&*self.store)?.request(&name, limit, cost).await
    }

    /// What is left of the limit, without using anything up.
    ///
    /// # Errors
    ///
    /// If the store could not be asked.
    #[doc(alias = "peek")]
    pub async fn look<Q>(&self, key: &Q, limit: &RateLimit) -> Result<Verdict>
    where
        Q: Key + ?Sized,
    {
        self.request_of(key, limit, 0).await
    }

    fn name<Q: Key + ?Sized>(&self, key: &Q, limit: &RateLimit) -> Result<Bytes> {
        Ok(rate_key(limit, &wire_key(&self.prefix, key)?))
    }
}

impl std::fmt::Debug for RateLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimits").finish_non_exhaustive()
    }
}

pub(crate) fn rates_of(store: &dyn Store) -> Result<&dyn rate::Rates> {
    let description = store.describe();
    description
        .rates
        .ok_or_else(|| lacks(description.name, "limits of rates"))
}
