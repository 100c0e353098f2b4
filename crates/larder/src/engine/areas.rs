//! Areas in the engine: which parts of this cache were invalidated, as far as this process knows,
//! and whether a record of the remote tier lies in one.

mod known;
pub(crate) mod lies;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use larder_core::area::{self, Area, Areas, Covered, area_key, cache_of};
use larder_core::bus::BusChange;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::key::Name;
use larder_core::mutant::Mutant;
use larder_core::record::Record;
use larder_core::space::Space;
use larder_core::store::{Batch, Committed, Damage, Keyspace, Lookup, Store, Write};
use larder_core::tag::Cut;
use larder_core::version::Version;
use smallvec::{SmallVec, smallvec};

use super::tell::area_meaning;
use super::{Engine, EngineKey};
use crate::backlog::Entry;
use crate::receipt::Receipt;
pub(crate) use known::KnownAreas;
use lies::Lies;
pub(crate) use lies::Reach;

/// Keys looked at in one go while the memory of void records is released, and the pause after it.
const PAGE: (usize, Duration) = (512, Duration::from_millis(5));

/// What a look at the remote tier has shown under one key.
pub(crate) enum Sight {
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

    /// What the areas that were invalidated have made of a record, by its cut.
    fn hold_against(&mut self, covered: impl FnOnce(Cut) -> Covered) {
        if let Sight::Found(record) = self {
            match covered(record.cut) {
                Covered::Not => {}
                Covered::Stale => record.marked_stale = true,
                Covered::Void => *self = Sight::Void(record.version),
            }
        }
    }
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// The stored key for the areas of this cache.
    pub(crate) fn area_key(&self) -> Bytes {
        area_key(self.name.as_str())
    }

