//! Releases expired entries of the near cache in the background.
//!
//! The walk takes the map's read lock for one entry at a time, so readers never wait for it, and
//! it pauses after some entries, so that a worker thread has time for others.

use std::sync::{Arc, Weak};
use std::time::Duration;

use larder_core::freshness::Freshness;
use larder_core::runtime::Runtime;

use super::{Cause, Near};

/// Between two walks.
const REST: Duration = Duration::from_secs(1);
/// Entries looked at in one go: some tens of microseconds.
const STEP: usize = 1024;
/// Between two goes.
const PAUSE: Duration = Duration::from_millis(2);

pub(super) fn start<V: Send + Sync + 'static>(near: &Arc<Near<V>>, runtime: &Arc<dyn Runtime>) {
    let weak = Arc::downgrade(near);
    let clock = runtime.clone();
    runtime.spawn(Box::pin(async move {
        loop {
            clock.sleep(REST).await;
            let Some(near) = Weak::upgrade(&weak) else {
                return;
            };
            walk(&near, &*clock).await;
        }
    }));
}

async fn walk<V: Send + Sync + 'static>(near: &Near<V>, clock: &dyn Runtime) {
    let Some(map) = &near.map else { return };
    let mut entries = map.iter();
    loop {
        let now = clock.now();
        for _ in 0..STEP {
            let Some((hash, entry)) = entries.next() else {
                return;
            };
            let is_void = entry.generation() != near.view.generation() || !entry.are_tags_valid();
            if !is_void && entry.freshness(now) != Freshness::Expired {
                continue;
            }
            let same = |other: &Arc<_>| Arc::ptr_eq(other, &entry);
            if let Some((_, entry)) = map.remove_if(&hash, same) {
                near.reporter.report(entry, Cause::Expired);
            }
        }
        clock.sleep(PAUSE).await;
    }
}
