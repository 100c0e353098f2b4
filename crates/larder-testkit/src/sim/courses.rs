//! What can be run under a seed, by name, and many seeds at once on all processors.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::{
    Beyond, Fault, Faults, Journal, Report, Rule, SCENARIOS, Setup, Shared, World, take_out,
};

/// Something to run under a seed.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// What it is called.
    pub name: &'static str,
    kind: Kind,
    store: Shared,
    beyond: Beyond,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Every scenario.
    Races,
    /// The random workload.
    Workload(Setup),
}

const CALM: Setup = Setup {
    nodes: 3,
    keys: 6,
    tasks: 4,
    operations: 24,
    looks: 3,
    rest: Duration::from_millis(3),
    slow_loads: 0,
    many: 0,
    faults: Faults {
        lost_request: 0,
        late_request: 0,
        lost_reply: 0,
        slow: 20,
        lost_push: 0,
        doubled_push: 0,
        broken_push: 0,
        broken: 0,
    },
    chaos: false,
    writers_die: 0,
    outbox: false,
    beyond: Beyond {
        rewinds: false,
        repeats: false,
    },
    store: Shared::Embedded,
    inserts: true,
    alone: false,
    refresh: None,
};

const STORMY: Setup = Setup {
    // A late insert would overwrite what came after it.
    inserts: false,
    faults: Faults {
        lost_request: 10,
        late_request: 5,
        lost_reply: 15,
        slow: 50,
        lost_push: 150,
        doubled_push: 100,
        broken_push: 20,
        broken: 2,
    },
    ..CALM
};

/// Slow enough for leases to end and links to be cut in the middle of things.
const CHAOTIC: Setup = Setup {
    chaos: true,
    // Time enough for things to happen.
    operations: 28,
    rest: Duration::from_millis(150),
    slow_loads: 60,
    ..STORMY
};

/// Some writers die between the source and the cache; an outbox makes up for it.
const DEATHS: Setup = Setup {
    writers_die: 300,
    outbox: true,
    ..CHAOTIC
};

/// Values are old soon: most reads find something to refresh, and many of them something stale.
const REFRESHING: Setup = Setup {
    refresh: Some(Duration::from_millis(700)),
    ..CHAOTIC
};

/// Many keys are loaded at once, and single ones meanwhile.
const TOGETHER: Setup = Setup {
    many: 300,
    refresh: Some(Duration::from_secs(3)),
    ..CHAOTIC
};

/// Five nodes, of which two may be away.
const WIDE: Setup = Setup {
    nodes: 5,
    tasks: 2,
    ..CHAOTIC
};

/// All courses, from the quickest to the roughest.
pub const COURSES: [Course; 8] = [
    Course::new("races", Kind::Races),
    Course::new("calm", Kind::Workload(CALM)),
    Course::new("stormy", Kind::Workload(STORMY)),
    Course::new("chaotic", Kind::Workload(CHAOTIC)),
    Course::new("deaths", Kind::Workload(DEATHS)),
    Course::new("refreshing", Kind::Workload(REFRESHING)),
    Course::new("together", Kind::Workload(TOGETHER)),
    Course::new("wide", Kind::Workload(WIDE)),
];

/// The first seed that broke a promise, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What happened.
    pub text: String,
}

impl Course {
    const fn new(name: &'static str, kind: Kind) -> Course {
        Course {
            name,
            kind,
            store: Shared::Embedded,
            beyond: CALM.beyond,
        }
    }

    /// The same over this store.
    #[must_use]
    pub fn on(self, store: Shared) -> Course {
        Course { store, ..self }
    }

    /// The same with disasters that are not promised to go well, where there are any at all.
    #[must_use]
    pub fn with(self, beyond: Beyond) -> Course {
        Course { beyond, ..self }
    }

    /// What the nodes share.
    pub fn store(self) -> Shared {
        self.store
    }

    /// Whether there is anything here that other courses do not have: more than three nodes matter
    /// only where they decide by a majority.
    pub fn is_for(self, store: Shared) -> bool {
        self.name != "wide" || store.is_mesh()
    }

