//! A few connections of their own for slow commands, so that the others do not wait behind them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use larder_core::error::{ErrorKind, Result};
use larder_core::runtime::{Mono, Runtime};
use parking_lot::Mutex;
use redis::{Cmd, Pipeline, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::carrier::Request;
use crate::fault;
use crate::gate::{Call, Gate};
use crate::line::{Dialer, Line};

/// Connections beyond the minimum are closed after so long without work.
const IDLE_LIFE: Duration = Duration::from_secs(60);

/// Connections that are lent out one command at a time.
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    dialer: Arc<Dialer>,
    runtime: Arc<dyn Runtime>,
    gate: Arc<Gate>,
    places: Arc<Semaphore>,
    /// The one used last is at the back and is lent first, so that the others can grow old.
    idle: Mutex<VecDeque<(Line, Mono)>>,
}

/// A lent connection; goes back when dropped.
pub(crate) struct Lent {
    line: Option<Line>,
    sound: bool,
    shared: Arc<Shared>,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(dialer: Arc<Dialer>, runtime: Arc<dyn Runtime>, gate: Arc<Gate>) -> Pool {
        let places = Arc::new(Semaphore::new(dialer.redis.limits.pool_max));
        Pool {
            shared: Arc::new(Shared {
                dialer,
                runtime,
                gate,
                places,
                idle: Mutex::new(VecDeque::new()),
            }),
        }
    }

    /// Lends a connection, opening one if none is free. Waits for a place at most for the
    /// acquire timeout, and then fails with [`ErrorKind::Overloaded`]. Nothing is lent while the
    /// breaker is open. Slow as these commands are, they say nothing about the server to it.
    pub(crate) async fn lend(&self) -> Result<Lent> {
        drop(self.shared.gate.enter(Call::Once)?);
        let dialer = &self.shared.dialer;
        let limits = &dialer.redis.limits;
        let place = Arc::clone(&self.shared.places).acquire_owned();
        let Some(Ok(place)) = dialer.pace.within(limits.pool_timeout, place).await else {
            return Err(fault::overloaded(
                &dialer.server,
                format!(
                    "all {} connections of the pool were busy for {} ms (CACHE_POOL_MAX_SIZE, \
                     CACHE_POOL_TIMEOUT)",
                    limits.pool_max,
                    limits.pool_timeout.as_millis()
                ),
            ));
        };
        let line = match self.shared.take_idle() {
            Some(line) => line,
            None => self.shared.open().await?,
        };
        self.shared.warm();
        Ok(Lent {
            line: Some(line),
            sound: true,
            shared: Arc::clone(&self.shared),
            _place: place,
        })
    }
}

impl Shared {
    async fn open(self: &Arc<Shared>) -> Result<Line> {
        Ok(Line::open(&self.dialer).await?.0)
    }

    fn take_idle(&self) -> Option<Line> {
        let mut idle = self.idle.lock();
        loop {
            let (line, _) = idle.pop_back()?;
            if !line.is_closed() {
                return Some(line);
            }
        }
    }

    /// Opens connections up to the minimum in the background. A failure is left to the next
    /// command, which reports it.
    fn warm(self: &Arc<Shared>) {
        let places = self.places.available_permits();
        let lent = self.dialer.redis.limits.pool_max - places;
        let open = lent + self.idle.lock().len();
        if open >= self.dialer.redis.limits.pool_min || places == 0 {
            return;
        }
        let shared = Arc::clone(self);
        self.dialer.pace.spawn(async move {
            let Ok(_place) = shared.places.try_acquire() else {
                return;
            };
            if let Ok(line) = shared.open().await {
                let now = shared.runtime.now();
                shared.idle.lock().push_front((line, now));
            }
        });
    }

    fn give_back(&self, line: Line) {
        let now = self.runtime.now();
        let mut idle = self.idle.lock();
        idle.push_back((line, now));
        while idle.len() > self.dialer.redis.limits.pool_min.max(1)
            && idle
                .front()
                .is_some_and(|(_, since)| now.since(*since) > IDLE_LIFE)
        {
            idle.pop_front();
        }
    }
}

impl Lent {
    /// Sends one command. An error answer is an error.
    pub(crate) async fn command(&mut self, command: &Cmd) -> Result<Value> {
        let value = self.ask(Request::One(command)).await?;
        fault::checked(&self.shared.dialer.server, value)
    }

    /// Sends one command. An error answer is a value.
    pub(crate) async fn command_raw(&mut self, command: &Cmd) -> Result<Value> {
        self.ask(Request::One(command)).await
    }

    /// Sends several commands in one go: an array of their answers. An error answer is a value.
    pub(crate) async fn pipeline(&mut self, commands: &Pipeline) -> Result<Value> {
        self.ask(Request::Many(commands)).await
    }

    async fn ask(&mut self, request: Request<'_>) -> Result<Value> {
        let Some(line) = &self.line else {
            return Err(fault::unavailable(
                &self.shared.dialer.server,
                "the connection was given back",
            ));
        };
        let answer = line.ask(request).await;
        if let Err(error) = &answer {
            self.sound &= !matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable);
        }
        answer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(line) = self.line.take().filter(|_| self.sound) {
            self.shared.give_back(line);
        }
    }
}
