//! `APPEND key value`: appends to a value, or creates it.
//!
//! ```text
//! *3 $6 APPEND $3 key $4 more  →  :9, the new length
//! ```
//!
//! O(N) with the length of the value; two round trips to a remote store, over which the value
//! travels twice.

use std::slice;

use bytes::{Bytes, BytesMut};
use larder::bytes::{Decision, put};
use larder_core::record::Life;

use super::{Call, Failure, Outcome};

pub(super) async fn append(call: &mut Call<'_>) -> Outcome {
    let key = call.key(1)?;
    let (more, plain) = (call.value(2), call.life_of(&key));
    let most = call.session.shared.node.settings.resp.max_value;
    let length = call.database().update(slice::from_ref(&key), |items, _| {
        let (old, life) = match &items[0] {
            Some(item) => (item.value.clone(), Life::KEEP),
            None => (Bytes::new(), plain),
        };
        let length = old.len() + more.len();
        if length > most {
            return Decision::answer(Err(Failure::TOO_LONG));
        }
        let mut value = BytesMut::with_capacity(length);
        value.extend_from_slice(&old);
        value.extend_from_slice(&more);
        Decision::answer(Ok(length)).write(0, put(value.freeze(), life))
    });
    let length = length.await??;
    call.reply().integer(length as i64);
    Ok(())
}
