//! What a mesh has refused and cut off, counted; and what of it was said already.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use larder_core::Mono;
use parking_lot::Mutex;

/// LIMIT: sayings that are remembered. Beyond it nothing new is said until they are forgotten, so
/// that nobody can fill a log from many addresses; the counts go on.
const MAX_SAID: usize = 256;

/// How long what was said is not repeated.
const REPEATED_AFTER: Duration = Duration::from_secs(3_600);

/// Counts since the start, by reason.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Connections that were refused by this node or by the other, before they were links.
    pub refused: BTreeMap<&'static str, u64>,
    /// Links that ended.
    pub down: BTreeMap<&'static str, u64>,
}

/// The counters, and what was said.
#[derive(Default)]
pub(crate) struct Book {
    counts: Mutex<Counts>,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    since: Mono,
    what: BTreeSet<(String, String)>,
}

impl Book {
    pub(crate) fn refused(&self, reason: &'static str) {
        *self.counts.lock().refused.entry(reason).or_default() += 1;
    }

    pub(crate) fn down(&self, reason: &'static str) {
        *self.counts.lock().down.entry(reason).or_default() += 1;
    }

    pub(crate) fn read(&self) -> Counts {
        self.counts.lock().clone()
    }

    /// Whether this is to be said of somebody: it was not said of them before.
    pub(crate) fn is_news(&self, whom: &str, what: &str, now: Mono) -> bool {
        let mut said = self.said.lock();
        if now.since(said.since) >= REPEATED_AFTER {
            said.what.clear();
            said.since = now;
        }
        let has_room = said.what.len() < MAX_SAID;
        has_room && said.what.insert((whom.to_owned(), what.to_owned()))
    }

    /// All is well with them: the next trouble is news.
    pub(crate) fn is_well(&self, whom: &str) {
        self.said.lock().what.retain(|(who, _)| who != whom);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_until_all_is_well_or_an_hour_is_over() {
        let book = Book::default();
        let at = |seconds: u64| Mono(seconds * 1_000_000_000);
        assert!(book.is_news("a", "no", at(0)) && book.is_news("a", "never", at(0)));
        assert!(!book.is_news("a", "no", at(1)) && !book.is_news("a", "never", at(1)));
        assert!(book.is_news("b", "no", at(1)));
        book.is_well("a");
        assert!(book.is_news("a", "no", at(2)) && !book.is_news("b", "no", at(2)));
        assert!(book.is_news("b", "no", at(3_600)));
    }

    #[test]
    fn a_crowd_of_strangers_does_not_fill_the_log() {
        let book = Book::default();
        let said = (0..10_000).filter(|n: &u32| book.is_news(&n.to_string(), "no", Mono(0)));
        assert_eq!(said.count(), MAX_SAID);
    }
}
