//! `QUIT`: answers and closes the connection.
//!
//! ```text
//! *1 $4 QUIT  →  +OK, then the end of the stream
//! ```
//!
//! O(1); no round trip.

use super::{Call, Outcome};

pub(super) async fn quit(call: &mut Call<'_>) -> Outcome {
    call.session.close();
    call.reply().ok();
    Ok(())
}
