//! The areas that were invalidated, as far as this process knows them.

use crate::sync::atomic::{AtomicBool, Ordering};
use std::collections::HashMap;

use crate::sync::RwLock;
use larder_core::area::{self, Area, Areas, Covered};
use larder_core::tag::Cut;

use super::Lies;

/// Caches that are kept apart at most. With more, all are forgotten and asked for again.
const CACHES: usize = 4_096;

/// The areas of one cache or of many that were invalidated. Facts: they only become more, until a
/// new life of the log makes all of them unknown.
pub(crate) struct KnownAreas {
    known: RwLock<Known>,
    /// Whatever is not known here has never been invalidated: nobody else can. Ends when something
    /// is forgotten.
    is_sole: AtomicBool,
}

#[derive(Default)]
struct Known {
    caches: HashMap<Box<str>, OfCache>,
    /// How often everything was forgotten: an answer is of use only if that is as it was when the
    /// question was asked.
    life: u64,
}

#[derive(Default)]
struct OfCache {
    areas: Areas,
    /// Whether nothing that happened before the last question is missing.
    is_complete: bool,
}

impl Known {
    fn entry(&mut self, cache: &str) -> &mut OfCache {
        if !self.caches.contains_key(cache) {
            self.caches.insert(cache.into(), OfCache::default());
        }
        self.caches.get_mut(cache).expect("it was just put there")
    }

    /// Whether there is no room for one more.
    fn is_full(&self, cache: &str) -> bool {
        self.caches.len() == CACHES && !self.caches.contains_key(cache)
    }

    fn covered(&self, stored: &[u8], lies: &[Lies<'_>], cut: Cut) -> Covered {
        if self.caches.is_empty() {
            return Covered::Not;
        }
        area::worst(lies.iter().map(|lies| {
            let known = self.caches.get(lies.cache);
            known.map_or(Covered::Not, |known| {
                known.areas.covered(&stored[lies.at..], cut)
            })
        }))
    }
}

impl KnownAreas {
    /// For a cache, or a store, that others change too.
    pub(crate) fn shared() -> KnownAreas {
        KnownAreas {
            known: RwLock::default(),
            is_sole: AtomicBool::new(false),
        }
    }

    /// For a store that nobody else can reach.
    pub(crate) fn sole() -> KnownAreas {
        KnownAreas {
            known: RwLock::default(),
            is_sole: AtomicBool::new(true),
        }
    }

    pub(super) fn add(&self, cache: &str, number: Cut, area: Area) {
        let mut known = self.known.write();
        if known.is_full(cache) {
            self.forget_all(&mut known);
        }
        known.entry(cache).areas.add(number, area);
    }

    /// Takes an answer to a question that was asked in this life.
    pub(super) fn learn(&self, life: u64, cache: &str, areas: &Areas) {
        let mut known = self.known.write();
        // A store that has lost its memory knows nothing until the next lease there.
        if known.life == life && *areas != Areas::unknown() {
            if known.is_full(cache) {
                return self.forget_all(&mut known);
            }
            let known = known.entry(cache);
            known.areas.merge(areas.clone());
            known.is_complete = true;
        }
    }

    /// Whether nothing of these caches is missing.
    pub(super) fn are_complete<'a>(&self, mut caches: impl Iterator<Item = &'a str>) -> bool {
        let known = self.known.read();
        let is_complete = |cache| {
            known
                .caches
                .get(cache)
                .is_some_and(|known| known.is_complete)
        };
        self.is_sole() || caches.all(is_complete)
    }

    /// What the areas that were invalidated after its cut have made of a record, as far as is known.
    pub(super) fn covered(&self, stored: &[u8], lies: &[Lies<'_>], cut: Cut) -> Covered {
        self.known.read().covered(stored, lies, cut)
    }

    /// Whether no area was ever invalidated.
    pub(super) fn is_blank(&self) -> bool {
        self.is_sole() && self.known.read().caches.is_empty()
    }

    pub(super) fn life(&self) -> u64 {
        self.known.read().life
    }

    /// Something may have been missed.
    pub(crate) fn forget(&self) {
        self.forget_all(&mut self.known.write());
    }

    fn forget_all(&self, known: &mut Known) {
        known.caches.clear();
        known.life += 1;
        self.is_sole.store(false, Ordering::Release);
    }

    fn is_sole(&self) -> bool {
        self.is_sole.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(cache: &str) -> Lies<'_> {
        Lies {
            cache,
            at: cache.len() + 1,
        }
    }

    #[test]
    fn an_answer_to_a_question_of_an_earlier_life_is_not_taken() {
        let known = KnownAreas::shared();
        let life = known.life();
        known.learn(life, "a", &Areas::default());
        assert!(known.are_complete(["a"].into_iter()) && !known.are_complete(["b"].into_iter()));
        known.forget();
        known.learn(life, "a", &Areas::default());
        assert!(!known.are_complete(["a"].into_iter()));
    }

    #[test]
    fn what_is_heard_before_the_answer_counts_after_it() {
        let known = KnownAreas::shared();
        known.add("a", Cut(7), Area::prefix(b"x").unwrap());
        known.learn(known.life(), "a", &Areas::default());
        assert!(known.covered(b"a:x1", &[at("a")], Cut(6)) == Covered::Void);
        assert!(known.covered(b"a:x1", &[at("a")], Cut(7)) == Covered::Not);
        assert!(known.covered(b"b:x1", &[at("b")], Cut(6)) == Covered::Not);
    }

    #[test]
    fn as_many_caches_as_anybody_names_are_no_trouble() {
        let known = KnownAreas::shared();
        for n in 0..3 * CACHES {
            known.learn(known.life(), &n.to_string(), &Areas::default());
        }
        assert!(known.known.read().caches.len() <= CACHES);
        assert!(!known.are_complete(["0"].into_iter()));
    }

    #[test]
    fn what_is_forgotten_of_a_store_of_ones_own_is_asked_for() {
        let known = KnownAreas::sole();
        assert!(known.is_blank() && known.are_complete(["a"].into_iter()));
        known.add("a", Cut(7), Area::ALL);
        assert!(!known.is_blank() && known.covered(b"a:x", &[at("a")], Cut(6)) == Covered::Void);
        for n in 0..CACHES {
            known.add(&n.to_string(), Cut(8), Area::ALL);
        }
        assert!(!known.is_blank() && !known.are_complete(["a"].into_iter()));
    }
}
