//! Reads for the holder of a ticket: near copies only where they show all that it asks for.

use larder_core::error::Result;
use larder_core::freshness::Freshness;
use larder_core::mutant::Mutant;
use larder_core::ticket::{Ticket, key_of};
use larder_core::version::Version;

use super::{Engine, EngineKey};
use crate::loaded::{Loaded, Source};
use crate::observe::Read;

/// How near copies, and loads under way, stand to a ticket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They show all that it asks for.
    Reached,
    /// They may not: only what is read from the remote tier from now on does.
    Behind,
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// What a ticket calls a key.
    pub(crate) fn ticket_key(key: &EngineKey) -> u64 {
        key_of(&key.wire)
    }

    /// A fresh value of the near cache that will do, and how the rest stands.
    pub(crate) fn near_hit_with(
        &self,
        key: &EngineKey,
        ticket: &Ticket,
    ) -> (Option<Loaded<V>>, Standing) {
        // Without a remote tier there is nobody who could know more.
        let is_alone = self.remote.is_none();
        let floor = match is_alone {
            true => Version::ZERO,
            false => ticket.floor_of(Self::ticket_key(key)),
        };
        // How far the near cache is, before it is looked at.
        let is_reached = is_alone
            || ticket.is_reached(self.coherence.lane, self.coherence.applied())
            || Mutant::TicketCheck.is_active();
        let now = self.runtime.now();
        let hit = match self.near.get(key.near(), now) {
            Some((entry, Freshness::Fresh)) if is_reached && entry.version() >= floor => {
                Some(Loaded::fresh(entry, Source::Near, now))
            }
            _ => None,
        };
        match hit {
            Some(_) => self.counts.read(Read::NearHit),
            None => self.counts.read(Read::NearMiss),
        }
        // A load under way may have read what is older than the floor.
        let standing = if is_reached && floor == Version::ZERO {
            Standing::Reached
        } else {
            Standing::Behind
        };
        (hit, standing)
    }

    /// A fresh value of the remote tier. Where there is none, everything of this key is forgotten
    /// that is here or on its way, so that a load from now on shows all that a ticket asks for.
    pub(crate) async fn remote_hit_anew(&self, key: &EngineKey) -> Result<Option<Loaded<V>>> {
        let vouched = match self
            .remote
            .as_ref()
            .and_then(|store| store.describe().vouch)
        {
            // Without an answer nothing is found: by then the lease of the copy is over, too.
            Some(vouch) => vouch.vouch().await,
            None => Ok(()),
        };
        let found = match vouched {
            Ok(()) => self.remote_hit(key).await,
            Err(error) => Err(error),
        };
        if !matches!(found, Ok(Some(_))) {
            self.near.forget(key.near(), self.runtime.now());
            self.flights.detach(key);
        }
        found
    }

    /// Notes in a ticket what its holder was given, after it was asked for at `asked`.
    pub(crate) fn note(
        &self,
        ticket: &mut Ticket,
        key: &EngineKey,
        (asked, found): (Version, Option<&Loaded<V>>),
    ) {
        // Absence has no version: what was written before it was seen is over.
        let version = found.map_or(asked, Loaded::version);
        if self.gives_versions() {
            ticket.saw(Self::ticket_key(key), version);
        }
    }

    /// A version above all that are written by now, as far as the store's clock tells.
    pub(crate) fn version_by_now(&self) -> Version {
        match &self.remote {
            Some(store) => Version(store.now().0.saturating_mul(1_000)),
            None => Version::ZERO,
        }
    }

    /// Whether versions are the same for everybody.
    fn gives_versions(&self) -> bool {
        let store = self.remote.as_ref().map(|store| store.describe());
        store.is_some_and(|store| store.leases.is_some() && store.vouch.is_none())
    }
}
