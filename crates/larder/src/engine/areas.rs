//! Areas in the engine: which parts of this cache were invalidated, as far as this process knows,
//! and whether a record of the remote tier lies in one.

use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use larder_core::area::{Area, Areas, area_key, cache_of};
use larder_core::bus::BusChange;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::record::Record;
use larder_core::store::{Batch, Committed, Damage, Keyspace, Lookup, Store, Write};
use larder_core::tag::Cut;
use larder_core::version::Version;

use super::tell::area_meaning;
use super::{Engine, EngineKey};
use crate::receipt::Receipt;
use crate::sync::RwLock;

/// Keys looked at in one go while the memory of void records is released, and the pause after it.
const PAGE: (usize, Duration) = (512, Duration::from_millis(5));

/// The areas of the cache that were invalidated. Facts: they only become more, until a new life of
/// the log makes all of them unknown.
#[derive(Default)]
pub(crate) struct KnownAreas(RwLock<Known>);

#[derive(Default)]
struct Known {
    areas: Areas,
    /// Whether nothing that happened before the last question is missing.
    is_complete: bool,
    /// How often everything was forgotten: an answer is of use only if that is as it was when the
    /// question was asked.
    life: u64,
}

/// What a look at the remote tier has shown under one key.
pub(super) enum Sight {
    Absent,
    Damaged(Damage),
    /// A record of this version, in an area that was invalidated.
    Void(Version),
    Found(Record),
}

impl Sight {
    fn of(found: Lookup) -> Sight {
        match found {
            Lookup::Absent => Sight::Absent,
            Lookup::Damaged(damage) => Sight::Damaged(damage),
            Lookup::Found(record) => Sight::Found(record),
        }
    }
}

impl KnownAreas {
    fn add(&self, number: Cut, area: Area) {
        self.0.write().areas.add(number, area);
    }

    fn learn(&self, life: u64, areas: &Areas) {
        let mut known = self.0.write();
        // A store that has lost its memory knows nothing until the next lease there.
        if known.life == life && *areas != Areas::unknown() {
            known.areas.merge(areas.clone());
            known.is_complete = true;
        }
    }

    fn life(&self) -> u64 {
        self.0.read().life
    }

    /// Something may have been missed.
    pub(crate) fn forget(&self) {
        let mut known = self.0.write();
        *known = Known {
            life: known.life + 1,
            ..Known::default()
        };
    }
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// The stored key for the areas of this cache.
    pub(crate) fn area_key(&self) -> Bytes {
        area_key(self.name.as_str())
    }

    /// Reads records, and sees to it that the areas are known as of then. One round trip.
    pub(super) async fn look(&self, store: &dyn Store, keys: &[Bytes]) -> Result<Vec<Sight>> {
        let Some(there) = store.describe().tags else {
            return self.look_alone(store, keys).await;
        };
        let is_current = self.near.view().is_current(self.runtime.now());
        let life = self.areas.life();
        if is_current && self.areas.0.read().is_complete {
            let seen = self.look_alone(store, keys).await;
            // Else what was known has been forgotten meanwhile.
            if self.areas.life() == life {
                return seen;
            }
        }
        let life = self.areas.life();
        let cache = self.area_key();
        let asked = there.get_within(keys, &cache).await;
        let (found, areas) = asked.map_err(|error| self.failed(error))?;
        self.areas.learn(life, &areas);
        // What this answer knows counts for what it found, whatever is known by now.
        let look = |(found, key): (Lookup, &Bytes)| match found {
            Lookup::Found(record) if self.covers_record(&areas, key, &record) => {
                Sight::Void(record.version)
            }
            other => Sight::of(other),
        };
        Ok(found.into_iter().zip(keys).map(look).collect())
    }

    async fn look_alone(&self, store: &dyn Store, keys: &[Bytes]) -> Result<Vec<Sight>> {
        let found = match keys {
            [key] => store.get(key).await.map(|found| vec![Sight::of(found)]),
            keys => {
                let found = store.get_many(keys).await;
                found.map(|found| found.into_iter().map(Sight::of).collect())
            }
        };
        found.map_err(|error| self.failed(error))
    }

    fn covers_record(&self, areas: &Areas, stored: &Bytes, record: &Record) -> bool {
        let key = stored.get(self.prefix.len()..).unwrap_or_default();
        areas.void(key, record.cut)
    }

    /// Whether a record of the remote tier lies in an area that was invalidated after it was
    /// proven, as far as is known.
    pub(super) fn is_covered(&self, key: &EngineKey, cut: Cut) -> bool {
        self.areas.0.read().areas.void(key.near().bytes, cut)
    }

    /// The areas of a cache, asked for now.
    pub(super) async fn ask_areas(&self, store: &dyn Store, cache: &Bytes) -> Result<Areas> {
        let Some(there) = store.describe().tags else {
            return Ok(Areas::unknown());
        };
        let asked = there.get_within(&[], cache).await;
        asked
            .map(|(_, areas)| areas)
            .map_err(|error| self.failed(error))
    }

    /// An area was invalidated, here or elsewhere.
    pub(crate) fn voided(&self, number: Cut, area: &Area) {
        self.areas.add(number, area.clone());
        self.near.void(area.clone());
        self.flights.detach_covered(area);
        self.touched.voided(&self.prefix, area);
    }

