//! The stopwatch of the build tool.
//!
//! The workspace refuses clock reads because the cache takes its time from a `Clock` that simulation
//! can drive. A build tool has no such thing to simulate; this is the one place where it reads time.

use std::time::{Duration, Instant};

/// Time since the stopwatch was started.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[allow(
        clippy::disallowed_methods,
        reason = "a build tool reports wall time to a person"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
