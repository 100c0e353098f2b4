//! What both stores stand on: one server with its connections, clock and keys.

use std::sync::Arc;

use bytes::Bytes;
use larder_core::error::Result;
use larder_core::runtime::{Mono, Runtime, Timestamp};
use redis::{Cmd, Value};

use crate::browse::Layout;
use crate::bus::join::Join;
use crate::clock::Clock;
use crate::config::Redis;
use crate::gate::{Call, Gate};
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
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) link: Link,
    pub(crate) gate: Arc<Gate>,
    pub(crate) pool: Pool,
    pub(crate) clock: Arc<Clock>,
    pub(crate) keys: Keys,
    /// Where the log of the enveloped layout is pushed.
    pub(crate) channel: Bytes,
    pub(crate) join: Arc<Join>,
    pub(crate) runtime: Arc<dyn Runtime>,
}

impl Tier {
    pub(crate) fn new(redis: Redis, runtime: Arc<dyn Runtime>, layout: Layout) -> Tier {
        let clock = Arc::new(Clock::new(Arc::clone(&runtime)));
        let name = redis.to_string();
        let keys = Keys::new(redis.key_prefix.clone());
        let channel = keys.channel(redis.address.database);
        let join = Arc::new(Join::new(&keys, Arc::clone(&runtime)));
        let dialer = Arc::new(Dialer {
            pace: redis.pace(&runtime),
            redis,
            server: name.clone(),
            clock: Arc::clone(&clock),
            join: (layout == Layout::Enveloped).then(|| Arc::clone(&join)),
        });
        let gate = Arc::new(Gate::new(dialer.redis.breaker.clone(), &name, &runtime));
        Tier {
            name,
            dialer: Arc::clone(&dialer),
            link: Link::new(Arc::clone(&dialer), Arc::clone(&runtime), Arc::clone(&gate)),
            pool: Pool::new(dialer, Arc::clone(&runtime), Arc::clone(&gate)),
            gate,
            clock,
            keys,
            channel,
            join,
            runtime,
        }
    }

    /// Runs a script whose answer begins with the server's time; gives the rest of it.
    pub(crate) async fn run(&self, script: &Script, call: &Cmd) -> Result<Reply> {
        self.run_as(Call::Once, script, call).await
    }

    /// The same for a call that may be more than one of many.
    pub(crate) async fn run_as(&self, kind: Call, script: &Script, call: &Cmd) -> Result<Reply> {
        let mut sent = self.clock.sending();
        let mut value = self.link.command(call, kind).await?;
        if fault::is_unknown_script(&value) {
            sent = self.clock.sending();
            value = self.link.command(&script.with_text(call), kind).await?;
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

    /// Runs several calls of a script in one go, in order. They carry the text: a call by hash
    /// that the server does not know would have to be repeated after the ones behind it.
    pub(crate) async fn run_all(&self, script: &Script, calls: &[Cmd]) -> Result<Vec<Reply>> {
        let mut pipeline = redis::pipe();
        for call in calls {
            pipeline.add_command(script.with_text(call));
        }
        let sent = self.clock.sending();
        let mut answers = Reply::of(self.link.pipeline(&pipeline, Call::Once).await?)?;
        calls
            .iter()
            .map(|_| self.answered(sent, answers.next()?))
            .collect()
    }

    /// Takes the time from a script's answer to a call sent at `sent`.
    fn answered(&self, sent: Mono, value: Value) -> Result<Reply> {
        let mut reply = Reply::of(fault::checked(&self.name, value)?)?;
        reply.time = Timestamp(reply.number()?);
        self.clock.record(sent, reply.time);
        Ok(reply)
    }

    /// Sends one read, and the question for the time along with it when that is due. An error
    /// answer is a value.
    pub(crate) async fn read(&self, command: &Cmd) -> Result<Value> {
        if !self.clock.is_due() {
            return self.link.command(command, Call::Repeatable).await;
        }
        self.read_all(std::slice::from_ref(command)).await?.next()
    }

    /// Sends several reads in one go, and the question for the time. Error answers are values.
    pub(crate) async fn read_all(&self, commands: &[Cmd]) -> Result<Reply> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("TIME");
        for command in commands {
            pipeline.add_command(command.clone());
        }
        let sent = self.clock.sending();
        let mut answers = Reply::of(self.link.pipeline(&pipeline, Call::Repeatable).await?)?;
        let time = fault::checked(&self.name, answers.next()?)?;
        self.clock.record(sent, Timestamp(reply::time_ms(time)?));
        Ok(answers)
    }
}
