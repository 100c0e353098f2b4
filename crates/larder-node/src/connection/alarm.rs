//! One timer for all deadlines of a connection.
//!
//! It is set to the earliest deadline and only ever moved forwards; when it rings too early,
//! because the deadline has moved back meanwhile, the owner sets it again. A busy connection thus
//! touches the timer once in a while instead of twice per command.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use larder_core::runtime::{BoxFuture, Mono, Runtime};

pub(super) struct Alarm {
    runtime: Arc<dyn Runtime>,
    at: Mono,
    sleep: Option<BoxFuture<'static, ()>>,
}

impl Alarm {
    pub(super) fn new(runtime: Arc<dyn Runtime>) -> Alarm {
        Alarm {
            runtime,
            at: Mono::MAX,
            sleep: None,
        }
    }

    pub(super) fn now(&self) -> Mono {
        self.runtime.now()
    }

    /// Makes it ring at `deadline` or before.
    pub(super) fn set(&mut self, deadline: Mono) {
        if deadline < self.at {
            self.at = deadline;
            self.sleep = Some(self.after(deadline.since(self.now())));
        }
    }

    /// Completes when it rings; not before it is set.
    pub(super) async fn rings(&mut self) {
        match &mut self.sleep {
            Some(sleep) => sleep.await,
            None => future::pending().await,
        }
        self.sleep = None;
        self.at = Mono::MAX;
    }

    /// A timer of its own.
    pub(super) fn after(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.runtime.sleep(duration)
    }
}
