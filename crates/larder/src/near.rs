//! The near cache: values of this process, and the guard that keeps superseded ones out.
//!
//! The map is quick_cache, keyed by the seeded hash of a key's id; each entry holds the id itself, so
//! a hit is checked in full and two keys with one hash merely displace each other. Reads
//! touch the map alone. Everything that changes it goes through the guard of the key's stripe,
//! under one lock, so that deciding and storing cannot be torn apart.

mod entry;
mod evict;
mod guard;
mod key;
mod sweep;
mod view;
mod voids;

use std::sync::Arc;
use std::thread;

use larder_core::admit::{Refusal, Snapshot};
use larder_core::area::{Area, Covered};
use larder_core::freshness::Freshness;
use larder_core::key::Id;
use larder_core::mutant::Mutant;
use larder_core::runtime::{Mono, Runtime};
use larder_core::version::Version;
use quick_cache::OptionsBuilder;
use quick_cache::sync::Cache as QuickCache;
use tokio::sync::Notify;

use crate::sync::atomic::{AtomicU64, Ordering};
pub(crate) use entry::{Content, Entry, EntryMeta};
pub use evict::Cause;
pub(crate) use evict::Reporter;
use evict::{Evicted, Eviction, IdentityHash, Weight};
use guard::Guard;
pub(crate) use view::View;
use voids::Voids;

/// An entry may weigh up to this part of the capacity; the map is split into no more pieces than
/// that allows.
const LARGEST_PART: u64 = 8;
/// What an entry weighs at least: quick_cache's own slot, and the entry without key and value.
const ENTRY_COST: usize = 43 + size_of::<Entry<()>>() + 16;

type Map<V> = QuickCache<u64, Arc<Entry<V>>, Weight, IdentityHash, Eviction<V>>;

pub(crate) struct Near<V> {
    guard: Guard,
    map: Option<Map<V>>,
    capacity: AtomicU64,
    reporter: Arc<Reporter<V>>,
    view: View,
    voids: Voids,
    /// Wakes the task that releases what is void.
    sweep: Arc<Notify>,
}

/// The moment before a read, as the guard and the epoch show it.
#[derive(Clone, Copy)]
pub(crate) struct NearSnapshot {
    stripe: Snapshot,
    epoch: u64,
}

/// A key as the near cache knows it.
#[derive(Clone, Copy)]
pub(crate) struct NearKey<'a> {
    pub(crate) hash: u64,
    pub(crate) id: Id<'a>,
}

