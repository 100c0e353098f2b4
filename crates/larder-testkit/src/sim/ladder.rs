//! What each group of rules is for: the engine without all of them, and with one group after the
//! other, under one kind of fault after the other. Counted are runs that end with a copy that is
//! stale for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use larder::outbox::Outbox;
use larder_core::mutant::{Mutant, activate_all};
use larder_core::runtime::Runtime;
use tokio::sync::mpsc;

use super::workload::Loading;
use super::{Beyond, Cut, Faults, Journal, Random, Setup, Shared, World, rows, simulate};
use crate::sim::remote::Remote;

/// A row: which rules are there.
#[derive(Clone, Copy, Debug)]
pub struct Rung {
    /// What it is called.
    pub name: &'static str,
    out: &'static [&'static [Mutant]],
    outbox: bool,
}

/// A column: what happens.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// What it is called.
    pub name: &'static str,
    faults: Faults,
    cuts: bool,
    evicts: bool,
    writers_die: u64,
    goes_back: GoesBack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GoesBack {
    Never,
    /// To nothing.
    Empty,
    /// To what a server held a moment ago.
    Earlier,
}

const LEASE: &[Mutant] = &[Mutant::Revoke, Mutant::AbsenceRefuses];
const GUARD: &[Mutant] = &[
    Mutant::StripeCount,
    Mutant::DetachFlight,
    Mutant::OldFlight,
    Mutant::VoidFlight,
];
const VERSIONS: &[Mutant] = &[Mutant::VersionFloor];
const GAPS: &[Mutant] = &[
    Mutant::IgnoreGaps,
    Mutant::IgnoreTrim,
    Mutant::IgnoreLease,
    Mutant::LeaseBeforeReplay,
];
const INCARNATION: &[Mutant] = &[Mutant::IgnoreIncarnation];

