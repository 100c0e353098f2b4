//! Limits of rates and counters of the embedded store.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use larder_core::counter::{Added, Counters};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::rate::{Bucket, RateLimit, Rates, Verdict, decide};
use larder_core::runtime::Timestamp;
use larder_core::store::Pending;
use parking_lot::Mutex;

use super::Embedded;

/// Buckets, and counters, that are kept at most. With more, whoever comes new is refused.
const MOST: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Meters {
    buckets: Mutex<HashMap<Bytes, (Bucket, Timestamp)>>,
    counters: Mutex<HashMap<Bytes, (i64, Option<Timestamp>)>>,
}

impl Meters {
    /// Releases the memory of what is over.
    pub(super) fn sweep(&self, now: Timestamp) {
        self.buckets.lock().retain(|_, (_, until)| now < *until);
        self.counters.lock().retain(|_, held| is_live(held.1, now));
    }

    fn request(
        &self,
        name: &Bytes,
        (limit, cost): (&RateLimit, u64),
        now_us: u64,
    ) -> Result<Verdict> {
        let now = Timestamp(now_us / 1_000);
        let mut buckets = self.buckets.lock();
        let held = buckets.get(name).map(|(bucket, _)| *bucket);
        let (verdict, after) = decide(limit, held.unwrap_or_default(), now_us, cost)?;
        if held.is_none() && !(verdict.is_allowed && cost > 0) {
            return Ok(verdict);
        }
        if held.is_none() && buckets.len() >= MOST {
            buckets.retain(|_, (_, until)| now < *until);
            if buckets.len() >= MOST {
                return Err(too_many("limits of rates"));
            }
        }
        let until = now.after(verdict.reset_after + Duration::from_millis(1));
        buckets.insert(name.clone(), (after, until));
        Ok(verdict)
    }

    fn add(&self, name: &Bytes, by: i64, ttl: Option<Duration>, now: Timestamp) -> Result<Added> {
        if ttl.is_some_and(|ttl| ttl.is_zero()) {
            let message = "a counter with a ttl of zero counts nothing";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let mut counters = self.counters.lock();
        let live = counters.get(name).filter(|held| is_live(held.1, now));
        let (number, until) = match live {
            Some(held) => *held,
            None => (0, ttl.map(|ttl| now.after(ttl))),
        };
        let is_known = counters.contains_key(name);
        if !is_known && counters.len() >= MOST {
            counters.retain(|_, held| is_live(held.1, now));
            if counters.len() >= MOST {
                return Err(too_many("counters"));
            }
        }
        let Some(number) = number.checked_add(by) else {
            return Ok(Added::Overflow);
        };
        counters.insert(name.clone(), (number, until));
        Ok(Added::Now(number))
    }
}

fn is_live(until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_none_or(|until| now < until)
}

fn too_many(what: &str) -> Error {
    let message = format!("there are {MOST} {what} in this process");
    Error::new(ErrorKind::Overloaded, message)
}

impl Rates for Embedded {
    fn request<'a>(
        &'a self,
        name: &'a Bytes,
        limit: &'a RateLimit,
        cost: u64,
    ) -> Pending<'a, Verdict> {
        let now_us = self.inner.precise_us();
        Pending::ready(self.inner.meters.request(name, (limit, cost), now_us))
    }
}

impl Counters for Embedded {
    fn add<'a>(&'a self, name: &'a Bytes, by: i64, ttl: Option<Duration>) -> Pending<'a, Added> {
        let added = self.inner.meters.add(name, by, ttl, self.inner.now());
        Pending::ready(added)
    }

    fn read<'a>(&'a self, name: &'a Bytes) -> Pending<'a, Option<i64>> {
        let counters = self.inner.meters.counters.lock();
        let now = self.inner.now();
        let held = counters.get(name).filter(|held| is_live(held.1, now));
        Pending::ready(Ok(held.map(|held| held.0)))
    }

    fn take<'a>(&'a self, name: &'a Bytes) -> Pending<'a, Option<i64>> {
        let mut counters = self.inner.meters.counters.lock();
        let now = self.inner.now();
        let held = counters.remove(name).filter(|held| is_live(held.1, now));
        Pending::ready(Ok(held.map(|held| held.0)))
    }
}
