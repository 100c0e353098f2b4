//! Disasters in the middle of a run: cut links, nodes that stand still, a store that loses some or
//! all of what it has, a log that forgets. Two run beside each other, so that they also meet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder_core::runtime::Runtime;
use tokio::sync::mpsc;

use super::{Cut, Fault, Random, World};

/// Disasters under way at the same time.
const AT_ONCE: usize = 2;
/// The longest outage of a link and the longest pause of a node, in milliseconds: well beyond Δ.
const OUTAGE: u64 = 2_500;
const PAUSE: u64 = 3_000;

/// Disasters under way.
pub(super) struct Chaos {
    stop: Arc<AtomicBool>,
    ended: mpsc::UnboundedReceiver<()>,
}

/// Lets disasters happen to `world` until they are stopped.
pub(super) fn start(world: &Arc<World>) -> Chaos {
    let stop = Arc::<AtomicBool>::default();
    let (done, ended) = mpsc::unbounded_channel::<()>();
    for _ in 0..AT_ONCE {
        let (world, stopped, done) = (world.clone(), stop.clone(), done.clone());
        let runtime = world.runtime.clone();
        let mut random = runtime.fork_random();
        runtime.spawn(Box::pin(async move {
            while !stopped.load(Ordering::Relaxed) {
                let pause = Duration::from_millis(random.below(400));
                world.runtime.sleep(pause).await;
                strike(&world, &mut random).await;
            }
            drop(done);
        }));
    }
    Chaos { stop, ended }
}

async fn strike(world: &World, random: &mut Random) {
    let (runtime, journal) = (&world.runtime, &world.journal);
    let note = |text: &'static str| journal.note(runtime.now(), || text.to_owned());
    match random.below(12) {
        0 => {
            journal.fault(Fault::Restart);
            note("the store restarts empty");
            world.store.restart_empty();
        }
        1 | 2 => {
            journal.fault(Fault::Trim);
            note("the log is trimmed");
            world.store.trim_log(random.below(4) as usize);
        }
        3 | 4 => {
            journal.fault(Fault::Evict);
            note("the store evicts some keys and leases");
            // Records and leases are drawn apart: a key may lose either one.
            world.store.evict(|| random.per_mille(500));
        }
        5 | 6 => {
            let node = random.below(world.nodes.len() as u64) as usize;
            journal.fault(Fault::Pause);
            journal.note(runtime.now(), || format!("node {node} stands still"));
            runtime.freeze(node);
            let pause = Duration::from_millis(random.below(PAUSE));
            runtime.sleep(pause).await;
            journal.note(runtime.now(), || format!("node {node} goes on"));
            runtime.thaw(node);
        }
        _ => {
            let link = &world.links[random.below(world.links.len() as u64) as usize];
            let ways = [Cut::Requests, Cut::Replies, Cut::Both, Cut::Pushes];
            link.cut(ways[random.below(4) as usize]);
            let outage = Duration::from_millis(random.below(OUTAGE));
            runtime.sleep(outage).await;
            link.cut(Cut::Nothing);
        }
    }
}

impl Chaos {
    /// Ends the disasters.
    pub(super) async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Nothing is ever sent: this waits until all have ended.
        let _ = self.ended.recv().await;
    }
}