const fn rung(name: &'static str, out: &'static [&'static [Mutant]], outbox: bool) -> Rung {
    Rung { name, out, outbox }
}

/// The rows: first one group more in each, then all but one or two.
pub const RUNGS: [Rung; 13] = [
    rung(
        "delete and publish, nothing else",
        &[LEASE, GUARD, VERSIONS, GAPS, INCARNATION],
        false,
    ),
    rung("+ leases", &[GUARD, VERSIONS, GAPS, INCARNATION], false),
    rung("+ near guard", &[VERSIONS, GAPS, INCARNATION], false),
    rung("+ versions", &[GAPS, INCARNATION], false),
    rung("+ gaps, replay, polls", &[INCARNATION], false),
    rung("+ incarnation", &[], false),
    rung("+ outbox: everything", &[], true),
    rung("everything but leases", &[LEASE], true),
    rung(
        "everything but near guard and versions",
        &[GUARD, VERSIONS],
        true,
    ),
    rung("everything but near guard", &[GUARD], true),
    rung("everything but versions", &[VERSIONS], true),
    rung("everything but gaps, replay, polls", &[GAPS], true),
    rung("everything but incarnation", &[INCARNATION], true),
];

const NONE: Weather = Weather {
    name: "no faults",
    faults: Faults {
        lost_request: 0,
        late_request: 0,
        lost_reply: 0,
        slow: 0,
        lost_push: 0,
        doubled_push: 0,
        broken_push: 0,
        broken: 0,
    },
    cuts: false,
    evicts: false,
    writers_die: 0,
    goes_back: GoesBack::Never,
};
const REORDER: Weather = Weather {
    name: "reordering",
    faults: Faults {
        slow: 50,
        doubled_push: 50,
        ..NONE.faults
    },
    ..NONE
};
const LOSS: Weather = Weather {
    name: "+ loss, cut links",
    faults: Faults {
        lost_request: 10,
        late_request: 5,
        lost_reply: 10,
        lost_push: 50,
        broken_push: 5,
        ..REORDER.faults
    },
    cuts: true,
    ..REORDER
};
const EVICT: Weather = Weather {
    name: "+ eviction",
    evicts: true,
    ..LOSS
};
const DEATH: Weather = Weather {
    name: "+ 10 % of writers die",
    writers_die: 100,
    ..EVICT
};
const RESTART: Weather = Weather {
    name: "+ restart, empty",
    goes_back: GoesBack::Empty,
    ..DEATH
};
const ROLLBACK: Weather = Weather {
    name: "+ old dump, lagging replica (Redis)",
    goes_back: GoesBack::Earlier,
    ..DEATH
};

/// The columns: each has what the one before has, except that the last has another end.
pub const WEATHERS: [Weather; 7] = [NONE, REORDER, LOSS, EVICT, DEATH, RESTART, ROLLBACK];

/// Over the simulated Redis.
const FEWER: u64 = 10;
const NODES: usize = 3;
const KEYS: u64 = 4;
const TASKS: usize = 3;
const OPERATIONS: usize = 24;
/// Between two operations of a task, at most, in nanoseconds.
const REST: u64 = 40_000_000;
/// The longest cut of a link, in milliseconds.
const OUTAGE: u64 = 800;
/// The age of a dump or the lag of a replica, at most, in milliseconds.
const AGE: u64 = 500;
/// When the last late message has arrived, and everything that is to be repaired is repaired.
const SETTLED: Duration = Duration::from_millis(3_500 + 2_000);

impl Weather {
    fn store(self) -> Shared {
        match self.goes_back {
            GoesBack::Earlier => Shared::Redis,
            GoesBack::Never | GoesBack::Empty => Shared::Embedded,
        }
    }

    fn has_disasters(self) -> bool {
        self.cuts || self.evicts || self.goes_back != GoesBack::Never
    }

    /// Whether nothing may stay stale here. That a server goes back to what it held breaks promises.
    pub fn is_promised(self) -> bool {
        self.goes_back != GoesBack::Earlier
    }

    /// How many seeds are to be run if others run so many: over the simulated Redis everything takes
    /// some times as long.
    pub fn share_of(self, seeds: u64) -> u64 {
        match self.store() {
            Shared::Embedded | Shared::Mesh | Shared::Learned => seeds,
            Shared::Redis => seeds.div_ceil(FEWER),
        }
    }

    fn setup(self) -> Setup {
        Setup {
            nodes: NODES,
            keys: KEYS,
            tasks: TASKS,
            operations: OPERATIONS,
            looks: 0,
            rest: Duration::from_nanos(REST),
            slow_loads: 0,
            many: 0,
            faults: self.faults,
            chaos: false,
            writers_die: self.writers_die,
            outbox: false,
            beyond: Beyond::default(),
            store: self.store(),
            inserts: false,
            alone: false,
            refresh: None,
        }
    }
}

impl Rung {
    /// Whether nothing is taken out, and writers have an outbox.
    pub fn is_whole(self) -> bool {
        self.out.is_empty() && self.outbox
    }

    /// How many of these seeds, from 0, end with a copy that is stale for good.
    pub fn stale_runs(self, weather: Weather, seeds: u64, threads: usize) -> u64 {
        let (next, stale) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    let _active = activate_all(self.out.iter().flat_map(|group| group.iter()));
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds {
                            return;
                        }
                        let ends_stale = self.run(weather, seed, &Journal::default());
                        stale.fetch_add(u64::from(ends_stale), Ordering::Relaxed);
                    }
                });
            }
        });
        stale.into_inner()
    }

    fn run(self, weather: Weather, seed: u64, journal: &Journal) -> bool {
        let journal = journal.clone();
        simulate(seed, move |runtime| async move {
            let setup = Setup {
                outbox: self.outbox,
                ..weather.setup()
            };
            let world = Arc::new(World::new(runtime, setup, journal).await);
            world.follow_all();
            let stop = Arc::<AtomicBool>::default();
            let mut disasters = weather.has_disasters().then(|| {
                let (world, stop) = (world.clone(), stop.clone());
                befall(world, weather, stop)
            });
            let mut ended = start(&world, weather);
            // Nothing is ever sent: this waits until all have ended.
            let _ = ended.recv().await;
            stop.store(true, Ordering::Relaxed);
            if let Some(disasters) = &mut disasters {
                let _ = disasters.recv().await;
            }
            world.links.iter().for_each(super::Way::calm);
            world.runtime.sleep(SETTLED).await;
            assert!(
                world
                    .outbox
                    .as_ref()
                    .is_none_or(|outbox| outbox.waiting() == 0),
                "a notice was not carried out"
            );
            world.follow_no_more();
            world.has_stale_copies().await
        })
    }
}

