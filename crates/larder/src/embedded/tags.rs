//! The tag clock of the embedded store, and what has numbers on it: tags, dependencies and areas.
//! See [`larder_core::tag`] and [`larder_core::area`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use larder_core::area::{Area, Areas, cache_of};
use larder_core::mutant::Mutant;
use larder_core::store::{Lookup, Pending, TagStore};
use larder_core::tag::{Bond, Cut, Tags, depended_on, dependency_key};
use larder_core::version::Version;
use parking_lot::Mutex;

use super::{Embedded, Inner};

/// Tags and dependencies remembered one by one. With more, all are forgotten, which makes entries
/// void and nothing else.
const REMEMBERED: usize = 1 << 20;

#[derive(Default)]
pub(super) struct TagClock {
    numbers: Mutex<Numbers>,
    /// Where the clock began: everything older is void.
    base: AtomicU64,
    /// Whether an area was ever invalidated. Until then no plain value needs to know its cut.
    has_areas: AtomicBool,
}

#[derive(Default)]
struct Numbers {
    clock: u64,
    /// [`TagClock::base`].
    base: u64,
    numbers: HashMap<Bytes, u64>,
    /// Whether a dependency was ever among them.
    has_dependencies: bool,
    areas: HashMap<Bytes, Areas>,
}

impl Numbers {
    fn next(&mut self, now_us: u64) -> u64 {
        self.clock = (self.clock + 1).max(now_us);
        self.clock
    }

    fn keep(&mut self, tag: &[u8], number: u64) {
        if self.numbers.len() >= REMEMBERED && !self.numbers.contains_key(tag) {
            self.numbers.clear();
        }
        self.numbers.insert(Bytes::copy_from_slice(tag), number);
    }

    fn number(&self, tag: &Bytes) -> Cut {
        if cache_of(tag).is_some() {
            let areas = self.areas.get(tag);
            return areas.map_or(Cut(self.base), Areas::latest);
        }
        match self.numbers.get(tag) {
            Some(number) => Cut(*number),
            None if depended_on(tag).is_some() => Cut::LOST,
            None => Cut(self.clock),
        }
    }

    /// Keeps the number of what an entry is going to name. A tag that is not known gets the present
    /// one: else the next invalidation of any other tag would raise it too. A dependency gets the
    /// next one: changes of its key have not been noted.
    fn remember(&mut self, tag: &Bytes, now_us: u64) {
        if cache_of(tag).is_some() || self.numbers.contains_key(tag) {
            return;
        }
        let number = if depended_on(tag).is_some() {
            self.has_dependencies = true;
            self.next(now_us)
        } else {
            self.clock
        };
        self.keep(tag, number);
    }
}

impl TagClock {
    /// Starts, or after a loss starts again, beyond every number given before `now_us`.
    pub(super) fn start(&self, now_us: u64) {
        let mut numbers = self.numbers.lock();
        let clock = now_us.max(numbers.clock + 1);
        *numbers = Numbers {
            clock,
            base: clock,
            ..Numbers::default()
        };
        self.base.store(clock, Ordering::Release);
    }

    /// Whether values that name nothing must keep their cut all the same.
    pub(super) fn has_areas(&self) -> bool {
        self.has_areas.load(Ordering::Acquire)
    }

    /// The cut of a value that has not kept one: it was stored in this life, and before any area was
    /// invalidated.
    pub(super) fn least_cut(&self) -> Cut {
        Cut(self.base.load(Ordering::Acquire))
    }

    pub(super) fn cut(&self) -> Cut {
        Cut(self.numbers.lock().clock)
    }

    /// Invalidates a tag; gives its new number.
    pub(super) fn bump(&self, tag: &[u8], now_us: u64) -> u64 {
        let mut numbers = self.numbers.lock();
        let number = numbers.next(now_us);
        numbers.keep(tag, number);
        number
    }

    /// Invalidates an area of a cache; gives its number.
    pub(super) fn void(&self, cache: &[u8], area: &Area, now_us: u64) -> u64 {
        // Before the number is drawn: who stores after it has one keeps its cut.
        self.has_areas.store(true, Ordering::Release);
        let mut numbers = self.numbers.lock();
        let number = numbers.next(now_us);
        let base = Cut(numbers.base);
        let cache = Bytes::copy_from_slice(cache);
        let areas = numbers.areas.entry(cache).or_default();
        areas.raise_floor(base);
        areas.add(Cut(number), area.clone());
        number
    }

