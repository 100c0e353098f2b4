//! `GET key`: returns a value.
//!
//! ```text
//! *2 $3 GET $3 key  →  $5 value  |  null
//! ```
//!
//! O(1); one round trip to a remote store, none if there is a near copy.

use super::{Call, Outcome};

#[inline]
pub(super) async fn get(call: &mut Call<'_>) -> Outcome {
    let key = call.key(1)?;
    match call.database().value(&key).await? {
        Some(value) => {
            call.count_reads(1, 0);
            call.reply().bulk(&value);
        }
        None => {
            call.count_reads(0, 1);
            call.reply().null();
        }
    }
    Ok(())
}
