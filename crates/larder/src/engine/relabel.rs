//! Saying after the load what a stored value depends on.

use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::freshness::{Freshness, classify};
use larder_core::record::{Expiry, Kind, Life, Record};
use larder_core::store::{
    Batch, Committed, Fill, Lease, LeaseToken, Leases, Lookup, Put, Store, TagStore, Within, Write,
};
use larder_core::tag::{Bond, Cut, Tags, dependency_key};
use larder_core::version::Version;

use super::claim::HeldLease;
use super::{Engine, EngineKey};

/// How often it is tried while others change the value.
const TRIES: usize = 5;
/// Between two tries, while somebody loads the key.
const PAUSE: Duration = Duration::from_millis(50);

/// What is added to a stored value.
pub(crate) struct Labels {
    pub(crate) tags: Tags,
    /// Stored keys.
    pub(crate) keys: Vec<Bytes>,
}

/// What became of one try.
enum Try {
    Done(bool),
    Again,
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// Adds tags and dependencies to the fresh value of a key; `false` if there is none.
    pub(crate) async fn relabel(self: &Arc<Self>, key: &EngineKey, labels: Labels) -> Result<bool> {
        let (engine, key) = (self.clone(), key.clone());
        self.detached(async move { engine.relabel_stored(&key, &labels).await })
            .await
    }

    async fn relabel_stored(&self, key: &EngineKey, labels: &Labels) -> Result<bool> {
        let Some(store) = self.remote.clone() else {
            return Err(self.cannot_relabel("a cache without a remote tier"));
        };
        let described = store.describe();
        let (Some(leases), Some(there)) = (described.leases, described.tags) else {
            return Err(self.cannot_relabel(described.name));
        };
        for _ in 0..TRIES {
            match self.try_relabel(&store, (leases, there), key, labels).await {
                Ok(Try::Done(done)) => return Ok(done),
                Ok(Try::Again) => self.runtime.sleep(PAUSE).await,
                Err(error) => return Err(self.failed(error)),
            }
        }
        let message = format!("a value of {} changes all the time", self.name);
        Err(Error::new(ErrorKind::Conflict, message))
    }

    fn cannot_relabel(&self, of: &str) -> Error {
        let message = format!(
            "a value of {} cannot be given tags after it was stored: {of} keeps none by itself; name \
             them in the loader, or with insert_with",
            self.name
        );
        Error::new(ErrorKind::Refused, message)
    }

    /// The lease of the value's own key keeps others from replacing it, and revokes itself when the
    /// value changes; whatever was invalidated before it was given shows in the look that follows.
    async fn try_relabel(
        &self,
        store: &Arc<dyn Store>,
        (leases, there): (&dyn Leases, &dyn TagStore),
        key: &EngineKey,
        labels: &Labels,
    ) -> Result<Try> {
        let Some(version) = self
            .fresh_record((&**store, there), key)
            .await?
            .map(|found| found.version)
        else {
            return Ok(Try::Done(false));
        };
        let bonds = self.bonds_on(there, &labels.keys).await?;
        let stored = key.stored();
        let token = LeaseToken::from_random(self.runtime.random());
        let lease = leases
            .lease(&stored, token, self.lives.lease, version)
            .await?;
        let Lease::Granted { cut, .. } = lease else {
            return Ok(Try::Again);
        };
        let mut lease = HeldLease::new(store, &self.runtime, stored, (token, cut));
        let record = self.fresh_record((&**store, there), key).await?;
        let Some(record) = record.filter(|record| record.version == version) else {
            return Ok(Try::Again);
        };
        let put = self.put_again(record, cut, bonds, labels);
        match leases.fill(&lease.key, token, put).await? {
            Fill::Stored { version, .. } => {
                lease.held = false;
                self.announce(&**store, key, version).await?;
                Ok(Try::Done(true))
            }
            Fill::Revoked | Fill::Lost | Fill::Raced(_) | Fill::Gone => Ok(Try::Again),
        }
    }

    /// The record of a key that may be used now, but for what it depends on. The areas come with the
    /// answer: what is known of them here may be behind.
    async fn fresh_record(
        &self,
        (store, there): (&dyn Store, &dyn TagStore),
        key: &EngineKey,
    ) -> Result<Option<Record>> {
        let (found, areas) = there.get_within(&[key.stored()], &self.area_key()).await?;
        let record = found.into_iter().next().and_then(Lookup::into_record);
        Ok(record.filter(|record| {
            record.kind == Kind::Value
                && classify(record, store.now()) == Freshness::Fresh
                && !areas.cover(key.id_bytes(), record.cut)
        }))
    }

    async fn bonds_on(&self, there: &dyn TagStore, keys: &[Bytes]) -> Result<Vec<Bond>> {
        let dependency = |key: &Bytes| {
            dependency_key(key).ok_or_else(|| {
                let message = format!("nothing can depend on a key of {} bytes", key.len());
                Error::new(ErrorKind::Invalid, message)
            })
        };
        let tags: Vec<Bytes> = keys.iter().map(dependency).collect::<Result<_>>()?;
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let numbers = there.watch(&tags).await?;
        let bond = |(tag, cut): (Bytes, Cut)| Bond {
            tag,
            cut,
            version: Version::ZERO,
        };
        Ok(tags.into_iter().zip(numbers).map(bond).collect())
    }

    fn put_again(&self, record: Record, cut: Cut, mut bonds: Vec<Bond>, labels: &Labels) -> Put {
        let kept = record.tags.keys().iter().map(|tag| Bond {
            tag: tag.clone(),
            cut: record.cut,
            version: Version::ZERO,
        });
        bonds.extend(kept);
        let life = match (record.fresh_until, record.expires_at) {
            (Some(fresh), Some(end)) => Life {
                fresh: Expiry::At(fresh),
                stale_for_ms: end.0.saturating_sub(fresh.0),
            },
            _ => Life::FOREVER,
        };
        Put {
            kind: record.kind,
            life,
            origin: self.coherence.node.number,
            load_cost_ms: record.load_cost_ms,
            codec: record.codec,
            schema: record.schema,
            tags: labels.tags.clone(),
            bonds,
            within: Some(Within {
                cache: self.area_key(),
                checked: cut,
            }),
            cut,
            value: record.value,
        }
    }

    /// Lets all near copies go: they do not know of the labels.
    async fn announce(&self, store: &dyn Store, key: &EngineKey, version: Version) -> Result<()> {
        let touch = Batch::one(key.stored(), Write::Touch(Life::KEEP));
        let told = store.commit(touch.by(self.coherence.node.number)).await;
        let now = self.runtime.now();
        let version = match &told {
            Ok(Committed::Done(outcomes)) => outcomes[0].version,
            _ => version,
        };
        self.near.remove(key.near(), version, now);
        self.flights.detach(key);
        told.map(drop)
    }
}