    /// Whether this can happen here.
    pub fn knows(self, fault: Fault) -> bool {
        let Kind::Workload(setup) = self.kind else {
            return fault == Fault::Slow;
        };
        let on_redis = self.store == Shared::Redis;
        let is_possible = match self.store.is_mesh() {
            true => fault.befalls_mesh(),
            false => !fault.is_of_mesh(),
        };
        if !is_possible {
            return false;
        }
        match fault {
            Fault::ClockForward | Fault::ClockBack if self.store.is_mesh() => setup.chaos,
            Fault::BrokenLink => setup.faults.broken > 0,
            Fault::WriterDied => setup.writers_die > 0,
            Fault::OldDump | Fault::Promoted => setup.chaos && on_redis && self.beyond.rewinds,
            fault if fault.is_of_servers() => setup.chaos && on_redis,
            fault if fault.is_disaster() => setup.chaos,
            Fault::Slow => true,
            _ => self.loses_messages(),
        }
    }

    /// The course of this name.
    pub fn named(name: &str) -> Option<Course> {
        COURSES.into_iter().find(|course| course.name == name)
    }

    /// Whether messages are lost.
    pub fn loses_messages(self) -> bool {
        matches!(self.kind, Kind::Workload(setup) if setup.faults.lost_request > 0)
    }

    /// Whether there are disasters.
    pub fn has_disasters(self) -> bool {
        matches!(self.kind, Kind::Workload(setup) if setup.chaos)
    }

    /// Runs one seed.
    ///
    /// # Errors
    ///
    /// The promise that was broken, or the panic.
    pub fn run(self, seed: u64, journal: &Journal) -> Result<Report, String> {
        let run = AssertUnwindSafe(|| self.run_unguarded(seed, journal));
        catch_unwind(run).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied());
            Err(format!("panicked: {}", text.unwrap_or("without a message")))
        })
    }

    fn run_unguarded(self, seed: u64, journal: &Journal) -> Result<Report, String> {
        match self.kind {
            Kind::Workload(setup) => {
                // A read takes more messages there, so that fewer end as near copies.
                let on_redis = self.store == Shared::Redis;
                let setup = Setup {
                    looks: setup.looks * if on_redis { 3 } else { 1 },
                    store: self.store,
                    beyond: self.beyond,
                    ..setup
                };
                World::run(seed, setup, journal.clone()).map_err(|violation| violation.to_string())
            }
            Kind::Races => {
                let mut report = Report::default();
                for scenario in SCENARIOS {
                    let own = journal.part(scenario.name);
                    let done = scenario.run(seed, self.store, own);
                    let done = done.map_err(|found| format!("{}: {found}", scenario.name))?;
                    report.add(&done);
                }
                report.runs = 1;
                report.counted = u64::from(report.is_half_near());
                Ok(report)
            }
        }
    }

    /// Runs many seeds on so many threads, with a rule (if any) taken out, up to the first seed that
    /// fails; with the rule in its place that seed must pass. `progress` is told after each seed.
    pub fn run_all(
        self,
        seeds: Range<u64>,
        threads: usize,
        rule: Option<Rule>,
        progress: &(dyn Fn() + Sync),
    ) -> (Report, Option<Failure>) {
        let next = AtomicU64::new(seeds.start);
        let found: Mutex<(Report, Option<Failure>)> = Mutex::default();
        let work = || {
            // The switch belongs to the thread.
            let mut active = Some(take_out(rule));
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let lock = || found.lock().expect("adding up does not panic");
                let failed = lock().1.as_ref().map(|failure| failure.seed);
                // Seeds are handed out in order, so that the first failure is the lowest seed.
                if seed >= failed.unwrap_or(seeds.end).min(seeds.end) {
                    return;
                }
                let mut outcome = self.run(seed, &Journal::default());
                if let (Some(rule), Err(_)) = (rule, &outcome) {
                    // One at a time: a guard that is dropped puts all rules back.
                    drop(active.take());
                    let masks = rule.out_but_masks();
                    // What is noticed with the rule in its place says nothing about it.
                    if self.run(seed, &Journal::default()).is_err() {
                        outcome = Ok(Report::default());
                    }
                    drop(masks);
                    active = Some(take_out(Some(rule)));
                }
                let (report, failure) = &mut *lock();
                match outcome {
                    Ok(more) => report.add(&more),
                    Err(text) if failure.as_ref().is_none_or(|other| seed < other.seed) => {
                        *failure = Some(Failure { seed, text });
                    }
                    Err(_) => {}
                }
                progress();
            }
        };
        thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(work);
            }
        });
        found.into_inner().expect("adding up does not panic")
    }
}
