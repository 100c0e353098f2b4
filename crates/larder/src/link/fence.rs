//! Whether near copies may be used, as a state that people can follow: a line when it ends, a line
//! when it is back, and the time in between.

use futures_util::future::{Either, select};
use larder_core::runtime::{Mono, Runtime};

use super::Link;

/// Whether the lease of the near cache stands.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Fence {
    /// Nobody has vouched for near copies yet.
    #[default]
    Joining,
    Leased,
    Fenced,
}

impl<V: Send + Sync + 'static> Link<V> {
    /// Does `work`, and notices when the lease ends meanwhile.
    pub(super) async fn watch<T>(&self, runtime: &dyn Runtime, work: impl Future<Output = T>) -> T {
        let mut work = Box::pin(work);
        loop {
            let left = self.look(runtime.now());
            if left == Mono(0) {
                // There is nothing more to notice until it is done.
                let done = work.await;
                self.look(runtime.now());
                return done;
            }
            let end = runtime.sleep(left.since(runtime.now()));
            match select(work, end).await {
                Either::Left((done, _)) => {
                    self.look(runtime.now());
                    return done;
                }
                Either::Right(((), unfinished)) => work = unfinished,
            }
        }
    }

    /// Says what has changed; gives the end of the lease, or 0 while there is none.
    fn look(&self, now: Mono) -> Mono {
        let Some(engine) = self.engine.upgrade() else {
            return Mono(0);
        };
        if !engine.coherence.is_followed() {
            return Mono(0);
        }
        let until = self.lane.lock().lease_until();
        let (cache, counts) = (engine.name.as_str(), &engine.counts.bus);
        let mut fence = self.fence.lock();
        let is_leased = now < until;
        match (*fence, is_leased) {
            (Fence::Leased, false) => {
                *fence = Fence::Fenced;
                // A lane that begins anew has no lease at all.
                counts.fence(if until == Mono(0) { now } else { until });
                tracing::warn!(
                    cache,
                    "bus: fenced: nobody vouches for near copies any more, and they are not used"
                );
            }
            (Fence::Fenced, true) => {
                *fence = Fence::Leased;
                let fenced = counts.resume(now);
                tracing::info!(
                    cache,
                    fenced_ms = fenced.as_millis(),
                    "bus: resumed: near copies are used again"
                );
            }
            (Fence::Joining, true) => *fence = Fence::Leased,
            (Fence::Joining | Fence::Fenced, false) | (Fence::Leased, true) => {}
        }
        if is_leased { until } else { Mono(0) }
    }
}
