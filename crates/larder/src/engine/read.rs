//! Reading: the near cache, then the remote tier, with promotion through the guard.

use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use larder_core::area::Covered;
use larder_core::error::Result;
use larder_core::freshness::{Freshness, NearLife, classify};
use larder_core::key::{Id, Key, WireKey};
use larder_core::record::{Kind, Record};
use larder_core::runtime::Mono;
use larder_core::store::Store;
use larder_core::version::Version;

use super::areas::{Reach, Sight};
use super::tagging::Tagged;
use super::{Before, Engine, EngineKey};
use crate::depend;
use crate::loaded::{Loaded, Source};
use crate::near::{Content, Entry, EntryMeta, Near, NearKey};
use crate::observe::{Read, count};

/// What the remote tier has for a key.
pub(crate) enum Fetched<V> {
    Fresh(Arc<Entry<V>>),
    Stale(Arc<Entry<V>>),
    /// That the source has no record.
    Negative(Arc<Entry<V>>),
    /// Nothing, or the version of a record that must not be used.
    Absent(Version),
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// A fresh value of the near cache, and the time at which it was found. Allocates nothing. `None`
    /// for a closed cache and for what cannot be a key, too: who goes on is told.
    #[inline(always)]
    pub(crate) fn near_hit<Q: Key + ?Sized>(&self, key: &Q) -> Option<(Arc<Entry<V>>, Mono)> {
        if depend::is_loading() {
            return self.near_hit_in_load(&self.key(key).ok()?);
        }
        if self.is_closed() {
            return None;
        }
        let mut text = WireKey::new();
        let id = Id::write(key, &mut text);
        let hash = self.hasher.hash_id(id);
        let now = self.runtime.now();
        match self.near.get_here(NearKey { hash, id }, now) {
            Some((entry, Freshness::Fresh)) => {
                self.counts.read(Read::NearHit);
                Some((entry, now))
            }
            _ => {
                self.near_missed(NearKey { hash, id }, now);
                None
            }
        }
    }

    /// What is known to be absent is a hit of its own.
    #[cold]
    fn near_missed(&self, key: NearKey<'_>, now: Mono) {
        if self.near.absent(key, now).is_none() {
            self.counts.read(Read::NearMiss);
        }
    }

    /// The same inside a loader, whose value depends on what is read.
    #[cold]
    fn near_hit_in_load(&self, key: &EngineKey) -> Option<(Arc<Entry<V>>, Mono)> {
        self.touch_in_load(key);
        let now = self.runtime.now();
        match self.near.get(key.near(), now) {
            Some((entry, Freshness::Fresh)) => {
                self.counts.read(Read::NearHit);
                self.date_load(&entry);
                self.read_in_load(key, &entry, false);
                Some((entry, now))
            }
            _ => {
                self.counts.read(Read::NearMiss);
                None
            }
        }
    }

    /// What is loaded is made from this, and is no younger.
    fn date_load(&self, entry: &Entry<V>) {
        if let Some(reads) = depend::current() {
            reads.date(self.copy_as_of(entry, self.runtime.now()));
        }
    }

    /// As of when a near copy that may be used now is known to hold.
    pub(super) fn copy_as_of(&self, entry: &Entry<V>, now: Mono) -> Mono {
        self.near.view().as_of(entry.proven_until(), now)
    }

    /// A fresh value of the remote tier, after the near cache had none.
    pub(crate) async fn remote_hit(&self, key: &EngineKey) -> Result<Option<Loaded<V>>> {
        let found = self.remote_hits(std::slice::from_ref(key)).await?;
        Ok(found.into_iter().next().flatten())
    }

    /// Reads one key from the remote tier and promotes a fresh value.
    pub(crate) async fn fetch(&self, store: &dyn Store, key: &EngineKey) -> Result<Fetched<V>> {
        let before = self.before(key);
        let mut seen = self.look(store, &[key.stored()]).await?;
        let sight = seen.pop().unwrap_or(Sight::Absent);
        self.accept(store, key, before, sight).await
    }

