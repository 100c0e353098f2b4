//! `RESET`: returns the connection to the state it was accepted in.
//!
//! ```text
//! *1 $5 RESET  →  +RESET
//! ```
//!
//! O(1); no round trip.

use super::{Call, Outcome};

pub(super) async fn reset(call: &mut Call<'_>) -> Outcome {
    call.session.reset();
    call.reply().simple("RESET");
    Ok(())
}