    /// Some areas were invalidated, of this cache or another one, as the bus says.
    pub(crate) fn apply_voided(&self, change: &BusChange) {
        let Some((cache, area)) = larder_core::bus::voided(&change.key) else {
            return;
        };
        self.tags.raise(&cache, change.version.0);
        if let Some(name) = cache_of(&cache) {
            self.touched.voided(format!("{name}:").as_bytes(), &area);
        }
        if cache == self.area_key() {
            self.voided(Cut(change.version.0), &area);
        }
    }

    /// Makes void every value whose key the area covers. One round trip, whatever their number;
    /// what they hold in the remote tier is released behind.
    pub(crate) async fn void(self: &Arc<Self>, area: Area) -> Result<Receipt> {
        let engine = self.clone();
        self.detached(async move {
            let Some(store) = engine.remote.clone() else {
                engine.void_locally(&area);
                engine.tell_area(&area);
                return Ok(Receipt::default());
            };
            if store.describe().tags.is_none() {
                engine.void_one_by_one(&*store, &area).await?;
                engine.sent(&[area_meaning(area.clone()).0], None);
                engine.tell_area(&area);
                return Ok(Receipt::default());
            }
            let batch = Batch::one(engine.area_key(), Write::Void(area.clone()));
            match store.commit(batch.by(engine.coherence.node.number)).await {
                Ok(Committed::Done(outcomes)) => {
                    let position = outcomes.position;
                    let number = Cut(outcomes[0].version.0);
                    engine.voided(number, &area);
                    engine.tags.raise(&engine.area_key(), number.0);
                    engine.sent(&[area_meaning(area.clone()).0], position);
                    engine.clone().reclaim(store, area, number);
                    Ok(engine.receipt(Vec::new(), position))
                }
                Ok(Committed::Refused(_)) => {
                    unreachable!("a batch without checks is never refused")
                }
                Err(error) => {
                    // It may or may not have taken place.
                    engine.void_locally(&area);
                    engine.areas.forget();
                    Err(engine.failed(error))
                }
            }
        })
        .await
    }

    fn void_locally(&self, area: &Area) {
        self.near.void(area.clone());
        self.tags.void(&self.area_key());
        self.flights.detach_covered(area);
        self.touched.voided(&self.prefix, area);
    }

    /// Where records carry nothing that could be held against an area: each of them is removed.
    async fn void_one_by_one(&self, store: &dyn Store, area: &Area) -> Result<()> {
        self.void_locally(area);
        let described = store.describe();
        let Some(keyspace) = described.keyspace else {
            let message = format!("{} cannot list its keys", described.name);
            return Err(Error::new(ErrorKind::Refused, message));
        };
        let done = match area {
            Area::Prefix(prefix) => {
                let mut space = self.space();
                space.prefix = [&space.prefix[..], prefix].concat().into();
                keyspace.clear(&space).await.map(drop)
            }
            Area::Pattern(_) => self.remove_matching(store, keyspace, area).await,
        };
        // Again: values may have been promoted while the remote tier was being cleared.
        self.void_locally(area);
        done.map_err(|error| self.failed(error))
    }

    async fn remove_matching(
        &self,
        store: &dyn Store,
        keyspace: &dyn Keyspace,
        area: &Area,
    ) -> Result<()> {
        let mut cursor = 0;
        loop {
            let page = keyspace.scan(&self.space(), cursor, PAGE.0).await?;
            let covered = page.keys.into_iter().filter(|key| self.covers(area, key));
            let remove = |key| (key, Write::Remove { tombstone_ms: 0 });
            let batch = Batch {
                writes: covered.map(remove).collect(),
                origin: self.coherence.node.number,
                ..Batch::default()
            };
            if !batch.writes.is_empty() {
                store.commit(batch).await?;
            }
            cursor = page.next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    fn covers(&self, area: &Area, stored: &Bytes) -> bool {
        let key = stored.get(self.prefix.len()..);
        key.is_some_and(|key| area.covers(key))
    }

    /// Releases the memory of records that are void, in a task of its own that nobody waits for.
    /// What it does not reach ends with its ttl.
    fn reclaim(self: Arc<Self>, store: Arc<dyn Store>, area: Area, before: Cut) {
        let runtime = self.runtime.clone();
        runtime.spawn(Box::pin(async move {
            let Some(keyspace) = store.describe().keyspace else {
                return;
            };
            let mut space = self.space();
            if let Area::Prefix(prefix) = &area {
                space.prefix = [&space.prefix[..], prefix].concat().into();
            }
            let mut cursor = 0;
            loop {
                let Ok(page) = keyspace.scan(&space, cursor, PAGE.0).await else {
                    return;
                };
                let covered = page.keys.into_iter().filter(|key| self.covers(&area, key));
                let covered: Vec<Bytes> = covered.collect();
                if !covered.is_empty() && keyspace.reclaim(&covered, before).await.is_err() {
                    return;
                }
                cursor = page.next;
                if cursor == 0 {
                    return;
                }
                self.runtime.sleep(PAGE.1).await;
            }
        }));
    }
}
