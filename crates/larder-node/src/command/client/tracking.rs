//! `CLIENT TRACKING` and what belongs to it: refused, in words that say so.

use super::{Call, Failure, Outcome};

const REFUSED: Failure = Failure::fixed(
    "ERR CLIENT TRACKING is not supported: this node sends no invalidation messages; \
     switch the client-side cache off",
);
const CACHING: Failure = Failure::fixed(
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or \
     OPTOUT mode enabled",
);

/// `OFF` changes nothing and so succeeds.
pub(super) fn tracking(call: &mut Call<'_>) -> Outcome {
    if call.is(2, "ON") {
        return Err(REFUSED);
    }
    if !call.is(2, "OFF") {
        return Err(Failure::SYNTAX);
    }
    call.reply().ok();
    Ok(())
}

pub(super) fn caching(call: &mut Call<'_>) -> Outcome {
    let known = call.is(2, "YES") || call.is(2, "NO");
    Err(if known { CACHING } else { Failure::SYNTAX })
}

/// -1 stands for "tracking is off".
pub(super) fn redirection(call: &mut Call<'_>) -> Outcome {
    call.reply().integer(-1);
    Ok(())
}

pub(super) fn info(call: &mut Call<'_>) -> Outcome {
    let mut reply = call.reply();
    reply.map_len(3);
    reply.bulk("flags");
    reply.set_len(1);
    reply.bulk("off");
    reply.bulk("redirect");
    reply.integer(-1);
    reply.bulk("prefixes");
    reply.array_len(0);
    Ok(())
}
