//! `AUTH [user] password`: authenticates the connection.
//!
//! ```text
//! *2 $4 AUTH $6 secret  →  +OK
//! ```
//!
//! There is one user, `default`. After three failures the connection is closed. O(1); no round
//! trip.

use super::{Call, Failure, Outcome};
use crate::session::DEFAULT_USER;

const NO_PASSWORD: Failure = Failure::fixed(
    "ERR AUTH <password> called without any password configured for the default user. \
     Are you sure your configuration is correct?",
);

pub(super) async fn auth(call: &mut Call<'_>) -> Outcome {
    let (user, password) = match call.argc() {
        2 if !call.session.has_password() => return Err(NO_PASSWORD),
        2 => (DEFAULT_USER, call.argument(1)),
        3 => (call.argument(1), call.argument(2)),
        _ => return Err(Failure::SYNTAX),
    };
    if !call.session.authenticate(user, password) {
        return Err(Failure::WRONGPASS);
    }
    call.reply().ok();
    Ok(())
}
