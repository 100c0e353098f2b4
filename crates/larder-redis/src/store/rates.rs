//! Limits of rates, and counters. One script call each.

use std::time::Duration;

use bytes::Bytes;
use larder_core::counter::{Added, Counters};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::rate::{RateLimit, Rates, Verdict, check_cost};
use larder_core::store::Pending;

use super::RedisStore;
use crate::fault;
use crate::gate::Call;
use crate::reply::{self, Reply};
use crate::scripts::{COUNT, RATE, TAKE};

impl RedisStore {
    async fn ask_rate(&self, name: &Bytes, limit: &RateLimit, cost: u64) -> Result<Verdict> {
        check_cost(limit, cost)?;
        let mut call = RATE.call(1);
        call.arg(&self.tier.keys.wire(name)[..]);
        call.arg(limit.count()).arg(limit.period_us());
        call.arg(limit.burst()).arg(cost);
        let mut reply = self.tier.run(&RATE, &call).await?;
        Ok(Verdict {
            is_allowed: reply.int()? == 1,
            remaining: reply.number()?,
            retry_after: Duration::from_micros(reply.number()?),
            reset_after: Duration::from_micros(reply.number()?),
        })
    }

    async fn ask_add(&self, name: &Bytes, by: i64, ttl: Option<Duration>) -> Result<Added> {
        let mut call = COUNT.call(1);
        call.arg(&self.tier.keys.wire(name)[..]);
        call.arg(by).arg(ttl.map_or(Ok(0), ttl_ms)?);
        let number = number(self.tier.run(&COUNT, &call).await?)?;
        Ok(number.map_or(Added::Overflow, Added::Now))
    }

    async fn ask_number(&self, name: &Bytes) -> Result<Option<i64>> {
        let mut get = redis::cmd("GET");
        get.arg(&self.tier.keys.wire(name)[..]);
        let answer = self.tier.link.command(&get, Call::Repeatable).await?;
        match fault::checked(&self.tier.name, answer)? {
            redis::Value::Nil => Ok(None),
            value => reply::int(&value).map(Some),
        }
    }

    async fn ask_take(&self, name: &Bytes) -> Result<Option<i64>> {
        let mut call = TAKE.call(1);
        call.arg(&self.tier.keys.wire(name)[..]);
        number(self.tier.run(&TAKE, &call).await?)
    }
}

/// The number that an answer ends with, if it has one.
fn number(mut reply: Reply) -> Result<Option<i64>> {
    if reply.left() == 0 {
        return Ok(None);
    }
    reply.int().map(Some)
}

/// At least a millisecond: nothing would be an end already.
fn ttl_ms(ttl: Duration) -> Result<u64> {
    if ttl.is_zero() {
        let message = "a counter with a ttl of zero counts nothing";
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    Ok(ms.clamp(1, LONGEST_MS))
}

/// A hundred years: beyond every use, and far from the end of numbers.
const LONGEST_MS: u64 = 100 * 365 * 86_400_000;

impl Rates for RedisStore {
    fn request<'a>(
        &'a self,
        name: &'a Bytes,
        limit: &'a RateLimit,
        cost: u64,
    ) -> Pending<'a, Verdict> {
        Pending::waiting(self.ask_rate(name, limit, cost))
    }
}

impl Counters for RedisStore {
    fn add<'a>(&'a self, name: &'a Bytes, by: i64, ttl: Option<Duration>) -> Pending<'a, Added> {
        Pending::waiting(self.ask_add(name, by, ttl))
    }

    fn read<'a>(&'a self, name: &'a Bytes) -> Pending<'a, Option<i64>> {
        Pending::waiting(self.ask_number(name))
    }

    fn take<'a>(&'a self, name: &'a Bytes) -> Pending<'a, Option<i64>> {
        Pending::waiting(self.ask_take(name))
    }
}
