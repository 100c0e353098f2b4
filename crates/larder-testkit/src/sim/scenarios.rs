//! The races on keys, K01 to K06 of the conformance scenarios, each as two or three tasks whose
//! order and timing the seed decides.

use std::sync::Arc;
use std::time::Duration;

use larder_core::runtime::Runtime;

use super::workload::Loading;
use super::{Beyond, Faults, Journal, Report, Setup, Shared, Violation, World, simulate};

/// The key that all scenarios fight for.
const KEY: u64 = 7;
/// Node A has a near cache; node B has none.
const A: usize = 0;
const B: usize = 1;

/// One race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Its number and claim.
    pub name: &'static str,
    first: Step,
    second: Step,
    before: Before,
    /// Whether node A has a near cache and nothing else, and there is no other node.
    alone: bool,
}

/// The fresh life in races with refreshes.
const SHORT: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Load(usize),
    FailingLoad(usize),
    Get(usize),
    Invalidate(usize),
    Insert(usize),
    Expire(usize),
}

/// What lies in the remote tier before the race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    Value,
    Stale,
    /// The value is old enough to be refreshed.
    Due,
    /// Its fresh life is over, and it may be served while it is refreshed.
    Overdue,
}

/// All of them. K05 races the load that replaces an expired value, and its failure, which may serve
/// that value; and the refreshes behind values that are still served.
pub const SCENARIOS: &[Scenario] = &[
    race(
        "K01 load against remove",
        Step::Load(A),
        Step::Invalidate(A),
        Before::Nothing,
    ),
    race(
        "K02 load against set",
        Step::Load(A),
        Step::Insert(A),
        Before::Nothing,
    ),
    race(
        "K03 load against expire",
        Step::Load(A),
        Step::Expire(A),
        Before::Nothing,
    ),
    race(
        "K04 promotion against remove",
        Step::Get(A),
        Step::Invalidate(A),
        Before::Value,
    ),
    race(
        "K04 promotion against set",
        Step::Get(A),
        Step::Insert(A),
        Before::Value,
    ),
    race(
        "K05 refresh against remove",
        Step::Load(A),
        Step::Invalidate(A),
        Before::Stale,
    ),
    race(
        "K05 failing refresh against remove",
        Step::FailingLoad(A),
        Step::Invalidate(A),
        Before::Stale,
    ),
    race(
        "K05 eager refresh against remove",
        Step::Load(A),
        Step::Invalidate(A),
        Before::Due,
    ),
    race(
        "K05 eager refresh against remove on another node",
        Step::Load(A),
        Step::Invalidate(B),
        Before::Due,
    ),
    race(
        "K05 eager refresh against set",
        Step::Load(A),
        Step::Insert(A),
        Before::Due,
    ),
    race(
        "K05 refresh behind a stale value against remove",
        Step::Load(A),
        Step::Invalidate(A),
        Before::Overdue,
    ),
    race(
        "K05 failing refresh behind a stale value against remove",
        Step::FailingLoad(A),
        Step::Invalidate(A),
        Before::Overdue,
    ),
    race(
        "K06 remove on another node while loading",
        Step::Load(A),
        Step::Invalidate(B),
        Before::Nothing,
    ),
    race(
        "K06 set on another node while loading",
        Step::Load(A),
        Step::Insert(B),
        Before::Nothing,
    ),
    race(
        "K06 expire on another node while loading",
        Step::Load(A),
        Step::Expire(B),
        Before::Nothing,
    ),
    alone(
        "K01 load against remove, alone",
        Step::Load(A),
        Step::Invalidate(A),
    ),
    alone(
        "K02 load against set, alone",
        Step::Load(A),
        Step::Insert(A),
    ),
    alone(
        "K03 load against expire, alone",
        Step::Load(A),
        Step::Expire(A),
    ),
];

const fn race(name: &'static str, first: Step, second: Step, before: Before) -> Scenario {
    Scenario {
        name,
        first,
        second,
        before,
        alone: false,
    }
}

/// The same without a remote tier: there the near cache's own guard is all there is.
const fn alone(name: &'static str, first: Step, second: Step) -> Scenario {
    Scenario {
        alone: true,
        ..race(name, first, second, Before::Nothing)
    }
}

impl Scenario {
    /// Runs the race under one seed: both steps at once, then readers on both nodes.
    pub fn run(self, seed: u64, store: Shared, journal: Journal) -> Result<Report, Violation> {
        simulate(seed, move |runtime| async move {
            let faults = Faults {
                slow: 50,
                ..Faults::default()
            };
            let setup = Setup {
                nodes: if self.alone { 1 } else { 2 },
                keys: 1,
                tasks: 0,
                operations: 0,
                looks: 0,
                rest: Duration::ZERO,
                slow_loads: 0,
                many: 0,
                faults,
                chaos: false,
                writers_die: 0,
                outbox: false,
                beyond: Beyond::default(),
                store,
                inserts: true,
                alone: self.alone,
                refresh: matches!(self.before, Before::Due | Before::Overdue).then_some(SHORT),
            };
            let world = Arc::new(World::new(runtime.clone(), setup, journal).await);
            world.meet().await;
            self.prepare(&world).await;
            let (done, mut ended) = tokio::sync::mpsc::unbounded_channel::<()>();
            for step in [self.first, self.second] {
                let (world, done) = (world.clone(), done.clone());
                let delay = Duration::from_micros(runtime.random() % 4_000);
                runtime.spawn(Box::pin(async move {
                    world.runtime.sleep(delay).await;
                    step.take(&world).await;
                    // A reader on the heels of the acknowledgement, and one later.
                    for pause in [0, 20] {
                        world.runtime.sleep(Duration::from_millis(pause)).await;
                        for node in 0..world.count() {
                            // A near copy of A may outlive what B has done until the bus has
                            // told A; until then `World` promises nothing for it.
                            world.peek(node, KEY).await;
                            world.read(node, KEY, Duration::ZERO, Loading::Plain).await;
                        }
                    }
                    drop(done);
                }));
            }
            drop(done);
            let _ = ended.recv().await;
            world.report(0)
        })
    }

    async fn prepare(self, world: &World) {
        match self.before {
            Before::Nothing => {}
            Before::Value => {
                world.read(B, KEY, Duration::ZERO, Loading::Plain).await;
            }
            Before::Stale => {
                world.read(B, KEY, Duration::ZERO, Loading::Plain).await;
                world.expire(B, KEY).await;
            }
            Before::Due | Before::Overdue => {
                let is_due = self.before == Before::Due;
                world.read(A, KEY, Duration::ZERO, Loading::Plain).await;
                let age = if is_due { SHORT / 2 } else { SHORT };
                world.runtime.sleep(age).await;
            }
        }
    }
}

impl Step {
    async fn take(self, world: &World) {
        let pause = Duration::from_micros(world.runtime.random() % 3_000);
        match self {
            Step::Load(node) => world.read(node, KEY, pause, Loading::Plain).await,
            Step::FailingLoad(node) => world.read(node, KEY, pause, Loading::Fails).await,
            Step::Get(node) => world.peek(node, KEY).await,
            Step::Invalidate(node) => world.invalidate(node, KEY).await,
            Step::Insert(node) => world.insert(node, KEY).await,
            Step::Expire(node) => world.expire(node, KEY).await,
        };
    }
}
