//! `CACHE.EVENT event [field value…]`: invalidates what the rules of the node's file say of an event.
//!
//! ```text
//! CACHE.EVENT user id 7  →  :2, how many of the keys had a value
//! ```
//!
//! All caches at the same time: about one round trip to a remote store.

use super::{Call, Failure, Outcome};

const ODD: Failure = Failure::fixed("ERR every field of an event needs a value behind it");

pub(super) async fn event(call: &mut Call<'_>) -> Outcome {
    let event = call.text(1, "the name of an event")?;
    if !call.argc().is_multiple_of(2) {
        return Err(ODD);
    }
    let mut fields = Vec::with_capacity(call.argc() / 2);
    for at in (2..call.argc()).step_by(2) {
        let name = call.text(at, "the name of a field")?;
        fields.push((name, call.text(at + 1, "the value of a field")?));
    }
    let node = &call.session.shared.node;
    let existed = match node.settings.enabled {
        true => node.invalidator.event(&event, fields).await?.existed(),
        false => 0,
    };
    call.reply().integer(existed as i64);
    Ok(())
}
