//! Invalidating what Redis has no word for: tags, parts of caches, what depends on a key.

use ::bytes::Bytes;
use larder_core::area::Area;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::key::Name;
use larder_core::store::{Batch, Committed};
use larder_core::tag::{Tags, tag_key};

use super::{ByteCache, Database, remove};
use crate::receipt::Receipt;

impl Database {
    /// Removes keys, and tells with the receipt how many had a value and who has heard of it. One
    /// round trip per [`larder_core::limits::MAX_KEYS_PER_SCRIPT`] keys.
    pub async fn invalidate(&self, keys: &[Bytes]) -> Result<Receipt> {
        let writes = keys.iter().map(|key| (self.space.stored(key), remove()));
        let batch = Batch {
            writes: writes.collect(),
            ..Batch::default()
        };
        match self.engine.commit(batch).await? {
            Committed::Done(outcomes) => {
                let existed = outcomes.iter().map(|outcome| outcome.existed).collect();
                Ok(self.engine.receipt(existed, outcomes.position))
            }
            Committed::Refused(_) => unreachable!("a batch without checks is never refused"),
        }
    }

    /// Invalidates what was made from a key, and not the key itself. One round trip.
    pub async fn invalidate_dependents(&self, key: &Bytes) -> Result<Receipt> {
        let stored = self.space.stored(key);
        self.check_tags()?;
        let key = self.engine.stored_key(&stored);
        self.engine.invalidate_dependents(&key).await
    }

    fn check_tags(&self) -> Result<()> {
        let cache = ByteCache {
            engine: self.engine.clone(),
        };
        cache.check_tags()
    }
}

impl ByteCache {
    /// Invalidates tags of a named cache. One round trip, whatever the number of entries.
    pub async fn invalidate_tags(&self, cache: &str, tags: &[String]) -> Result<Receipt> {
        let tags = self.tags(cache, tags)?;
        self.check_tags()?;
        self.engine.bump(tags).await
    }

    /// Makes void all keys of a named cache that the area covers. One round trip, whatever their
    /// number; what they hold is released behind.
    pub async fn void(&self, cache: &str, area: Area) -> Result<Receipt> {
        let cache = Name::new(cache)?;
        self.check_tags()?;
        self.engine.void_in(cache, area).await
    }

    /// Tags of a named cache, to be stored with a value.
    pub fn tags(&self, cache: &str, tags: &[String]) -> Result<Tags> {
        let cache = Name::new(cache)?;
        let keys: Result<Vec<Bytes>> = tags
            .iter()
            .map(|tag| tag_key(cache.as_str(), tag))
            .collect();
        Tags::new(keys?)
    }

    fn check_tags(&self) -> Result<()> {
        let description = self.engine.store().describe();
        if description.tags.is_some() {
            return Ok(());
        }
        let message = format!("{} has neither tags nor areas", description.name);
        Err(Error::new(ErrorKind::Refused, message))
    }
}
