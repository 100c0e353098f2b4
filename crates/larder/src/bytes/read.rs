//! Reads of values, which near copies may answer, and of records, which only the store has.

use ::bytes::Bytes;
use larder_core::error::Result;
use larder_core::freshness::{Freshness, classify};
use larder_core::key::WireKey;
use larder_core::record::{Kind, Record};
use larder_core::store::Store;
use larder_core::version::Version;

use super::Item;
use crate::engine::areas::Sight;
use crate::engine::read::Fetched;
use crate::engine::tagging::Tagged;
use crate::engine::{Engine, EngineKey};
use crate::observe::{Read, count};
use crate::options::WhenFenced;

impl Engine<Bytes> {
    /// An engine with byte keys always has a store.
    pub(super) fn store(&self) -> &dyn Store {
        self.remote.as_deref().expect("it is opened with one")
    }

    pub(super) fn stored_key(&self, stored: &[u8]) -> EngineKey {
        self.wire_key(WireKey::from_slice(stored))
    }

    /// Whether there may be near copies.
    pub(super) fn keeps_copies(&self) -> bool {
        self.near.capacity() > 0
    }

    /// A near copy that may be used as fresh.
    pub(super) fn near_value(&self, key: &EngineKey) -> Option<Bytes> {
        match self.near.get(key.near(), self.runtime.now()) {
            Some((entry, Freshness::Fresh)) => {
                self.counts.read(Read::NearHit);
                Some(entry.value().clone())
            }
            _ => {
                self.counts.read(Read::NearMiss);
                None
            }
        }
    }

    /// The value that the store has, and a copy of it kept near.
    pub(super) async fn far_value(&self, key: EngineKey) -> Result<Option<Bytes>> {
        match self.fetch(self.store(), &key).await {
            Ok(Fetched::Fresh(entry)) => Ok(Some(entry.value().clone())),
            Ok(Fetched::Stale(_) | Fetched::Negative(_) | Fetched::Absent(_)) => Ok(None),
            Err(error) => self.fenced_value(&key).map(Some).ok_or(error),
        }
    }

    pub(super) async fn values(&self, stored: Vec<Bytes>) -> Result<Vec<Option<Bytes>>> {
        if !self.keeps_copies() {
            let items = self.items(&stored).await?;
            return Ok(items.into_iter().map(|item| Some(item?.value)).collect());
        }
        let keys: Vec<EngineKey> = stored.iter().map(|key| self.stored_key(key)).collect();
        let mut values: Vec<Option<Bytes>> = keys.iter().map(|key| self.near_value(key)).collect();
        let places = (0..keys.len()).filter(|at| values[*at].is_none());
        let places: Vec<usize> = places.collect();
        if places.is_empty() {
            return Ok(values);
        }
        let missing: Vec<EngineKey> = places.iter().map(|at| keys[*at].clone()).collect();
        match self.fetch_many(self.store(), &missing).await {
            Ok(found) => {
                for (at, entry) in places.into_iter().zip(found) {
                    values[at] = entry.map(|entry| entry.value().clone());
                }
            }
            Err(error) => {
                for (at, key) in places.into_iter().zip(&missing) {
                    let value = self.fenced_value(key).ok_or_else(|| error.clone())?;
                    values[at] = Some(value);
                }
            }
        }
        Ok(values)
    }

    /// A near copy for which nobody vouches, where that is wanted rather than an error.
    fn fenced_value(&self, key: &EngineKey) -> Option<Bytes> {
        if self.when_fenced == WhenFenced::Bypass {
            return None;
        }
        match self.near.get_fenced(key.near(), self.runtime.now()) {
            Some((entry, Freshness::Fresh)) => {
                count(&self.counts.stale_served);
                Some(entry.value().clone())
            }
            _ => None,
        }
    }

    pub(super) async fn items(&self, stored: &[Bytes]) -> Result<Vec<Option<Item>>> {
        let seen = self.look(self.store(), stored).await?;
        let mut items = Vec::with_capacity(stored.len());
        for (key, sight) in stored.iter().zip(seen) {
            items.push(self.item(key, sight).await?);
        }
        Ok(items)
    }

    /// The live value that was found. A value that is only good for fail-safe counts as absent: no
    /// Redis client knows what to do with it.
    pub(super) async fn item(&self, stored: &Bytes, sight: Sight) -> Result<Option<Item>> {
        let item = match sight {
            Sight::Found(record) if self.is_usable(&record).await? => Some(Item {
                value: record.value,
                version: record.version,
                expires_at: record.fresh_until,
            }),
            Sight::Damaged(damage) => {
                self.damaged(damage.as_str());
                None
            }
            Sight::Found(_) | Sight::Void(_) | Sight::Absent => None,
        };
        match &item {
            Some(_) => self.counts.read(Read::RemoteHit),
            None => self.counts.read(Read::RemoteMiss),
        }
        if self.keeps_copies() {
            self.overtake(stored, item.as_ref().map(|item| item.version));
        }
        Ok(item)
    }

    async fn is_usable(&self, record: &Record) -> Result<bool> {
        let is_fresh = classify(record, self.store().now()) == Freshness::Fresh;
        if record.kind != Kind::Value || !is_fresh || record.tags.is_empty() {
            return Ok(record.kind == Kind::Value && is_fresh);
        }
        if self.keeps_copies() {
            let tagged = self.check_tags(self.store(), record).await?;
            return Ok(matches!(tagged, Tagged::Valid(_)));
        }
        // What is known here of tags is kept current for the sake of near copies only.
        let Some(there) = self.store().describe().tags else {
            return Ok(true);
        };
        let numbers = there.tags(record.tags.keys()).await;
        let numbers = numbers.map_err(|error| self.failed(error))?;
        Ok(numbers.iter().all(|number| *number <= record.cut))
    }

    /// Ends an older near copy of what was just read from the store: whoever was told of this would
    /// go back in time with the next read.
    fn overtake(&self, stored: &[u8], read: Option<Version>) {
        let (key, now) = (self.stored_key(stored), self.runtime.now());
        let Some((copy, _)) = self.near.get_fenced(key.near(), now) else {
            return;
        };
        match read {
            Some(version) if copy.version() < version => {
                self.near.replaced(key.near(), version, now);
            }
            Some(_) => {}
            None => self.near.forget(key.near(), now),
        }
    }
}
