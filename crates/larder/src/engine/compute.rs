//! Replacing a value by what is made of it: looked at, decided, and written only if nobody has changed
//! the key in between; else once more.

use std::sync::Arc;
use std::time::Duration;

use larder_core::error::{Error, ErrorKind, Result};
use larder_core::freshness::Freshness;
use larder_core::mutant::Mutant;
use larder_core::store::{Batch, Committed, Expect, Lookup, Outcomes, Store, Write};
use larder_core::tag::{Cut, Tags};
use larder_core::version::Version;
use tokio::sync::{Mutex, MutexGuard};

use super::read::Fetched;
use super::write::Change;
use super::{Before, Engine, EngineKey, Kept};
use crate::loaded::{Loaded, Source};
use crate::near::Entry;
use crate::tags::EntryTags;

/// How often it is tried while other processes change the key.
const TRIES: u32 = 64;
/// The longest pause between two tries, and the number of tries before the first pause.
const PAUSE: (Duration, u32) = (Duration::from_millis(20), 2);
/// Computations of one process whose keys fall into the same of these parts take turns.
const TURNS: usize = 64;

/// What [`Cache::compute`](crate::Cache::compute) makes of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Computed<V> {
    /// This takes its place, with a whole life of the cache's length.
    Insert(V),
    /// The same with a fresh life of its own, which is not zero.
    InsertFor(V, Duration),
    /// It is invalidated.
    Remove,
    /// It stays as it is.
    Keep,
}

/// Takes turns in this process, so that its own computations do not stand in each other's way.
pub(crate) struct Turns([Mutex<()>; TURNS]);

impl Default for Turns {
    fn default() -> Turns {
        Turns(std::array::from_fn(|_| Mutex::new(())))
    }
}

impl Turns {
    async fn of(&self, key: &EngineKey) -> MutexGuard<'_, ()> {
        // The low bits choose shards and stripes elsewhere.
        self.0[(key.hash() >> 40) as usize % TURNS].lock().await
    }
}

/// What a key holds, and what it must still be like when that is replaced.
struct Standing<V> {
    before: Before,
    fresh: Option<Arc<Entry<V>>>,
    /// The version of the record, whether its value may be used or not.
    version: Version,
    /// What its value depends on, and as of when that is known to hold: what is made of it depends on
    /// the same.
    tags: Tags,
    cut: Cut,
}

impl<V> Standing<V> {
    /// Nothing that can be used, in a record of this version.
    fn nothing(before: Before, version: Version) -> Standing<V> {
        Standing {
            before,
            fresh: None,
            version,
            tags: Tags::default(),
            cut: Cut::default(),
        }
    }
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// See [`Cache::compute`](crate::Cache::compute).
    pub(crate) async fn compute(
        self: &Arc<Self>,
        key: &EngineKey,
        mut compute: impl FnMut(Option<&V>) -> Computed<V> + Send,
    ) -> Result<Option<Loaded<V>>> {
        let _turn = self.turns.of(key).await;
        for tries in 1..=TRIES {
            let standing = self.standing(key).await?;
            let computed = compute(standing.fresh.as_deref().map(Entry::value));
            let Some(change) = self.wanted(key, computed)? else {
                return Ok(self.kept(standing));
            };
            if let Some(entry) = self.exchange(key, standing, change).await? {
                return Ok(entry.map(|entry| self.fresh(entry, Source::Loaded)));
            }
            self.pause(tries).await;
        }
        let message = format!(
            "a value of {} was changed by others {TRIES} times while a new one was computed from it; \
             nothing was done",
            self.name
        );
        Err(Error::new(ErrorKind::Conflict, message))
    }

    /// Processes that have met each other do not meet again at once.
    async fn pause(&self, tries: u32) {
        let (longest, free) = PAUSE;
        if tries > free {
            let most = longest.min(Duration::from_millis(1) * (tries - free));
            let share = self.runtime.random() % 1_000;
            self.runtime
                .sleep(most.mul_f64(share as f64 / 1_000.0))
                .await;
        }
    }

