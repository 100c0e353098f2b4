//! Writes: sent to the store, and concluded here before the caller is told, so that no near copy
//! of what they changed is left, whether they succeeded or their outcome is unknown.

use std::sync::Arc;

use ::bytes::Bytes;
use larder_core::area::Area;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lock::{Fenced, FencingToken};
use larder_core::space::Space;
use larder_core::store::{Batch, Committed, Outcomes, Write};

use crate::engine::Engine;
use crate::events::EventCause;

/// What a write leaves of older copies.
#[derive(Clone, Copy)]
enum Effect {
    Replaced,
    Removed,
    Expired,
}

impl Effect {
    fn of(write: &Write) -> Effect {
        match write {
            Write::Put(_) | Write::Touch(_) => Effect::Replaced,
            Write::Remove { .. } | Write::Bump | Write::Void(_) => Effect::Removed,
            Write::Expire => Effect::Expired,
        }
    }

    fn cause(self) -> EventCause {
        match self {
            Effect::Replaced => EventCause::Inserted,
            Effect::Removed => EventCause::Invalidated,
            Effect::Expired => EventCause::Expired,
        }
    }
}

type Effects = Vec<(Bytes, Effect)>;

fn effects_of(batch: &Batch) -> Effects {
    let writes = batch.writes.iter();
    writes
        .map(|(key, write)| (key.clone(), Effect::of(write)))
        .collect()
}

impl Engine<Bytes> {
    /// Commits a batch of writes of keys. Seen through even if the caller goes away.
    pub(super) async fn commit(self: &Arc<Self>, batch: Batch) -> Result<Committed> {
        let batch = batch.by(self.coherence.node.number);
        if !self.keeps_copies() {
            let done = self.store().commit(batch).await;
            return done.map_err(|error| self.failed(error));
        }
        let engine = self.clone();
        self.detached(async move { engine.commit_and_conclude(batch).await })
            .await
    }

    /// The same under a fencing token, without checks.
    pub(super) async fn commit_fenced(
        self: &Arc<Self>,
        batch: Batch,
        token: FencingToken,
    ) -> Result<Fenced> {
        let batch = batch.by(self.coherence.node.number);
        let engine = self.clone();
        self.detached(async move {
            let effects = effects_of(&batch);
            let done = engine.commit_with(engine.store(), batch, Some(token));
            match done.await {
                Ok(Fenced::Done(outcomes)) => {
                    engine.conclude_all(&effects, &outcomes);
                    Ok(Fenced::Done(outcomes))
                }
                Ok(Fenced::Refused) => Ok(Fenced::Refused),
                Err(error) => Err(engine.forget_all(&effects, error)),
            }
        })
        .await
    }

    async fn commit_and_conclude(&self, batch: Batch) -> Result<Committed> {
        let effects = effects_of(&batch);
        match self.store().commit(batch).await {
            Ok(Committed::Done(outcomes)) => {
                self.conclude_all(&effects, &outcomes);
                Ok(Committed::Done(outcomes))
            }
            Ok(refused) => Ok(refused),
            Err(error) => Err(self.forget_all(&effects, error)),
        }
    }

    /// After a change that may or may not have taken place: nothing of these keys can be trusted.
    fn forget_all(&self, effects: &Effects, error: Error) -> Error {
        for (stored, _) in effects {
            let (key, now) = (self.stored_key(stored), self.runtime.now());
            self.show(&key, stored, || self.near.forget(key.near(), now));
        }
        self.failed(error)
    }

    fn conclude_all(&self, effects: &Effects, outcomes: &Outcomes) {
        let now = self.runtime.now();
        for ((stored, effect), outcome) in effects.iter().zip(outcomes.iter()) {
            self.counts.bus.sent.add(effect.cause());
            let (key, version) = (self.stored_key(stored), outcome.version);
            self.show(&key, stored, || match effect {
                Effect::Replaced => self.near.replaced(key.near(), version, now),
                Effect::Removed => self.near.remove(key.near(), version, now),
                Effect::Expired => self.near.mark_stale(key.near(), version, now),
            });
        }
    }

    /// Removes all keys of a space; gives their number. Seen through even if the caller goes away.
    pub(super) async fn clear_space(self: &Arc<Self>, space: Space) -> Result<u64> {
        let engine = self.clone();
        self.detached(async move {
            let description = engine.store().describe();
            let Some(keyspace) = description.keyspace else {
                let message = format!("{} cannot clear its keys", description.name);
                return Err(Error::new(ErrorKind::Refused, message));
            };
            let done = keyspace.clear(&space).await;
            // Copies taken while it was being cleared go as well, and so they do if it failed.
            engine.near.void(Area::Prefix(space.stored_prefix()));
            engine.counts.bus.sent.add(EventCause::Cleared);
            done.map_err(|error| engine.failed(error))
        })
        .await
    }
}
