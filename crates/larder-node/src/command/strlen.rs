//! `STRLEN key`: returns the length of a value.
//!
//! ```text
//! *2 $6 STRLEN $3 key  →  :5  |  :0 when absent
//! ```
//!
//! O(1) here; one round trip to a remote store, over which the value travels, none if there is a
//! near copy.

use super::{Call, Outcome};

pub(super) async fn strlen(call: &mut Call<'_>) -> Outcome {
    let key = call.key(1)?;
    let value = call.database().value(&key).await?;
    call.count_reads(value.is_some().into(), value.is_none().into());
    let length = value.map_or(0, |value| value.len());
    call.reply().integer(length as i64);
    Ok(())
}
