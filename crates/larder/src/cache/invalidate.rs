//! Invalidating more than single keys: parts of a cache, all of it, and what depends on a key; and
//! saying after the load what a value depends on.

use larder_core::area::Area;
use larder_core::error::Result;
use larder_core::key::{Key, escape};

use super::Cache;
use crate::receipt::Receipt;

impl<K, V> Cache<K, V>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    /// Makes every value void whose key begins with `prefix`, in all tiers and processes, and every
    /// load of such a key under way: fail-safe cannot bring such a value back. Once this returns, no
    /// read through this cache gives one; other processes follow as for
    /// [`invalidate`](Cache::invalidate).
    ///
    /// Keys are as they lie in the remote tier, without the cache's name: the parts of a tuple are
    /// joined by `:`. One round trip, whatever the number of entries; what they hold is released
    /// behind, in small steps. An empty prefix is [`clear`](Cache::clear).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a prefix of more than 256 bytes.
    /// Others: it is open whether the values are void; repeat it.
    ///
    /// # Plain layout
    ///
    /// There the keys are removed one by one, and values stored meanwhile by other processes may
    /// stay.
    pub async fn invalidate_prefix(&self, prefix: &str) -> Result<Receipt> {
        self.check_open()?;
        let area = Area::prefix(&escape(prefix))?;
        Box::pin(self.engine.void(area)).await
    }

    /// The same for keys that match a pattern such as `search:shoes:page:*`: `*` is any number of
    /// characters, `?` is one, `[a-z]` one of these, and `\\` makes the next one ordinary.
    /// See [`invalidate_prefix`](Cache::invalidate_prefix).
    ///
    /// The last 64 prefixes and patterns that differ are kept for each cache; one more makes all
    /// values void that are older than it. Patterns that never end, such as one for each user, are
    /// better served by tags.
    pub async fn invalidate_pattern(&self, pattern: &str) -> Result<Receipt> {
        self.check_open()?;
        let area = Area::pattern(&escape(pattern))?;
        Box::pin(self.engine.void(area)).await
    }

    /// Makes every value of this cache void: one round trip, whatever their number. Values read
    /// from the source before the call are not stored after it. What the values hold is released
    /// behind, in small steps; until then programs that look at the remote tier by themselves still
    /// see it. See [`invalidate_prefix`](Cache::invalidate_prefix) for errors.
    #[doc(alias = "invalidate_all")]
    pub async fn clear(&self) -> Result<Receipt> {
        self.check_open()?;
        Box::pin(self.engine.void(Area::ALL)).await
    }

    /// Makes every value void whose loader read this key from this cache, directly or through
    /// others, and leaves the key itself as it is. One round trip.
    ///
    /// [`invalidate`](Cache::invalidate), [`expire`](Cache::expire) and
    /// [`insert`](Cache::insert) do the same beside changing the key.
    pub async fn invalidate_dependents<Q>(&self, key: &Q) -> Result<Receipt>
    where
        Q: Key + Sync + ?Sized,
    {
        let key = self.engine.key(key)?;
        Box::pin(self.engine.invalidate_dependents(&key)).await
    }
}
