//! The log of a server's changes: `log.lua` writes it in the script that makes the change; here it
//! is read.
//!
//! It is a stream whose ids are the numbers of the records, and each record goes out on a channel
//! as well. The number and the incarnation stand in the shard's hash. Only they are the truth: a
//! record that is missing from the stream, for whatever reason, counts as trimmed.

pub(crate) mod join;
mod record;
mod registry;
mod replay;

use larder_core::bus::{Bus, Pushed, Reader, Readers, Replay, Subscription};
use larder_core::error::Result;
use larder_core::lane::{Gap, Position};
use larder_core::runtime::BoxFuture;
use larder_core::store::Pending;

use crate::connect::{self, Feed};
use crate::fault;
use crate::gate::Call;
use crate::scripts::{POLL, READERS, REPLAY};
use crate::store::RedisStore;

/// Most records in one answer to a replay.
const RECORDS: usize = 1000;

/// An answer to a replay ends with the record that goes beyond this.
const BYTES: usize = 1 << 20;

impl RedisStore {
    async fn ask_poll(&self, reader: &Reader) -> Result<Position> {
        let call = self.tier.join.poll(reader);
        let mut reply = self.tier.run_as(Call::Vital, &POLL, &call).await?;
        Ok(Position {
            incarnation: reply.number()?,
            seq: reply.number()?,
        })
    }

    async fn ask_replay(&self, gap: Gap) -> Result<Replay> {
        let keys = &self.tier.keys;
        let mut call = REPLAY.call(2);
        call.arg(&keys.shard()[..]).arg(&keys.log()[..]);
        call.arg(gap.first).arg(gap.last).arg(RECORDS).arg(BYTES);
        replay::read(gap, self.tier.run_as(Call::Vital, &REPLAY, &call).await?)
    }

    async fn ask_readers(&self) -> Result<Readers> {
        let keys = &self.tier.keys;
        let mut call = READERS.call(2);
        call.arg(&keys.shard()[..]).arg(&keys.readers()[..]);
        registry::readers(self.tier.run(&READERS, &call).await?)
    }

    async fn send_nudge(&self) -> Result<()> {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(&self.tier.channel[..]).arg(record::NUDGE);
        let answer = self.tier.link.command(&publish, Call::Once).await?;
        fault::checked(&self.tier.name, answer).map(drop)
    }

    async fn open_feed(&self) -> Result<Box<dyn Subscription>> {
        let feed = connect::subscribe(&self.tier.dialer, &self.tier.channel).await?;
        Ok(Box::new(Messages { feed: Some(feed) }))
    }
}

/// Polls and replays are one script call each. A poll needs `INFO`, because it compares the run id
/// of the server with the one that the log was begun under: a server that was started from a dump,
/// and a replica that took over, begin another life of the log. A server that may not take changes
/// (a replica, or a primary without the replicas that `min-replicas-to-write` asks for) refuses
/// polls, so that nobody relies on a log that is written elsewhere.
///
/// The list of readers is a hash beside the log; see `registry.lua`.
///
/// A subscription is a connection of its own. It ends with its connection, when the reader is more
/// than a thousand records behind, and at a record of a format that is not known here.
impl Bus for RedisStore {
    fn poll<'a>(&'a self, reader: &'a Reader) -> Pending<'a, Position> {
        Pending::waiting(self.ask_poll(reader))
    }

    fn replay(&self, gap: Gap) -> Pending<'_, Replay> {
        Pending::waiting(self.ask_replay(gap))
    }

    fn subscribe(&self) -> Pending<'_, Box<dyn Subscription>> {
        Pending::waiting(self.open_feed())
    }

    fn readers(&self) -> Pending<'_, Readers> {
        Pending::waiting(self.ask_readers())
    }

    fn nudge(&self) -> Pending<'_, ()> {
        Pending::waiting(self.send_nudge())
    }
}

struct Messages {
    /// `None` once it has ended.
    feed: Option<Feed>,
}

impl Subscription for Messages {
    fn next(&mut self) -> BoxFuture<'_, Option<Pushed>> {
        Box::pin(async {
            let message = self.feed.as_mut()?.next().await;
            let pushed = message.and_then(|bytes| record::pushed(&bytes));
            if pushed.is_none() {
                self.feed = None;
            }
            pushed
        })
    }
}
