//! `GET key`: returns a value.
//!
//! ```text
//! *2 $3 GET $3 key  →  $5 value  |  null
//! ```
//!
//! O(1); one round trip to a remote store.

use super::{Call, Outcome};

#[inline]
pub(super) async fn get(call: &mut Call<'_>) -> Outcome {
    let key = call.key(1)?;
    match call.database().get(&key).await? {
        Some(item) => {
            call.count_reads(1, 0);
            call.reply().bulk(&item.value);
        }
        None => {
            call.count_reads(0, 1);
            call.reply().null();
        }
    }
    Ok(())
}
