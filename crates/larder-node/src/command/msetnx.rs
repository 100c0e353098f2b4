//! `MSETNX key value…`: stores several values together if all keys are absent.
//!
//! ```text
//! *5 $6 MSETNX $1 a $1 1 $1 b $1 2  →  :1 stored  |  :0
//! ```
//!
//! O(N). Two round trips to a remote store, one when a key is there.

use larder::bytes::Decision;

use super::mset::pairs;
use super::{Call, Outcome};

pub(super) async fn msetnx(call: &mut Call<'_>) -> Outcome {
    let (keys, writes): (Vec<_>, Vec<_>) = pairs(call)?.into_iter().unzip();
    let stored = call.database().update(&keys, |items, _| {
        if items.iter().any(Option::is_some) {
            return Decision::answer(false);
        }
        let mut decision = Decision::answer(true);
        decision.writes = writes.iter().cloned().enumerate().collect();
        decision
    });
    let stored = stored.await?;
    call.reply().integer(stored.into());
    Ok(())
}
