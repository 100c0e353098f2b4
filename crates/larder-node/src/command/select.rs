//! `SELECT index`: chooses the database of the connection.
//!
//! ```text
//! *2 $6 SELECT $1 1  →  +OK
//! ```
//!
//! O(1); no round trip.

use larder_core::limits::DATABASES;

use super::{Call, Failure, Outcome};

const RANGE: Failure = Failure::fixed("ERR DB index is out of range");

pub(super) async fn select(call: &mut Call<'_>) -> Outcome {
    // Redis reads an int here and a long elsewhere; the text differs only beyond 32 bits.
    let number = call.integer(1)?;
    i32::try_from(number).map_err(|_| Failure::INTEGER)?;
    let number = u8::try_from(number)
        .ok()
        .filter(|&number| number < DATABASES);
    call.session.select(number.ok_or(RANGE)?);
    call.reply().ok();
    Ok(())
}
