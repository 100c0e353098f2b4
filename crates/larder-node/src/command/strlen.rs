//! `STRLEN key`: returns the length of a value.
//!
//! ```text
//! *2 $6 STRLEN $3 key  →  :5  |  :0 when absent
//! ```
//!
//! O(1) here; one round trip to a remote store, over which the value travels.

use super::{Call, Outcome};

pub(super) async fn strlen(call: &mut Call<'_>) -> Outcome {
    let key = call.key(1)?;
    let item = call.database().get(&key).await?;
    call.count_reads(item.is_some().into(), item.is_none().into());
    let length = item.map_or(0, |item| item.value.len());
    call.reply().integer(length as i64);
    Ok(())
}
