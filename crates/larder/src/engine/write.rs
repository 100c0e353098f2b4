//! Writing and invalidating: sent to the remote tier, and concluded in this process before the
//! caller is told. Whatever was read before the conclusion, and arrives after it, is refused.

use std::sync::Arc;
use std::time::Duration;

use larder_core::error::Result;
use larder_core::store::{Batch, Committed, Write};
use larder_core::tag::Cut;
use larder_core::version::Version;

use super::{Before, Engine, EngineKey, Incoming};
use crate::events::{EventCause, Target};
use crate::receipt::Receipt;

/// One change of one key.
pub(crate) enum Change<V> {
    Insert(Incoming<V>),
    Invalidate,
    Expire,
}

impl<V> Change<V> {
    fn cause(&self) -> EventCause {
        match self {
            Change::Insert(_) => EventCause::Inserted,
            Change::Invalidate => EventCause::Invalidated,
            Change::Expire => EventCause::Expired,
        }
    }
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// Makes the changes, all in one round trip, and tells for each key whether the remote tier
    /// had a live value. Sees them through even when the caller goes away.
    pub(crate) async fn change(
        self: &Arc<Self>,
        changes: Vec<(EngineKey, Change<V>)>,
    ) -> Result<Receipt> {
        if changes.is_empty() {
            return Ok(Receipt::of(Vec::new()));
        }
        match self.remote.clone() {
            None => Ok(Receipt::of(self.change_near(changes))),
            Some(_) => {
                let engine = self.clone();
                self.detached(async move { engine.change_remote(changes).await })
                    .await
            }
        }
    }

    fn change_near(&self, changes: Vec<(EngineKey, Change<V>)>) -> Vec<bool> {
        let now = self.runtime.now();
        let change = |(key, change): (EngineKey, Change<V>)| {
            let existed = self.near.get(key.near(), now).is_some();
            self.flights.detach(&key);
            let cause = change.cause();
            let version = match change {
                Change::Insert(incoming) => self.insert_near(&key, incoming),
                Change::Invalidate => {
                    let version = self.local_version();
                    self.near.remove(key.near(), version, now);
                    version
                }
                Change::Expire => {
                    let version = self.local_version();
                    self.near.mark_stale(key.near(), version, now);
                    version
                }
            };
            self.tell_own(cause, version, || Self::key_target(&key));
            existed
        };
        changes.into_iter().map(change).collect()
    }

    /// Gives the version of the value, whether it is kept or not.
    fn insert_near(&self, key: &EngineKey, incoming: Incoming<V>) -> Version {
        let now = self.runtime.now();
        let tags = match self.local_tags(&incoming.tags, self.local_cut()) {
            Ok(tags) => tags,
            Err(refusal) => {
                self.refuse(refusal);
                return self.local_version();
            }
        };
        let mut version = Version::ZERO;
        // The version is drawn under the stripe's lock: the last to come is the newest.
        let entry = || {
            version = self.local_version();
            self.entry(key, incoming, version, (now, now), tags)
        };
        if let Err(refusal) = self.near.replace(key.near(), entry, now) {
            self.refuse(refusal);
        }
        version
    }

    async fn change_remote(&self, changes: Vec<(EngineKey, Change<V>)>) -> Result<Receipt> {
        let Some(store) = &self.remote else {
            return Ok(Receipt::of(Vec::new()));
        };
        let mut batch = Batch::default().by(self.coherence.node.number);
        batch.carry = self.carries(&changes);
        let causes: Vec<EventCause> = changes.iter().map(|(_, change)| change.cause()).collect();
        for (key, change) in &changes {
            batch.writes.push((key.stored(), self.write_of(change)));
        }
        let before: Vec<Before> = changes.iter().map(|(key, _)| self.before(key)).collect();
        match store.commit(batch).await {
            Ok(Committed::Done(outcomes)) => {
                let position = outcomes.position;
                let done = changes.into_iter().zip(before).zip(outcomes);
                let existed = done.map(|(((key, change), before), outcome)| {
                    let version = self.ordered(&**store, outcome.version);
                    let cause = change.cause();
                    self.conclude(&key, change, before, version);
                    self.tell_own(cause, version, || Self::key_target(&key));
                    outcome.existed
                });
                let receipt = self.receipt(existed.collect(), position);
                self.sent(&causes, position);
                Ok(receipt)
            }
            Ok(Committed::Refused(_)) => unreachable!("a batch without checks is never refused"),
            Err(error) => {
                // It may or may not have taken place: nothing of these keys can be trusted.
                for (key, _) in &changes {
                    self.flights.detach(key);
                    self.near.forget(key.near(), self.runtime.now());
                }
                Err(self.failed(error))
            }
        }
    }

    fn write_of(&self, change: &Change<V>) -> Write {
        match change {
            Change::Insert(incoming) => {
                Write::Put(self.put(incoming, Duration::ZERO, Cut::default()))
            }
            Change::Invalidate => Write::Remove {
                tombstone_ms: u64::try_from(self.lives.tombstone.as_millis()).unwrap_or(u64::MAX),
            },
            Change::Expire => Write::Expire,
        }
    }

    fn conclude(&self, key: &EngineKey, change: Change<V>, before: Before, version: Version) {
        let now = self.runtime.now();
        self.flights.detach(key);
        match change {
            // Which cut the store gave it is only known to the next reader.
            Change::Insert(incoming) if !incoming.tags.is_empty() => {
                self.near.replaced(key.near(), version, now);
            }
            Change::Insert(incoming) => {
                let entry = self.entry(key, incoming, version, (before.at, now), None);
                if let Err(refusal) = self.near.conclude(key.near(), before.near, &entry, now) {
                    self.refuse(refusal);
                }
            }
            Change::Invalidate => self.near.remove(key.near(), version, now),
            Change::Expire => self.near.mark_stale(key.near(), version, now),
        }
    }

    /// Removes every value of this cache. See [`crate::Cache::clear`].
    pub(crate) async fn clear(self: &Arc<Self>) -> Result<()> {
        let engine = self.clone();
        self.detached(async move {
            engine.flights.detach_all();
            engine.near.clear();
            let Some(store) = &engine.remote else {
                engine.tell_own(EventCause::Cleared, engine.local_version(), || Target::All);
                return Ok(());
            };
            let description = store.describe();
            let cleared = match description.keyspace {
                Some(keyspace) => keyspace.clear(&engine.space()).await.map(drop),
                None => Err(larder_core::Error::new(
                    larder_core::ErrorKind::Refused,
                    format!("{} cannot be cleared", description.name),
                )),
            };
            // Again: values may have been promoted while the remote tier was being cleared.
            engine.flights.detach_all();
            engine.near.clear();
            cleared.map_err(|error| engine.failed(error))?;
            engine.sent(&[EventCause::Cleared], None);
            engine.tell_own(EventCause::Cleared, Version::ZERO, || Target::All);
            Ok(())
        })
        .await
    }
}
