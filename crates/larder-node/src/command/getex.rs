//! `GETEX key [EX s|PX ms|EXAT s|PXAT ms|PERSIST]`: returns a value and changes its life.
//!
//! ```text
//! *4 $5 GETEX $3 key $2 EX $2 10  →  $5 value  |  null
//! ```
//!
//! O(1). Two round trips to a remote store, one without an option or when there is nothing.

use std::slice;

use larder::bytes::{Decision, Item};
use larder_core::record::Life;
use larder_core::runtime::Timestamp;
use larder_core::store::Write;

use super::set::options::{Ending, Options};
use super::{Call, Failure, Outcome, expiry};

pub(super) async fn getex(call: &mut Call<'_>) -> Outcome {
    let options = Options::read_getex(call)?;
    let key = call.key(1)?;
    let decide = |items: &[Option<Item>], now: Timestamp| {
        let Some(item) = &items[0] else {
            return Decision::answer(Ok(None));
        };
        // The number is read only when there is something to apply it to, as in Redis.
        match life(call, options.ending, now) {
            Err(failure) => Decision::answer(Err(failure)),
            Ok(life) => {
                let answer = Decision::answer(Ok(Some(item.value.clone())));
                match life {
                    Some(life) => answer.write(0, Write::Touch(life)),
                    None => answer,
                }
            }
        }
    };
    let value = call
        .database()
        .update(slice::from_ref(&key), decide)
        .await??;
    call.count_reads(value.is_some().into(), value.is_none().into());
    match value {
        Some(value) => call.reply().bulk(&value),
        None => call.reply().null(),
    }
    Ok(())
}

fn life(call: &Call<'_>, ending: Ending, now: Timestamp) -> Result<Option<Life>, Failure> {
    match ending {
        Ending::Unsaid | Ending::Keep => Ok(None),
        Ending::Persist => Ok(Some(Life::FOREVER)),
        Ending::At { argument, unit } => {
            expiry::positive(call.argument(argument), unit, now, "getex").map(Some)
        }
    }
}
