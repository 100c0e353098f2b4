//! `DEL key…` and `UNLINK key…`: removes keys.
//!
//! ```text
//! *3 $3 DEL $1 a $1 b  →  :2, how many were there
//! ```
//!
//! O(N); one round trip to a remote store for each 64 keys.

use larder::bytes::remove;

use super::{Call, Outcome};

pub(super) async fn del(call: &mut Call<'_>) -> Outcome {
    let keys = call.keys(1, 1)?;
    let writes = keys.into_iter().map(|key| (key, remove()));
    let outcomes = call.database().write_many(writes).await?;
    let removed = outcomes.iter().filter(|outcome| outcome.existed).count();
    call.reply().integer(removed as i64);
    Ok(())
}
