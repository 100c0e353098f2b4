//! Following an outbox: notices that transactions have recorded are carried out, whatever became of
//! those who recorded them.
//!
//! A [`Tail`] asks the outbox several times a second, invalidates what the notices say by way of an
//! [`Invalidator`], and deletes them once that was acknowledged. Any number of processes may follow
//! one outbox. Which database it is in is a matter of the [`Outbox`] (`larder_sql::sqlite`).

mod batch;
mod counts;
mod follow;
mod state;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use larder_core::error::{Error, ErrorKind, Result};
use larder_core::runtime::Runtime;
use larder_core::units::show_duration;
use tokio::sync::oneshot;

pub use counts::TailStats;
pub use larder_core::outbox::{Backlog, Claim, Notice, Notices, Outbox, What};

use crate::invalidator::Invalidator;
use crate::options::IntoDuration;
use crate::runtime::TokioRuntime;
use counts::Counts;
use follow::Follower;

/// How often an outbox is asked.
const EVERY: Duration = Duration::from_millis(100);

/// What may be set for that: less is a burden, and more would not leave room for the other delays
/// within two seconds.
const EVERY_RANGE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// For how long a process has the notices that it took. One that dies delays them by this; with the
/// pause of others who find nothing, that is less than a second.
const HOLD: Duration = Duration::from_millis(400);

/// Most notices that are taken at once: a few scripts of the remote tier.
const LIMIT: usize = 512;

/// Carries out the notices of an outbox for as long as it lives.
///
/// # What it promises
///
/// A notice that was committed is carried out by one of the processes that follow the outbox, within
/// half a second if one of them can reach the outbox and the remote tier, and within a second if
/// another had just taken it and died. While the remote tier is away, it is tried again at least once
/// a second. A notice that nobody here can carry out (its cache was not added to the invalidator, or
/// it is of a later version) waits for somebody who can, and is in nobody's way.
///
/// A notice may be carried out more than once. That does no harm beside a miss.
///
/// # When it ends
///
/// Dropping it ends it. Notices that it has taken are still carried out; the others are left.
#[must_use = "a tail ends when it is dropped"]
pub struct Tail {
    counts: Arc<Counts>,
    ended: oneshot::Receiver<()>,
    /// Its end is the sign to stop.
    _stop: oneshot::Sender<()>,
}

/// Collects the settings of a [`Tail`].
#[must_use]
pub struct TailBuilder {
    outbox: Arc<dyn Outbox>,
    invalidator: Invalidator,
    every: Result<Duration, String>,
    runtime: Option<Arc<dyn Runtime>>,
}

impl TailBuilder {
    /// How often the outbox is asked while there is something in it; between once and three times as
    /// long, but at most half a second, while there is nothing. Default: 100 ms.
    pub fn every(mut self, every: impl IntoDuration) -> TailBuilder {
        self.every = every.into_duration();
        self
    }

    /// The surroundings. Default: the tokio runtime that calls [`start`](TailBuilder::start).
    pub fn runtime(mut self, runtime: Arc<dyn Runtime>) -> TailBuilder {
        self.runtime = Some(runtime);
        self
    }

    /// Starts a task that follows the outbox. An outbox that cannot be reached is no error; it is
    /// tried again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when a setting is out of range.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, unless [`runtime`](TailBuilder::runtime) was given.
    pub fn start(self) -> Result<Tail> {
        let refuse = |problem: String| {
            let message = format!("the tail of the outbox cannot be started: every: {problem}");
            Error::new(ErrorKind::Config, message)
        };
        let every = self.every.map_err(refuse)?;
        let (least, most) = EVERY_RANGE;
        if !(least..=most).contains(&every) {
            let (every, least, most) = (
                show_duration(every),
                show_duration(least),
                show_duration(most),
            );
            return Err(refuse(format!("{every} is not from {least} to {most}")));
        }
        let runtime = self
            .runtime
            .unwrap_or_else(|| Arc::new(TokioRuntime::current()));
        let counts = Arc::<Counts>::default();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let follower = Follower::new(
            self.outbox,
            &self.invalidator,
            runtime.clone(),
            every,
            counts.clone(),
        );
        runtime.spawn(Box::pin(async move {
            follower.run(stopped).await;
            // Nobody waits for the end of a tail that was dropped.
            let _ = end.send(());
        }));
        Ok(Tail {
            counts,
            ended,
            _stop: stop,
        })
    }
}

impl Tail {
    /// Follows an outbox on behalf of the caches of an invalidator, with the usual settings.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(outbox: impl Outbox + 'static, invalidator: &Invalidator) -> Tail {
        let builder = Tail::builder(outbox, invalidator);
        builder.start().expect("the usual settings are in range")
    }

    /// Begins a tail with other settings.
    pub fn builder(outbox: impl Outbox + 'static, invalidator: &Invalidator) -> TailBuilder {
        TailBuilder {
            outbox: Arc::new(outbox),
            invalidator: invalidator.clone(),
            every: Ok(EVERY),
            runtime: None,
        }
    }

    /// Counts since the start, and what waits now.
    pub fn stats(&self) -> TailStats {
        self.counts.stats()
    }

    /// Takes no more notices, and returns once those that it has taken are carried out or given
    /// back.
    pub async fn stop(self) {
        let Tail { ended, _stop, .. } = self;
        drop(_stop);
        // An error means that the runtime was shut down, and the task with it.
        let _ = ended.await;
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tail").field(&self.stats()).finish()
    }
}
