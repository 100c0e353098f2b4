//! `RANDOMKEY`: returns some key of the database.
//!
//! ```text
//! *1 $9 RANDOMKEY  →  $3 key  |  null when there is none
//! ```
//!
//! O(1) unless the database is nearly empty; one round trip to a remote store.

use super::{Call, Outcome};

pub(super) async fn randomkey(call: &mut Call<'_>) -> Outcome {
    match call.database().random_key().await? {
        Some(key) => call.reply().bulk(&key),
        None => call.reply().null(),
    }
    Ok(())
}
