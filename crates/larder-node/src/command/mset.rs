//! `MSET key value…`: stores several values together.
//!
//! ```text
//! *5 $4 MSET $1 a $1 1 $1 b $1 2  →  +OK
//! ```
//!
//! O(N); one round trip to a remote store for each 64 keys, and atomic within each of these.

use bytes::Bytes;
use larder::bytes::put;
use larder_core::store::Write;

use super::{Call, Failure, Outcome, failure};

pub(super) async fn mset(call: &mut Call<'_>) -> Outcome {
    let writes = pairs(call)?;
    call.database().write_many(writes).await?;
    call.reply().ok();
    Ok(())
}

/// The keys of `MSET` and `MSETNX` with what to write to each.
pub(super) fn pairs(call: &Call<'_>) -> Result<Vec<(Bytes, Write)>, Failure> {
    if call.argc().is_multiple_of(2) {
        return Err(failure::wrong_arity(call.spec.name));
    }
    let pair = |at: usize| {
        let key = call.key(at)?;
        let write = put(call.value(at + 1), call.life_of(&key));
        Ok((key, write))
    };
    (1..call.argc()).step_by(2).map(pair).collect()
}
