//! `CACHE.LIMIT key count period-ms burst [COST n]`: asks whether a request is within a limit.
//!
//! ```text
//! CACHE.LIMIT key count period-ms burst  →  a map: allowed (1 or 0), remaining, retry_after_ms,
//!                                           reset_after_ms
//! ```
//!
//! `count` requests are allowed in each period, at most `burst` of them at once. `COST 0` only looks. A
//! request that is not allowed uses nothing up. O(1), one round trip to a remote store.

use std::time::Duration;

use larder::RateLimit;

use super::{Call, Failure, Outcome};

pub(super) async fn limit(call: &mut Call<'_>) -> Outcome {
    let cost = match call.argc() {
        5 => 1,
        7 if call.is(5, "COST") => number(call, 6)?,
        _ => return Err(Failure::SYNTAX),
    };
    let limit = RateLimit::new(number(call, 2)?, call.millis(3)?, number(call, 4)?)?;
    let key = call.key(1)?;
    let verdict = call.database().request(&key, &limit, cost).await?;
    let mut reply = call.reply();
    reply.map_len(4);
    reply.bulk("allowed");
    reply.integer(verdict.is_allowed.into());
    reply.bulk("remaining");
    reply.integer(i64::try_from(verdict.remaining).unwrap_or(i64::MAX));
    for (name, time) in [
        ("retry_after_ms", verdict.retry_after),
        ("reset_after_ms", verdict.reset_after),
    ] {
        reply.bulk(name);
        reply.integer(whole_ms(time));
    }
    Ok(())
}

fn number(call: &Call<'_>, at: usize) -> Result<u64, Failure> {
    u64::try_from(call.integer(at)?).map_err(|_| Failure::INTEGER)
}

/// Rounded up: who comes again then is not too early.
fn whole_ms(time: Duration) -> i64 {
    i64::try_from(time.as_micros().div_ceil(1_000)).unwrap_or(i64::MAX)
}
