//! `TIME`: returns the wall clock.
//!
//! ```text
//! *1 $4 TIME  →  *2 $10 1700000000 $6 123000, seconds and microseconds
//! ```
//!
//! O(1); no round trip. The clock counts milliseconds.

use larder_resp::number::Integer;

use super::{Call, Outcome};

pub(super) async fn time(call: &mut Call<'_>) -> Outcome {
    let now = call.session.shared.node.cache.runtime().wall().0;
    let mut reply = call.reply();
    reply.array_len(2);
    reply.bulk(Integer::unsigned(now / 1_000).as_bytes());
    reply.bulk(Integer::unsigned(now % 1_000 * 1_000).as_bytes());
    Ok(())
}
