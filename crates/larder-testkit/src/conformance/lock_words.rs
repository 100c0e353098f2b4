//! Short words for what the claims about locks, limits and counters do.

use std::time::Duration;

use bytes::Bytes;
use larder_core::counter::{Added, Counters, counter_key};
use larder_core::lock::{Acquired, Fenced, FencingToken, Locks, Owner, lock_key};
use larder_core::rate::{RateLimit, Rates, Verdict, rate_key};
use larder_core::store::Batch;

use super::subject::{LONG_LEASE, Subject, bytes, fine, put_long};

pub(super) fn name(lock: &str) -> Bytes {
    lock_key(lock.as_bytes())
}

pub(super) fn owner(who: u64) -> Owner {
    Owner::from_random(who, !who)
}

impl Subject {
    pub(super) fn locks(&self) -> &dyn Locks {
        self.store.describe().locks.expect("the store has locks")
    }

    pub(super) fn rates(&self) -> &dyn Rates {
        self.store.describe().rates.expect("the store has limits")
    }

    pub(super) fn counters(&self) -> &dyn Counters {
        let description = self.store.describe();
        description.counters.expect("the store has counters")
    }

    pub(super) async fn acquire(&self, lock: &str, who: u64, ttl: Duration) -> Acquired {
        let (locks, name) = (self.locks(), name(lock));
        let asked = locks.acquire(&name, owner(who), ttl, FencingToken::ZERO);
        fine(asked.await)
    }

    /// Takes a lock that must be free, or the asker's own.
    pub(super) async fn locked(&self, lock: &str, who: u64) -> FencingToken {
        self.acquire_after(lock, who, FencingToken::ZERO).await
    }

    /// The same for one who has seen this token.
    pub(super) async fn acquire_after(
        &self,
        lock: &str,
        who: u64,
        seen: FencingToken,
    ) -> FencingToken {
        let (locks, name) = (self.locks(), name(lock));
        match fine(locks.acquire(&name, owner(who), LONG_LEASE, seen).await) {
            Acquired::Held(token) => token,
            Acquired::Taken(remaining) => panic!("{lock} is taken for {remaining:?}"),
        }
    }

    pub(super) async fn prolong(&self, lock: &str, who: u64, ttl: Duration) -> bool {
        let name = name(lock);
        fine(self.locks().prolong(&name, owner(who), ttl).await)
    }

    pub(super) async fn unlock(&self, lock: &str, who: u64) -> bool {
        let name = name(lock);
        fine(self.locks().release(&name, owner(who)).await)
    }

    /// Whether a value was put under this token.
    pub(super) async fn put_fenced(&self, key: &str, value: &str, token: FencingToken) -> bool {
        let key = bytes(key);
        let batch = Batch::one(key.clone(), put_long(value));
        let put = self.locks().commit_fenced(&key, token, batch);
        matches!(fine(put.await), Fenced::Done(_))
    }

    pub(super) async fn request(&self, who: &str, limit: &RateLimit, cost: u64) -> Verdict {
        let name = rate_key(limit, who.as_bytes());
        fine(self.rates().request(&name, limit, cost).await)
    }

    pub(super) async fn count(&self, counter: &str, by: i64) -> Added {
        let name = counter_key(counter.as_bytes());
        fine(self.counters().add(&name, by, None).await)
    }

    pub(super) async fn counted(&self, counter: &str) -> Option<i64> {
        let name = counter_key(counter.as_bytes());
        fine(self.counters().read(&name).await)
    }
}
