//! The limit of loads: how many ask the source at once, how many wait for that and how long, and how
//! fast they begin after everything was lost.

mod ramp;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use larder_core::runtime::{Mono, Runtime};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use crate::options::IntoDuration;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use ramp::Pace;
pub use ramp::Ramp;

/// The most loads that ask the source at once, of one cache or of all those that are given a clone.
///
/// A load beyond the limit waits in a queue, in the order of arrival, under its lease: other processes
/// do not load the key meanwhile. Where the queue is full, or its deadline passes, the load is refused:
/// its readers get the stale value if there is one ([`StaleReason::Overloaded`](crate::StaleReason)),
/// else an error of kind [`ErrorKind::Overloaded`](crate::ErrorKind). When nobody waits for a load any
/// more, it leaves the queue.
///
/// A key has one load at a time, so that the queue holds keys, not readers. A load inside of another one
/// goes with that one and is not counted: it would wait for itself. A refresh does not queue; beyond the
/// limit it does not take place.
///
/// Only queue and deadline belong to the handle: caches that share the limit may have their own.
///
/// ```
/// use larder::{Cache, LoadLimit, Near};
/// # async fn f() -> Result<(), larder::Error> {
/// let database = LoadLimit::new(32).queue(500).queue_for("2s");
/// let users: Cache<u64, String> = Cache::builder("app:users")
///     .ttl("1h")
///     .near(Near::bytes("16MiB"))
///     .load_limit(database.clone())
///     .build()
///     .await?;
/// # drop(users); Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct LoadLimit {
    queue: usize,
    queue_for: Result<Duration, String>,
    ramp: Option<Ramp>,
    at_once: usize,
    state: Arc<State>,
}

struct State {
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    refused: AtomicU64,
    /// The first of those that wait for the pace; the others are behind it.
    turn: Mutex<()>,
    pace: Pace,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("waiting", &self.waiting)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

/// What a [`LoadLimit`] counts, for all caches that share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitStats {
    /// Loads that ask the source now.
    pub running: u64,
    /// Loads in the queue now.
    pub waiting: u64,
    /// Loads that were refused because the queue was full or its deadline passed.
    pub refused: u64,
    /// Whether loads are paced now, after a clear or a start.
    pub is_ramping: bool,
}

/// The right to ask the source, until this is dropped.
pub(crate) struct Admitted {
    _permit: OwnedSemaphorePermit,
}

/// Why a load was refused.
#[derive(Debug)]
pub(crate) enum Refused {
    Full(usize),
    Late(Duration),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Full(queue) => write!(
                f,
                "{queue} others are waiting already, which is the limit (LoadLimit::queue)"
            ),
            Refused::Late(waited) => write!(
                f,
                "it has waited for {waited:?}, which is the limit (LoadLimit::queue_for)"
            ),
        }
    }
}

/// A place in the queue, given back when it is left in whatever way.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl LoadLimit {
    /// So many loads at once.
    pub fn new(at_once: usize) -> LoadLimit {
        let state = State {
            running: Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            turn: Mutex::new(()),
            pace: Pace::default(),
        };
        LoadLimit {
            queue: 1_000,
            queue_for: Ok(Duration::from_secs(5)),
            ramp: None,
            at_once,
            state: Arc::new(state),
        }
    }

    /// Any number at once: for a [`ramp`](LoadLimit::ramp) alone.
    pub fn unlimited() -> LoadLimit {
        LoadLimit::new(Semaphore::MAX_PERMITS)
    }

    /// The most loads that wait. Default: 1,000.
    pub fn queue(mut self, queue: usize) -> LoadLimit {
        self.queue = queue;
        self
    }

    /// How long one waits at most. Default: 5 s.
    pub fn queue_for(mut self, limit: impl IntoDuration) -> LoadLimit {
        self.queue_for = limit.into_duration();
        self
    }

    /// Loads begin slowly after a cache with this limit was built or cleared.
    pub fn ramp(mut self, ramp: Ramp) -> LoadLimit {
        self.ramp = Some(ramp);
        self
    }

    /// Counts since the limit was made, over all caches that share it.
    pub fn stats(&self) -> LimitStats {
        let free = self.state.running.available_permits();
        let all = self.at_once.min(Semaphore::MAX_PERMITS);
        LimitStats {
            running: all.saturating_sub(free) as u64,
            waiting: self.state.waiting.load(Ordering::Relaxed) as u64,
            refused: self.state.refused.load(Ordering::Relaxed),
            is_ramping: self.state.pace.is_on(),
        }
    }

    /// What is wrong with the settings.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.at_once == 0 {
            return Err("load_limit: must be more than zero".to_owned());
        }
        let queue_for = self.queue_for.as_ref();
        if queue_for
            .map_err(|error| format!("load_limit queue_for: {error}"))?
            .is_zero()
        {
            return Err("load_limit queue_for: must be more than zero".to_owned());
        }
        match &self.ramp {
            Some(ramp) => ramp.check(),
            None => Ok(()),
        }
    }

    pub(crate) fn begin_ramp(&self, now: Mono) {
        if let Some(ramp) = &self.ramp {
            self.state.pace.begin(ramp, now);
        }
    }

    /// Admits a load if that can be done at once, and nobody waits.
    pub(crate) fn try_admit(&self, now: Mono) -> Option<Admitted> {
        let state = &self.state;
        if state.pace.is_on() {
            let _turn = state.turn.try_lock().ok()?;
            // The permit first: a token that is taken is gone.
            let permit = state.running.clone().try_acquire_owned().ok()?;
            state.pace.take(now).ok()?;
            return Some(Admitted { _permit: permit });
        }
        let permit = state.running.clone().try_acquire_owned().ok()?;
        Some(Admitted { _permit: permit })
    }

    /// Waits in the queue.
    pub(crate) async fn admit(&self, runtime: &dyn Runtime) -> Result<Admitted, Refused> {
        let state = &*self.state;
        let refuse = |refused| {
            state.refused.fetch_add(1, Ordering::Relaxed);
            Err(refused)
        };
        let before = state.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&state.waiting);
        if before >= self.queue {
            return refuse(Refused::Full(self.queue));
        }
        let limit = self
            .queue_for
            .as_ref()
            .map_or(Duration::ZERO, |limit| *limit);
        let turn = Box::pin(self.wait_turn(runtime));
        match select(turn, runtime.sleep(limit)).await {
            Either::Left((admitted, _)) => Ok(admitted),
            Either::Right(_) => refuse(Refused::Late(limit)),
        }
    }

    async fn wait_turn(&self, runtime: &dyn Runtime) -> Admitted {
        let state = &self.state;
        if state.pace.is_on() {
            let _turn = state.turn.lock().await;
            while let Err(pause) = state.pace.take(runtime.now()) {
                runtime.sleep(pause).await;
            }
        }
        let permit = state.running.clone().acquire_owned().await;
        Admitted {
            _permit: permit.expect("the semaphore is never closed"),
        }
    }
}
