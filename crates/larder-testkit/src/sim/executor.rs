//! The scheduler: one thread, virtual time, and a seed that decides which ready task goes next.
//!
//! Tasks may belong to a node, and a node may be frozen, as a stopped process is: time goes on, and
//! what the node waits for takes place, but none of its tasks takes a step until it is thawed. It may
//! also be killed: its tasks end where they stand, and it never has any again.

mod tasks;
mod timers;

use std::future::Future;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Context;
use std::time::Duration;

use larder_core::runtime::{BoxFuture, Mono, Runtime, Timestamp};

use super::Random;
use tasks::{Task, Tasks};
use timers::{Sleep, Timers};

/// More steps than any run needs: a run that takes them goes round in circles.
const STEPS: u64 = 5_000_000;

/// What all handles of a run share.
struct Shared {
    /// Read far more often than anything else, so it is outside of the lock.
    now: AtomicU64,
    state: Mutex<State>,
}

struct State {
    choices: Random,
    numbers: Random,
    tasks: Tasks,
    timers: Timers,
}

/// The surroundings of simulated engines.
#[derive(Clone)]
pub struct SimRuntime {
    shared: Arc<Shared>,
    /// Whose tasks it spawns; `None` for those of the world between the nodes.
    node: Option<usize>,
    /// By how much its wall clock is wrong, in milliseconds.
    skew: Option<Arc<AtomicI64>>,
}

/// What became of the task that has just taken a step.
enum Stepped {
    Waits(Task),
    Ended(u64),
}

impl SimRuntime {
    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.expect("no task panics while it holds the scheduler's state")
    }

    /// The same scheduler for one node: what is spawned here stands still while it is frozen.
    pub fn on_node(&self, node: usize) -> SimRuntime {
        SimRuntime {
            node: Some(node),
            ..self.clone()
        }
    }

    /// The same scheduler with a wall clock that is wrong by so many milliseconds.
    pub(super) fn with_skew(&self, skew: Arc<AtomicI64>) -> SimRuntime {
        SimRuntime {
            skew: Some(skew),
            ..self.clone()
        }
    }

    /// The same scheduler for what belongs to no node.
    pub fn outside(&self) -> SimRuntime {
        SimRuntime {
            node: None,
            skew: None,
            ..self.clone()
        }
    }

    /// Stops a node's tasks.
    pub fn freeze(&self, node: usize) {
        self.state().tasks.freeze(node);
    }

    /// Lets a node's tasks go on.
    pub fn thaw(&self, node: usize) {
        self.state().tasks.thaw(node);
    }

    /// Ends a node's tasks where they stand. Whatever it starts from now on is dropped.
    pub fn kill(&self, node: usize) {
        let ended = self.state().tasks.kill(node);
        // What they leave behind may wake others.
        drop(ended);
    }

    /// A stream of random numbers of its own.
    pub fn fork_random(&self) -> Random {
        self.state().numbers.fork()
    }

    /// Runs `work` once `after` has passed; cheaper than a task that sleeps first.
    pub(super) fn spawn_after(&self, after: Duration, work: BoxFuture<'static, ()>) {
        let until = self.now().after(after).0;
        let mut state = self.state();
        match state.tasks.add(self, self.node, work) {
            Ok(waker) => {
                state.timers.add(until, waker);
            }
            Err(work) => {
                drop(state);
                drop(work);
            }
        }
    }

    /// Done once `after` has passed.
    pub(super) fn pause(&self, after: Duration) -> Sleep {
        Sleep::new(self.clone(), self.now().after(after).0)
    }

    /// Drops all tasks. They hold the runtime and the runtime holds them, and what they leave behind
    /// when they are dropped may be more tasks.
    fn clear(&self) {
        loop {
            let left = std::mem::take(&mut self.state().tasks);
            if left.is_empty() {
                break;
            }
        }
        let timers = std::mem::take(&mut self.state().timers);
        drop(timers);
    }

    /// Puts the last task back and takes one ready task, chosen by the seed; with none ready, time
    /// goes to the next timer.
    fn choose(&self, last: Option<Stepped>) -> Option<Task> {
        let mut state = self.state();
        match last {
            Some(Stepped::Waits(task)) => state.tasks.put_back(task),
            Some(Stepped::Ended(id)) => state.tasks.ended(id),
            None => {}
        }
        loop {
            let State { choices, tasks, .. } = &mut *state;
            if let Some(task) = tasks.choose(choices) {
                return Some(task);
            }
            let (at, sleeper) = state.timers.next()?;
            self.shared.now.fetch_max(at, Ordering::Relaxed);
            drop(state);
            sleeper.wake();
            state = self.state();
        }
    }
}

impl Runtime for SimRuntime {
    fn now(&self) -> Mono {
        Mono(self.shared.now.load(Ordering::Relaxed))
    }

    fn wall(&self) -> Timestamp {
        let right = 1_700_000_000_000 + self.now().0 / 1_000_000;
        let skew = self.skew.as_ref();
        let skew = skew.map_or(0, |skew| skew.load(Ordering::Relaxed));
        Timestamp(right.saturating_add_signed(skew))
    }

    fn random(&self) -> u64 {
        self.state().numbers.draw()
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) {
        let added = self.state().tasks.add(self, self.node, work);
        if let Ok(waker) = added {
            waker.wake();
        }
    }

    fn sleep(&self, after: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.pause(after))
    }
}