    /// The change that a computation asks for, if it does.
    fn wanted(&self, key: &EngineKey, computed: Computed<V>) -> Result<Option<Change<V>>> {
        let (value, ttl) = match computed {
            Computed::Keep => return Ok(None),
            Computed::Remove => return Ok(Some(Change::Invalidate)),
            Computed::Insert(value) => (value, None),
            Computed::InsertFor(_, ttl) if ttl.is_zero() => {
                let message = "a ttl of zero stores nothing; remove the value instead";
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            Computed::InsertFor(value, ttl) => (value, Some(ttl)),
        };
        let incoming = self.incoming(key, value, ttl, None);
        let incoming = incoming.map_err(|(_, error)| error)?;
        Ok(Some(Change::Insert(incoming)))
    }

    fn kept(&self, standing: Standing<V>) -> Option<Loaded<V>> {
        let source = match &self.remote {
            Some(_) => Source::Remote,
            None => Source::Near,
        };
        standing.fresh.map(|entry| self.fresh(entry, source))
    }

    /// What the key holds, as of now: neither near copies nor what is known of tags here count, since
    /// they may be behind. One round trip, and one more for a value with tags.
    async fn standing(&self, key: &EngineKey) -> Result<Standing<V>> {
        let before = self.before(key);
        let Some(store) = &self.remote else {
            let found = self.near.get(key.near(), before.at);
            let fresh = found.filter(|(_, freshness)| *freshness == Freshness::Fresh);
            return Ok(Standing {
                fresh: fresh.map(|(entry, _)| entry),
                ..Standing::nothing(before, Version::ZERO)
            });
        };
        let seen = self.stands_there(&**store, key, before).await;
        seen.map_err(|error| self.failed(error))
    }

    async fn stands_there(
        &self,
        store: &dyn Store,
        key: &EngineKey,
        before: Before,
    ) -> Result<Standing<V>> {
        let stored = key.stored();
        let there = store.describe().tags;
        let (found, is_covered) = match there {
            None => (store.get(&stored).await?, false),
            Some(there) => {
                let (found, areas) = there.get_within(&[stored], &self.area_key()).await?;
                let found = found.into_iter().next().unwrap_or(Lookup::Absent);
                let is_covered = |cut| areas.cover(key.id_bytes(), cut);
                let is_covered = matches!(&found, Lookup::Found(record) if is_covered(record.cut));
                (found, is_covered)
            }
        };
        let Lookup::Found(record) = found else {
            return Ok(Standing::nothing(before, Version::ZERO));
        };
        let nothing = Standing::nothing(before, record.version);
        if is_covered {
            return Ok(nothing);
        }
        if let (Some(there), false) = (there, record.tags.is_empty()) {
            let newest = there.tags(record.tags.keys()).await?.into_iter().max();
            if newest.is_some_and(|newest| newest > record.cut) {
                return Ok(nothing);
            }
        }
        Ok(match self.take_record(store, key, &record, before).await? {
            Fetched::Fresh(entry) => Standing {
                fresh: Some(entry),
                tags: record.tags,
                // Zero would mean: as of now.
                cut: record.cut.max(Cut(1)),
                ..nothing
            },
            Fetched::Stale(_) | Fetched::Negative(_) | Fetched::Absent(_) => nothing,
        })
    }

    /// Makes the change if the key still stands as it did: what it holds then. `None` if it does not.
    /// Seen through even if the caller goes away.
    async fn exchange(
        self: &Arc<Self>,
        key: &EngineKey,
        standing: Standing<V>,
        change: Change<V>,
    ) -> Result<Option<Option<Arc<Entry<V>>>>> {
        if self.remote.is_none() {
            return self.exchange_near(key, &standing, change);
        }
        let (engine, key) = (self.clone(), key.clone());
        self.detached(async move { engine.exchange_remote(&key, standing, change).await })
            .await
    }

    fn exchange_near(
        &self,
        key: &EngineKey,
        standing: &Standing<V>,
        change: Change<V>,
    ) -> Result<Option<Option<Arc<Entry<V>>>>> {
        let now = self.runtime.now();
        let cause = change.cause();
        let (version, cut) = (self.local_version(), self.local_cut());
        let entry = match change {
            Change::Insert(incoming) => {
                let cells = standing
                    .fresh
                    .as_ref()
                    .and_then(|entry| entry.tags().cloned());
                let tags = cells
                    .filter(|cells: &EntryTags| cells.len() > 0)
                    .map(Box::new);
                let kept = Kept {
                    version,
                    cut,
                    is_proven: true,
                    tags,
                    cost: Duration::ZERO,
                };
                Some(self.entry(key, incoming, kept, (now, now)))
            }
            Change::Invalidate | Change::Expire => None,
        };
        let seen = (standing.before.near, standing.fresh.as_ref());
        match self.near.exchange(key.near(), seen, entry.as_ref(), now) {
            Ok(true) => self.show(key, &key.stored(), || ()),
            Ok(false) => return Ok(None),
            Err(refusal) => {
                self.refuse(refusal);
                let message = format!(
                    "a computed value of {} is too large for its near cache; nothing was done",
                    self.name
                );
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
        }
        self.tell_own(cause, version, || Self::key_target(key));
        Ok(Some(entry))
    }

    async fn exchange_remote(
        &self,
        key: &EngineKey,
        standing: Standing<V>,
        change: Change<V>,
    ) -> Result<Option<Option<Arc<Entry<V>>>>> {
        let Some(store) = &self.remote else {
            return Ok(None);
        };
        let (cause, stored) = (change.cause(), key.stored());
        let mut write = self.write_of(&change);
        if let Write::Put(put) = &mut write {
            put.tags = standing.tags.clone();
            put.cut = standing.cut;
        }
        let changes = [(key.clone(), change)];
        let mut batch = Batch::one(stored.clone(), write).by(self.coherence.node.number);
        batch.carry = standing.tags.is_empty() && self.carries(&changes);
        if !Mutant::Exchange.is_active() {
            batch = batch.check(stored.clone(), Expect::Version(standing.version));
        }
        let [(_, change)] = changes;
        match store.commit(batch).await {
            Ok(Committed::Done(outcomes)) => {
                let entry = self.conclude_exchange(key, standing, change, &outcomes);
                self.sent(&[cause], outcomes.position);
                Ok(Some(entry))
            }
            Ok(Committed::Refused(_)) => Ok(None),
            Err(error) => {
                // It may or may not have taken place.
                let now = self.runtime.now();
                self.show(key, &stored, || self.near.forget(key.near(), now));
                Err(self.failed(error))
            }
        }
    }

    fn conclude_exchange(
        &self,
        key: &EngineKey,
        standing: Standing<V>,
        change: Change<V>,
        outcomes: &Outcomes,
    ) -> Option<Arc<Entry<V>>> {
        let (now, cause) = (self.runtime.now(), change.cause());
        let local = self.local_version();
        let version = match &self.remote {
            Some(store) => Self::ordered(&**store, outcomes[0].version, local),
            None => local,
        };
        let entry = match change {
            Change::Insert(incoming) => {
                let is_made_of = standing.cut != Cut::default();
                let kept = Kept {
                    version,
                    cut: if is_made_of {
                        standing.cut
                    } else {
                        outcomes[0].cut
                    },
                    is_proven: self.place().is_some() && standing.tags.is_empty(),
                    tags: None,
                    cost: Duration::ZERO,
                };
                Some(self.entry(key, incoming, kept, (standing.before.at, now)))
            }
            Change::Invalidate | Change::Expire => None,
        };
        self.show(key, &key.stored(), || match &entry {
            Some(entry) if standing.tags.is_empty() => {
                let near = standing.before.near;
                if let Err(refusal) = self.near.conclude(key.near(), near, entry, now) {
                    self.refuse(refusal);
                }
            }
            // Its tags are known to the next reader.
            Some(_) => self.near.replaced(key.near(), version, now),
            None => self.near.remove(key.near(), version, now),
        });
        self.tell_own(cause, version, || Self::key_target(key));
        entry
    }
}
