//! What an engine needs from its surroundings, under a scheduler of threads: tasks are the scheduler's,
//! and time stands still until a model lets it pass.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use larder_core::runtime::{BoxFuture, Mono, Runtime, Timestamp};

/// When a model begins.
const BEGIN: u64 = 1_000_000_000_000;

/// Its own locks and atomics are not the scheduler's: locks that are none of its either are held
/// while the time is asked for.
pub(crate) struct ModelRuntime {
    now: Arc<AtomicU64>,
    drawn: AtomicU64,
    sleepers: Arc<Mutex<Vec<Waker>>>,
    has_tasks: bool,
}

impl ModelRuntime {
    /// With tasks.
    pub(crate) fn new() -> Arc<ModelRuntime> {
        Arc::new(ModelRuntime::made(true))
    }

    /// Tasks are dropped: a model does by hand what they would do.
    pub(crate) fn without_tasks() -> Arc<ModelRuntime> {
        Arc::new(ModelRuntime::made(false))
    }

    fn made(has_tasks: bool) -> ModelRuntime {
        ModelRuntime {
            now: Arc::new(AtomicU64::new(BEGIN)),
            drawn: AtomicU64::new(0),
            sleepers: Arc::default(),
            has_tasks,
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).expect("a model is short");
        self.now.fetch_add(by, Ordering::SeqCst);
        let sleepers = std::mem::take(&mut *self.sleepers.lock().expect("nobody panics here"));
        sleepers.into_iter().for_each(Waker::wake);
        shuttle::thread::yield_now();
    }
}

impl Runtime for ModelRuntime {
    fn now(&self) -> Mono {
        Mono(self.now.load(Ordering::SeqCst))
    }

    fn wall(&self) -> Timestamp {
        Timestamp(self.now().0 / 1_000_000)
    }

    fn random(&self) -> u64 {
        // Any numbers will do that differ.
        let drawn = self.drawn.fetch_add(1, Ordering::SeqCst) + 1;
        drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        if self.has_tasks {
            drop(shuttle::future::spawn(task));
        }
    }

    fn sleep(&self, after: Duration) -> BoxFuture<'static, ()> {
        let until = self.now().after(after);
        let (sleepers, now) = (self.sleepers.clone(), self.now.clone());
        Box::pin(poll_fn(move |context| {
            if now.load(Ordering::SeqCst) >= until.0 {
                return Poll::Ready(());
            }
            let mut sleepers = sleepers.lock().expect("nobody panics here");
            sleepers.push(context.waker().clone());
            Poll::Pending
        }))
    }
}
