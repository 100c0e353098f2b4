//! `DBSIZE`: returns the number of keys of the database.
//!
//! ```text
//! *1 $6 DBSIZE  →  :5
//! ```
//!
//! O(N): keys whose life has ended do not count, so each is looked at. Many round trips to a
//! remote store.

use super::{Call, Outcome};

pub(super) async fn dbsize(call: &mut Call<'_>) -> Outcome {
    let count = call.database().count().await?;
    call.reply().integer(count.cast_signed());
    Ok(())
}
