//! Which loads under way have looked at which keys, so that nobody joins one whose value will be
//! made from what has changed since.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use ::bytes::Bytes;
use larder_core::area::Area;
use larder_core::tag::depended_on;
use smallvec::SmallVec;

use super::Reads;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};

type Loads = HashMap<Bytes, SmallVec<[Weak<Reads>; 1]>>;

/// The loads in the scope of which keys were looked at, by the dependency on the key. A load is noted
/// before it looks, and stays until it has ended.
#[derive(Default)]
pub(crate) struct Touched {
    loads: Mutex<Loads>,
    /// How many keys there are: changes need not take the lock for nothing.
    keys: AtomicUsize,
}

impl Touched {
    pub(super) fn add(&self, dependency: Bytes, reads: &Arc<Reads>) {
        let mut loads = self.loads.lock();
        loads
            .entry(dependency)
            .or_default()
            .push(Arc::downgrade(reads));
        self.keys.store(loads.len(), Ordering::SeqCst);
    }

    pub(super) fn remove(&self, dependency: &Bytes, reads: *const Reads) {
        let mut loads = self.loads.lock();
        if let Some(noted) = loads.get_mut(dependency) {
            noted.retain(|other| other.strong_count() > 0 && other.as_ptr() != reads);
            if noted.is_empty() {
                loads.remove(dependency);
            }
        }
        self.keys.store(loads.len(), Ordering::SeqCst);
    }

    /// A key was changed.
    pub(crate) fn changed(&self, dependency: &Bytes) {
        if self.is_empty() {
            return;
        }
        let loads = self.loads.lock();
        let noted = loads.get(dependency).into_iter().flatten();
        void(noted.filter_map(Weak::upgrade).collect(), loads);
    }

    /// An area of the cache whose keys begin so was invalidated.
    pub(crate) fn voided(&self, prefix: &[u8], area: &Area) {
        if self.is_empty() {
            return;
        }
        let loads = self.loads.lock();
        let is_covered = |dependency: &Bytes| {
            let key = depended_on(dependency).and_then(|key| key.strip_prefix(prefix));
            key.is_some_and(|key| area.covers(key))
        };
        let covered = loads
            .iter()
            .filter(|(dependency, _)| is_covered(dependency));
        let noted = covered.flat_map(|(_, noted)| noted);
        void(noted.filter_map(Weak::upgrade).collect(), loads);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.load(Ordering::SeqCst) == 0
    }
}

/// Lets go of the lock first: a load that has ended meanwhile ends here, and takes itself off the list.
fn void(noted: SmallVec<[Arc<Reads>; 2]>, loads: MutexGuard<'_, Loads>) {
    drop(loads);
    noted.iter().for_each(|reads| reads.void());
}
