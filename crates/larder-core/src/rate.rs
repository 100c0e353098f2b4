//! Limits of rates: the generic cell rate algorithm in exact whole numbers.
//!
//! Described by its equal, the continuous-state leaky bucket (ITU-T I.371, annex A): a bucket leaks
//! steadily, each request pours in a portion, and a request whose portion does not fit is refused and
//! pours nothing. A portion is as many units as a period has microseconds, and as many portions leak
//! in a period as the limit allows: then every quantity is a whole number, however odd the rate, and
//! nothing is lost or won by rounding.
//!
//! [`decide`] is the whole decision. Redis runs the same in `rate.lua`; one suite holds both.

use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::store::Pending;

/// What a bucket may hold, in units: twice as much is still a number that scripts calculate with
/// exactly.
const LAST_NUMBER: u128 = 1 << 52;
/// The longest period, a year.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// So many requests in such a period, evenly spread, and so many at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimit {
    count: u64,
    period_us: u64,
    burst: u64,
}

impl RateLimit {
    /// `count` requests in each `period`, at most `burst` of them at once: as many are allowed at
    /// first, and again after a time without requests.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a count, a period or a burst of nothing, a period above a year, and
    /// for a burst times period beyond what can be calculated with exactly (a burst of 52 124 for a
    /// period of a day, of 75 million for a minute).
    pub fn new(count: u64, period: Duration, burst: u64) -> Result<RateLimit> {
        let wrong = |why: &str| {
            let message = format!("a rate limit of {count} per {period:?}, {burst} at once: {why}");
            Err(Error::new(ErrorKind::Config, message))
        };
        if count == 0 || burst == 0 {
            return wrong("it would never allow anything; count and burst must be at least 1");
        }
        let period_us = period.as_micros();
        if period_us == 0 || period > LONGEST {
            return wrong("the period must be from a microsecond to a year");
        }
        if u128::from(burst) * period_us > LAST_NUMBER || u128::from(count) > LAST_NUMBER {
            return wrong("burst times period is too much; choose a shorter period for this rate");
        }
        Ok(RateLimit {
            count,
            period_us: u64::try_from(period_us).unwrap_or(u64::MAX),
            burst,
        })
    }

    /// Requests in a period.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The period in microseconds.
    pub fn period_us(&self) -> u64 {
        self.period_us
    }

    /// Requests at once.
    pub fn burst(&self) -> u64 {
        self.burst
    }
}

/// What a bucket holds, and when that was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bucket {
    /// On the store's clock, in microseconds.
    pub at_us: u64,
    /// What it held then, in units.
    pub level: u64,
}

/// What a limit says about a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether the request is within the limit. If not, it has used nothing up.
    pub is_allowed: bool,
    /// Requests of cost 1 that would be allowed now.
    pub remaining: u64,
    /// When the same request would be allowed, if nobody else comes; zero if it is.
    pub retry_after: Duration,
    /// When everything is as if nobody had ever come, if nobody does.
    pub reset_after: Duration,
}

/// Decides about a request of `cost` at `now_us`, and gives the bucket after it. A cost of 0 is
/// always allowed and changes nothing: it only looks.
///
/// A clock that was set back drains nothing until it goes on; one that was set forward drains what it
/// skipped, which is one burst at most.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] for a cost above the burst, which could never be allowed.
pub fn decide(
    limit: &RateLimit,
    bucket: Bucket,
    now_us: u64,
    cost: u64,
) -> Result<(Verdict, Bucket)> {
    check_cost(limit, cost)?;
    let (count, unit) = (u128::from(limit.count), u128::from(limit.period_us));
    let passed = u128::from(now_us.saturating_sub(bucket.at_us));
    let level = u128::from(bucket.level).saturating_sub(passed * count);
    let (room, poured) = (u128::from(limit.burst) * unit, u128::from(cost) * unit);
    let is_allowed = level + poured <= room;
    let after = if is_allowed { level + poured } else { level };
    let micros = |units: u128| {
        Duration::from_micros(u64::try_from(units.div_ceil(count)).unwrap_or(u64::MAX))
    };
    let number = |units: u128| u64::try_from(units).unwrap_or(u64::MAX);
    let verdict = Verdict {
        is_allowed,
        remaining: number(room.saturating_sub(after) / unit),
        retry_after: micros((level + poured).saturating_sub(room)),
        reset_after: micros(after),
    };
    let bucket = Bucket {
        at_us: now_us,
        level: number(after),
    };
    Ok((verdict, bucket))
}

/// Refuses a cost that could never be allowed.
///
/// # Errors
///
/// [`ErrorKind::Invalid`].
pub fn check_cost(limit: &RateLimit, cost: u64) -> Result<()> {
    if cost > limit.burst {
        let message = format!(
            "a request of cost {cost} is never within a limit of {} at once",
            limit.burst
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(())
}

/// Limits of rates in a store, by the store's clock.
pub trait Rates: Send + Sync {
    /// Asks whether a request of `cost` under this name is within the limit, and if so counts it. One
    /// round trip. A failed or dropped request may have been counted.
    ///
    /// # Errors
    ///
    /// Those of [`decide`], and what the store fails with.
    fn request<'a>(
        &'a self,
        name: &'a Bytes,
        limit: &'a RateLimit,
        cost: u64,
    ) -> Pending<'a, Verdict>;
}

/// The stored key of the bucket `name` of limits with this period. The units of a bucket are those of
/// its period: another period is another bucket.
pub fn rate_key(limit: &RateLimit, name: &[u8]) -> Bytes {
    let what = format!("rate:{}:", limit.period_us);
    crate::space::system_key_of(what.as_bytes(), name)
}

#[cfg(test)]
mod tests;
