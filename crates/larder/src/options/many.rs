//! How many keys are loaded at once.

use std::time::Duration;

use super::LoadOptions;

/// Keys of one call of a loader, where nothing else is said.
const CHUNK: usize = 1_000;

/// How one call loads many keys, where it differs from the cache's settings. See
/// [`get_or_load_many_with`](crate::Cache::get_or_load_many_with).
#[derive(Clone, Debug)]
#[must_use]
pub struct ManyOptions {
    pub(crate) chunk: usize,
    soft: Option<Duration>,
    hard: Option<Duration>,
    wait: Option<Duration>,
}

impl Default for ManyOptions {
    fn default() -> ManyOptions {
        ManyOptions::new()
    }
}

impl ManyOptions {
    /// The cache's settings, and 1,000 keys for each call of the loader.
    pub fn new() -> ManyOptions {
        ManyOptions {
            chunk: CHUNK,
            soft: None,
            hard: None,
            wait: None,
        }
    }

    /// The most keys that the loader is given at once. With more it is called several times, side by
    /// side. Zero counts as one. Default: 1,000.
    pub fn chunk(mut self, keys: usize) -> ManyOptions {
        self.chunk = keys.max(1);
        self
    }

    /// As [`Timeouts::soft`](crate::Timeouts::soft), for each key.
    pub fn soft_timeout(mut self, soft: Duration) -> ManyOptions {
        self.soft = Some(soft);
        self
    }

    /// As [`Timeouts::hard`](crate::Timeouts::hard), for each key.
    pub fn hard_timeout(mut self, hard: Duration) -> ManyOptions {
        self.hard = Some(hard);
        self
    }

    /// As [`Timeouts::wait`](crate::Timeouts::wait), for each key.
    pub fn wait(mut self, wait: Duration) -> ManyOptions {
        self.wait = Some(wait);
        self
    }

    pub(crate) fn each<V>(&self) -> LoadOptions<V> {
        LoadOptions {
            soft: self.soft,
            hard: self.hard,
            wait: self.wait,
            default: None,
        }
    }
}
