//! `SETRANGE key offset value`: overwrites a part of a value.
//!
//! ```text
//! *4 $8 SETRANGE $3 key $1 6 $3 new  →  :9, the new length
//! ```
//!
//! A value that is too short is filled up with zero bytes, up to the largest value allowed. O(N)
//! with the length of the value; two round trips to a remote store.

use std::slice;

use bytes::{Bytes, BytesMut};
use larder::bytes::{Decision, put};
use larder_core::record::Life;

use super::{Call, Failure, Outcome};

const OFFSET: Failure = Failure::fixed("ERR offset is out of range");

pub(super) async fn setrange(call: &mut Call<'_>) -> Outcome {
    let offset = usize::try_from(call.integer(2)?).map_err(|_| OFFSET)?;
    let key = call.key(1)?;
    let (part, plain) = (call.value(3), call.life_of(&key));
    let most = call.session.shared.node.settings.resp.max_value;
    let length = call.database().update(slice::from_ref(&key), |items, _| {
        let (old, life) = match &items[0] {
            Some(item) => (item.value.clone(), Life::KEEP),
            None => (Bytes::new(), plain),
        };
        if part.is_empty() {
            return Decision::answer(Ok(old.len()));
        }
        // Checked before anything is allocated: the offset is only a number that somebody sent.
        let end = offset.saturating_add(part.len());
        if end > most {
            return Decision::answer(Err(Failure::TOO_LONG));
        }
        let mut value = BytesMut::with_capacity(old.len().max(end));
        value.extend_from_slice(&old);
        value.resize(old.len().max(end), 0);
        value[offset..end].copy_from_slice(&part);
        Decision::answer(Ok(value.len())).write(0, put(value.freeze(), life))
    });
    let length = length.await??;
    call.reply().integer(length as i64);
    Ok(())
}
