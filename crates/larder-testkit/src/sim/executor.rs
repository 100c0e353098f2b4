//! The scheduler: one thread, virtual time, and a seed that decides which ready task goes next.
//!
//! Tasks may belong to a node, and a node may be frozen, as a stopped process is: time goes on, and
//! what the node waits for takes place, but none of its tasks takes a step until it is thawed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use larder_core::runtime::{BoxFuture, Mono, Runtime, Timestamp};

use super::Random;

/// More steps than any run needs: a run that takes them goes round in circles.
const STEPS: u64 = 5_000_000;

struct State {
    now: u64,
    choices: Random,
    numbers: Random,
    /// In the order of their numbers, not of their waking: what wakes several tasks at once may
    /// wake them in any order.
    ready: Vec<u64>,
    tasks: BTreeMap<u64, Task>,
    frozen: BTreeSet<usize>,
    /// Ready tasks of frozen nodes.
    held: Vec<u64>,
    timers: BinaryHeap<Reverse<(u64, u64)>>,
    sleepers: BTreeMap<u64, Waker>,
    drawn: u64,
}

struct Task {
    node: Option<usize>,
    work: BoxFuture<'static, ()>,
}

/// The surroundings of simulated engines.
#[derive(Clone)]
pub struct SimRuntime {
    state: Arc<Mutex<State>>,
    /// Whose tasks it spawns; `None` for those of the world between the nodes.
    node: Option<usize>,
}

struct TaskWaker {
    id: u64,
    runtime: SimRuntime,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut state = self.runtime.state();
        if !state.held.contains(&self.id) {
            state.make_ready(self.id);
        }
    }
}

impl State {
    fn make_ready(&mut self, id: u64) {
        if let Err(at) = self.ready.binary_search(&id) {
            self.ready.insert(at, id);
        }
    }
}

impl SimRuntime {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no task panics while it holds the scheduler's state")
    }

    /// The same scheduler for one node: what is spawned here stands still while it is frozen.
    pub fn on_node(&self, node: usize) -> SimRuntime {
        SimRuntime {
            state: self.state.clone(),
            node: Some(node),
        }
    }

    /// The same scheduler for what belongs to no node.
    pub fn outside(&self) -> SimRuntime {
        SimRuntime {
            state: self.state.clone(),
            node: None,
        }
    }

    /// Stops a node's tasks.
    pub fn freeze(&self, node: usize) {
        self.state().frozen.insert(node);
    }

    /// Lets a node's tasks go on.
    pub fn thaw(&self, node: usize) {
        let mut state = self.state();
        state.frozen.remove(&node);
        for id in std::mem::take(&mut state.held) {
            state.make_ready(id);
        }
    }

    /// A stream of random numbers of its own.
    pub fn fork_random(&self) -> Random {
        self.state().numbers.fork()
    }

    fn id(&self) -> u64 {
        let mut state = self.state();
        state.drawn += 1;
        state.drawn
    }

    /// Takes one ready task, chosen by the seed; with none ready, time goes to the next timer.
    fn choose(&self) -> Option<(u64, Task)> {
        loop {
            let mut state = self.state();
            while !state.ready.is_empty() {
                let among = state.ready.len() as u64;
                let at = state.choices.below(among) as usize;
                let id = state.ready.remove(at);
                let node = state.tasks.get(&id).and_then(|task| task.node);
                if node.is_some_and(|node| state.frozen.contains(&node)) {
                    state.held.push(id);
                    continue;
                }
                if let Some(task) = state.tasks.remove(&id) {
                    return Some((id, task));
                }
            }
            let Reverse((at, timer)) = state.timers.pop()?;
            state.now = state.now.max(at);
            let sleeper = state.sleepers.remove(&timer);
            drop(state);
            if let Some(waker) = sleeper {
                waker.wake();
            }
        }
    }
}

impl Runtime for SimRuntime {
    fn now(&self) -> Mono {
        Mono(self.state().now)
    }

    fn wall(&self) -> Timestamp {
        Timestamp(1_700_000_000_000 + self.state().now / 1_000_000)
    }

    fn random(&self) -> u64 {
        self.state().numbers.draw()
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) {
        let id = self.id();
        let mut state = self.state();
        let node = self.node;
        state.tasks.insert(id, Task { node, work });
        state.make_ready(id);
    }

    fn sleep(&self, after: Duration) -> BoxFuture<'static, ()> {
        let until = Mono(self.state().now).after(after).0;
        Box::pin(Sleep {
            runtime: self.clone(),
            until,
            timer: None,
        })
    }
}

struct Sleep {
    runtime: SimRuntime,
    until: u64,
    timer: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.runtime.state().now >= self.until {
            return Poll::Ready(());
        }
        let timer = match self.timer {
            Some(timer) => timer,
            None => {
                let timer = self.runtime.id();
                self.runtime
                    .state()
                    .timers
                    .push(Reverse((self.until, timer)));
                self.timer = Some(timer);
                timer
            }
        };
        self.runtime
            .state()
            .sleepers
            .insert(timer, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.runtime.state().sleepers.remove(&timer);
        }
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
        now: 1_000_000_000,
        choices,
        numbers,
        ready: Vec::new(),
        tasks: BTreeMap::new(),
        frozen: BTreeSet::new(),
        held: Vec::new(),
        timers: BinaryHeap::new(),
        sleepers: BTreeMap::new(),
        drawn: 0,
    };
    let runtime = SimRuntime {
        state: Arc::new(Mutex::new(state)),
        node: None,
    };
    let result = Arc::new(Mutex::new(None));
    let (main, slot) = (main(runtime.clone()), result.clone());
    runtime.spawn(Box::pin(async move {
        let value = main.await;
        *slot.lock().expect("only this task holds the lock") = Some(value);
    }));
    for _ in 0..STEPS {
        let Some((id, mut task)) = runtime.choose() else {
            panic!("seed {seed}: nothing can go on, and the run has not ended");
        };
        let waker = Waker::from(Arc::new(TaskWaker {
            id,
            runtime: runtime.clone(),
        }));
        if task
            .work
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
        {
            runtime.state().tasks.insert(id, task);
        }
        if let Some(value) = result.lock().expect("no task runs now").take() {
            // Tasks hold the runtime and the runtime holds the tasks: break the circle.
            let left = std::mem::take(&mut runtime.state().tasks);
            drop(left);
            runtime.state().sleepers.clear();
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
    #[should_panic(expected = "seed 3: nothing can go on")]
    fn a_run_that_hangs_is_reported_with_its_seed() {
        simulate(3, |_| std::future::pending::<()>());
    }
}
