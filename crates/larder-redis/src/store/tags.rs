//! The numbers of tags.

use bytes::Bytes;
use larder_core::error::Result;
use larder_core::store::{Pending, TagStore};
use larder_core::tag::Cut;
use redis::Cmd;

use super::RedisStore;
use crate::scripts::TAGS;

/// Tags in one call: far more than one entry may have.
const TAGS_PER_CALL: usize = 512;

impl RedisStore {
    async fn ask_tags(&self, tags: &[Bytes]) -> Result<Vec<Cut>> {
        let calls: Vec<Cmd> = tags
            .chunks(TAGS_PER_CALL)
            .map(|tags| self.tags_call(tags))
            .collect();
        let replies = match &calls[..] {
            [] => Vec::new(),
            [call] => vec![self.tier.run(&TAGS, call).await?],
            calls => self.tier.run_all(&TAGS, calls).await?,
        };
        let mut numbers = Vec::with_capacity(tags.len());
        for (mut reply, tags) in replies.into_iter().zip(tags.chunks(TAGS_PER_CALL)) {
            for _ in tags {
                numbers.push(Cut(reply.number()?));
            }
        }
        Ok(numbers)
    }

    fn tags_call(&self, tags: &[Bytes]) -> Cmd {
        let mut call = TAGS.call(1 + tags.len());
        call.arg(&self.tier.keys.shard()[..]);
        for tag in tags {
            call.arg(&self.tier.keys.wire(tag)[..]);
        }
        call
    }
}

/// One script call, so that a number and the tag clock are of one moment.
impl TagStore for RedisStore {
    fn tags<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Cut>> {
        Pending::waiting(self.ask_tags(keys))
    }
}
