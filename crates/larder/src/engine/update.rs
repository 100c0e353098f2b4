//! Values that travel with the word of their change: [`Mode::Update`].

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use larder_core::bus::{BusChange, BusRecord};
use larder_core::key::WireKey;
use larder_core::lane::LEASE;
use larder_core::record::Record;
use larder_core::runtime::Mono;
use larder_core::store::Store;

use super::read::Fetched;
use super::write::Change;
use super::{Engine, EngineKey};
use crate::mode::Mode;
use crate::near::Entry;
use crate::observe::count;

/// The entries that a record of the bus brings along.
pub(crate) struct Updates<V>(Vec<(EngineKey, Arc<Entry<V>>)>);

impl<V: Send + Sync + 'static> Engine<V> {
    /// Whether the records of these changes shall travel. Whether a value holds that depends on
    /// others is for the remote tier to say.
    pub(super) fn carries(&self, changes: &[(EngineKey, Change<V>)]) -> bool {
        let is_plain = |(_, change): &(EngineKey, Change<V>)| match change {
            Change::Insert(incoming) => incoming.is_independent(),
            Change::Invalidate | Change::Expire => true,
        };
        self.coherence.mode == Mode::Update && changes.iter().all(is_plain)
    }

    /// What a record brings that can be used here. Own values are here already.
    pub(crate) fn updates(&self, record: &BusRecord) -> Option<Updates<V>> {
        let store = self.remote.as_ref()?;
        let is_own = record.origin == self.coherence.node.number;
        if self.coherence.mode != Mode::Update || is_own {
            return None;
        }
        let changes = record.changes.iter();
        let ours = changes.filter(|change| change.key.starts_with(&self.prefix));
        let entries = ours.filter_map(|change| self.update(&**store, change));
        Some(Updates(entries.collect()))
    }

    fn update(&self, store: &dyn Store, change: &BusChange) -> Option<(EngineKey, Arc<Entry<V>>)> {
        let record: &Record = change.carried.as_deref()?;
        if !record.tags.is_empty() {
            return None;
        }
        let key = self.wire_key(WireKey::from_slice(&change.key));
        // Usable only under a lease, which says that all later changes are known here.
        let mut before = self.before(&key);
        before.at = Mono(before.at.0.saturating_sub(LEASE.as_nanos() as u64));
        before.remote = before.at;
        // A codec that panics must not end the link.
        let taken = AssertUnwindSafe(self.take_record(store, &key, record, before)).catch_unwind();
        match taken.now_or_never()? {
            Ok(Ok(Fetched::Fresh(entry))) => Some((key, entry)),
            Ok(Ok(_) | Err(_)) | Err(_) => None,
        }
    }

    /// Offers the values that a record brought to the near cache, after its changes were applied.
    pub(crate) fn admit_all(&self, updates: Updates<V>) {
        for (key, entry) in updates.0 {
            // From here on: what was changed before this is known by the floor of the key.
            let before = self.before(&key);
            let now = self.runtime.now();
            match self.near.admit(key.hash(), before.near, &entry, now) {
                Ok(()) => count(&self.counts.bus.updates),
                Err(refusal) => self.refuse(refusal),
            }
        }
    }
}
