//! `GETSET key value`: stores a value and returns the one before.
//!
//! ```text
//! *3 $6 GETSET $3 key $5 value  →  $3 old  |  null
//! ```
//!
//! O(1); two round trips to a remote store.

use std::slice;

use larder::bytes::{Decision, put};

use super::{Call, Outcome};

pub(super) async fn getset(call: &mut Call<'_>) -> Outcome {
    let key = call.key(1)?;
    let (value, life) = (call.value(2), call.life_of(&key));
    let old = call.database().update(slice::from_ref(&key), |items, _| {
        let old = items[0].as_ref().map(|item| item.value.clone());
        Decision::answer(old).write(0, put(value.clone(), life))
    });
    match old.await? {
        Some(old) => call.reply().bulk(&old),
        None => call.reply().null(),
    }
    Ok(())
}
