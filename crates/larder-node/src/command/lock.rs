//! `CACHE.LOCK`, `CACHE.RENEW` and `CACHE.UNLOCK`: locks with fencing tokens.
//!
//! ```text
//! CACHE.LOCK key ttl-ms [WAIT ms]  →  [owner, fencing token]  |  null: somebody else has it
//! CACHE.RENEW key owner ttl-ms     →  :1  |  :0, it is not this owner's any more
//! CACHE.UNLOCK key owner           →  :1  |  :0, the same
//! ```
//!
//! O(1), one round trip to a remote store; with `WAIT` one for each look, and the requests that follow
//! on the connection wait as well. Somebody who loses the connection while waiting may leave a lock
//! behind, which ends by itself.

use std::time::Duration;

use larder::Owner;

use super::{Call, Failure, Outcome};

/// The longest that a client may wait.
const LONGEST_WAIT: u64 = 60_000;

const OWNER: Failure =
    Failure::fixed("ERR the owner is what CACHE.LOCK has answered: 32 hex digits");

pub(super) async fn lock(call: &mut Call<'_>) -> Outcome {
    let wait = match call.argc() {
        3 => Duration::ZERO,
        5 if call.is(3, "WAIT") => {
            let wait = call.millis(4)?;
            if wait > Duration::from_millis(LONGEST_WAIT) {
                let text = format!("ERR WAIT takes 0 to {LONGEST_WAIT} milliseconds");
                return Err(Failure::new(text));
            }
            wait
        }
        _ => return Err(Failure::SYNTAX),
    };
    let (key, ttl) = (call.key(1)?, call.millis(2)?);
    match call.database().lock(&key, ttl, wait).await? {
        None => call.reply().null(),
        Some((owner, token)) => {
            let mut reply = call.reply();
            reply.array_len(2);
            reply.bulk(owner.to_text());
            reply.integer(i64::try_from(token.get()).unwrap_or(i64::MAX));
        }
    }
    Ok(())
}

pub(super) async fn renew(call: &mut Call<'_>) -> Outcome {
    let (key, owner, ttl) = (call.key(1)?, owner(call)?, call.millis(3)?);
    let is_held = call.database().renew_lock(&key, owner, ttl).await?;
    call.reply().integer(is_held.into());
    Ok(())
}

pub(super) async fn unlock(call: &mut Call<'_>) -> Outcome {
    let (key, owner) = (call.key(1)?, owner(call)?);
    let was_held = call.database().unlock(&key, owner).await?;
    call.reply().integer(was_held.into());
    Ok(())
}

fn owner(call: &Call<'_>) -> Result<Owner, Failure> {
    let text = call.text(2, "the owner")?;
    Owner::from_text(&text).ok_or(OWNER)
}
