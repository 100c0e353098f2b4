//! `TYPE key`: returns the type of a value; all values are strings.
//!
//! ```text
//! *2 $4 TYPE $3 key  →  +string  |  +none
//! ```
//!
//! O(1); one round trip to a remote store.

use super::{Call, Outcome};

pub(super) async fn type_of(call: &mut Call<'_>) -> Outcome {
    let key = call.key(1)?;
    let item = call.database().get(&key).await?;
    call.reply()
        .simple(if item.is_some() { "string" } else { "none" });
    Ok(())
}
