//! Releases the memory of expired records in the background, a few shards at a time.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Inner;

/// Between two steps.
const PAUSE: Duration = Duration::from_millis(50);
/// Steps of a whole round, which takes about five seconds.
const STEPS: usize = 100;

pub(super) fn start(inner: &Arc<Inner>) {
    let weak = Arc::downgrade(inner);
    let runtime = inner.runtime.clone();
    inner.runtime.spawn(Box::pin(async move {
        let (mut at, mut step) = (0, 0_usize);
        loop {
            runtime.sleep(PAUSE).await;
            let Some(inner) = Weak::upgrade(&weak) else {
                return;
            };
            let shards = inner.shards.len();
            for _ in 0..shards.div_ceil(STEPS) {
                inner.sweep(at);
                at = (at + 1) % shards;
            }
            step += 1;
            if step % STEPS == 0 {
                let now = inner.now();
                inner.locks.sweep(now);
                inner.meters.sweep(now);
            }
        }
    }));
}

impl Inner {
    fn sweep(&self, shard: usize) {
        let now = self.now();
        let mut shard = self.shards[shard].lock();
        if !shard.leases.is_empty() {
            shard.revoke_if(|lease| lease.until <= now);
        }
        if shard.expiring() > 0 {
            let expired = shard.remove_if(|slot| !slot.is_live(now));
            self.expired.fetch_add(expired as u64, Ordering::Relaxed);
        }
    }
}
