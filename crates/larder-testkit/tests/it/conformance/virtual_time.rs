//! A runtime whose time moves only when a test says so.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder_core::runtime::{BoxFuture, Mono, Runtime, Timestamp};

/// Time by hand, random numbers by counting.
#[derive(Debug, Default)]
pub(crate) struct VirtualTime {
    now_ns: AtomicU64,
    drawn: AtomicU64,
}

impl VirtualTime {
    pub(crate) fn pass(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.now_ns.fetch_add(ns, Ordering::SeqCst);
    }
}

impl Runtime for VirtualTime {
    fn now(&self) -> Mono {
        Mono(self.now_ns.load(Ordering::SeqCst))
    }

    fn wall(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }

    fn random(&self) -> u64 {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn sleep(&self, _after: Duration) -> BoxFuture<'static, ()> {
        // Nothing in the background is needed for what the claims say.
        Box::pin(std::future::pending())
    }
}
