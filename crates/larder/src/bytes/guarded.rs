//! Locks, writes that bear their tokens, and limits, by byte keys.
//!
//! The lock of a key of database 0 is the one that a library cache has for the same key.

use std::time::Duration;

use ::bytes::Bytes;
use larder_core::error::Result;
use larder_core::key::RawKey;
use larder_core::lock::{Fenced, FencingToken, Owner};
use larder_core::rate::{RateLimit, Verdict, rate_key};
use larder_core::store::{Batch, Write};

use super::{ByteCache, Database};
use crate::engine::Engine;
use crate::locks::{LockStats, Locks, lacks};
use crate::rates::rates_of;

impl Engine<Bytes> {
    fn locks_of_all(&self) -> Result<Locks> {
        if let Some(locks) = self.locks.get() {
            return Ok(locks.clone());
        }
        let store = self
            .remote
            .clone()
            .ok_or_else(|| lacks("nothing", "locks"))?;
        let runtime = self.runtime.clone();
        let locks = Locks::of(store, runtime, Box::default())?;
        Ok(self.locks.get_or_init(|| locks).clone())
    }
}

impl ByteCache {
    /// What came of locks that were asked for here.
    pub fn lock_stats(&self) -> LockStats {
        let locks = self.engine.locks.get();
        locks.map(Locks::stats).unwrap_or_default()
    }
}

impl Database {
    /// The lock of a key for `ttl`, if it can be had within `wait`. It stays until it is given back or
    /// ends; see [`Locks::lock`]. One round trip, and one for each look while waiting.
    pub async fn lock(
        &self,
        key: &Bytes,
        ttl: Duration,
        wait: Duration,
    ) -> Result<Option<(Owner, FencingToken)>> {
        let locks = self.engine.locks_of_all()?;
        let request = locks.lock(&self.name(key), ttl).wait(wait);
        Ok(request.try_acquire().await?.map(|guard| {
            let token = guard.token();
            (guard.into_owner(), token)
        }))
    }

    /// Makes a lock last `ttl` from now; `false` if it is not this owner's any more. One round trip.
    pub async fn renew_lock(&self, key: &Bytes, owner: Owner, ttl: Duration) -> Result<bool> {
        let locks = self.engine.locks_of_all()?;
        locks.renew_of(&self.name(key), owner, ttl).await
    }

    /// Gives a lock back; `false` if it was not this owner's any more. One round trip.
    pub async fn unlock(&self, key: &Bytes, owner: Owner) -> Result<bool> {
        let locks = self.engine.locks_of_all()?;
        locks.release_of(&self.name(key), owner).await
    }

    /// Writes one key unless a greater token was seen for it; `false` if one was, or if nobody can
    /// tell. One round trip. Near copies as for [`write`](Database::write).
    pub async fn write_fenced(
        &self,
        key: &Bytes,
        token: FencingToken,
        write: Write,
    ) -> Result<bool> {
        let batch = Batch::one(self.space.stored(key), write);
        let fenced = self.engine.commit_fenced(batch, token).await?;
        Ok(matches!(fenced, Fenced::Done(_)))
    }

    /// Counts a request of `cost` under a key if it is within the limit. One round trip.
    pub async fn request(&self, key: &Bytes, limit: &RateLimit, cost: u64) -> Result<Verdict> {
        let name = rate_key(limit, &self.space.stored(key));
        rates_of(self.engine.store())?
            .request(&name, limit, cost)
            .await
    }

    fn name(&self, key: &Bytes) -> RawKey {
        RawKey(self.space.stored(key))
    }
}
