//! Storing a loaded value, as far as there is proof for it: the remote tier first, then the near
//! cache.

use std::sync::Arc;
use std::time::Duration;

use larder_core::admit::Refusal;
use larder_core::error::ErrorKind;
use larder_core::lane::LEASE;
use larder_core::record::Kind;
use larder_core::store::{Batch, Committed, Expect, Fill, Put, Write};
use larder_core::tag::Cut;
use larder_core::version::Version;

use super::load::{HeldLease, Proof};
use super::{Before, Engine, EngineKey, Incoming};
use crate::near::Entry;
use crate::tags::EntryTags;

/// What a stored value got: its version, and what its near copy depends on.
type Kept = (Version, Option<Box<EntryTags>>);

impl<V: Send + Sync + 'static> Engine<V> {
    /// Stores a loaded value where the proof allows it.
    pub(super) async fn keep(
        &self,
        key: &EngineKey,
        before: Before,
        proof: Proof,
        incoming: Incoming<V>,
        cost: Duration,
    ) -> Arc<Entry<V>> {
        let stored_from = self.runtime.now();
        match self.prove(key, before, proof, &incoming, cost).await {
            Ok((version, tags)) => {
                let entry = self.entry(key, incoming, version, (before.at, stored_from), tags);
                self.admit(key, before, &entry);
                entry
            }
            // Nobody can say which of its tags were invalidated.
            Err(Refusal::Unproven) if incoming.tags.is_empty() => {
                self.keep_briefly(key, before, incoming)
            }
            Err(refusal) => self.unstored(key, incoming, refusal),
        }
    }

    async fn prove(
        &self,
        key: &EngineKey,
        before: Before,
        proof: Proof,
        incoming: &Incoming<V>,
        cost: Duration,
    ) -> Result<Kept, Refusal> {
        match proof {
            Proof::Local(cut) => {
                let tags = self.local_tags(&incoming.tags, cut)?;
                Ok((self.local_version(), tags))
            }
            Proof::Lease(lease) => {
                let cut = lease.cut;
                // The cells are there before the fill looks at the tags: what is invalidated after
                // the fill finds them, and what was before is the fill's to see.
                let tags = self.tags_of(&lease, incoming).await?;
                let version = self.fill(lease, self.put(incoming, cost, cut)).await?;
                Ok((version, tags))
            }
            Proof::Absence if !self.near.stands(key.hash, before.near) => Err(Refusal::Raced),
            Proof::Absence if !incoming.tags.is_empty() => Err(Refusal::TagsRefused),
            Proof::Absence => {
                let put = self.put(incoming, cost, Cut::default());
                Ok((self.fill_absent(key, put).await?, None))
            }
            Proof::None => Err(Refusal::Unproven),
        }
    }

    async fn tags_of(
        &self,
        lease: &HeldLease,
        incoming: &Incoming<V>,
    ) -> Result<Option<Box<EntryTags>>, Refusal> {
        if incoming.tags.is_empty() {
            return Ok(None);
        }
        match self.hold(&*lease.store, &incoming.tags).await {
            Ok(held) => Ok(Some(Box::new(held.with(lease.cut)))),
            Err(error) if error.kind() == ErrorKind::Refused => Err(Refusal::TagsRefused),
            Err(_) => Err(Refusal::Unproven),
        }
    }

    /// Keeps a value that could not be proven, in this process and for as long as a near copy may
    /// be behind in any case, so that a remote tier that is down does not send every read to the
    /// source.
    fn keep_briefly(
        &self,
        key: &EngineKey,
        before: Before,
        incoming: Incoming<V>,
    ) -> Arc<Entry<V>> {
        self.refuse(Refusal::Unproven);
        let brief = Incoming {
            ttl: Some(incoming.ttl.map_or(LEASE, |ttl| ttl.min(LEASE))),
            stale_for: Duration::ZERO,
            ..incoming
        };
        // Nobody gave it a version. That of a copy which is fresh no more lets it take that copy's
        // place; it yields to a fresh one, and to all that changed meanwhile.
        let outlived = self.near.outlived(key.near(), self.runtime.now());
        let times = (before.at, before.at);
        let entry = self.entry(key, brief, outlived.max(Version(1)), times, None);
        self.admit(key, before, &entry);
        entry
    }

    async fn fill(&self, mut lease: HeldLease, put: Put) -> Result<Version, Refusal> {
        let filled = match lease.store.describe().leases {
            Some(leases) => leases.fill(&lease.key, lease.token, put).await,
            None => return Err(Refusal::Unproven),
        };
        let answer = filled.map_err(|error| {
            self.failed(error);
            Refusal::Unproven
        })?;
        lease.held = false;
        match answer {
            Fill::Stored(version) => Ok(version),
            Fill::Revoked => Err(Refusal::LeaseRevoked),
            Fill::Lost => Err(Refusal::LeaseLost),
            Fill::TagRaced => Err(Refusal::TagRaced),
        }
    }

    async fn fill_absent(&self, key: &EngineKey, put: Put) -> Result<Version, Refusal> {
        let Some(store) = &self.remote else {
            return Err(Refusal::Unproven);
        };
        let stored = key.stored();
        let batch = Batch::one(stored.clone(), Write::Put(put)).check(stored, Expect::Absent);
        match store.commit(batch.by(self.coherence.node.number)).await {
            Ok(Committed::Done(outcomes)) => Ok(self.ordered(&**store, outcomes[0].version)),
            Ok(Committed::Refused(_)) => Err(Refusal::Superseded),
            Err(error) => {
                self.failed(error);
                Err(Refusal::Unproven)
            }
        }
    }

    pub(super) fn put(&self, incoming: &Incoming<V>, cost: Duration, cut: Cut) -> Put {
        Put {
            kind: Kind::Value,
            life: incoming.life(),
            origin: self.coherence.node.number,
            load_cost_ms: u32::try_from(cost.as_millis()).unwrap_or(u32::MAX),
            codec: self.codec.id(),
            schema: self.schema,
            tags: incoming.tags.clone(),
            cut,
            value: incoming.encoded.clone().unwrap_or_default(),
        }
    }

    /// An entry for the caller alone.
    pub(super) fn unstored(
        &self,
        key: &EngineKey,
        incoming: Incoming<V>,
        refusal: Refusal,
    ) -> Arc<Entry<V>> {
        self.refuse(refusal);
        let now = self.runtime.now();
        self.entry(key, incoming, Version::ZERO, (now, now), None)
    }
}
