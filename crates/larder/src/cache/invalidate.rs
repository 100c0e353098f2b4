//! Invalidating more than single keys: parts of a cache, all of it, and what depends on a key; and
//! saying after the load what a value depends on.

use larder_core::area::Area;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::key::{Key, escape};
use larder_core::tag::Tags;

use super::Cache;
use crate::engine::relabel::Labels;
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
        self.engine.check_open()?;
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
        self.engine.check_open()?;
        let area = Area::pattern(&escape(pattern))?;
        Box::pin(self.engine.void(area)).await
    }

    /// Makes every value of this cache void: one round trip, whatever their number. Values read
    /// from the source before the call are not stored after it. What the values hold is released
    /// behind, in small steps; until then programs that look at the remote tier by themselves still
    /// see it. See [`invalidate_prefix`](Cache::invalidate_prefix) for errors.
    #[doc(alias = "invalidate_all")]
    pub async fn clear(&self) -> Result<Receipt> {
        self.engine.check_open()?;
        Box::pin(self.engine.void(Area::ALL)).await
    }

    /// Ends the fresh life of every value, but keeps the values for fail-safe, as
    /// [`expire`](Cache::expire) does for one: the next readers load, and if that fails, get the old
    /// values, marked as stale. Loads under way are not stored. What depends on a key of this cache is
    /// void. One round trip, whatever the number of entries; in the plain layout, one for each 512 keys.
    ///
    /// # Errors
    ///
    /// It is open whether the values have expired. Repeat it.
    #[doc(alias("clear_soft", "invalidate_all"))]
    pub async fn expire_all(&self) -> Result<Receipt> {
        self.engine.check_open()?;
        Box::pin(self.engine.void(Area::Expired)).await
    }

    /// Makes every value void whose loader read this key from this cache, directly or through
    /// others, and leaves the value of the key as it is. One round trip. A load that is under way
    /// and has read the key is void, too. The record of the key gets another version, so that near
    /// copies of it are fetched again, and a load of the key that is under way is not stored.
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

    /// Gives the fresh value of a key further tags, as if its loader had named them: from now on each
    /// of them invalidates it. Gives `false` if there is no fresh value, or one that is void already.
    ///
    /// Five round trips; it takes part in nothing that the value is read by. A change at the same time
    /// wins; then it is tried again with the new value. Near copies are made anew.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for bad tags,
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) for a cache without a remote tier and in the
    /// plain layout, [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if the value changes all the
    /// time. Others: it is open whether the value bears the tags; repeat it.
    pub async fn tag<Q, T>(&self, key: &Q, tags: impl IntoIterator<Item = T>) -> Result<bool>
    where
        Q: Key + Sync + ?Sized,
        T: Into<String>,
    {
        let key = self.engine.key(key)?;
        let tags: Vec<String> = tags.into_iter().map(Into::into).collect();
        let labels = Labels {
            tags: self.engine.tags(&tags)?,
            keys: Vec::new(),
        };
        Box::pin(self.engine.relabel(&key, labels)).await
    }

    /// Makes the fresh value of a key depend on a key of this cache or of another one, as if its
    /// loader had read that: from now on each change of that key makes the value void. See
    /// [`tag`](Cache::tag) for the rest.
    ///
    /// # Errors
    ///
    /// As for [`tag`](Cache::tag); [`ErrorKind::Refused`](crate::ErrorKind::Refused) too if the other
    /// cache has another remote tier, since changes there are not heard of.
    #[doc(alias = "track_dependency")]
    pub async fn depend<Q, L, W, R>(&self, key: &Q, other: &Cache<L, W>, on: &R) -> Result<bool>
    where
        Q: Key + Sync + ?Sized,
        L: Key + Send + 'static,
        W: Send + Sync + 'static,
        R: Key + Sync + ?Sized,
    {
        let key = self.engine.key(key)?;
        if self.engine.place() != other.engine.place() {
            let message = "a value can only depend on caches over the same remote tier";
            return Err(Error::new(ErrorKind::Refused, message));
        }
        let labels = Labels {
            tags: Tags::default(),
            keys: vec![other.engine.key(on)?.stored()],
        };
        Box::pin(self.engine.relabel(&key, labels)).await
    }
}