/// Starts readers and writers on all nodes; the end of the channel is theirs.
fn start(world: &Arc<World>, weather: Weather) -> mpsc::UnboundedReceiver<()> {
    let (done, ended) = mpsc::unbounded_channel();
    for node in 0..NODES {
        let runtime = world.runtime.on_node(node);
        for _ in 0..TASKS {
            let (world, done, clock) = (world.clone(), done.clone(), runtime.clone());
            let mut random = runtime.fork_random();
            runtime.spawn(Box::pin(async move {
                for _ in 0..OPERATIONS {
                    let key = random.below(KEYS);
                    if random.per_mille(200) {
                        let dies = random.per_mille(weather.writers_die);
                        world.write(node, key, dies).await;
                    } else {
                        let pause = Duration::from_nanos(random.below(3_000_000));
                        world.read(node, key, pause, Loading::Plain).await;
                    }
                    clock.sleep(Duration::from_nanos(random.below(REST))).await;
                }
                drop(done);
            }));
        }
    }
    ended
}

/// Lets disasters happen until they are stopped.
fn befall(
    world: Arc<World>,
    weather: Weather,
    stop: Arc<AtomicBool>,
) -> mpsc::UnboundedReceiver<()> {
    let (done, ended) = mpsc::unbounded_channel();
    let runtime = world.runtime.clone();
    let mut random = runtime.fork_random();
    runtime.spawn(Box::pin(async move {
        while !stop.load(Ordering::Relaxed) {
            world.wait(random.below(150)).await;
            strike(&world, weather, &mut random).await;
        }
        drop(done);
    }));
    ended
}

async fn strike(world: &World, weather: Weather, random: &mut Random) {
    match (random.below(4), weather.goes_back, &world.store) {
        (0, _, store) if weather.evicts => store.evict(|| random.per_mille(500)),
        (1, GoesBack::Empty, store) => store.restart_empty(),
        (1, GoesBack::Earlier, Remote::Redis(server)) => {
            let dump = server.dump();
            world.wait(random.below(AGE)).await;
            server.restart(&dump);
        }
        _ if weather.cuts => {
            let link = &world.links[random.below(NODES as u64) as usize];
            let ways = [Cut::Requests, Cut::Replies, Cut::Both, Cut::Pushes];
            link.cut(ways[random.below(4) as usize]);
            world.wait(random.below(OUTAGE)).await;
            link.cut(Cut::Nothing);
        }
        _ => {}
    }
}

impl World {
    /// Changes the source and then, unless the writer dies in between, invalidates until that has
    /// succeeded.
    async fn write(&self, node: usize, key: u64, dies: bool) {
        self.source.write(key);
        let notice = self
            .outbox
            .as_ref()
            .map(|outbox| (outbox, outbox.record(key)));
        if dies {
            return;
        }
        let runtime = self.runtime.on_node(node);
        while self.node(node).invalidate(&key).await.is_err() {
            runtime.sleep(Duration::from_millis(20)).await;
        }
        if let Some((outbox, id)) = notice {
            // What cannot be deleted is carried out once more.
            let _ = outbox.done(&[id]).await;
        }
    }

    /// Whether some node holds a copy, not marked stale, that is not what the source says.
    async fn has_stale_copies(&self) -> bool {
        for node in 0..self.count() {
            let cache = self.node(node);
            for key in 0..KEYS {
                let copy = cache.get(&key).await.expect("nothing goes wrong any more");
                let source = self.source.read(key);
                if copy.is_some_and(|copy| !copy.is_stale() && rows::plain(*copy) != source) {
                    return true;
                }
            }
        }
        false
    }
}
