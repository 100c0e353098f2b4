//! The tag clock of the embedded store. See [`larder_core::tag`].

use std::collections::HashMap;

use bytes::Bytes;
use larder_core::store::{Pending, TagStore};
use larder_core::tag::{Cut, Tags};
use parking_lot::Mutex;

use super::Embedded;

/// Tags remembered one by one. With more, all are forgotten, which makes entries void and nothing
/// else.
const REMEMBERED: usize = 1 << 20;

#[derive(Default)]
pub(super) struct TagClock(Mutex<Numbers>);

#[derive(Default)]
struct Numbers {
    clock: u64,
    numbers: HashMap<Bytes, u64>,
}

impl TagClock {
    /// Starts, or after a loss starts again, beyond every number given before `now_us`.
    pub(super) fn start(&self, now_us: u64) {
        let mut numbers = self.0.lock();
        numbers.clock = now_us;
        numbers.numbers.clear();
    }

    pub(super) fn cut(&self) -> Cut {
        Cut(self.0.lock().clock)
    }

    /// Invalidates a tag; gives its new number.
    pub(super) fn bump(&self, tag: &[u8], now_us: u64) -> u64 {
        let mut numbers = self.0.lock();
        numbers.clock = (numbers.clock + 1).max(now_us);
        let number = numbers.clock;
        if numbers.numbers.len() >= REMEMBERED {
            numbers.numbers.clear();
        }
        numbers.numbers.insert(Bytes::copy_from_slice(tag), number);
        number
    }

    fn number(&self, tag: &Bytes) -> Cut {
        let numbers = self.0.lock();
        Cut(numbers.numbers.get(tag).copied().unwrap_or(numbers.clock))
    }

    /// Whether none of the tags was invalidated after `cut`. Tags of which nothing was known are
    /// from now on: else the next invalidation of any tag would raise them too.
    pub(super) fn allows(&self, tags: &Tags, cut: Cut) -> bool {
        let mut numbers = self.0.lock();
        let clock = numbers.clock;
        let mut number = |tag: &Bytes| match numbers.numbers.get(tag) {
            Some(number) => *number,
            None => {
                numbers.numbers.insert(Bytes::copy_from_slice(tag), clock);
                clock
            }
        };
        // All of them, not only up to the first that is too new.
        let newer = tags.keys().iter().filter(|tag| number(tag) > cut.0).count();
        newer == 0
    }

    /// Where the clock stands, for a record with these tags that is valid from now on.
    pub(super) fn cut_for(&self, tags: &Tags) -> Cut {
        if tags.is_empty() {
            return Cut::default();
        }
        let cut = self.cut();
        self.allows(tags, cut);
        cut
    }
}

impl TagStore for Embedded {
    fn tags<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Cut>> {
        Pending::ready(Ok(keys
            .iter()
            .map(|key| self.inner.tags.number(key))
            .collect()))
    }
}
