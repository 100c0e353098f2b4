//! `SET key value [NX|XX] [GET] [EX s|PX ms|EXAT s|PXAT ms|KEEPTTL]`: stores a value.
//!
//! ```text
//! *3 $3 SET $3 key $5 value  →  +OK  |  null when NX or XX did not hold  |  the old value with GET
//! ```
//!
//! O(1). One round trip to a remote store; two with `XX`, `GET`, or an `NX` that does not hold.

pub(super) mod options;

use bytes::Bytes;
use larder::bytes::{Decision, put};
use larder_core::record::Life;
use larder_core::store::Expect;

use super::{Call, Failure, Outcome, expiry};
use options::{Condition, Ending, Options};

#[inline]
pub(super) async fn set(call: &mut Call<'_>) -> Outcome {
    if call.argc() > 3 {
        return set_with_options(call).await;
    }
    let key = call.key(1)?;
    let write = put(call.value(2), call.life_of(&key));
    call.database().write(&key, None, write).await?;
    call.reply().ok();
    Ok(())
}

async fn set_with_options(call: &mut Call<'_>) -> Outcome {
    let options = Options::read_set(call)?;
    let key = call.key(1)?;
    let value = call.value(2);
    let plain = call.life_of(&key);
    let life = match options.ending {
        Ending::Unsaid => plain,
        // An absent key has no end to keep: where plain writes get one, look first.
        Ending::Keep | Ending::Persist => Life::KEEP,
        Ending::At { argument, unit } => {
            let now = call.database().now();
            expiry::positive(call.argument(argument), unit, now, "set")?
        }
    };
    let keeps = options.ending == Ending::Keep && plain != Life::FOREVER;
    let written = match options.condition {
        _ if options.get || keeps => None,
        Condition::Always => {
            call.database()
                .write(&key, None, put(value.clone(), life))
                .await?;
            Some(true)
        }
        Condition::Absent => Some(add(call, &key, &value, life).await?),
        Condition::Present => None,
    };
    let (written, old) = match written {
        Some(written) => (written, None),
        None => look_and_set(call, &key, &value, (life, plain), options.condition).await?,
    };
    match (options.get, written, old) {
        (true, _, Some(old)) => call.reply().bulk(&old),
        (true, _, None) | (false, false, _) => call.reply().null(),
        (false, true, _) => call.reply().ok(),
    }
    Ok(())
}

/// Stores a value if there is none. A refusal is looked into, because a remote store also refuses
/// when it holds something that is no value, such as a remembered absence.
pub(super) async fn add(
    call: &Call<'_>,
    key: &Bytes,
    value: &Bytes,
    life: Life,
) -> Result<bool, Failure> {
    let write = put(value.clone(), life);
    let outcome = call
        .database()
        .write(key, Some(Expect::Absent), write)
        .await?;
    if outcome.is_some() {
        return Ok(true);
    }
    let (written, _) = look_and_set(call, key, value, (life, life), Condition::Absent).await?;
    Ok(written)
}

/// Reads, and writes if the condition holds; gives whether it did and the old value.
async fn look_and_set(
    call: &Call<'_>,
    key: &Bytes,
    value: &Bytes,
    (present, absent): (Life, Life),
    condition: Condition,
) -> Result<(bool, Option<Bytes>), Failure> {
    let answer = call
        .database()
        .update(std::slice::from_ref(key), |items, _| {
            let old = items[0].as_ref();
            let keeps = present == Life::KEEP && old.is_none();
            let life = if keeps { absent } else { present };
            let writes = match condition {
                Condition::Always => true,
                Condition::Absent => old.is_none(),
                Condition::Present => old.is_some(),
            };
            let decision = Decision::answer((writes, old.map(|item| item.value.clone())));
            if writes {
                decision.write(0, put(value.clone(), life))
            } else {
                decision
            }
        });
    Ok(answer.await?)
}
