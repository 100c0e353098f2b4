//! Before every command to a server: its breaker, and the budget of repetitions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use larder_core::breaker::{Breaker, BreakerPolicy, BreakerState, Budget, Ended, Pass};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::runtime::{Mono, Runtime};
use larder_core::store::{Health, HealthReport};
use parking_lot::Mutex;
use redis::Value;

use crate::fault;

/// What a command is to the gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    /// Whether it took place matters.
    Once,
    /// Makes no difference when it is done twice: repeated if its connection breaks, once.
    Repeatable,
    /// Made even while the breaker is open.
    Vital,
}

/// The breaker of one server, as one process sees it.
pub(crate) struct Gate {
    server: String,
    runtime: Arc<dyn Runtime>,
    /// `None`: everything goes through.
    breaker: Option<Mutex<Breaker>>,
    budget: Mutex<Budget>,
    /// What the last call that failed said.
    last: Mutex<Option<Error>>,
    opened: AtomicU64,
    refused: AtomicU64,
    repeated: AtomicU64,
}

/// A call under way; dropping it says that its caller went away.
pub(crate) struct OnTheWay<'a> {
    gate: &'a Gate,
    pass: Option<(Pass, Mono)>,
}

impl Gate {
    pub(crate) fn new(
        policy: Option<BreakerPolicy>,
        server: &str,
        runtime: &Arc<dyn Runtime>,
    ) -> Gate {
        Gate {
            server: server.to_owned(),
            runtime: Arc::clone(runtime),
            breaker: policy.map(|policy| Mutex::new(Breaker::new(policy))),
            budget: Mutex::new(Budget::new(runtime.now())),
            last: Mutex::new(None),
            opened: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
        }
    }

    /// Lets a call through, or refuses it at once.
    pub(crate) fn enter(&self, call: Call) -> Result<OnTheWay<'_>> {
        let now = self.runtime.now();
        if call == Call::Repeatable {
            self.budget.lock().called();
        }
        let Some(breaker) = &self.breaker else {
            return Ok(self.on_the_way(None));
        };
        let entered = breaker.lock().enter(now, call == Call::Vital);
        match entered {
            Ok(pass) => Ok(self.on_the_way(Some((pass, now)))),
            Err(_) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(self.refusal())
            }
        }
    }

    fn refusal(&self) -> Error {
        match &*self.last.lock() {
            Some(last) => {
                let message = format!(
                    "{}; not asked again for a moment (breaker open)",
                    last.message()
                );
                Error::new(ErrorKind::Unavailable, message)
            }
            None => fault::unavailable(
                &self.server,
                "it answers too slowly; not asked for a moment (breaker open)",
            ),
        }
    }

    fn on_the_way(&self, pass: Option<(Pass, Mono)>) -> OnTheWay<'_> {
        OnTheWay { gate: self, pass }
    }

    /// Whether a call that failed may be repeated; that is paid for.
    pub(crate) fn may_repeat(&self) -> bool {
        let may = self.budget.lock().take(self.runtime.now());
        if may {
            self.repeated.fetch_add(1, Ordering::Relaxed);
        }
        may
    }

    /// There is a new connection.
    pub(crate) fn reachable(&self) {
        if let Some(breaker) = &self.breaker {
            let changed = breaker.lock().reachable();
            self.say(changed, (0, 0, 0));
        }
    }

    fn ended(&self, (pass, began): (Pass, Mono), how: impl FnOnce(Mono) -> Ended) {
        let Some(breaker) = &self.breaker else {
            return;
        };
        let now = self.runtime.now();
        let ended = how(now);
        debug_assert!(now >= began, "the clock of a process never goes back");
        let mut breaker = breaker.lock();
        // What it looked at is forgotten when it closes.
        let looked_at = breaker.looked_at();
        let changed = breaker.ended(pass, ended, now, || self.runtime.random());
        drop(breaker);
        self.say(changed, looked_at);
    }

    fn say(&self, changed: Option<BreakerState>, (failed, slow, all): (usize, usize, usize)) {
        let server = &self.server;
        match changed {
            Some(BreakerState::Open) => {
                self.opened.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%server, failed, slow, of = all, "breaker open: the server is left alone");
            }
            Some(BreakerState::HalfOpen) => tracing::debug!(%server, "breaker half-open"),
            Some(BreakerState::Closed) => {
                *self.last.lock() = None;
                tracing::info!(%server, "breaker closed: the server is used again");
            }
            None => {}
        }
    }
}

impl OnTheWay<'_> {
    /// Tells the breaker how it ended.
    pub(crate) fn end(mut self, answer: &Result<Value>) {
        let Some((pass, began)) = self.pass.take() else {
            return;
        };
        if let Err(error) = answer
            && outcome(error) == Ended::Failed
        {
            *self.gate.last.lock() = Some(error.clone());
        }
        self.gate.ended((pass, began), |now| match answer {
            Ok(value) if fault::is_unable(value) => Ended::Failed,
            Ok(_) => Ended::Answered(now.since(began)),
            Err(error) => outcome(error),
        });
    }
}

/// What an error says about the server. A limit of this process says nothing.
fn outcome(error: &Error) -> Ended {
    match error.kind() {
        ErrorKind::Timeout | ErrorKind::Unavailable => Ended::Failed,
        _ => Ended::Unknown,
    }
}

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.gate.ended(pass, |_| Ended::Unknown);
        }
    }
}

impl Health for Gate {
    fn report(&self) -> HealthReport {
        let breaker = self.breaker.as_ref();
        HealthReport {
            breaker: breaker.map_or(BreakerState::Closed, |breaker| breaker.lock().state()),
            opened: self.opened.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            repeated: self.repeated.load(Ordering::Relaxed),
        }
    }
}
