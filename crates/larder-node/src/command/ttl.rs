//! `TTL`, `PTTL`, `EXPIRETIME`, `PEXPIRETIME`: `key`, tells when a value ends.
//!
//! ```text
//! *2 $3 TTL $3 key  →  :10  |  :-1 never  |  :-2 absent
//! ```
//!
//! Seconds are rounded to the nearest. O(1); one round trip to a remote store.

use larder_core::runtime::Timestamp;

use super::{Call, Outcome};

const ABSENT: i64 = -2;
const NEVER: i64 = -1;

pub(super) async fn ttl(call: &mut Call<'_>) -> Outcome {
    tell(call, |end, now| seconds(end.0.saturating_sub(now.0))).await
}

pub(super) async fn pttl(call: &mut Call<'_>) -> Outcome {
    tell(call, |end, now| end.0.saturating_sub(now.0)).await
}

pub(super) async fn expiretime(call: &mut Call<'_>) -> Outcome {
    tell(call, |end, _| seconds(end.0)).await
}

pub(super) async fn pexpiretime(call: &mut Call<'_>) -> Outcome {
    tell(call, |end, _| end.0).await
}

async fn tell(call: &mut Call<'_>, form: fn(Timestamp, Timestamp) -> u64) -> Outcome {
    let key = call.key(1)?;
    let item = call.database().get(&key).await?;
    let answer = match item.map(|item| item.expires_at) {
        None => ABSENT,
        Some(None) => NEVER,
        Some(Some(end)) => form(end, call.database().now()).cast_signed(),
    };
    call.reply().integer(answer);
    Ok(())
}

fn seconds(milliseconds: u64) -> u64 {
    milliseconds.saturating_add(500) / 1_000
}
