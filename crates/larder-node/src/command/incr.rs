//! `INCR key`, `INCRBY key n`, `DECR key`, `DECRBY key n`: adds to an integer.
//!
//! ```text
//! *3 $6 INCRBY $3 key $1 5  →  :15
//! ```
//!
//! An absent key counts as 0; a life that is there stays. O(1); two round trips to a remote store.

use std::slice;

use bytes::Bytes;
use larder::bytes::{Decision, put};
use larder_core::record::Life;
use larder_resp::number::{self, Integer};

use super::{Call, Failure, Outcome};

const OVERFLOW: Failure = Failure::fixed("ERR increment or decrement would overflow");
const DECREMENT: Failure = Failure::fixed("ERR decrement would overflow");

pub(super) async fn incr(call: &mut Call<'_>) -> Outcome {
    add(call, 1).await
}

pub(super) async fn decr(call: &mut Call<'_>) -> Outcome {
    add(call, -1).await
}

pub(super) async fn incrby(call: &mut Call<'_>) -> Outcome {
    let by = call.integer(2)?;
    add(call, by).await
}

pub(super) async fn decrby(call: &mut Call<'_>) -> Outcome {
    let by = call.integer(2)?.checked_neg().ok_or(DECREMENT)?;
    add(call, by).await
}

async fn add(call: &mut Call<'_>, by: i64) -> Outcome {
    let key = call.key(1)?;
    let plain = call.life_of(&key);
    let sum = call.database().update(slice::from_ref(&key), |items, _| {
        let (old, life) = match &items[0] {
            Some(item) => (number::parse_i64(&item.value), Life::KEEP),
            None => (Some(0), plain),
        };
        let Some(old) = old else {
            return Decision::answer(Err(Failure::INTEGER));
        };
        match old.checked_add(by) {
            None => Decision::answer(Err(OVERFLOW)),
            Some(sum) => {
                let text = Bytes::copy_from_slice(Integer::new(sum).as_bytes());
                Decision::answer(Ok(sum)).write(0, put(text, life))
            }
        }
    });
    let sum = sum.await??;
    call.reply().integer(sum);
    Ok(())
}
