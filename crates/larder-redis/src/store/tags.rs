//! The numbers of tags.

use bytes::Bytes;
use larder_core::area::{self, Areas};
use larder_core::error::Result;
use larder_core::store::{Lookup, Pending, TagStore};
use larder_core::tag::Cut;
use redis::Cmd;

use super::RedisStore;
use crate::fault;
use crate::gate::Call;
use crate::reply::Reply;
use crate::scripts::TAGS;

/// Tags in one call: far more than one entry may have.
const TAGS_PER_CALL: usize = 512;

/// Caches in one question for areas: a record lies in a few at most, many records in many.
const CACHES_PER_QUESTION: usize = 512;

impl RedisStore {
    async fn ask_tags(&self, tags: &[Bytes], remember: bool) -> Result<Vec<Cut>> {
        let calls: Vec<Cmd> = tags
            .chunks(TAGS_PER_CALL)
            .map(|tags| self.tags_call(tags, remember))
            .collect();
        let replies = match &calls[..] {
            [] => Vec::new(),
            [call] => vec![self.tier.run_as(Call::Repeatable, &TAGS, call).await?],
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

    fn tags_call(&self, tags: &[Bytes], remember: bool) -> Cmd {
        let mut call = TAGS.call(1 + tags.len());
        call.arg(&self.tier.keys.shard()[..]);
        for tag in tags {
            call.arg(&self.tier.keys.wire(tag)[..]);
        }
        call.arg(self.tier.keys.prefix_len())
            .arg(u8::from(remember));
        call
    }

    /// The question for the areas of some caches, and for where the tag clock began.
    fn areas_question(&self, caches: &[Bytes]) -> Cmd {
        let mut ask = redis::cmd("HMGET");
        ask.arg(&self.tier.keys.shard()[..]).arg("base");
        for cache in caches {
            let name = area::cache_of(cache).unwrap_or_default();
            ask.arg(format!("{}{name}", area::AREA));
        }
        ask
    }

    async fn ask_among(
        &self,
        keys: &[Bytes],
        caches: &[Bytes],
    ) -> Result<(Vec<Lookup>, Vec<Areas>)> {
        // The areas last: what was voided before a record was read is in them.
        let mut commands = self.reads(keys);
        let asked = caches.chunks(CACHES_PER_QUESTION);
        commands.extend(asked.clone().map(|caches| self.areas_question(caches)));
        let mut answers = self.tier.read_all(&commands).await?;
        let found = self.lookups(keys, &mut answers)?;
        let mut areas = Vec::with_capacity(caches.len());
        for caches in asked {
            let mut fields = Reply::of(fault::checked(&self.tier.name, answers.next()?)?)?;
            let base = fields.bytes()?.and_then(|digits| {
                let digits = std::str::from_utf8(&digits).ok()?;
                digits.parse().ok()
            });
            for _ in caches {
                let known = fields.bytes()?;
                // Without a base nothing is known, and the next lease begins anew.
                areas.push(base.map_or_else(Areas::unknown, |base| {
                    let mut areas =
                        known.map_or_else(Areas::default, |bytes| Areas::decode(&bytes));
                    areas.raise_floor(Cut(base));
                    areas
                }));
            }
        }
        Ok((found, areas))
    }
}

/// One script call, so that a number and the tag clock are of one moment.
impl TagStore for RedisStore {
    fn tags<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Cut>> {
        Pending::waiting(self.ask_tags(keys, false))
    }

    fn watch<'a>(&'a self, keys: &'a [Bytes]) -> Pending<'a, Vec<Cut>> {
        Pending::waiting(self.ask_tags(keys, true))
    }

    fn get_among<'a>(
        &'a self,
        keys: &'a [Bytes],
        caches: &'a [Bytes],
    ) -> Pending<'a, (Vec<Lookup>, Vec<Areas>)> {
        Pending::waiting(self.ask_among(keys, caches))
    }
}
