//! What came of locks, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of the locks of one process since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockStats {
    /// Locks that were taken.
    pub acquired: u64,
    /// Requests that ended without the lock, because somebody else had it all the time.
    pub taken: u64,
    /// Requests that had to wait, whether they got the lock or not.
    pub waited: u64,
    /// Times that a lock was made to last longer.
    pub renewed: u64,
    /// Locks that were given back in time.
    pub released: u64,
    /// Locks that their holders lost: they ended, or the store could not vouch for them any more,
    /// before they were given back.
    pub lost: u64,
}

#[derive(Default)]
pub(super) struct LockCounts {
    pub(super) acquired: AtomicU64,
    pub(super) taken: AtomicU64,
    pub(super) waited: AtomicU64,
    pub(super) renewed: AtomicU64,
    pub(super) released: AtomicU64,
    pub(super) lost: AtomicU64,
}

impl LockCounts {
    pub(super) fn stats(&self) -> LockStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LockStats {
            acquired: get(&self.acquired),
            taken: get(&self.taken),
            waited: get(&self.waited),
            renewed: get(&self.renewed),
            released: get(&self.released),
            lost: get(&self.lost),
        }
    }
}
