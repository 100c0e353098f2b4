//! `CLIENT REPLY ON|OFF|SKIP`: whether replies are sent at all.

use super::{Call, Failure, Outcome};
use crate::session::Replies;

pub(super) fn reply(call: &mut Call<'_>) -> Outcome {
    if call.is(2, "ON") {
        call.session.replies = Replies::On;
        call.reply().ok();
    } else if call.is(2, "OFF") {
        call.session.replies = Replies::Off;
    } else if call.is(2, "SKIP") {
        if call.session.replies == Replies::On {
            // This command and the next.
            call.session.replies = Replies::Skip(2);
        }
    } else {
        return Err(Failure::SYNTAX);
    }
    Ok(())
}