    /// The caches in which a stored key may lie.
    fn lies<'a>(&'a self, stored: &'a [u8]) -> SmallVec<[Lies<'a>; 2]> {
        match self.reach {
            Reach::Cache => smallvec![Lies {
                cache: self.name.as_str(),
                at: self.prefix.len(),
            }],
            Reach::Store => lies::any_of(stored),
        }
    }

    /// Reads records, and sees to it that the areas are known as of then. One round trip.
    pub(crate) async fn look(&self, store: &dyn Store, keys: &[Bytes]) -> Result<Vec<Sight>> {
        let Some(there) = store.describe().tags else {
            return self.look_alone(store, keys).await;
        };
        let lies: Vec<_> = keys.iter().map(|key| self.lies(key)).collect();
        let all = || lies.iter().flatten().map(|lies| lies.cache);
        if let Some(life) = self.knows_areas(all()) {
            let mut seen = self.look_alone(store, keys).await?;
            for (sight, (key, lies)) in seen.iter_mut().zip(keys.iter().zip(&lies)) {
                sight.hold_against(|cut| self.areas.covered(key, lies, cut));
            }
            // Else what was known has been forgotten meanwhile.
            if self.areas.life() == life {
                return Ok(seen);
            }
        }
        let life = self.areas.life();
        let caches: Vec<&str> = all().collect::<BTreeSet<_>>().into_iter().collect();
        let named: Vec<Bytes> = caches.iter().map(|cache| area_key(cache)).collect();
        let asked = there.get_among(keys, &named).await;
        let (found, areas) = asked.map_err(|error| self.failed(error))?;
        let areas_of = |cache: &str| {
            caches
                .binary_search(&cache)
                .ok()
                .and_then(|at| areas.get(at))
        };
        for (cache, areas) in caches.iter().zip(&areas) {
            self.areas.learn(life, cache, areas);
        }
        // What this answer knows counts for what it found, whatever is known by now.
        let covered = |key: &Bytes, lies: &[Lies<'_>], cut: Cut| {
            area::worst(lies.iter().map(|lies| {
                let key = key.get(lies.at..).unwrap_or_default();
                let areas = areas_of(lies.cache);
                areas.map_or(Covered::Void, |areas| areas.covered(key, cut))
            }))
        };
        let look = |(found, (key, lies)): (Lookup, (&Bytes, &SmallVec<_>))| {
            let mut sight = Sight::of(found);
            sight.hold_against(|cut| covered(key, lies, cut));
            sight
        };
        let keys = keys.iter().zip(&lies);
        Ok(found.into_iter().zip(keys).map(look).collect())
    }

    /// The same for one key.
    pub(crate) async fn look_at(&self, store: &dyn Store, key: &Bytes) -> Result<Sight> {
        if self.areas.is_blank() {
            let found = store.get(key).await;
            return found.map(Sight::of).map_err(|error| self.failed(error));
        }
        let mut seen = self.look(store, std::slice::from_ref(key)).await?;
        Ok(seen.pop().unwrap_or(Sight::Absent))
    }

    /// The life in which all areas of these caches are known, as of a moment ago; `None` if they must
    /// be asked for.
    fn knows_areas<'a>(&self, caches: impl Iterator<Item = &'a str>) -> Option<u64> {
        let life = self.areas.life();
        let is_current = self.near.view().is_current(self.runtime.now());
        (is_current && self.areas.are_complete(caches)).then_some(life)
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

    /// What the areas that were invalidated after a record of the remote tier was proven have made of
    /// it, as far as is known.
    pub(super) fn covered(&self, key: &EngineKey, cut: Cut) -> Covered {
        let stored = &key.wire[..];
        self.areas.covered(stored, &self.lies(stored), cut)
    }

    /// The same of a record that came with the answer to a request for a lease, which does not tell of
    /// areas. One round trip, unless they are known and the bus says that they are
    /// current: what was known may have been forgotten with a new life of the log.
    pub(super) async fn covered_now(
        &self,
        store: &dyn Store,
        key: &EngineKey,
        cut: Cut,
    ) -> Result<Covered> {
        if store.describe().tags.is_none() {
            return Ok(Covered::Not);
        }
        if Mutant::LeasedArea.is_active() {
            return Ok(self.covered(key, cut));
        }
        let cache = self.name.as_str();
        if let Some(life) = self.knows_areas(std::iter::once(cache)) {
            let covered = self.covered(key, cut);
            if self.areas.life() == life {
                return Ok(covered);
            }
        }
        let life = self.areas.life();
        let areas = self.ask_areas(store, &self.area_key()).await?;
        self.areas.learn(life, cache, &areas);
        Ok(areas.covered(key.id_bytes(), cut))
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

    /// An area of a cache within this engine's reach was invalidated, here or elsewhere.
    pub(crate) fn voided(&self, cache: &str, number: Cut, area: &Area) {
        self.areas.add(cache, number, area.clone());
        self.void_copies(cache, area);
    }

    fn void_copies(&self, cache: &str, area: &Area) {
        let near = self.in_near(cache, area);
        self.near.void(near.clone());
        self.flights.detach_covered(&near);
        if near == Area::ALL || near == Area::Expired {
            self.cleared();
        }
        self.touched.voided(format!("{cache}:").as_bytes(), area);
    }

    /// What the area is to the near cache and to loads, whose keys may have the cache's name.
    fn in_near(&self, cache: &str, area: &Area) -> Area {
        let (kind, rest) = area.parts();
        let is_part = self.reach == Reach::Cache || *area != Area::Expired;
        if !is_part {
            // Copies of other caches must not be marked: these are read again.
            return Area::Prefix([cache.as_bytes(), b":"].concat().into());
        }
        let whole = match self.reach {
            Reach::Cache => rest.clone(),
            // Nothing in the name of a cache means anything in a pattern.
            Reach::Store => [cache.as_bytes(), b":", rest].concat().into(),
        };
        Area::from_parts(kind, whole).unwrap_or(Area::ALL)
    }

    /// Some areas were invalidated, of this cache or another one, as the bus says.
    pub(crate) fn apply_voided(&self, change: &BusChange) {
        let Some((cache, area)) = larder_core::bus::voided(&change.key) else {
            return;
        };
        self.tags.raise(&cache, change.version.0);
        let Some(name) = cache_of(&cache) else {
            return;
        };
        if self.reaches(name) {
            self.voided(name, Cut(change.version.0), &area);
        } else {
            self.touched.voided(format!("{name}:").as_bytes(), &area);
        }
    }

    /// Whether keys of this cache are the engine's.
    pub(super) fn reaches(&self, cache: &str) -> bool {
        self.reach == Reach::Store || cache == self.name.as_str()
    }

    /// Makes void every value of this cache whose key the area covers. One round trip, whatever
    /// their number; what they hold in the remote tier is released behind.
    /// [`Area::Expired`] makes them stale instead, and releases nothing.
    pub(crate) async fn void(self: &Arc<Self>, area: Area) -> Result<Receipt> {
        self.void_in(self.name.clone(), area).await
    }

    /// The same for any cache within reach.
    pub(crate) async fn void_in(self: &Arc<Self>, cache: Name, area: Area) -> Result<Receipt> {
        let engine = self.clone();
        self.detached(async move {
            let done = engine.void_now(cache, area.clone()).await;
            match done {
                Err(error) => engine.defer(error, |_| vec![Entry::Area(area)]).await,
                done => done,
            }
        })
        .await
    }

    /// The same while the caller waits for it, and an error if the remote tier is away.
    pub(super) async fn void_now(self: &Arc<Self>, cache: Name, area: Area) -> Result<Receipt> {
        let Some(store) = self.remote.clone() else {
            self.void_locally(cache.as_str(), &area);
            self.tell_area(&area);
            return Ok(Receipt::default());
        };
        if store.describe().tags.is_none() {
            self.void_one_by_one(&*store, cache.as_str(), &area).await?;
            self.sent(&[area_meaning(area.clone()).0], None);
            self.tell_area(&area);
            return Ok(Receipt::default());
        }
        let key = area_key(cache.as_str());
        let batch = Batch::one(key.clone(), Write::Void(area.clone()));
        match store.commit(batch.by(self.coherence.node.number)).await {
            Ok(Committed::Done(outcomes)) => {
                let position = outcomes.position;
                let number = Cut(outcomes[0].version.0);
                self.voided(cache.as_str(), number, &area);
                self.tags.raise(&key, number.0);
                self.sent(&[area_meaning(area.clone()).0], position);
                self.clone().reclaim(store, cache, area, number);
                Ok(self.receipt(Vec::new(), position))
            }
            Ok(Committed::Refused(_)) => unreachable!("a batch without checks is never refused"),
            Err(error) => {
                // It may or may not have taken place.
                self.void_locally(cache.as_str(), &area);
                self.areas.forget();
                Err(self.failed(error))
            }
        }
    }

    fn void_locally(&self, cache: &str, area: &Area) {
        self.tags.void(&area_key(cache));
        self.void_copies(cache, area);
    }

    /// Where records carry nothing that could be held against an area: each of them is removed.
    async fn void_one_by_one(&self, store: &dyn Store, cache: &str, area: &Area) -> Result<()> {
        self.void_locally(cache, area);
        let described = store.describe();
        let Some(keyspace) = described.keyspace else {
            let message = format!("{} cannot list its keys", described.name);
            return Err(Error::new(ErrorKind::Refused, message));
        };
        let done = match area {
            Area::Prefix(prefix) => keyspace.clear(&space_in(cache, prefix)).await.map(drop),
            Area::Pattern(_) | Area::Expired => {
                self.rewrite_matching(store, keyspace, (cache, area)).await
            }
        };
        // Again: values may have been promoted while the remote tier was being cleared.
        self.void_locally(cache, area);
        done.map_err(|error| self.failed(error))
    }

    async fn rewrite_matching(
        &self,
        store: &dyn Store,
        keyspace: &dyn Keyspace,
        (cache, area): (&str, &Area),
    ) -> Result<()> {
        let mut cursor = 0;
        let space = space_in(cache, b"");
        loop {
            let page = keyspace.scan(&space, cursor, PAGE.0).await?;
            let covered = page.keys.into_iter().filter(|key| covers(cache, area, key));
            let write = |key| match area {
                Area::Expired => (key, Write::Expire),
                _ => (key, Write::Remove { tombstone_ms: 0 }),
            };
            let batch = Batch {
                writes: covered.map(write).collect(),
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

    /// Releases the memory of records that are void, in a task of its own that nobody waits for.
    /// What it does not reach ends with its ttl.
    fn reclaim(self: Arc<Self>, store: Arc<dyn Store>, cache: Name, area: Area, before: Cut) {
        let space = match &area {
            Area::Expired => return,
            Area::Prefix(prefix) => space_in(cache.as_str(), prefix),
            Area::Pattern(_) => space_in(cache.as_str(), b""),
        };
        let runtime = self.runtime.clone();
        runtime.spawn(Box::pin(async move {
            let Some(keyspace) = store.describe().keyspace else {
                return;
            };
            let cache = cache.as_str();
            let mut cursor = 0;
            loop {
                let Ok(page) = keyspace.scan(&space, cursor, PAGE.0).await else {
                    return;
                };
                let covered = page
                    .keys
                    .into_iter()
                    .filter(|key| covers(cache, &area, key));
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

/// The keys of a cache that begin so.
fn space_in(cache: &str, prefix: &[u8]) -> Space {
    Space::prefix(Bytes::from([cache.as_bytes(), b":", prefix].concat()))
}

/// Whether an area of a cache covers a stored key of its.
fn covers(cache: &str, area: &Area, stored: &Bytes) -> bool {
    let key = stored.get(cache.len() + 1..);
    key.is_some_and(|key| area.covers(key))
}