/// Runs `main` to its end on a fresh scheduler; tasks that it leaves behind are dropped.
///
/// # Panics
///
/// When nothing can go on although `main` has not ended, or when the run goes round in circles.
/// The message names the seed.
pub fn simulate<T, F>(seed: u64, main: impl FnOnce(SimRuntime) -> F) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut choices = Random::new(seed);
    let numbers = choices.fork();
    let state = State {
        choices,
        numbers,
        tasks: Tasks::default(),
        timers: Timers::default(),
    };
    let runtime = SimRuntime {
        shared: Arc::new(Shared {
            now: AtomicU64::new(1_000_000_000),
            state: Mutex::new(state),
        }),
        node: None,
        skew: None,
    };
    let result = Arc::new(Mutex::new(None));
    let (main, slot) = (main(runtime.clone()), result.clone());
    runtime.spawn(Box::pin(async move {
        let value = main.await;
        *slot.lock().expect("only this task holds the lock") = Some(value);
    }));
    let mut last = None;
    for _ in 0..STEPS {
        let Some(mut task) = runtime.choose(last) else {
            panic!("seed {seed}: nothing can go on, and the run has not ended");
        };
        let is_pending = {
            let mut cx = Context::from_waker(&task.waker);
            task.work.as_mut().poll(&mut cx).is_pending()
        };
        if is_pending {
            last = Some(Stepped::Waits(task));
            continue;
        }
        last = Some(Stepped::Ended(task.id));
        // What it held may wake others.
        drop(task);
        if let Some(value) = result.lock().expect("no task runs now").take() {
            runtime.clear();
            return value;
        }
    }
    panic!("seed {seed}: no end after {STEPS} steps");
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn trace(runtime: SimRuntime) -> Vec<u64> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        for task in 0..5u64 {
            let (clock, seen) = (runtime.clone(), seen.clone());
            runtime.spawn(Box::pin(async move {
                for round in 0..4 {
                    clock.sleep(Duration::from_millis(round)).await;
                    seen.lock().unwrap().push(task);
                }
            }));
        }
        runtime.sleep(Duration::from_secs(1)).await;
        Arc::try_unwrap(seen).unwrap().into_inner().unwrap()
    }

    #[test]
    fn a_seed_decides_the_run() {
        let runs: Vec<_> = (0..20).map(|seed| simulate(seed, trace)).collect();
        for (seed, run) in runs.iter().enumerate() {
            assert_eq!(*run, simulate(seed as u64, trace));
        }
        assert!(
            runs.iter().any(|run| *run != runs[0]),
            "all seeds gave one order"
        );
    }

    #[test]
    fn time_is_virtual_and_exact() {
        let (before, after) = simulate(1, |runtime| async move {
            let before = runtime.now();
            runtime.sleep(Duration::from_secs(86_400)).await;
            (before, runtime.now())
        });
        assert_eq!(after.since(before), Duration::from_secs(86_400));
    }

    #[test]
    fn a_frozen_node_stands_still_while_time_goes_on() {
        let seen = simulate(1, |runtime| async move {
            let seen = Arc::new(Mutex::new(Vec::new()));
            for node in [0, 1] {
                let (clock, seen) = (runtime.on_node(node), seen.clone());
                let inner = clock.clone();
                // What a node's task spawns belongs to the node too.
                clock.spawn(Box::pin(async move {
                    let (outer, clock) = (inner.clone(), inner);
                    outer.spawn(Box::pin(async move {
                        clock.sleep(Duration::from_secs(1)).await;
                        seen.lock().unwrap().push((node, clock.now()));
                    }));
                }));
            }
            let start = runtime.now();
            runtime.sleep(Duration::from_millis(500)).await;
            runtime.freeze(0);
            runtime.sleep(Duration::from_secs(3)).await;
            runtime.thaw(0);
            runtime.sleep(Duration::from_millis(1)).await;
            let seen = std::mem::take(&mut *seen.lock().unwrap());
            let after = |(node, at): (usize, Mono)| (node, at.since(start).as_millis());
            seen.into_iter().map(after).collect::<Vec<_>>()
        });
        assert_eq!(seen, [(1, 1_000), (0, 3_500)]);
    }

    #[test]
    fn a_killed_node_takes_no_step_any_more() {
        let seen = simulate(1, |runtime| async move {
            let seen = Arc::new(Mutex::new(Vec::new()));
            for node in [0, 1] {
                let (clock, seen) = (runtime.on_node(node), seen.clone());
                clock.clone().spawn(Box::pin(async move {
                    for round in 1..=4 {
                        clock.sleep(Duration::from_secs(1)).await;
                        seen.lock().unwrap().push((node, round));
                    }
                }));
            }
            runtime.sleep(Duration::from_millis(2_500)).await;
            runtime.kill(0);
            let late = seen.clone();
            runtime.on_node(0).spawn(Box::pin(async move {
                late.lock().unwrap().push((0, 9));
            }));
            runtime.sleep(Duration::from_secs(3)).await;
            let mut seen = std::mem::take(&mut *seen.lock().unwrap());
            seen.sort_unstable();
            seen
        });
        assert_eq!(seen, [(0, 1), (0, 2), (1, 1), (1, 2), (1, 3), (1, 4)]);
    }

    #[test]
    #[should_panic(expected = "seed 3: nothing can go on")]
    fn a_run_that_hangs_is_reported_with_its_seed() {
        simulate(3, |_| std::future::pending::<()>());
    }
}
