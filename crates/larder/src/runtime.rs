//! The production runtime: tokio's tasks and timers, the kernel's clocks, the system's randomness.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder_core::runtime::{BoxFuture, Mono, Runtime, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;

/// Runs the engine on a tokio runtime.
pub struct TokioRuntime {
    handle: Handle,
    seed: u64,
    drawn: AtomicU64,
}

impl TokioRuntime {
    /// The runtime of the calling task.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn current() -> TokioRuntime {
        TokioRuntime::on(Handle::current())
    }

    /// A given runtime.
    pub fn on(handle: Handle) -> TokioRuntime {
        // The standard library seeds its hash maps from the operating system; one hash of
        // nothing is 64 bits of that.
        let seed = RandomState::new().build_hasher().finish();
        TokioRuntime {
            handle,
            seed,
            drawn: AtomicU64::new(0),
        }
    }
}

impl Runtime for TokioRuntime {
    fn now(&self) -> Mono {
        // Coarse: some milliseconds behind at most, and several times cheaper than a precise
        // reading, which a near hit would notice.
        let now = clock_gettime(ClockId::MonotonicCoarse);
        Mono(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
    }

    fn precise(&self) -> Mono {
        let now = clock_gettime(ClockId::Monotonic);
        Mono(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
    }

    fn wall(&self) -> Timestamp {
        let now = clock_gettime(ClockId::Realtime);
        Timestamp(now.tv_sec.max(0) as u64 * 1_000 + now.tv_nsec as u64 / 1_000_000)
    }

    fn random(&self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014) over a counter: one-to-one, so that no two lease
        // tokens of a process are ever the same.
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut z = self
            .seed
            .wrapping_add(drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.handle.spawn(task);
    }

    fn sleep(&self, after: Duration) -> BoxFuture<'static, ()> {
        let _inside = self.handle.enter();
        Box::pin(tokio::time::sleep(after))
    }
}
