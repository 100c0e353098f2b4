//! Reads of the enveloped layout.

use bytes::Bytes;
use larder_core::envelope;
use larder_core::error::Result;
use larder_core::runtime::Timestamp;
use larder_core::store::{Damage, Lookup};
use redis::Cmd;

use super::RedisStore;
use crate::fault;
use crate::reply::{self, Reply};

/// Keys in one `MGET`: a few thousand would hold the server for a millisecond, and everybody
/// else waits.
const KEYS_PER_READ: usize = 512;

/// Such commands that are sent without waiting in between: so many answers are held at once.
const READS_PER_TRIP: usize = 16;

impl RedisStore {
    pub(super) async fn read_one(&self, key: &Bytes) -> Result<Lookup> {
        let mut get = redis::cmd("GET");
        get.arg(&self.tier.keys.wire(key)[..]);
        let value = self.tier.read(&get).await?;
        if fault::is_wrong_type(&value) {
            return Ok(Lookup::Damaged(Damage::Foreign));
        }
        let bytes = reply::bytes(fault::checked(&self.tier.name, value)?)?;
        Ok(lookup(key, bytes, self.tier.clock.now()))
    }

    pub(super) async fn read_many(&self, keys: &[Bytes]) -> Result<Vec<Lookup>> {
        let mut found = Vec::with_capacity(keys.len());
        for part in keys.chunks(KEYS_PER_READ * READS_PER_TRIP) {
            let mut answers = self.tier.read_all(&self.reads(part)).await?;
            found.extend(self.lookups(part, &mut answers)?);
        }
        Ok(found)
    }

    /// The commands that read these keys.
    pub(super) fn reads(&self, keys: &[Bytes]) -> Vec<Cmd> {
        keys.chunks(KEYS_PER_READ)
            .map(|keys| self.mget(keys))
            .collect()
    }

    /// What they have found.
    pub(super) fn lookups(&self, keys: &[Bytes], answers: &mut Reply) -> Result<Vec<Lookup>> {
        let mut found = Vec::with_capacity(keys.len());
        let now = self.tier.clock.now();
        for keys in keys.chunks(KEYS_PER_READ) {
            let mut values = Reply::of(fault::checked(&self.tier.name, answers.next()?)?)?;
            for key in keys {
                found.push(lookup(key, values.bytes()?, now));
            }
        }
        Ok(found)
    }

    fn mget(&self, keys: &[Bytes]) -> Cmd {
        let mut get = redis::cmd("MGET");
        for key in keys {
            get.arg(&self.tier.keys.wire(key)[..]);
        }
        get
    }
}

fn lookup(key: &Bytes, bytes: Option<Bytes>, now: Timestamp) -> Lookup {
    match bytes.map(|bytes| envelope::open(key, &bytes)) {
        // The server keeps a record longer than its life while somebody holds its lease.
        Some(Ok(Some(record))) if record.expires_at.is_some_and(|end| end <= now) => Lookup::Absent,
        Some(Ok(Some(record))) => Lookup::Found(record),
        Some(Err(damage)) => Lookup::Damaged(damage),
        Some(Ok(None)) | None => Lookup::Absent,
    }
}

/// What a script gave back with its answer: the script has looked at the clock itself.
pub(super) fn lookup_alive(key: &Bytes, bytes: Option<Bytes>) -> Lookup {
    lookup(key, bytes, Timestamp(0))
}
