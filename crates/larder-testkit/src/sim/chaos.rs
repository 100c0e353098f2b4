//! Disasters in the middle of a run: cut links, nodes that stand still, a store that loses some or
//! all of what it has, a log that forgets, and what else can happen to a server. Two run beside
//! each other, so that they also meet.

mod nodes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder_core::runtime::Runtime;
use larder_core::space::system_key;
use tokio::sync::mpsc;

use super::remote::{Remote, is_system};
use super::{Beyond, Cut, Fault, Random, Setup, World};
use crate::simredis::{SimRedis, Writes};

/// Disasters under way at the same time.
const AT_ONCE: usize = 2;
/// The longest outage of a link and the longest pause of a node, in milliseconds: well beyond Δ.
const OUTAGE: u64 = 2_500;
const PAUSE: u64 = 3_000;
/// By how much a clock is usually set, at most, in milliseconds; and by how much now and then.
const STEP: u64 = 5_000;
const GREAT_STEP: u64 = 3_600_000;
/// The longest time for which a server is full or takes no changes, in milliseconds.
const REFUSAL: u64 = 1_500;
/// The oldest dump, and the greatest lag of a replica, in milliseconds.
const AGE: u64 = 4_000;
const LAG: u64 = 500;

/// Disasters under way.
pub(super) struct Chaos {
    stop: Arc<AtomicBool>,
    ended: mpsc::UnboundedReceiver<()>,
}

/// Lets disasters happen to `world` until they are stopped.
pub(super) fn start(world: &Arc<World>, setup: Setup) -> Chaos {
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
                strike(&world, &mut random, setup).await;
            }
            drop(done);
        }));
    }
    Chaos { stop, ended }
}

async fn strike(world: &Arc<World>, random: &mut Random, setup: Setup) {
    let beyond = setup.beyond;
    if let Remote::Mesh(nodes) = &world.store {
        return nodes::strike(world, nodes, random, setup).await;
    }
    if let Remote::Redis(server) = &world.store
        && random.below(3) == 0
    {
        return strike_server(world, server, random, beyond).await;
    }
    let (runtime, journal) = (&world.runtime, &world.journal);
    let may_forget = beyond.repeats || !world.store.needs_its_memory();
    match random.below(12) {
        0 if may_forget => {
            world.befall(Fault::Restart, "the store restarts empty");
            world.store.restart_empty();
        }
        0..3 => {
            world.befall(Fault::Trim, "the log is trimmed");
            world.store.trim_log(random.below(4));
        }
        3 | 4 => {
            world.befall(Fault::Evict, "the store evicts some keys and leases");
            // Records and leases are drawn apart: a key may lose either one.
            world.store.evict(|| random.per_mille(500));
        }
        5 | 6 => {
            let node = random.below(world.count() as u64) as usize;
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

/// What happens to servers only.
async fn strike_server(world: &World, server: &SimRedis, random: &mut Random, beyond: Beyond) {
    let stays = (!beyond.repeats && world.store.needs_its_memory()).then(|| system_key("shard"));
    let stays = |key: &[u8]| stays.as_deref() == Some(key);
    match random.below(if beyond.rewinds { 11 } else { 9 }) {
        0..2 => {
            world.befall(Fault::EvictSystem, "the server evicts some system keys");
            server.evict(|key| is_system(key) && random.per_mille(500) && !stays(key));
        }
        2 => {
            world.befall(Fault::EvictAny, "the server evicts some of everything");
            server.evict(|key| random.per_mille(500) && !stays(key));
        }
        3..7 => {
            let is_great = random.per_mille(100);
            let most = if is_great { GREAT_STEP } else { STEP };
            let by = 1 + random.below(most).cast_signed();
            if random.per_mille(500) || !(beyond.repeats || world.store.remembers()) {
                world.befall(Fault::ClockForward, "the server's clock is set forward");
                server.step_clock(by);
            } else {
                world.befall(Fault::ClockBack, "the server's clock is set back");
                server.step_clock(-by);
            }
        }
        7 => {
            world.befall(Fault::Full, "the server is full");
            server.set_full(true);
            world.wait(random.below(REFUSAL)).await;
            server.set_full(false);
            world.tell("the server has memory again");
        }
        8 => {
            world.befall(Fault::ReadOnly, "the server takes no changes");
            let kinds = [Writes::Replica, Writes::NoReplicas];
            server.set_writes(kinds[random.below(2) as usize]);
            world.wait(random.below(REFUSAL)).await;
            server.set_writes(Writes::Allowed);
            world.tell("the server takes changes again");
        }
        9 => {
            world.tell("the server is dumped");
            let dump = server.dump();
            world.wait(random.below(AGE)).await;
            world.befall(Fault::OldDump, "the server is started from the dump");
            server.restart(&dump);
        }
        _ => {
            world.tell("a replica begins to lag behind");
            let copy = server.dump();
            world.wait(random.below(LAG)).await;
            world.befall(Fault::Promoted, "the replica takes the server's place");
            server.restart(&copy);
        }
    }
}

impl World {
    fn tell(&self, text: &'static str) {
        self.journal.note(self.runtime.now(), || text.to_owned());
    }

    fn befall(&self, fault: Fault, text: &'static str) {
        self.journal.fault(fault);
        self.tell(text);
    }

    pub(super) async fn wait(&self, ms: u64) {
        self.runtime.sleep(Duration::from_millis(ms)).await;
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
