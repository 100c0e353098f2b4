//! `PING [message]`: shows that the node is there.
//!
//! ```text
//! *1 $4 PING  →  +PONG
//! *2 $4 PING $2 hi  →  $2 hi
//! ```
//!
//! O(1); no round trip.

use super::{Call, Outcome, failure};

pub(super) async fn ping(call: &mut Call<'_>) -> Outcome {
    match call.argc() {
        1 => call.reply().simple("PONG"),
        2 => {
            let message = call.argument(1);
            call.reply().bulk(message);
        }
        _ => return Err(failure::wrong_arity(call.spec.name)),
    }
    Ok(())
}
