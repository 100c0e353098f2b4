//! What the engine needs from its surroundings, as one small trait.
//!
//! The engine never reads a clock, draws a random number or starts a task by itself: it asks a
//! [`Runtime`]. Production gives it tokio and the kernel; the simulation gives it a seeded
//! scheduler and virtual time, and so drives the very code that production runs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A boxed, sendable future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Time, randomness and tasks.
pub trait Runtime: Send + Sync + 'static {
    /// A monotonic instant that goes on while the process is stopped. Called on every near hit,
    /// so it may be coarse (a few milliseconds), but it must be the kernel's clock and not a
    /// value that a thread of this process updates: a stopped process runs no thread.
    fn now(&self) -> Mono;

    /// The same clock to the microsecond, for measuring how long something takes. Dearer than
    /// [`Runtime::now`]; a runtime whose clock is precise has nothing to add.
    fn precise(&self) -> Mono {
        self.now()
    }

    /// The wall clock. Never used to order changes; only to turn absolute times that users give
    /// into durations.
    fn wall(&self) -> Timestamp;

    /// A random number, uniform over all of `u64`. Lease tokens are drawn from it, so production
    /// seeds it from the operating system.
    fn random(&self) -> u64;

    /// Runs `task` to its end, independent of the caller.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Completes once `after` has passed.
    fn sleep(&self, after: Duration) -> BoxFuture<'static, ()>;
}

/// A monotonic instant: nanoseconds since an origin that only its [`Runtime`] knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// Later than every instant: "never".
    pub const MAX: Mono = Mono(u64::MAX);

    /// This instant moved by `by`; stays at [`Mono::MAX`] instead of overflowing.
    pub fn after(self, by: Duration) -> Mono {
        Mono(
            self.0
                .saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// How long ago `earlier` was; zero if it is later than `self`.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Mono {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mono {}.{:09}s",
            self.0 / 1_000_000_000,
            self.0 % 1_000_000_000
        )
    }
}

/// A point in time as milliseconds since the Unix epoch, by the clock of whoever gave it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This time moved by `by`; saturates.
    pub fn after(self, by: Duration) -> Timestamp {
        Timestamp(
            self.0
                .saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// How long ago `earlier` was; zero if it is later than `self`.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}
