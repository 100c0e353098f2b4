//! `RENAME key new` and `RENAMENX key new`: gives a value another key, with its life.
//!
//! ```text
//! *3 $6 RENAME $1 a $1 b  →  +OK
//! *3 $8 RENAMENX $1 a $1 b  →  :1 done  |  :0 the new key is taken
//! ```
//!
//! O(1); two round trips to a remote store, over which the value travels twice.

use larder::bytes::{Decision, put, remove};

use super::{Call, Failure, Outcome, expiry};

const NO_KEY: Failure = Failure::fixed("ERR no such key");

pub(super) async fn rename(call: &mut Call<'_>) -> Outcome {
    move_value(call, true).await?;
    call.reply().ok();
    Ok(())
}

pub(super) async fn renamenx(call: &mut Call<'_>) -> Outcome {
    let moved = move_value(call, false).await?;
    call.reply().integer(moved.into());
    Ok(())
}

async fn move_value(call: &Call<'_>, replaces: bool) -> Result<bool, Failure> {
    let keys = [call.key(1)?, call.key(2)?];
    let is_same = keys[0] == keys[1];
    let moved = call.database().update(&keys, |items, _| {
        let Some(item) = &items[0] else {
            return Decision::answer(Err(NO_KEY));
        };
        if is_same || (!replaces && items[1].is_some()) {
            return Decision::answer(Ok(replaces));
        }
        Decision::answer(Ok(true))
            .write(1, put(item.value.clone(), expiry::until(item.expires_at)))
            .write(0, remove())
    });
    moved.await?
}
