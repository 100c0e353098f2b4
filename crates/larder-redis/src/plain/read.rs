//! Reads of the plain layout: values together with what is left of their lives.

use bytes::Bytes;
use larder_core::error::Result;
use larder_core::limits::MAX_KEYS_PER_SCRIPT;
use larder_core::record::{Kind, Record};
use larder_core::runtime::Timestamp;
use larder_core::store::Lookup;
use larder_core::tag::{Cut, Tags};
use redis::{Cmd, Value};

use super::{PlainStore, version};
use crate::reply::{self, Reply};
use crate::scripts::PLAIN_GET;
use crate::store::commit::CALLS_PER_TRIP;

impl PlainStore {
    pub(super) async fn read_one(&self, key: &Bytes) -> Result<Lookup> {
        let call = self.get_call(std::slice::from_ref(key));
        let mut reply = self.tier.run(&PLAIN_GET, &call).await?;
        self.lookup(&mut reply)
    }

    pub(super) async fn read_many(&self, keys: &[Bytes]) -> Result<Vec<Lookup>> {
        let mut found = Vec::with_capacity(keys.len());
        for part in keys.chunks(MAX_KEYS_PER_SCRIPT * CALLS_PER_TRIP) {
            let chunks = || part.chunks(MAX_KEYS_PER_SCRIPT);
            let calls: Vec<Cmd> = chunks().map(|keys| self.get_call(keys)).collect();
            let answers = self.tier.run_all(&PLAIN_GET, &calls).await?;
            for (mut reply, keys) in answers.into_iter().zip(chunks()) {
                for _ in keys {
                    found.push(self.lookup(&mut reply)?);
                }
            }
        }
        Ok(found)
    }

    fn get_call(&self, keys: &[Bytes]) -> Cmd {
        let mut call = PLAIN_GET.call(keys.len());
        for key in keys {
            call.arg(&self.tier.keys.wire(key)[..]);
        }
        call
    }

    /// The next value of an answer. What is left of it is counted from the server's own time.
    fn lookup(&self, reply: &mut Reply) -> Result<Lookup> {
        let value = match reply.next()? {
            // Another type than a string.
            Value::Int(0) => None,
            value => reply::bytes(value)?,
        };
        let left_ms = reply.int()?;
        let Some(value) = value else {
            return Ok(Lookup::Absent);
        };
        let end = u64::try_from(left_ms)
            .ok()
            .map(|left| Timestamp(reply.time.0.saturating_add(left)));
        Ok(Lookup::Found(Record {
            kind: Kind::Value,
            version: version(&value),
            marked_stale: false,
            origin: 0,
            load_cost_ms: 0,
            created: Timestamp(0),
            fresh_until: end,
            expires_at: end,
            codec: self.codec,
            schema: 0,
            tags: Tags::default(),
            cut: Cut(0),
            value,
        }))
    }
}
