//! What a loader answers: a value, that the previous one still holds, or that there is no record.

use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use larder_core::error::{Error, ErrorKind};
use larder_core::freshness::Freshness;
use larder_core::tag::Tags;

use super::flight::{Landed, Offer};
use super::{Before, Engine, EngineKey, Incoming};
use crate::depend::{Depends, Place};
use crate::loaded::{Loaded, Source, StaleReason};
use crate::loader::{Answer, Failure, Order, Orders};
use crate::near::{Content, Entry, Near};
use crate::observe::{Read, count};

/// What a load has brought.
pub(super) enum Brought<V> {
    Value(V),
    /// The source still has this.
    Same(Arc<Entry<V>>),
    /// The source has no record.
    Nothing,
}

impl<V> Brought<V> {
    /// Of what the loader has returned (if it came that far) and said. `old` is what it was shown.
    pub(super) fn of(
        returned: Result<V, Failure>,
        orders: &Orders,
        old: Option<Arc<Entry<V>>>,
    ) -> Result<Brought<V>, Failure> {
        if let Some(message) = orders.failure() {
            return Err(Failure::Said(message));
        }
        match (orders.get().answer, returned) {
            (_, Err(panicked @ Failure::Panicked(_))) => Err(panicked),
            (None, returned) => returned.map(Brought::Value),
            (Some(Answer::Absent), _) => Ok(Brought::Nothing),
            (Some(Answer::NotModified), _) => old.map(Brought::Same).ok_or_else(|| {
                let message = "it answered \"not modified\", and there was no previous value; answer so \
                               only where cx.previous() has one";
                Failure::Said(message.into())
            }),
        }
    }
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// What a loader is shown of the value that it is to replace: nothing that was made void since that was
    /// claimed, or that nobody vouches for.
    pub(super) fn previous(
        &self,
        key: &EngineKey,
        stale: Option<&Offer<V>>,
        claimed: Before,
    ) -> Option<Loaded<V>> {
        let now = self.runtime.now();
        let (entry, source) = match stale? {
            // The copy that is there by now.
            (_, Source::Near) => (self.near_stale(key)?, Source::Near),
            (entry, source) => {
                self.near.holds(entry, now)?;
                let stands = self.near.stands(key.near(), claimed.near);
                (stands.then(|| entry.clone())?, *source)
            }
        };
        if self.near.usable(&entry, now) == Some(Freshness::Fresh) {
            return Some(Loaded::fresh(entry, source, now));
        }
        let stale = Landed::stale(entry, source, StaleReason::Refreshing, None);
        Some(Loaded::landed(stale, now))
    }

    /// What is to be stored of it, but for its tags.
    pub(super) fn incoming_of(
        &self,
        key: &EngineKey,
        brought: Brought<V>,
        order: &Order,
        previous: Option<&Arc<Entry<V>>>,
    ) -> Result<Incoming<V>, (Content<V>, Error)> {
        match brought {
            Brought::Value(value) => {
                let incoming = self.incoming(key, value, order.ttl, order.stale_for);
                let mut incoming =
                    incoming.map_err(|(value, error)| (Content::Own(value), error))?;
                incoming.same_as = previous
                    .filter(|old| self.is_equal(old, &incoming))
                    .cloned();
                Ok(incoming)
            }
            Brought::Same(old) => self.confirmed(key, old, order),
            Brought::Nothing => {
                count(&self.counts.absent);
                let ttl = order.ttl.unwrap_or(self.lives.negative_ttl);
                Ok(Incoming {
                    encoded: Some(Bytes::new()),
                    weight: Near::<V>::weight(key.id_bytes(), 0),
                    ttl: Some(self.jittered(ttl)),
                    ..Incoming::unkept(Content::Nothing)
                })
            }
        }
    }

    /// Whether a loaded value is, byte for byte, what the remote tier was given for an older one.
    fn is_equal(&self, old: &Entry<V>, new: &Incoming<V>) -> bool {
        let Some(encoded) = new.encoded.as_ref().filter(|_| self.remote.is_some()) else {
            return false;
        };
        let mut bytes = Vec::with_capacity(encoded.len());
        let done = old.held().map(|old| self.codec.encode(old, &mut bytes));
        matches!(done, Some(Ok(()))) && *bytes == **encoded
    }

    /// The previous value with another life.
    fn confirmed(
        &self,
        key: &EngineKey,
        old: Arc<Entry<V>>,
        order: &Order,
    ) -> Result<Incoming<V>, (Content<V>, Error)> {
        let value = Content::of(&old);
        let mut encoded = None;
        if let (Some(_), Some(held)) = (&self.remote, old.held()) {
            let mut bytes = Vec::new();
            if let Err(error) = self.codec.encode(held, &mut bytes) {
                let message = format!("a value of {} could not be encoded", self.name);
                let error = Error::with_source(ErrorKind::Codec, message, error.into());
                return Err((value, error));
            }
            encoded = Some(Bytes::from(bytes));
        }
        // The entry that owns the value stays for its sake.
        let weight = Near::<V>::weight(key.id_bytes(), Entry::owner(&old).weight() as usize);
        Ok(Incoming {
            encoded,
            weight,
            ttl: order.ttl.or(self.lives.ttl).map(|ttl| self.jittered(ttl)),
            stale_for: order.stale_for.unwrap_or(self.lives.stale_for),
            same_as: Some(old),
            ..Incoming::unkept(value)
        })
    }

    /// What a confirmed value depends on: what its loader has named and read now, and all that it depended
    /// on before, which must not have been invalidated since.
    pub(super) fn inherit(
        &self,
        old: &Entry<V>,
        tags: Tags,
        mut depends: Depends,
    ) -> (Tags, Depends) {
        let Some(before) = old.tags() else {
            return (tags, depends);
        };
        if self.place() != Some(&Place::Process) {
            depends.bonds.extend(before.bonds());
            return (tags, depends);
        }
        let is_new = |tag: &&Bytes| !before.keys().any(|other| other == *tag);
        let new = Tags::new(tags.keys().iter().filter(is_new).cloned());
        depends.cells.absorb(before);
        (new.unwrap_or(tags), depends)
    }

    pub(super) fn jittered(&self, ttl: Duration) -> Duration {
        larder_core::freshness::jitter(ttl, self.lives.jitter_percent, self.runtime.random())
    }

    /// The near copy that says that the source has no record.
    pub(crate) fn near_absent(&self, key: &EngineKey) -> Option<Arc<Entry<V>>> {
        self.near.absent(key.near(), self.runtime.now())
    }

    /// Whether a read need not look any further, since the source has no record. Inside a loader it does:
    /// what it depends on is written down there.
    pub(crate) fn is_known_absent(&self, key: &EngineKey) -> bool {
        let is_known = !crate::depend::is_loading() && self.near_absent(key).is_some();
        if is_known {
            self.counts.read(Read::NearHit);
        }
        is_known
    }
}
