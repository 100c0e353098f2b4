//! `DELIFEQ key value`: removes a key if it holds this value, as in Valkey 9.
//!
//! ```text
//! *3 $7 DELIFEQ $3 key $5 value  →  :1  |  :0
//! ```
//!
//! What gives a lock back that was taken with `SET key owner NX PX ms`. O(1); two round trips to a
//! remote store, one when nothing is removed.

use super::eval::forms::{compare_and_act, remove_it};
use super::{Call, Outcome};

pub(super) async fn delifeq(call: &mut Call<'_>) -> Outcome {
    let key = call.key(1)?;
    let removed = compare_and_act(call.database(), key, &call.value(2), remove_it).await?;
    call.reply().integer(removed);
    Ok(())
}
