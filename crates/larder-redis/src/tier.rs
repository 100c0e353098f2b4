//! What both stores stand on: one server with its connections, clock and keys.

use std::sync::Arc;

use larder_core::error::Result;
use larder_core::runtime::{Mono, Runtime, Timestamp};
use redis::{Cmd, Value};

use crate::clock::Clock;
use crate::config::Redis;
use crate::keys::Keys;
use crate::line::Dialer;
use crate::link::Link;
use crate::pool::{Lent, Pool};
use crate::reply::Reply;
use crate::scripts::Script;
use crate::{fault, reply};

/// One server.
pub(crate) struct Tier {
    pub(crate) name: String,
    pub(crate) link: Link,
    pub(crate) pool: Pool,
    pub(crate) clock: Arc<Clock>,
    pub(crate) keys: Keys,
    pub(crate) runtime: Arc<dyn Runtime>,
}

impl Tier {
    pub(crate) fn new(redis: Redis, runtime: Arc<dyn Runtime>) -> Tier {
        let clock = Arc::new(Clock::new(Arc::clone(&runtime)));
        let name = redis.to_string();
        let keys = Keys::new(redis.key_prefix.clone());
        let dialer = Arc::new(Dialer {
            redis,
            server: name.clone(),
            clock: Arc::clone(&clock),
        });
        Tier {
            name,
            link: Link::new(Arc::clone(&dialer), Arc::clone(&runtime)),
            pool: Pool::new(dialer, Arc::clone(&runtime)),
            clock,
            keys,
            runtime,
        }
    }

    /// Runs a script whose answer begins with the server's time; gives the rest of it.
    pub(crate) async fn run(&self, script: &Script, call: &Cmd) -> Result<Reply> {
        let mut sent = self.clock.sending();
        let mut value = self.link.command(call).await?;
        if fault::is_unknown_script(&value) {
            sent = self.clock.sending();
            value = self.link.command(&script.with_text(call)).await?;
        }
        self.answered(sent, value)
    }

    /// The same on a connection of the pool.
    pub(crate) async fn run_on(
        &self,
        lent: &mut Lent,
        script: &Script,
        call: &Cmd,
    ) -> Result<Reply> {
        let mut sent = self.clock.sending();
        let mut value = lent.command_raw(call).await?;
        if fault::is_unknown_script(&value) {
            sent = self.clock.sending();
            value = lent.command_raw(&script.with_text(call)).await?;
        }
        self.answered(sent, value)
    }

    /// Takes the time from a script's answer to a call sent at `sent`.
    pub(crate) fn answered(&self, sent: Mono, value: Value) -> Result<Reply> {
        let mut reply = Reply::of(fault::checked(&self.name, value)?)?;
        let ms = reply.number()?;
        self.clock.record(sent, Timestamp(ms));
        Ok(reply)
    }

    /// Sends one read, and the question for the time along with it when that is due.
    pub(crate) async fn read(&self, command: &Cmd) -> Result<Value> {
        if !self.clock.is_due() {
            return self.link.command(command).await;
        }
        let mut both = redis::pipe();
        both.cmd("TIME").add_command(command.clone());
        let sent = self.clock.sending();
        let mut answers = Reply::of(self.link.pipeline(&both).await?)?;
        let time = fault::checked(&self.name, answers.next()?)?;
        self.clock.record(sent, Timestamp(reply::time_ms(time)?));
        answers.next()
    }
}
