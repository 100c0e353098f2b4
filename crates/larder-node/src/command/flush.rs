//! `FLUSHDB [ASYNC|SYNC]` and `FLUSHALL [ASYNC|SYNC]`: removes all keys of one or all databases.
//!
//! ```text
//! *1 $8 FLUSHALL  →  +OK
//! ```
//!
//! Always done when the reply comes. O(N); many round trips to a remote store.

use larder_core::limits::DATABASES;

use super::{Call, Failure, Outcome};

pub(super) async fn flushdb(call: &mut Call<'_>) -> Outcome {
    check_mode(call)?;
    call.database().clear().await?;
    call.reply().ok();
    Ok(())
}

pub(super) async fn flushall(call: &mut Call<'_>) -> Outcome {
    check_mode(call)?;
    for number in 0..DATABASES {
        call.session
            .shared
            .node
            .cache
            .database(number)
            .clear()
            .await?;
    }
    call.reply().ok();
    Ok(())
}

fn check_mode(call: &Call<'_>) -> Result<(), Failure> {
    let known = match call.argc() {
        1 => true,
        2 => call.is(1, "ASYNC") || call.is(1, "SYNC"),
        _ => false,
    };
    if known { Ok(()) } else { Err(Failure::SYNTAX) }
}
