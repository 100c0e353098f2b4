//! One open connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder_core::error::Result;
use larder_core::runtime::Mono;
use redis::Value;

use crate::bus::join::Join;
use crate::carrier::{Carrier, Ended, Request};
use crate::clock::Clock;
use crate::config::Redis;
use crate::pace::Pace;
use crate::{connect, fault};

/// How long a connection may stay silent while commands wait before it is given up. A peer that
/// vanished without a word (power, firewall) is noticed by this and by nothing else for minutes.
const SILENCE: Duration = Duration::from_secs(2);

/// What opens connections: settings, the server's name for messages, its clock.
pub(crate) struct Dialer {
    pub(crate) redis: Redis,
    pub(crate) pace: Pace,
    pub(crate) server: String,
    pub(crate) clock: Arc<Clock>,
    /// What a connection does before its first command, where the shard has a log.
    pub(crate) join: Option<Arc<Join>>,
}

impl Dialer {
    /// The longest silence of a server that owes an answer.
    pub(crate) fn silence(&self) -> Duration {
        SILENCE.max(self.redis.limits.response_timeout * 4)
    }
}

/// An open connection, shared by any number of commands; closed when dropped.
pub(crate) struct Line {
    carrier: Carrier,
    dialer: Arc<Dialer>,
    /// When the oldest command was sent that is still without an answer although its time is
    /// over; 0 if the server has spoken since.
    silent_since: AtomicU64,
}

impl Line {
    /// Opens a connection.
    pub(crate) async fn open(dialer: &Arc<Dialer>) -> Result<(Line, Ended)> {
        let (carrier, ended) = connect::open(dialer).await?;
        let line = Line {
            carrier,
            dialer: Arc::clone(dialer),
            silent_since: AtomicU64::new(0),
        };
        Ok((line, ended))
    }

    /// Sends `request` and waits for its answer, at most for the response timeout. An error
    /// answer of the server is a value here; see [`fault::checked`]. When the future is dropped,
    /// or fails, it is open whether the server has done it.
    pub(crate) async fn ask(&self, request: Request<'_>) -> Result<Value> {
        let server = &self.dialer.server;
        let limit = self.dialer.redis.limits.response_timeout;
        let sent = self.dialer.clock.sending();
        let asking = self.carrier.ask(request, server);
        match self.dialer.pace.within(limit, asking).await {
            Some(Ok(value)) => {
                // A read first: the line of all commands must not be written by each of them.
                if self.silent_since.load(Ordering::Relaxed) != 0 {
                    self.silent_since.store(0, Ordering::Relaxed);
                }
                Ok(value)
            }
            Some(Err(error)) => Err(error),
            None => {
                self.note_silence(sent);
                let ms = limit.as_millis();
                Err(fault::timeout(server, format!("no answer within {ms} ms")))
            }
        }
    }

    /// Whether the connection has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.carrier.is_closed()
    }

    /// Ends the connection; commands under way fail.
    pub(crate) fn close(&self) {
        self.carrier.close();
    }

    fn note_silence(&self, sent: Mono) {
        let first = self.silent_since.compare_exchange(
            0,
            sent.0.max(1),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        let since = Mono(first.err().unwrap_or(sent.0));
        if self.dialer.clock.sending().since(since) >= self.dialer.silence() {
            self.carrier.close();
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.carrier.close();
    }
}
