//! Loads of this cache that wait for a lease which another process holds, and what wakes them before
//! they would ask again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
// Not those of `sync`: no promise hangs on who is woken when, and what is let go of at the end of a
// broken order of threads must not ask its scheduler.
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// By the hash of the key: two keys of one hash wake each other, which is harmless. In order, so that
/// a simulation wakes them in the same one each time.
#[derive(Default)]
pub(crate) struct Waiters {
    waiting: Mutex<BTreeMap<u64, Waited>>,
    hears: AtomicBool,
}

struct Waited {
    free: Arc<Notify>,
    count: usize,
}

/// A load that is woken, until this is dropped.
pub(super) struct Waiting<'a> {
    waiters: &'a Waiters,
    key: u64,
    pub(super) free: Arc<Notify>,
}

/// Messages arrive, until this is dropped.
pub(crate) struct Hearing(Arc<Waiters>);

impl Waiters {
    /// Enters one that waits. What [`Notify::notified`] gives misses nothing from then on.
    pub(super) fn enter(&self, key: u64) -> Waiting<'_> {
        let mut waiting = self.waiting.lock();
        let waited = waiting.entry(key).or_insert_with(|| Waited {
            free: Arc::default(),
            count: 0,
        });
        waited.count += 1;
        let free = waited.free.clone();
        drop(waiting);
        Waiting {
            waiters: self,
            key,
            free,
        }
    }

    /// Whether somebody tells of free leases now. A message may get lost all the same.
    pub(super) fn hears(&self) -> bool {
        self.hears.load(Ordering::Relaxed)
    }

    /// Messages arrive from now on.
    pub(crate) fn hear(self: &Arc<Self>) -> Hearing {
        self.hears.store(true, Ordering::Relaxed);
        Hearing(self.clone())
    }

    /// The lease of a key may be free.
    pub(crate) fn wake(&self, key: u64) {
        if let Some(waited) = self.waiting.lock().get(&key) {
            waited.free.notify_waiters();
        }
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.0.hears.store(false, Ordering::Relaxed);
        // Nobody tells them any more.
        for waited in self.0.waiting.lock().values() {
            waited.free.notify_waiters();
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiters.waiting.lock();
        if let Entry::Occupied(mut waited) = waiting.entry(self.key) {
            waited.get_mut().count -= 1;
            if waited.get().count == 0 {
                waited.remove();
            }
        }
    }
}
