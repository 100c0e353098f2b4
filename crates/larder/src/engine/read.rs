//! Reading: the near cache, then the remote tier, with promotion through the guard.

use std::sync::Arc;

use ::bytes::Bytes;
use larder_core::error::Result;
use larder_core::freshness::{Freshness, NearLife, classify};
use larder_core::key::Key;
use larder_core::lane::LEASE;
use larder_core::record::{Kind, Record};
use larder_core::runtime::Mono;
use larder_core::store::{Lookup, Store};

use super::tagging::Tagged;
use super::{Before, Engine, EngineKey};
use crate::loaded::{Loaded, Source};
use crate::near::{Entry, EntryMeta, Near};
use crate::observe::count;

/// What the remote tier has for a key.
pub(super) enum Fetched<V> {
    Fresh(Arc<Entry<V>>),
    Stale(Arc<Entry<V>>),
    Absent,
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// A fresh value of the near cache. Allocates nothing, and leaves nothing behind: the key's
    /// bytes live only in here, so that they need not be moved through the caller's future.
    pub(crate) fn near_hit<Q: Key + ?Sized>(&self, key: &Q) -> Result<Option<Loaded<V>>> {
        let key = self.key(key)?;
        let now = self.runtime.now();
        match self.near.get(key.near(), now) {
            Some((entry, Freshness::Fresh)) => {
                self.counts.near_hits.add(1);
                Ok(Some(Loaded::new(entry, Source::Near, false, now)))
            }
            _ => {
                self.counts.near_misses.add(1);
                Ok(None)
            }
        }
    }

    /// A fresh value of the remote tier, after the near cache had none.
    pub(crate) async fn remote_hit(&self, key: &EngineKey) -> Result<Option<Loaded<V>>> {
        let Some(store) = &self.remote else {
            return Ok(None);
        };
        match self.fetch(&**store, key).await? {
            Fetched::Fresh(entry) => Ok(Some(self.loaded(entry, Source::Remote, false))),
            Fetched::Stale(_) | Fetched::Absent => Ok(None),
        }
    }

    /// Reads one key from the remote tier and promotes a fresh value.
    pub(super) async fn fetch(&self, store: &dyn Store, key: &EngineKey) -> Result<Fetched<V>> {
        let before = self.before(key);
        let stored = key.stored();
        let found = store
            .get(&stored)
            .await
            .map_err(|error| self.failed(error))?;
        self.accept(store, key, before, found).await
    }

    /// Reads many keys that the near cache did not have. One round trip.
    pub(crate) async fn remote_hits(&self, keys: &[EngineKey]) -> Result<Vec<Option<Loaded<V>>>> {
        let Some(store) = &self.remote else {
            return Ok(vec![None; keys.len()]);
        };
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let before: Vec<Before> = keys.iter().map(|key| self.before(key)).collect();
        let stored: Vec<Bytes> = keys.iter().map(EngineKey::stored).collect();
        let found = store
            .get_many(&stored)
            .await
            .map_err(|error| self.failed(error))?;
        let mut hits = Vec::with_capacity(keys.len());
        for ((key, before), found) in keys.iter().zip(before).zip(found) {
            hits.push(match self.accept(&**store, key, before, found).await? {
                Fetched::Fresh(entry) => Some(self.loaded(entry, Source::Remote, false)),
                Fetched::Stale(_) | Fetched::Absent => None,
            });
        }
        Ok(hits)
    }

    async fn accept(
        &self,
        store: &dyn Store,
        key: &EngineKey,
        before: Before,
        found: Lookup,
    ) -> Result<Fetched<V>> {
        let fetched = match found {
            Lookup::Absent => Fetched::Absent,
            Lookup::Damaged(damage) => {
                self.damaged(damage.as_str());
                Fetched::Absent
            }
            Lookup::Found(record) => self.take_record(store, key, &record, before.at).await?,
        };
        match &fetched {
            Fetched::Fresh(entry) => {
                self.counts.remote_hits.add(1);
                self.admit(key, before, entry);
            }
            Fetched::Stale(_) | Fetched::Absent => self.counts.remote_misses.add(1),
        }
        Ok(fetched)
    }

    /// Turns a record, which was asked for at `asked`, into an entry of this process. No round trip,
    /// unless it has tags that are not known here.
    pub(super) async fn take_record(
        &self,
        store: &dyn Store,
        key: &EngineKey,
        record: &Record,
        asked: Mono,
    ) -> Result<Fetched<V>> {
        let store_now = store.now();
        let freshness = classify(record, store_now);
        if freshness == Freshness::Expired || record.kind != Kind::Value {
            return Ok(Fetched::Absent);
        }
        if !self.codec.accepts(record.codec) || record.schema != self.schema {
            self.damaged("other_codec_or_schema");
            return Ok(Fetched::Absent);
        }
        let Ok(value) = self.codec.decode(&record.value) else {
            self.damaged("undecodable");
            return Ok(Fetched::Absent);
        };
        let tags = match self.check_tags(store, record).await? {
            Tagged::Valid(tags) => tags,
            Tagged::Void => return Ok(Fetched::Absent),
        };
        let now = self.runtime.now();
        let size = self
            .weigher
            .as_ref()
            .map_or(record.value.len(), |weigher| weigher(&value));
        let meta = EntryMeta {
            version: self.ordered(store, record.version),
            created: larder_core::Mono(
                now.0
                    .saturating_sub(store_now.since(record.created).as_nanos() as u64),
            ),
            life: NearLife::of(record, store_now, now, self.lives.near_ttl),
            proven_until: asked.after(LEASE),
            tags,
            weight: Near::<V>::weight(key.near().bytes, size),
        };
        let entry = Arc::new(Entry::new(key.near().bytes, value, meta));
        Ok(if freshness == Freshness::Fresh {
            Fetched::Fresh(entry)
        } else {
            Fetched::Stale(entry)
        })
    }

    fn damaged(&self, what: &'static str) {
        count(&self.counts.damaged);
        tracing::debug!(
            cache = self.name.as_str(),
            what,
            "a stored value cannot be used"
        );
    }
}