    /// A key was changed: what depends on it is void. The caller holds the lock of its shard.
    pub(super) fn changed(&self, key: &[u8], now_us: u64) {
        let mut numbers = self.numbers.lock();
        if !numbers.has_dependencies || Mutant::NoteChange.is_active() {
            return;
        }
        let known = dependency_key(key).filter(|tag| numbers.numbers.contains_key(tag));
        if let Some(tag) = known {
            let number = numbers.next(now_us);
            numbers.keep(&tag, number);
        }
    }

    /// Remembers what a record that is put names; gives where the clock then stands.
    pub(super) fn cut_for(&self, tags: &Tags, bonds: &[Bond], now_us: u64) -> Cut {
        let mut numbers = self.numbers.lock();
        let all = tags.keys().iter().chain(bonds.iter().map(|bond| &bond.tag));
        all.for_each(|tag| numbers.remember(tag, now_us));
        Cut(numbers.clock)
    }

    fn areas(&self, cache: &Bytes) -> Areas {
        let numbers = self.numbers.lock();
        let mut areas = numbers.areas.get(cache).cloned().unwrap_or_default();
        areas.raise_floor(Cut(numbers.base));
        areas
    }

    /// Whether a lease given at this number is of this life.
    pub(super) fn began_before(&self, cut: Cut) -> bool {
        self.numbers.lock().base <= cut.0
    }
}

impl Inner {
    /// Whether all of this holds: which of it does not, or the number as of which it does. The
    /// caller holds no lock of a shard.
    ///
    /// Not one moment, but in an order that makes it one: first every dependency is known, so that
    /// each change of its key is given a number; then the clock is read; and what holds after that
    /// can only end with a greater number.
    pub(super) fn prove(&self, bonds: &[Bond]) -> Result<Cut, Vec<Bytes>> {
        let now_us = self.now().0.saturating_mul(1_000);
        let (cut, mut raced) = {
            let mut numbers = self.tags.numbers.lock();
            let holds: Vec<bool> = bonds
                .iter()
                .map(|bond| numbers.number(&bond.tag) <= bond.cut)
                .collect();
            bonds
                .iter()
                .for_each(|bond| numbers.remember(&bond.tag, now_us));
            let raced: Vec<&Bond> = bonds
                .iter()
                .zip(holds)
                .filter_map(|(bond, holds)| (!holds).then_some(bond))
                .collect();
            (Cut(numbers.clock), raced)
        };
        raced.retain(|bond| !self.still_stands(bond) && !is_overlooked(bond));
        if raced.is_empty() {
            Ok(cut)
        } else {
            Err(raced.into_iter().map(|bond| bond.tag.clone()).collect())
        }
    }

    /// Whether the record that a dependency was read from is still the same.
    fn still_stands(&self, bond: &Bond) -> bool {
        let Some(key) = depended_on(&bond.tag) else {
            return false;
        };
        bond.version != Version::ZERO && self.version_of(key) == bond.version
    }

    fn version_of(&self, key: &[u8]) -> Version {
        let hash = self.hasher.hash(key);
        let shard = self.shards[self.shard_of(hash)].lock();
        let slot = shard.live(hash, key, self.now());
        slot.map_or(Version::ZERO, |slot| slot.version)
    }
}

/// For mutants: whether a fill does not look at this.
fn is_overlooked(bond: &Bond) -> bool {
    if cache_of(&bond.tag).is_some() {
        Mutant::AreaFill.is_active()
    } else if depended_on(&bond.tag).is_some() {
        Mutant::BondFill.is_active()
    } else {
        Mutant::TagFill.is_active()
    }
}

impl TagStore for Embedded {
    fn tags<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Cut>> {
        let numbers = self.inner.tags.numbers.lock();
        Pending::ready(Ok(keys.iter().map(|key| numbers.number(key)).collect()))
    }

    fn watch<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Cut>> {
        let now_us = self.inner.now().0.saturating_mul(1_000);
        let mut numbers = self.inner.tags.numbers.lock();
        keys.iter().for_each(|key| numbers.remember(key, now_us));
        Pending::ready(Ok(keys.iter().map(|key| numbers.number(key)).collect()))
    }

    fn get_among<'a>(
        &'a self,
        keys: &'a [Bytes],
        caches: &'a [Bytes],
    ) -> Pending<'a, (Vec<Lookup>, Vec<Areas>)> {
        let now = self.inner.now();
        let look = |key: &Bytes| self.inner.lookup(key, now);
        let found = keys.iter().map(look).collect();
        let areas = |cache: &Bytes| self.inner.tags.areas(cache);
        Pending::ready(Ok((found, caches.iter().map(areas).collect())))
    }
}
