//! Disasters in the middle of a run: cut links, a store that loses everything, a log that forgets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use larder_core::runtime::Runtime;
use tokio::sync::oneshot;

use super::{Cut, World};

/// Disasters under way.
pub(super) struct Chaos {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    ended: oneshot::Receiver<()>,
}

/// Lets disasters happen to `world` until they are stopped.
pub(super) fn start(world: &Arc<World>) -> Chaos {
    let (stop, count) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let (done, ended) = oneshot::channel();
    let (world, stopped, counted) = (world.clone(), stop.clone(), count.clone());
    let runtime = world.runtime.clone();
    runtime.spawn(Box::pin(async move {
        let mut random = world.runtime.fork_random();
        while !stopped.load(Ordering::Relaxed) {
            let pause = Duration::from_millis(random.below(400));
            world.runtime.sleep(pause).await;
            counted.fetch_add(1, Ordering::Relaxed);
            match random.below(10) {
                0 => world.store.restart_empty(),
                1 | 2 => world.store.trim_log(random.below(4) as usize),
                _ => {
                    let link = &world.links[random.below(world.links.len() as u64) as usize];
                    let ways = [Cut::Requests, Cut::Replies, Cut::Both, Cut::Pushes];
                    link.cut(ways[random.below(4) as usize]);
                    let outage = Duration::from_millis(random.below(2_500));
                    world.runtime.sleep(outage).await;
                    link.cut(Cut::Nothing);
                }
            }
        }
        let _ = done.send(());
    }));
    Chaos { stop, count, ended }
}

impl Chaos {
    /// Ends the disasters, and gives their number.
    pub(super) async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.ended.await;
        self.count.load(Ordering::Relaxed)
    }
}
