//! Writing and invalidating: sent to the remote tier, and concluded in this process before the
//! caller is told. Whatever was read before the conclusion, and arrives after it, is refused.

use std::sync::Arc;
use std::time::Duration;

use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lock::{Fenced, FencingToken};
use larder_core::mutant::Mutant;
use larder_core::store::{Batch, Committed, Outcome, Store, Write};
use larder_core::tag::{Cut, dependency_key};
use larder_core::version::Version;

use super::{Before, Engine, EngineKey, Incoming, Kept};
use crate::events::EventCause;
use crate::locks::locks_of;
use crate::receipt::Receipt;
use crate::tags::EntryTags;

/// One change of one key.
pub(crate) enum Change<V> {
    Insert(Incoming<V>),
    Invalidate,
    Expire,
}

impl<V> Change<V> {
    pub(super) fn cause(&self) -> EventCause {
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
                self.detached(async move { engine.change_remote(changes, None).await })
                    .await
            }
        }
    }

    /// Makes one change that bears the token of a lock, unless a greater one was seen for its key. For
    /// engines with a remote tier that has locks. One round trip, seen through as above.
    pub(crate) async fn change_fenced(
        self: &Arc<Self>,
        change: (EngineKey, Change<V>),
        token: FencingToken,
    ) -> Result<Receipt> {
        let engine = self.clone();
        let changes = vec![change];
        self.detached(async move { engine.change_remote(changes, Some(token)).await })
            .await
    }

    fn change_near(&self, changes: Vec<(EngineKey, Change<V>)>) -> Vec<bool> {
        let now = self.runtime.now();
        let change = |(key, change): (EngineKey, Change<V>)| {
            let existed = self.near.get(key.near(), now).is_some();
            let cause = change.cause();
            let version = self.show(&key, &key.stored(), || match change {
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
            });
            self.tell_own(cause, version, || Self::key_target(&key));
            existed
        };
        changes.into_iter().map(change).collect()
    }

    /// Gives the version of the value, whether it is kept or not.
    fn insert_near(&self, key: &EngineKey, incoming: Incoming<V>) -> Version {
        let now = self.runtime.now();
        // The version is drawn under the stripe's lock: the last to come is the newest.
        let cut = self.local_cut();
        let tags = match self.local_tags(&incoming.tags, cut, EntryTags::default()) {
            Ok(tags) => tags,
            Err(refusal) => {
                self.refuse(refusal);
                return self.local_version();
            }
        };
        let mut version = Version::ZERO;
        let entry = || {
            version = self.local_version();
            let kept = Kept {
                version,
                cut,
                is_proven: true,
                tags,
                cost: Duration::ZERO,
            };
            self.entry(key, incoming, kept, (now, now))
        };
        if let Err(refusal) = self.near.replace(key.near(), entry, now) {
            self.refuse(refusal);
        }
        version
    }

    async fn change_remote(
        self: &Arc<Self>,
        changes: Vec<(EngineKey, Change<V>)>,
        token: Option<FencingToken>,
    ) -> Result<Receipt> {
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
        match self.commit_with(&**store, batch, token).await {
            Ok(Fenced::Done(outcomes)) => {
                let position = outcomes.position;
                let done = changes.into_iter().zip(before).zip(outcomes);
                let existed = done.map(|(((key, change), before), outcome)| {
                    let (existed, cause) = (outcome.existed, change.cause());
                    let version = self.conclude(&key, change, before, outcome);
                    self.tell_own(cause, version, || Self::key_target(&key));
                    existed
                });
                let receipt = self.receipt(existed.collect(), position);
                self.sent(&causes, position);
                Ok(receipt)
            }
            Ok(Fenced::Refused) => Err(self.failed(Error::new(
                ErrorKind::Fenced,
                format!(
                    "a write of {} bears a token that is older than one that was seen, or that nobody \
                     can vouch for any more; nothing was stored",
                    self.name
                ),
            ))),
            Err(error) => {
                // It may or may not have taken place: nothing of these keys can be trusted.
                for (key, _) in &changes {
                    let now = self.runtime.now();
                    self.show(key, &key.stored(), || self.near.forget(key.near(), now));
                }
                let error = self.failed(error);
                match token {
                    // By then others may hold the lock.
                    Some(_) => Err(error),
                    None => self.defer_keys(error, &changes).await,
                }
            }
        }
    }

    /// Sends a batch without checks, under a fencing token if there is one.
    pub(crate) async fn commit_with(
        &self,
        store: &dyn Store,
        batch: Batch,
        token: Option<FencingToken>,
    ) -> Result<Fenced> {
        let Some(token) = token else {
            return match store.commit(batch).await? {
                Committed::Done(outcomes) => Ok(Fenced::Done(outcomes)),
                Committed::Refused(_) => unreachable!("a batch without checks is never refused"),
            };
        };
        let key = batch.writes.first().map(|(key, _)| key.clone());
        let locks = locks_of(store)?;
        locks
            .commit_fenced(&key.unwrap_or_default(), token, batch)
            .await
    }

    pub(super) fn write_of(&self, change: &Change<V>) -> Write {
        match change {
            Change::Insert(incoming) => {
                Write::Put(self.put(incoming, Duration::ZERO, Cut::default()))
            }
            Change::Invalidate if Mutant::StaleRemoved.is_active() => Write::Expire,
            Change::Invalidate => Write::Remove {
                tombstone_ms: u64::try_from(self.lives.tombstone.as_millis()).unwrap_or(u64::MAX),
            },
            Change::Expire => Write::Expire,
        }
    }

    /// Lets a change of a key show in this process, in the order in which a value travels: in the near
    /// cache, in the load of the key, in what is made from the key. Whoever begins in between may find
    /// the old value in a later place, and is reached there.
    pub(crate) fn show<T>(&self, key: &EngineKey, stored: &[u8], near: impl FnOnce() -> T) -> T {
        if Mutant::DetachEarly.is_active() {
            self.flights.detach(key);
            self.changed(stored);
            return near();
        }
        let shown = near();
        self.flights.detach(key);
        self.changed(stored);
        shown
    }

    /// A key was changed: near copies of what depends on it are void.
    pub(crate) fn changed(&self, stored: &[u8]) {
        if self.tags.is_empty() && self.touched.is_empty() {
            return;
        }
        if let Some(dependency) = dependency_key(stored) {
            self.touched.changed(&dependency);
            if !Mutant::NearDependents.is_active() {
                self.tags.void(&dependency);
            }
        }
    }

    /// Gives the version of the change.
    fn conclude(
        &self,
        key: &EngineKey,
        change: Change<V>,
        before: Before,
        outcome: Outcome,
    ) -> Version {
        let now = self.runtime.now();
        let version = match &self.remote {
            Some(store) => Self::ordered(&**store, outcome.version, self.local_version()),
            None => outcome.version,
        };
        self.show(key, &key.stored(), || match change {
            // Which cut the store gave it is only known to the next reader.
            Change::Insert(incoming) if !incoming.tags.is_empty() => {
                self.near.replaced(key.near(), version, now);
            }
            Change::Insert(incoming) => {
                let kept = Kept {
                    version,
                    cut: outcome.cut,
                    is_proven: self.place().is_some(),
                    tags: None,
                    cost: Duration::ZERO,
                };
                let entry = self.entry(key, incoming, kept, (before.at, now));
                if let Err(refusal) = self.near.conclude(key.near(), before.near, &entry, now) {
                    self.refuse(refusal);
                }
            }
            Change::Invalidate if !Mutant::StaleRemoved.is_active() => {
                self.near.remove(key.near(), version, now);
            }
            Change::Invalidate | Change::Expire => self.near.mark_stale(key.near(), version, now),
        });
        version
    }
}
