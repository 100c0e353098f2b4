//! `ECHO message`: returns the message.
//!
//! ```text
//! *2 $4 ECHO $2 hi  →  $2 hi
//! ```
//!
//! O(1); no round trip.

use super::{Call, Outcome};

pub(super) async fn echo(call: &mut Call<'_>) -> Outcome {
    let message = call.argument(1);
    call.reply().bulk(message);
    Ok(())
}
