//! Replacing a value by what is made of it.

use std::borrow::Borrow;

#[cfg(doc)]
use larder_core::error::ErrorKind;
use larder_core::error::Result;
use larder_core::key::Key;

use super::Cache;
use crate::engine::compute::Computed;
use crate::loaded::Loaded;

impl<K, V> Cache<K, V>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    /// Replaces the fresh value of a key by what `compute` makes of it, and gives what the key holds
    /// then: of many computations at once, in any number of processes, each sees the outcome of the
    /// one before it, and none is lost.
    ///
    /// `compute` is called again if somebody else changes the key meanwhile, so it should do nothing
    /// but compute. It sees what the remote tier has, and never a near copy. What it makes of a value
    /// bears that value's tags, depends on what that depends on, and is as old: what makes the one
    /// void makes the other void. What it makes of nothing has no tags. A load of the key that is under
    /// way is not stored.
    ///
    /// Computations of one process on one key take turns; nothing waits for another process. Two round
    /// trips, and one more for a value with tags; two more for each time that another process was
    /// faster.
    ///
    /// A cache without a remote tier loses values when they are evicted: this is no place for what
    /// cannot be computed again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if others change the value all the time; [`ErrorKind::Codec`],
    /// [`ErrorKind::TooLarge`] and [`ErrorKind::Invalid`] (a ttl of zero) for what cannot be stored:
    /// nothing was done. Others: it is open whether the value was replaced. A panic of `compute` is the
    /// caller's, and changes nothing.
    #[doc(alias("and_compute_with", "update", "merge", "get_and_update"))]
    pub async fn compute<Q, F>(&self, key: &Q, compute: F) -> Result<Option<Loaded<V>>>
    where
        K: Borrow<Q>,
        Q: Key + Sync + ?Sized,
        F: FnMut(Option<&V>) -> Computed<V> + Send,
    {
        let key = self.engine.key(key)?;
        let computed = Box::pin(self.engine.compute(&key, compute)).await?;
        if let Some(computed) = &computed {
            self.engine.read_in_load(&key, computed.entry(), false);
        }
        Ok(computed)
    }
}
