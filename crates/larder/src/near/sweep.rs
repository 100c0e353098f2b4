//! Releases expired and void entries of the near cache in the background: every second, and when
//! much has become void at once.
//!
//! The walk takes the map's read lock for one entry at a time, so readers never wait for it, and
//! it pauses after some entries, so that a worker thread has time for others.

use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::select;
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
    let woken = near.sweep.clone();
    let clock = runtime.clone();
    runtime.spawn(Box::pin(async move {
        loop {
            select(clock.sleep(REST), pin!(woken.notified())).await;
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
            let cause = match entry.freshness(now) {
                _ if near.is_void(&entry) => Cause::Explicit,
                _ if entry.says_nothing(now) => continue,
                Freshness::Expired => Cause::Expired,
                Freshness::Fresh | Freshness::Stale => continue,
            };
            let same = |other: &Arc<_>| Arc::ptr_eq(other, &entry);
            if let Some((_, entry)) = map.remove_if(&hash, same) {
                near.reporter.report(entry, cause);
            }
        }
        clock.sleep(PAUSE).await;
    }
}
