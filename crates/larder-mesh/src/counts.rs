//! What a mesh has refused and cut off, counted; and what of it was said already.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// LIMIT: remembered sayings. When they are full all are forgotten, and may be said once more.
const MAX_SAID: usize = 256;

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
    said: Mutex<BTreeMap<String, String>>,
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

    /// Whether this is news about somebody: not what was said of them last.
    pub(crate) fn is_news(&self, whom: &str, what: &str) -> bool {
        let mut said = self.said.lock();
        if said.get(whom).is_some_and(|last| last == what) {
            return false;
        }
        if said.len() >= MAX_SAID {
            said.clear();
        }
        said.insert(whom.to_owned(), what.to_owned());
        true
    }

    /// All is well with them: the next trouble is news.
    pub(crate) fn is_well(&self, whom: &str) {
        self.said.lock().remove(whom);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_until_something_else_happens() {
        let book = Book::default();
        assert!(book.is_news("a", "no"));
        assert!(!book.is_news("a", "no"));
        assert!(book.is_news("b", "no"));
        assert!(book.is_news("a", "never"));
        book.is_well("a");
        assert!(book.is_news("a", "never"));
        for n in 0..1_000 {
            book.is_news(&n.to_string(), "no");
        }
        assert!(book.said.lock().len() <= MAX_SAID);
    }
}
