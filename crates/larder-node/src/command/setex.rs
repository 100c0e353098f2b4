//! `SETEX key seconds value` and `PSETEX key milliseconds value`: `SET` with a life.
//!
//! ```text
//! *4 $5 SETEX $3 key $2 10 $5 value  →  +OK
//! ```
//!
//! O(1); one round trip to a remote store.

use larder::bytes::put;

use super::expiry::{self, Unit};
use super::{Call, Outcome};

pub(super) async fn setex(call: &mut Call<'_>) -> Outcome {
    set_for(call, Unit::EX).await
}

pub(super) async fn psetex(call: &mut Call<'_>) -> Outcome {
    set_for(call, Unit::PX).await
}

async fn set_for(call: &mut Call<'_>, unit: Unit) -> Outcome {
    let key = call.key(1)?;
    let now = call.database().now();
    let life = expiry::positive(call.argument(2), unit, now, call.spec.name)?;
    call.database()
        .write(&key, None, put(call.value(3), life))
        .await?;
    call.reply().ok();
    Ok(())
}
