//! `GETDEL key`: returns a value and removes it.
//!
//! ```text
//! *2 $6 GETDEL $3 key  →  $5 value  |  null
//! ```
//!
//! O(1). Two round trips to a remote store, one when there is nothing.

use std::slice;

use larder::bytes::{Decision, remove};

use super::{Call, Outcome};

pub(super) async fn getdel(call: &mut Call<'_>) -> Outcome {
    let key = call.key(1)?;
    let old = call
        .database()
        .update(slice::from_ref(&key), |items, _| match &items[0] {
            Some(item) => Decision::answer(Some(item.value.clone())).write(0, remove()),
            None => Decision::answer(None),
        });
    let old = old.await?;
    call.count_reads(old.is_some().into(), old.is_none().into());
    match old {
        Some(old) => call.reply().bulk(&old),
        None => call.reply().null(),
    }
    Ok(())
}