impl<V: Send + Sync + 'static> Near<V> {
    /// A near cache of `capacity` bytes; with 0 it only guards, and holds nothing.
    pub(crate) fn new(capacity: u64, reporter: Reporter<V>, view: View) -> Near<V> {
        let reporter = Arc::new(reporter);
        let map = (capacity > 0).then(|| {
            let threads = thread::available_parallelism().map_or(1, usize::from);
            let shards = (threads * 4).min(LARGEST_PART as usize);
            let options = OptionsBuilder::new()
                .shards(shards)
                .weight_capacity(capacity)
                .estimated_items_capacity((capacity / 1024).clamp(256, 1 << 20) as usize)
                .build()
                .expect("capacity, item estimate and shards are all given");
            let eviction = Eviction::new(reporter.clone());
            Map::with_options(options, Weight, IdentityHash, eviction)
        });
        Near {
            guard: Guard::default(),
            map,
            capacity: AtomicU64::new(capacity),
            reporter,
            view,
            voids: Voids::default(),
            sweep: Arc::default(),
        }
    }

    /// What an entry with a key and a value of these sizes weighs.
    pub(crate) fn weight(key: &[u8], value: usize) -> usize {
        ENTRY_COST + key.len() + value
    }

    /// The entry of a key that may be used now, and whether it is fresh.
    pub(crate) fn get(&self, key: NearKey<'_>, now: Mono) -> Option<(Arc<Entry<V>>, Freshness)> {
        self.get_here(key, now)
    }

    /// The same, for the one place at which a call is worth sparing.
    #[inline(always)]
    pub(crate) fn get_here(
        &self,
        key: NearKey<'_>,
        now: Mono,
    ) -> Option<(Arc<Entry<V>>, Freshness)> {
        // Before the entry is looked for: a lease that is given meanwhile may have come with a change
        // that makes the entry void.
        let is_leased = self.view.is_leased(now);
        let found = self.get_fenced(key, now)?;
        let is_leased = is_leased || (Mutant::LeaseLate.is_active() && self.view.is_leased(now));
        (is_leased || now < found.0.proven_until()).then_some(found)
    }

    /// The same without regard to the bus: a change may have been missed.
    #[inline(always)]
    pub(crate) fn get_fenced(
        &self,
        key: NearKey<'_>,
        now: Mono,
    ) -> Option<(Arc<Entry<V>>, Freshness)> {
        let entry = self.map.as_ref()?.get(&key.hash)?;
        if !entry.is(key.id) {
            return None;
        }
        let freshness = self.state(&entry, now)?;
        Some((entry, freshness))
    }

    /// The entry of a key that says, and may say now, that the source has no record.
    pub(crate) fn absent(&self, key: NearKey<'_>, now: Mono) -> Option<Arc<Entry<V>>> {
        let is_leased = self.view.is_leased(now);
        let entry = self.map.as_ref()?.get(&key.hash)?;
        if !entry.is(key.id) || !entry.says_nothing(now) || self.is_void(&entry) {
            return None;
        }
        (is_leased || now < entry.proven_until()).then_some(entry)
    }

    /// The entry of a key that may be used now for anything at all.
    pub(crate) fn find(&self, key: NearKey<'_>, now: Mono) -> Option<Arc<Entry<V>>> {
        let found = self.get(key, now).map(|(entry, _)| entry);
        found.or_else(|| self.absent(key, now))
    }

    /// What an entry is good for, unless it is void or at its end.
    #[inline]
    fn state(&self, entry: &Entry<V>, now: Mono) -> Option<Freshness> {
        if self.is_void(entry) {
            return None;
        }
        match entry.freshness(now) {
            Freshness::Expired => None,
            freshness => Some(freshness),
        }
    }

    /// What an entry that need not be in the map may be used for now: by the same rules as a copy in
    /// it, but for changes of its own key.
    pub(crate) fn usable(&self, entry: &Entry<V>, now: Mono) -> Option<Freshness> {
        let is_vouched_for = self.view.is_leased(now) || now < entry.proven_until();
        is_vouched_for.then(|| self.state(entry, now)).flatten()
    }

    /// What an entry that need not be in the map is good for, for somebody who began to read it when it
    /// was vouched for, unless it was made void since.
    pub(crate) fn holds(&self, entry: &Entry<V>, now: Mono) -> Option<Freshness> {
        self.state(entry, now)
    }

    /// An entry that was read after `snapshot` was taken holds in that epoch.
    pub(crate) fn date(&self, entry: &Entry<V>, snapshot: NearSnapshot) {
        entry.raise_epoch(snapshot.epoch);
    }

    /// The version of the copy held for a key if that may not be used as fresh; zero otherwise.
    pub(crate) fn outlived(&self, key: NearKey<'_>, now: Mono) -> Version {
        let held = self.map.as_ref().and_then(|map| map.peek(&key.hash));
        match held.filter(|entry| entry.is(key.id)) {
            Some(entry) if !matches!(self.get(key, now), Some((_, Freshness::Fresh))) => {
                entry.version()
            }
            _ => Version::ZERO,
        }
    }

    /// Whether this entry was made void, by a tag or by something larger.
    #[inline]
    fn is_void(&self, entry: &Entry<V>) -> bool {
        // Read before the entry is looked at, which may be void the next moment.
        let epoch = self.view.epoch();
        entry.epoch() < epoch && self.is_void_in(entry, epoch)
    }

    #[cold]
    fn is_void_in(&self, entry: &Entry<V>, epoch: u64) -> bool {
        if !entry.are_tags_valid() {
            return true;
        }
        match self.voids.since(entry.epoch(), entry.id()) {
            Covered::Void => return true,
            Covered::Stale if entry.is_nothing() => return true,
            // Before the epoch: who sees that sees this.
            Covered::Stale => entry.mark_stale(),
            Covered::Not => {}
        }
        self.raise_epoch(entry, epoch);
        false
    }

    /// The entry holds in `epoch`, which was read before it was held against what was made void:
    /// what was made void meanwhile is of a later one.
    fn raise_epoch(&self, entry: &Entry<V>, epoch: u64) {
        let is_late = Mutant::LateEpoch.is_active();
        entry.raise_epoch(if is_late { self.view.epoch() } else { epoch });
    }

    /// Whether nothing of this key's stripe has changed since `snapshot` was taken.
    pub(crate) fn stands(&self, key: NearKey<'_>, snapshot: NearSnapshot) -> bool {
        self.guard.stripe(key.hash).snapshot() == snapshot.stripe
            && self.voids.since(snapshot.epoch, key.id) == Covered::Not
    }

    /// The proof to take before a value of this key is read from anywhere.
    pub(crate) fn snapshot(&self, hash: u64) -> NearSnapshot {
        let epoch = self.view.epoch();
        NearSnapshot {
            stripe: self.guard.stripe(hash).snapshot(),
            epoch,
        }
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// Makes void every copy that the area covers, those that are being read included, whatever
    /// their number; or stale, if that is what the area does. Their memory is released by the sweep.
    pub(crate) fn void(&self, area: Area) {
        self.voids.add(&self.view, area);
        self.sweep.notify_one();
    }

    /// Stores a value that was read after `snapshot` was taken, unless its key changed since.
    pub(crate) fn admit(
        &self,
        hash: u64,
        snapshot: NearSnapshot,
        entry: &Arc<Entry<V>>,
        now: Mono,
    ) -> Result<(), Refusal> {
        let stripe = self.guard.stripe(hash);
        stripe.admit(snapshot.stripe, hash, entry.version(), now)?;
        let stripe = (!Mutant::AdmitUnlocked.is_active()).then_some(stripe);
        let evicted = self.store(hash, entry, snapshot.epoch)?;
        drop(stripe);
        // The listener runs here, outside the lock: it may call the cache.
        drop(evicted);
        Ok(())
    }

    /// Ends the write of a value that was sent after `snapshot` was taken: forgets every older
    /// copy, and stores the value unless another change has ended since.
    pub(crate) fn conclude(
        &self,
        key: NearKey<'_>,
        snapshot: NearSnapshot,
        entry: &Arc<Entry<V>>,
        now: Mono,
    ) -> Result<(), Refusal> {
        let mut stripe = self.guard.stripe(key.hash);
        let admitted = stripe.admit(snapshot.stripe, key.hash, entry.version(), now);
        let superseded = Version(entry.version().0.saturating_sub(1));
        stripe.change(key.hash, Some(superseded), now);
        let stored = admitted.and_then(|()| self.store(key.hash, entry, snapshot.epoch));
        let removed = match &stored {
            Ok(_) => None,
            Err(_) => self.take(key, |old| old.version() < entry.version()),
        };
        drop(stripe);
        self.report(removed, Cause::Replaced);
        stored.map(drop)
    }

    /// Stores the value that `entry` makes under the stripe's lock, as the newest of its key.
    /// Only for caches in which nothing but this near cache assigns versions.
    pub(crate) fn replace(
        &self,
        key: NearKey<'_>,
        entry: impl FnOnce() -> Arc<Entry<V>>,
        now: Mono,
    ) -> Result<(), Refusal> {
        let mut stripe = self.guard.stripe(key.hash);
        stripe.change(key.hash, None, now);
        let stored = self.store(key.hash, &entry(), self.view.epoch());
        // A value that is not kept must not leave its predecessor behind.
        let removed = if stored.is_err() {
            self.take(key, |_| true)
        } else {
            None
        };
        drop(stripe);
        self.report(removed, Cause::Replaced);
        stored.map(drop)
    }

    /// Puts a value, or nothing, in the place of `seen` (of nothing fresh, if that is `None`), which was
    /// found after `snapshot` was taken. `false`: it is no longer what the key has, and nothing was
    /// done. Only for caches in which nothing but this near cache assigns versions.
    pub(crate) fn exchange(
        &self,
        key: NearKey<'_>,
        (snapshot, seen): (NearSnapshot, Option<&Arc<Entry<V>>>),
        entry: Option<&Arc<Entry<V>>>,
        now: Mono,
    ) -> Result<bool, Refusal> {
        let mut stripe = self.guard.stripe(key.hash);
        let held = self.map.as_ref().and_then(|map| map.peek(&key.hash));
        let held = held.filter(|held| held.is(key.id));
        let is_as_seen = match (seen, &held) {
            (Some(seen), Some(held)) => Arc::ptr_eq(seen, held),
            (Some(_), None) => false,
            (None, Some(held)) => self.state(held, now) != Some(Freshness::Fresh),
            (None, None) => true,
        };
        let has_changed = stripe.snapshot() != snapshot.stripe
            || self.voids.since(snapshot.epoch, key.id) != Covered::Not;
        if (!is_as_seen || has_changed) && !Mutant::Exchange.is_active() {
            return Ok(false);
        }
        let stored = match entry {
            Some(entry) => match self.store(key.hash, entry, snapshot.epoch) {
                Ok(evicted) => Some(evicted),
                // What it is made of was made void this moment.
                Err(Refusal::Raced | Refusal::TagRaced) => return Ok(false),
                Err(refusal) => return Err(refusal),
            },
            None => None,
        };
        stripe.change(key.hash, None, now);
        let removed = match entry {
            Some(_) => None,
            None => self.take(key, |_| true),
        };
        drop(stripe);
        drop(stored);
        self.report(removed, Cause::Explicit);
        Ok(true)
    }

    /// Forgets every copy older than `version`, and refuses those that are still being read. A
    /// copy of that very version is the value that replaced them.
    pub(crate) fn replaced(&self, key: NearKey<'_>, version: Version, now: Mono) {
        self.remove(key, Version(version.0.saturating_sub(1)), now);
    }

    /// Forgets every copy up to `version`, and refuses those that are still being read.
    pub(crate) fn remove(&self, key: NearKey<'_>, version: Version, now: Mono) {
        if Mutant::Conclude.is_active() {
            return;
        }
        let mut stripe = self.guard.stripe(key.hash);
        stripe.change(key.hash, Some(version), now);
        let removed = self.take(key, |old| old.version() <= version);
        drop(stripe);
        self.report(removed, Cause::Explicit);
    }

    /// Forgets a key whatever its version: the outcome of a change is unknown.
    pub(crate) fn forget(&self, key: NearKey<'_>, now: Mono) {
        if Mutant::Forget.is_active() {
            return;
        }
        let mut stripe = self.guard.stripe(key.hash);
        stripe.change(key.hash, None, now);
        let removed = self.take(key, |_| true);
        drop(stripe);
        self.report(removed, Cause::Explicit);
    }

    /// Keeps a copy for fail-safe only; that there is no record is of no use to that.
    pub(crate) fn mark_stale(&self, key: NearKey<'_>, version: Version, now: Mono) {
        let mut stripe = self.guard.stripe(key.hash);
        stripe.change(key.hash, Some(version), now);
        let removed = self.take(key, Entry::is_nothing);
        let entry = self.map.as_ref().and_then(|map| map.peek(&key.hash));
        if let Some(entry) = entry.filter(|entry| entry.is(key.id)) {
            entry.mark_stale();
        }
        drop(stripe);
        self.report(removed, Cause::Explicit);
    }

    /// Makes everything void and releases it at once: nobody will come and sweep.
    pub(crate) fn drop_all(&self) {
        self.void(Area::ALL);
        if let Some(map) = &self.map {
            for (_, entry) in map.drain() {
                self.reporter.report(entry, Cause::Explicit);
            }
        }
    }

    /// Changes the capacity, evicting what no longer fits.
    pub(crate) fn resize(&self, capacity: u64) {
        if let Some(map) = &self.map {
            self.capacity.store(capacity, Ordering::Relaxed);
            map.set_capacity(capacity);
        }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity.load(Ordering::Relaxed)
    }

    /// Entries held, and what they weigh in bytes.
    pub(crate) fn size(&self) -> (u64, u64) {
        self.map
            .as_ref()
            .map_or((0, 0), |map| (map.len() as u64, map.weight()))
    }

    /// Starts the background task that releases expired entries.
    pub(crate) fn start_sweep(self: &Arc<Self>, runtime: &Arc<dyn Runtime>) {
        if self.map.is_some() {
            sweep::start(self, runtime);
        }
    }

    /// Puts an entry into the map in place of an older one. The caller holds the stripe's lock,
    /// and drops what is returned after it.
    fn store(&self, hash: u64, entry: &Arc<Entry<V>>, since: u64) -> Result<Evicted<V>, Refusal> {
        let epoch = self.view.epoch();
        if since != epoch && self.voids.since(since, entry.id()) != Covered::Not {
            return Err(Refusal::Raced);
        }
        // From here on it counts as known to hold in this epoch, tags included.
        if !entry.are_tags_valid() {
            return Err(Refusal::TagRaced);
        }
        self.raise_epoch(entry, epoch);
        let Some(map) = &self.map else {
            return Ok(Evicted::default());
        };
        if u64::from(entry.weight()) > map.shard_capacity() {
            return Err(Refusal::TooLarge);
        }
        let replaced = map.peek(&hash).filter(|old| old.id() == entry.id());
        let is_newer = |old: &Arc<Entry<V>>| {
            let covered = self.voids.since(old.epoch(), old.id());
            old.version() > entry.version() && covered != Covered::Void
        };
        if replaced.as_ref().is_some_and(is_newer) {
            return Err(Refusal::Superseded);
        }
        let mut evicted = Evicted::default();
        map.insert_with_lifecycle(hash, entry.clone(), &mut evicted);
        evicted.mark_replaced(replaced);
        Ok(evicted)
    }

    fn report(&self, removed: Option<Arc<Entry<V>>>, cause: Cause) {
        if let Some(entry) = removed {
            self.reporter.report(entry, cause);
        }
    }

    pub(crate) fn left(&self, cause: Cause) -> u64 {
        self.reporter.count(cause)
    }

    fn take(&self, key: NearKey<'_>, gone: impl Fn(&Entry<V>) -> bool) -> Option<Arc<Entry<V>>> {
        let map = self.map.as_ref()?;
        let matches = |entry: &Arc<Entry<V>>| entry.is(key.id) && gone(entry);
        map.remove_if(&key.hash, matches).map(|(_, entry)| entry)
    }
}

#[cfg(test)]
mod tests;
#[cfg(all(test, feature = "shuttle"))]
mod threads;
