//! `SETNX key value`: stores a value if there is none.
//!
//! ```text
//! *3 $5 SETNX $3 key $5 value  →  :1 stored  |  :0
//! ```
//!
//! O(1). One round trip to a remote store, two when there is a value.

use super::set::{Stored, add};
use super::{Call, Outcome};

pub(super) async fn setnx(call: &mut Call<'_>) -> Outcome {
    let key = call.key(1)?;
    let value = Stored::plain(call.value(2));
    let stored = add(call, &key, &value, call.life_of(&key)).await?;
    call.reply().integer(stored.into());
    Ok(())
}
