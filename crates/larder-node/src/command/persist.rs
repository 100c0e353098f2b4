//! `PERSIST key`: lets a value live for ever.
//!
//! ```text
//! *2 $7 PERSIST $3 key  →  :1 done  |  :0 absent, or it had no end
//! ```
//!
//! O(1). Two round trips to a remote store, one when nothing is done.

use std::slice;

use larder::bytes::Decision;
use larder_core::record::Life;
use larder_core::store::Write;

use super::{Call, Outcome};

pub(super) async fn persist(call: &mut Call<'_>) -> Outcome {
    let key = call.key(1)?;
    let done = call.database().update(slice::from_ref(&key), |items, _| {
        let ends = items[0]
            .as_ref()
            .is_some_and(|item| item.expires_at.is_some());
        let decision = Decision::answer(ends);
        if ends {
            decision.write(0, Write::Touch(Life::FOREVER))
        } else {
            decision
        }
    });
    let done = done.await?;
    call.reply().integer(done.into());
    Ok(())
}
