//! Virtual time over tokio's tasks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::core::{BoxFuture, Mono, Runtime, Timestamp};
use tokio::sync::oneshot;

/// When the clock of every test begins, in milliseconds since the epoch.
const START_MS: u64 = 1_700_000_000_000;

/// Time that moves only by [`Clock::advance`]. Tests run on one thread, so that what happens
/// between two awaits is known.
#[derive(Default)]
pub(crate) struct Clock {
    elapsed: AtomicU64,
    drawn: AtomicU64,
    sleepers: parking_lot::Mutex<Vec<(Mono, oneshot::Sender<()>)>>,
}

impl Clock {
    /// Moves time in one jump, wakes who has slept long enough, and lets everyone run.
    pub(crate) async fn advance(&self, by: Duration) {
        settle().await;
        let step = u64::try_from(by.as_nanos()).expect("a test takes no centuries");
        self.elapsed.fetch_add(step, Ordering::Relaxed);
        let now = self.now();
        let due: Vec<_> = self
            .sleepers
            .lock()
            .extract_if(.., |(until, _)| *until <= now)
            .collect();
        for (_, wake) in due {
            // Nobody to wake if the sleeper was dropped.
            let _ = wake.send(());
        }
        settle().await;
    }
}

/// Lets every task run until it waits for something.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

impl Runtime for Clock {
    fn now(&self) -> Mono {
        // Not from zero: an instant before the start must be expressible.
        Mono(1_000_000_000).after(Duration::from_nanos(self.elapsed.load(Ordering::Relaxed)))
    }

    fn wall(&self) -> Timestamp {
        Timestamp(START_MS + self.elapsed.load(Ordering::Relaxed) / 1_000_000)
    }

    fn random(&self) -> u64 {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        drawn
            .wrapping_add(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
            .wrapping_mul(0xd134_2543_de82_ef95)
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn sleep(&self, after: Duration) -> BoxFuture<'static, ()> {
        let (wake, woken) = oneshot::channel();
        let until = self.now().after(after);
        self.sleepers.lock().push((until, wake));
        Box::pin(async move {
            // An error means that the clock is gone, and the test with it.
            let _ = woken.await;
        })
    }
}
