//! `EXISTS key…` and `TOUCH key…`: counts the keys that are there.
//!
//! ```text
//! *3 $6 EXISTS $1 a $1 a  →  :2, a key counts as often as it is named
//! ```
//!
//! O(N); one round trip per shard of a remote store, over which the values travel, for keys without a
//! near copy.

use super::{Call, Outcome};

pub(super) async fn exists(call: &mut Call<'_>) -> Outcome {
    let keys = call.keys(1, 1)?;
    let values = call.database().values(&keys).await?;
    call.reply().integer(values.iter().flatten().count() as i64);
    Ok(())
}
