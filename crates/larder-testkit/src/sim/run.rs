//! How a run goes: the tasks of the workload are started, on a node that has died again, disasters
//! happen meanwhile, and at the end nothing goes wrong any more.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use larder_core::runtime::Runtime;
use tokio::sync::mpsc;

use super::workload::HELD;
use super::{Journal, Report, Setup, Violation, World, chaos, simulate};

impl World {
    /// Starts the tasks of all nodes. Each sends the number of its errors when it has ended.
    fn start(self: &Arc<World>, setup: Setup) -> mpsc::UnboundedReceiver<u64> {
        let (done, ended) = mpsc::unbounded_channel();
        for node in 0..setup.nodes {
            self.start_tasks(node, setup, &done);
        }
        *self.ending.lock().expect(HELD) = Some(done.downgrade());
        ended
    }

    /// Starts the tasks of a node again, after its death, unless there are none under way anywhere.
    pub(super) fn start_again(self: &Arc<World>, node: usize, setup: Setup) {
        let ending = self.ending.lock().expect(HELD).clone();
        if let Some(done) = ending.and_then(|ending| ending.upgrade()) {
            self.start_tasks(node, setup, &done);
        }
    }

    fn start_tasks(
        self: &Arc<World>,
        node: usize,
        setup: Setup,
        done: &mpsc::UnboundedSender<u64>,
    ) {
        let runtime = self.clock(node);
        for task in 0..self.left[node].len() {
            let (world, done, clock) = (self.clone(), done.clone(), runtime.clone());
            let own = world.owned(node, task, setup);
            let mut random = runtime.fork_random();
            runtime.spawn(Box::pin(async move {
                let mut errors = 0;
                while world.goes_on(node, task) {
                    errors += u64::from(!world.step((node, own), setup, &mut random).await);
                    let rest = setup.rest.as_nanos() as u64;
                    let rest = Duration::from_nanos(random.below(rest.max(1)));
                    clock.sleep(rest).await;
                }
                let _ = done.send(errors);
            }));
        }
    }

    /// Takes one of the operations that a task has left.
    fn goes_on(&self, node: usize, task: usize) -> bool {
        let left = &self.left[node][task];
        let one_less = |left: usize| left.checked_sub(1);
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok()
    }

    /// Runs one seed of the random workload.
    pub fn run(seed: u64, setup: Setup, journal: Journal) -> Result<Report, Violation> {
        simulate(seed, move |runtime| async move {
            let world = Arc::new(World::new(runtime, setup, journal).await);
            world.meet().await;
            world.follow_all();
            let mut ended = world.start(setup);
            let chaos = setup.chaos.then(|| chaos::start(&world, setup));
            let mut errors = 0;
            while let Some(more) = ended.recv().await {
                errors += more;
            }
            if let Some(chaos) = chaos {
                chaos.stop().await;
            }
            world.calm().await;
            if setup.outbox {
                world.hold_the_dead(setup).await;
            }
            world.follow_no_more();
            world.converge(setup).await;
            world.report(errors)
        })
    }
}
