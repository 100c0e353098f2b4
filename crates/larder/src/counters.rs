//! Counters as users have them: whole numbers in the remote tier that many add to.

use std::sync::Arc;

use ::bytes::Bytes;
use larder_core::codec::CodecId;
use larder_core::counter::{self, Added, counter_key};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::key::{Key, Name, wire_key};
use larder_core::runtime::Runtime;
use larder_core::store::Store;

use crate::locks::lacks;
use crate::options::IntoDuration;
use crate::remote::{Layout, Opening, Remote};
use crate::runtime::TokioRuntime;

/// Counters under the name of one cache, in its remote tier. A cheap clone of one set.
///
/// Each call is one round trip and atomic; nothing is kept near, so every process sees every addition
/// that was acknowledged. They are not entries of the cache: clearing it leaves them. They are as
/// durable as their server; a mesh has none.
#[derive(Clone)]
pub struct Counters {
    store: Arc<dyn Store>,
    prefix: Box<[u8]>,
}

impl Counters {
    /// Counters under `name` (`<namespace>:<entity>`) in a remote tier of their own. Does no I/O. A
    /// cache with that name over that server has the same ([`Cache::counters`](crate::Cache::counters)).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a bad name, [`ErrorKind::Config`] if the remote tier has no counters.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn open(name: &str, remote: impl Remote + 'static) -> Result<Counters> {
        let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime::current());
        let opening = Opening::new(Layout::Enveloped, CodecId::RAW, &runtime);
        let store = Box::new(remote).open(opening)?;
        let name = Name::new(name)?;
        Counters::of(store, format!("{name}:").into_bytes().into())
    }

    pub(crate) fn of(store: Arc<dyn Store>, prefix: Box<[u8]>) -> Result<Counters> {
        counters_of(&*store)?;
        Ok(Counters { store, prefix })
    }

    /// Adds to a counter, which begins at 0, and gives the number after it. `by` may be negative.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the number would leave the range of `i64`: nothing was added. Others:
    /// it is open whether it was added; who must not count twice may not repeat it.
    #[doc(alias("incr", "incrby", "increment", "update_counter"))]
    pub async fn add<Q>(&self, key: &Q, by: i64) -> Result<i64>
    where
        Q: Key + ?Sized,
    {
        let name = self.name(key)?;
        added(counters_of(&*self.store)?.add(&name, by, None).await?)
    }

    /// The same; a counter that is not there yet ends `ttl` after this. Later additions do not make it
    /// last longer, with any ttl: so it counts what happens in one window of time.
    ///
    /// # Errors
    ///
    /// As well [`ErrorKind::Invalid`] for a ttl of zero.
    pub async fn add_for<Q>(&self, key: &Q, by: i64, ttl: impl IntoDuration) -> Result<i64>
    where
        Q: Key + ?Sized,
    {
        let name = self.name(key)?;
        let wrong = |message| Error::new(ErrorKind::Invalid, message);
        let ttl = ttl.into_duration().map_err(wrong)?;
        let counters = counters_of(&*self.store)?;
        added(counters.add(&name, by, Some(ttl)).await?)
    }

    /// The number; `None` for a counter that nobody has added to, or that has ended.
    ///
    /// # Errors
    ///
    /// If the store could not be asked.
    pub async fn get<Q>(&self, key: &Q) -> Result<Option<i64>>
    where
        Q: Key + ?Sized,
    {
        let name = self.name(key)?;
        counters_of(&*self.store)?.read(&name).await
    }

    /// Takes the counter away and gives the number that it had: each addition is in one such number,
    /// and in no other.
    ///
    /// # Errors
    ///
    /// If the store could not be asked: then it is open whether it was taken away, and its number with
    /// it.
    #[doc(alias("take", "getdel"))]
    pub async fn reset<Q>(&self, key: &Q) -> Result<Option<i64>>
    where
        Q: Key + ?Sized,
    {
        let name = self.name(key)?;
        counters_of(&*self.store)?.take(&name).await
    }

    fn name<Q: Key + ?Sized>(&self, key: &Q) -> Result<Bytes> {
        Ok(counter_key(&wire_key(&self.prefix, key)?))
    }
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

fn added(added: Added) -> Result<i64> {
    match added {
        Added::Now(number) => Ok(number),
        Added::Overflow => Err(Error::new(
            ErrorKind::Invalid,
            "the counter would leave its range; nothing was added",
        )),
    }
}

pub(crate) fn counters_of(store: &dyn Store) -> Result<&dyn counter::Counters> {
    let description = store.describe();
    description
        .counters
        .ok_or_else(|| lacks(description.name, "counters"))
}
