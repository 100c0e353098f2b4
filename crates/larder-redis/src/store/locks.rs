//! Locks, and writes that bear their tokens. One script call each.
//!
//! Locks and the memory of tokens are keys of the same server as the records, and its eviction and
//! persistence are theirs: what follows from a loss is said in `lock.lua`.

use std::time::Duration;

use bytes::Bytes;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lock::{Acquired, Fenced, FencingToken, Locks, MAX_TTL, Owner, Releases};
use larder_core::runtime::BoxFuture;
use larder_core::store::{Batch, Pending};
use redis::Cmd;

use super::RedisStore;
use crate::connect::{self, Feed};
use crate::reply::unexpected;
use crate::scripts::{ACQUIRE, PROLONG, Script, UNLOCK};

impl RedisStore {
    /// A call of a script that looks at a lock and at the memory of tokens.
    fn lock_call(&self, script: &Script, name: &Bytes, owner: Owner, ttl: Duration) -> Result<Cmd> {
        let keys = &self.tier.keys;
        let [one, other] = keys.fences();
        let mut call = script.call(4);
        call.arg(&keys.wire(name)[..]).arg(&keys.shard()[..]);
        call.arg(&one[..]).arg(&other[..]);
        call.arg(owner.to_text()).arg(ttl_ms(ttl)?);
        Ok(call)
    }

    async fn ask_acquire(
        &self,
        name: &Bytes,
        owner: Owner,
        ttl: Duration,
        seen: FencingToken,
    ) -> Result<Acquired> {
        let mut call = self.lock_call(&ACQUIRE, name, owner, ttl)?;
        call.arg(seen.get());
        let mut reply = self.tier.run(&ACQUIRE, &call).await?;
        match reply.bytes()?.as_deref() {
            Some(b"H") => Ok(Acquired::Held(FencingToken::from_number(reply.number()?))),
            Some(b"T") => {
                let remaining = u64::try_from(reply.int()?).unwrap_or(0);
                Ok(Acquired::Taken(Duration::from_millis(remaining)))
            }
            _ => Err(unexpected("H or T")),
        }
    }

    async fn ask_prolong(&self, name: &Bytes, owner: Owner, ttl: Duration) -> Result<bool> {
        let call = self.lock_call(&PROLONG, name, owner, ttl)?;
        Ok(self.tier.run(&PROLONG, &call).await?.int()? == 1)
    }

    async fn ask_unlock(&self, name: &Bytes, owner: Owner) -> Result<bool> {
        let mut call = UNLOCK.call(1);
        call.arg(&self.tier.keys.wire(name)[..]);
        call.arg(owner.to_text());
        call.arg(&self.locks_channel()[..]).arg(&name[..]);
        Ok(self.tier.run(&UNLOCK, &call).await?.int()? == 1)
    }

    fn locks_channel(&self) -> Bytes {
        let database = self.tier.dialer.redis.address.database;
        self.tier.keys.locks_channel(database)
    }

    async fn open_releases(&self) -> Result<Box<dyn Releases>> {
        let feed = connect::subscribe(&self.tier.dialer, &self.locks_channel()).await?;
        Ok(Box::new(Told(feed)))
    }
}

fn ttl_ms(ttl: Duration) -> Result<u64> {
    let ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 || ttl > MAX_TTL {
        let message = format!("a lock lasts from a millisecond to {MAX_TTL:?}, and not {ttl:?}");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(ms)
}

struct Told(Feed);

impl Releases for Told {
    fn next(&mut self) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(self.0.next())
    }
}

impl Locks for RedisStore {
    fn acquire<'a>(
        &'a self,
        name: &'a Bytes,
        owner: Owner,
        ttl: Duration,
        seen: FencingToken,
    ) -> Pending<'a, Acquired> {
        Pending::waiting(self.ask_acquire(name, owner, ttl, seen))
    }

    fn prolong<'a>(&'a self, name: &'a Bytes, owner: Owner, ttl: Duration) -> Pending<'a, bool> {
        Pending::waiting(self.ask_prolong(name, owner, ttl))
    }

    fn release<'a>(&'a self, name: &'a Bytes, owner: Owner) -> Pending<'a, bool> {
        Pending::waiting(self.ask_unlock(name, owner))
    }

    fn commit_fenced<'a>(
        &'a self,
        key: &'a Bytes,
        token: FencingToken,
        batch: Batch,
    ) -> Pending<'a, Fenced> {
        Pending::waiting(self.commit_under((key, token), batch))
    }

    fn releases(&self) -> Pending<'_, Box<dyn Releases>> {
        Pending::waiting(self.open_releases())
    }
}
