//! One connection for all commands, kept alive in the background.
//!
//! The first command opens it. From then on a task watches it and opens another when it breaks:
//! at once, and then with growing pauses. While the server cannot be reached commands fail at
//! once with the reason of the last attempt, so that a dead server costs its callers nothing.

mod backoff;

use std::sync::{Arc, Weak};

use larder_core::error::{Error, ErrorKind, Result};
use larder_core::runtime::Runtime;
use redis::{Cmd, Pipeline, Value};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::carrier::Request;
use crate::fault;
use crate::gate::{Call, Gate};
use crate::line::{Dialer, Line};

/// The connection of a store.
pub(crate) struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    dialer: Arc<Dialer>,
    runtime: Arc<dyn Runtime>,
    state: watch::Sender<State>,
    gate: Arc<Gate>,
    turns: Semaphore,
}

#[derive(Clone)]
enum State {
    /// Nobody has asked for anything yet.
    Idle,
    /// The first attempt, or the first since a connection broke: commands wait for its end.
    Connecting,
    /// Commands are sent.
    Up(Arc<Line>),
    /// Commands fail with this; attempts go on.
    Down(Error),
}

impl Link {
    pub(crate) fn new(dialer: Arc<Dialer>, runtime: Arc<dyn Runtime>, gate: Arc<Gate>) -> Link {
        Link {
            shared: Arc::new(Shared {
                turns: Semaphore::new(dialer.redis.limits.max_in_flight),
                dialer,
                runtime,
                gate,
                state: watch::Sender::new(State::Idle),
            }),
        }
    }

    /// Sends one command. An error answer is a value.
    pub(crate) async fn command(&self, command: &Cmd, call: Call) -> Result<Value> {
        self.ask(Request::One(command), call).await
    }

    /// Sends several commands in one go: an array of their answers. An error answer is a value.
    pub(crate) async fn pipeline(&self, commands: &Pipeline, call: Call) -> Result<Value> {
        self.ask(Request::Many(commands), call).await
    }

    async fn ask(&self, request: Request<'_>, call: Call) -> Result<Value> {
        let (answer, broken) = self.attempt(request, call, None).await?;
        match (&answer, broken) {
            // The connection broke under it, and there may be another one in a moment.
            (Err(_), Some(broken)) if call == Call::Repeatable && self.shared.gate.may_repeat() => {
                self.attempt(request, call, Some(&broken)).await?.0
            }
            _ => answer,
        }
    }

    /// One attempt, and the connection if it broke under it; an error if it was refused here.
    /// It is not made over the connection `but`, which broke and may not have been missed yet.
    async fn attempt(
        &self,
        request: Request<'_>,
        call: Call,
        but: Option<&Arc<Line>>,
    ) -> Result<(Result<Value>, Option<Arc<Line>>)> {
        let on_the_way = self.shared.gate.enter(call)?;
        let mut broken = None;
        let answer = async {
            let line = self.line(but).await?;
            let _turn = self.turn().await?;
            let answer = line.ask(request).await;
            if let Err(error) = &answer
                && error.kind() == ErrorKind::Unavailable
            {
                line.close();
                broken = Some(line);
            }
            answer
        }
        .await;
        on_the_way.end(&answer);
        Ok((answer, broken))
    }

    /// The open connection, and never `but`; waits for an attempt under way, and at most as long
    /// as one may take.
    async fn line(&self, but: Option<&Arc<Line>>) -> Result<Arc<Line>> {
        let is_usable = |line: &Arc<Line>| but.is_none_or(|but| !Arc::ptr_eq(but, line));
        if let State::Up(line) = &*self.shared.state.borrow()
            && is_usable(line)
        {
            return Ok(Arc::clone(line));
        }
        self.start();
        let dialer = &self.shared.dialer;
        let mut state = self.shared.state.subscribe();
        let decided = state.wait_for(|state| match state {
            State::Up(line) => is_usable(line),
            State::Down(_) => true,
            State::Idle | State::Connecting => false,
        });
        let limit = dialer.redis.limits.connect_timeout;
        match dialer.pace.within(limit, decided).await {
            Some(Ok(state)) => match &*state {
                State::Up(line) => Ok(Arc::clone(line)),
                State::Down(error) => Err(error.clone()),
                State::Idle | State::Connecting => Err(self.not_yet()),
            },
            Some(Err(_)) | None => Err(self.not_yet()),
        }
    }

    fn not_yet(&self) -> Error {
        fault::unavailable(&self.shared.dialer.server, "there is no connection yet")
    }

    fn start(&self) {
        let started = self.shared.state.send_if_modified(|state| {
            let idle = matches!(state, State::Idle);
            if idle {
                *state = State::Connecting;
            }
            idle
        });
        if started {
            let keeping = keep_up(Arc::downgrade(&self.shared));
            self.shared.dialer.pace.spawn(keeping);
        }
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>> {
        if let Ok(turn) = self.shared.turns.try_acquire() {
            return Ok(turn);
        }
        let dialer = &self.shared.dialer;
        let limits = &dialer.redis.limits;
        let waiting = self.shared.turns.acquire();
        match dialer.pace.within(limits.response_timeout, waiting).await {
            Some(Ok(turn)) => Ok(turn),
            _ => Err(fault::overloaded(
                &dialer.server,
                format!(
                    "{} commands are under way, the most that is allowed (max_in_flight)",
                    limits.max_in_flight
                ),
            )),
        }
    }
}

/// Opens connections until the store is dropped.
async fn keep_up(shared: Weak<Shared>) {
    let _reset = ResetToIdle(Weak::clone(&shared));
    let mut failures = 0;
    while let Some(link) = shared.upgrade() {
        match Line::open(&link.dialer).await {
            Ok((line, ended)) => {
                failures = 0;
                link.go_up(line);
                drop(link);
                // Ends with the connection, or with the last holder of the line.
                ended.await;
                let Some(link) = shared.upgrade() else {
                    return;
                };
                tracing::warn!(server = %link.dialer.server, "connection to Redis lost");
                link.state.send_replace(State::Connecting);
            }
            Err(error) => {
                link.go_down(error);
                let pause = backoff::pause(failures, link.runtime.random());
                failures += 1;
                let dialer = Arc::clone(&link.dialer);
                drop(link);
                dialer.pace.rest(pause).await;
            }
        }
    }
}

impl Shared {
    fn go_up(&self, line: Line) {
        tracing::info!(server = %self.dialer.server, "connected to Redis");
        self.state.send_replace(State::Up(Arc::new(line)));
        self.gate.reachable();
    }

    fn go_down(&self, error: Error) {
        // One line for each change of the reason, not for each attempt.
        let known = match &*self.state.borrow() {
            State::Down(known) => known.kind() == error.kind(),
            _ => false,
        };
        if !known {
            tracing::warn!(%error, "no connection to Redis; trying again until there is one");
        }
        self.state.send_replace(State::Down(error));
    }
}

/// When the tokio runtime that the task lived on ends before the store does, the next command
/// starts a new task where it runs.
struct ResetToIdle(Weak<Shared>);

impl Drop for ResetToIdle {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.state.send_replace(State::Idle);
        }
    }
}
