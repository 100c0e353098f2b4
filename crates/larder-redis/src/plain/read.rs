//! Reads of the plain layout: values together with what is left of their lives.

use bytes::Bytes;
use larder_core::error::{Error, Result};
use larder_core::limits::MAX_KEYS_PER_SCRIPT;
use larder_core::record::{Kind, Record};
use larder_core::runtime::Timestamp;
use larder_core::store::Lookup;
use redis::Value;

use super::{PlainStore, version};
use crate::reply::{self, unexpected};
use crate::scripts::PLAIN_GET;

impl PlainStore {
    pub(super) async fn read_one(&self, key: &Bytes) -> Result<Lookup> {
        let found = self.read_many(std::slice::from_ref(key)).await?;
        found.into_iter().next().ok_or_else(no_answer)
    }

    pub(super) async fn read_many(&self, keys: &[Bytes]) -> Result<Vec<Lookup>> {
        let mut found = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(MAX_KEYS_PER_SCRIPT) {
            let mut call = PLAIN_GET.call(chunk.len());
            for key in chunk {
                call.arg(&self.tier.keys.wire(key)[..]);
            }
            let mut reply = self.tier.run(&PLAIN_GET, &call).await?;
            // Never behind the server, so a copy made of this record does not outlive it by
            // more than the answer took.
            let now = self.tier.clock.now();
            for _ in chunk {
                let value = reply.next()?;
                found.push(self.lookup(value, reply.int()?, now)?);
            }
        }
        Ok(found)
    }

    fn lookup(&self, value: Value, left_ms: i64, now: Timestamp) -> Result<Lookup> {
        let value = match value {
            // Another type than a string.
            Value::Int(0) => None,
            value => reply::bytes(value)?,
        };
        let Some(value) = value else {
            return Ok(Lookup::Absent);
        };
        let end = u64::try_from(left_ms)
            .ok()
            .map(|left| Timestamp(now.0.saturating_add(left)));
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
            value,
        }))
    }
}

fn no_answer() -> Error {
    unexpected("a value")
}