    /// The same for many keys at once, after the near cache had none of them.
    pub(crate) async fn remote_hits(&self, keys: &[EngineKey]) -> Result<Vec<Option<Loaded<V>>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let absences = self.about_to_read(keys).await;
        let found = match &self.remote {
            Some(store) => self.fetch_many(&**store, keys).await?,
            None => vec![None; keys.len()],
        };
        if depend::is_loading() {
            for ((key, found), absence) in keys.iter().zip(&found).zip(absences) {
                match found {
                    Some(entry) => {
                        self.date_load(entry);
                        self.read_in_load(key, entry, false);
                    }
                    None => self.absent_in_load(absence),
                }
            }
        }
        let value = |entry: Arc<Entry<V>>| (!entry.is_nothing()).then_some(entry);
        let loaded = |entry| self.fresh(entry, Source::Remote);
        let found = found.into_iter().map(|entry| entry.and_then(value));
        Ok(found.map(|entry| entry.map(loaded)).collect())
    }

    /// What the remote tier has fresh for these keys, negative entries included.
    pub(crate) async fn fetch_many(
        &self,
        store: &dyn Store,
        keys: &[EngineKey],
    ) -> Result<Vec<Option<Arc<Entry<V>>>>> {
        let before: Vec<Before> = keys.iter().map(|key| self.before(key)).collect();
        let stored: Vec<Bytes> = keys.iter().map(EngineKey::stored).collect();
        let seen = self.look(store, &stored).await?;
        let mut found = Vec::with_capacity(keys.len());
        for ((key, before), sight) in keys.iter().zip(before).zip(seen) {
            found.push(match self.accept(store, key, before, sight).await? {
                Fetched::Fresh(entry) | Fetched::Negative(entry) => Some(entry),
                Fetched::Stale(_) | Fetched::Absent(_) => None,
            });
        }
        Ok(found)
    }

    pub(super) async fn accept(
        &self,
        store: &dyn Store,
        key: &EngineKey,
        before: Before,
        sight: Sight,
    ) -> Result<Fetched<V>> {
        let fetched = match sight {
            Sight::Absent => Fetched::Absent(Version::ZERO),
            Sight::Void(version) => Fetched::Absent(version),
            Sight::Damaged(damage) => {
                self.damaged(damage.as_str());
                Fetched::Absent(Version::ZERO)
            }
            Sight::Found(record) => self.take_record(store, key, &record, before).await?,
        };
        if let Fetched::Fresh(entry) | Fetched::Stale(entry) | Fetched::Negative(entry) = &fetched {
            self.near.date(entry, before.near);
        }
        match &fetched {
            Fetched::Fresh(entry) | Fetched::Negative(entry) => {
                self.counts.read(Read::RemoteHit);
                self.admit(key, before, entry);
            }
            Fetched::Stale(_) | Fetched::Absent(_) => self.counts.read(Read::RemoteMiss),
        }
        Ok(fetched)
    }

    /// Turns a record, which was asked for after `before`, into an entry of this process, with the
    /// version drawn then where the store gives none that can be compared. No round trip, unless it
    /// has tags that are not known here.
    pub(super) async fn take_record(
        &self,
        store: &dyn Store,
        key: &EngineKey,
        record: &Record,
        before: Before,
    ) -> Result<Fetched<V>> {
        let store_now = store.now();
        let void = Ok(Fetched::Absent(record.version));
        let covered = self.covered(key, record.cut);
        let is_expired = record.marked_stale || covered == Covered::Stale;
        let freshness = match classify(record, store_now) {
            Freshness::Fresh if is_expired => Freshness::Stale,
            freshness => freshness,
        };
        let is_gone = freshness == Freshness::Expired || covered == Covered::Void;
        if is_gone {
            return void;
        }
        let Some(content) = self.content(record, freshness) else {
            return void;
        };
        let is_negative = content.is_nothing();
        let tags = match self.check_tags(store, record).await? {
            Tagged::Valid(tags) => tags,
            Tagged::Void => return void,
        };
        let now = self.runtime.now();
        let size = match (&self.weigher, &content) {
            (Some(weigher), Content::Own(value)) => weigher(value),
            _ => record.value.len(),
        };
        let created = Mono(
            now.0
                .saturating_sub(store_now.since(record.created).as_nanos() as u64),
        );
        let fresh_end = record.fresh_until;
        let fresh_end = fresh_end.map(|end| now.after(end.since(store_now)));
        let cost = Duration::from_millis(record.load_cost_ms.into());
        let meta = EntryMeta {
            version: Self::ordered(store, record.version, before.version),
            cut: record.cut,
            is_proven: store.describe().tags.is_some(),
            created,
            life: NearLife::of(record, store_now, now, self.lives.near_ttl),
            refresh_from: self.refresh_from(created, fresh_end, cost),
            load_cost: cost,
            proven_until: self.near.view().proven_until(before.remote),
            tags,
            weight: Near::<V>::weight(key.id_bytes(), size),
        };
        let entry = Arc::new(Entry::new(key.near().id, content, meta));
        if is_negative {
            return Ok(Fetched::Negative(entry));
        }
        if is_expired {
            entry.mark_stale();
        }
        Ok(if freshness == Freshness::Fresh {
            Fetched::Fresh(entry)
        } else {
            Fetched::Stale(entry)
        })
    }

    /// The same for a record that came with the answer to a request for a lease.
    pub(super) async fn take_leased(
        &self,
        store: &dyn Store,
        key: &EngineKey,
        record: &Record,
        before: Before,
    ) -> Result<Fetched<V>> {
        match self.covered_now(store, key, record.cut).await? {
            Covered::Not => self.take_record(store, key, record, before).await,
            Covered::Void => Ok(Fetched::Absent(record.version)),
            Covered::Stale => {
                let record = Record {
                    marked_stale: true,
                    ..record.clone()
                };
                self.take_record(store, key, &record, before).await
            }
        }
    }

    /// What a record holds, if it can be used here.
    fn content(&self, record: &Record, freshness: Freshness) -> Option<Content<V>> {
        if record.kind == Kind::Negative {
            // To a client of a node absence is absence, whoever says so.
            let is_used = freshness == Freshness::Fresh && self.reach == Reach::Cache;
            return is_used.then_some(Content::Nothing);
        }
        if !self.takes(record) {
            self.damaged("other_codec_or_schema");
            return None;
        }
        let value = self.codec.decode(&record.value);
        let value = value.map_err(|_| self.damaged("undecodable"));
        value.map(Content::Own).ok()
    }

    /// Whether the bytes of a record mean something to this engine.
    fn takes(&self, record: &Record) -> bool {
        self.reach == Reach::Store
            || (self.codec.accepts(record.codec) && record.schema == self.schema)
    }

    pub(crate) fn damaged(&self, what: &'static str) {
        count(&self.counts.damaged);
        tracing::debug!(
            cache = self.name.as_str(),
            what,
            "a stored value cannot be used"
        );
    }
}
