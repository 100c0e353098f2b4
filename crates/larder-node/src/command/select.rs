//! `SELECT index`: chooses the database of the connection.
//!
//! ```text
//! *2 $6 SELECT $1 1  →  +OK
//! ```
//!
//! O(1); no round trip.

use larder_core::limits::DATABASES;

use super::{Call, Failure, Outcome};

const NO_INT: Failure =
    Failure::fixed("ERR value is out of range, value must between -2147483648 and 2147483647");
const RANGE: Failure = Failure::fixed("ERR DB index is out of range");

pub(super) async fn select(call: &mut Call<'_>) -> Outcome {
    let number = call.integer(1)?;
    i32::try_from(number).map_err(|_| NO_INT)?;
    let number = u8::try_from(number)
        .ok()
        .filter(|&number| number < DATABASES);
    call.session.select(number.ok_or(RANGE)?);
    call.reply().ok();
    Ok(())
}
