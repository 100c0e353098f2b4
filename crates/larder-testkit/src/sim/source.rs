//! The source of truth: each write of a key gives it a greater number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// A source whose values grow with each write, so that "older" is "smaller". Every key
/// begins at 1.
#[derive(Clone, Default)]
pub struct Source(Arc<Mutex<BTreeMap<u64, u64>>>);

impl Source {
    fn rows(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.0.lock().expect("no row operation panics")
    }

    /// What the key holds now.
    pub fn read(&self, key: u64) -> u64 {
        self.rows().get(&key).copied().unwrap_or(1)
    }

    /// Commits the key's next value, and gives it.
    pub fn write(&self, key: u64) -> u64 {
        let mut rows = self.rows();
        let value = rows.entry(key).or_insert(1);
        *value += 1;
        *value
    }
}
