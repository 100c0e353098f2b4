//! `COMMAND GETKEYS command …`: which arguments of a command are keys.

use super::super::table;
use super::super::{Call, Failure, Outcome};

const UNKNOWN: Failure = Failure::fixed("ERR Invalid command specified");
const NO_KEYS: Failure = Failure::fixed("ERR The command has no key arguments");
const ARITY: Failure = Failure::fixed("ERR Invalid number of arguments specified for command");

/// Where the inner command begins.
const INNER: usize = 2;

pub(super) fn get_keys(call: &mut Call<'_>) -> Outcome {
    let spec = table::find(call.argument(INNER)).ok_or(UNKNOWN)?;
    let argc = call.argc() - INNER;
    let (first, last, step) = spec.keys;
    if first == 0 {
        return Err(NO_KEYS);
    }
    if !spec.accepts(argc) {
        return Err(ARITY);
    }
    let distance = usize::from(last.unsigned_abs());
    let last = if last < 0 { argc - distance } else { distance };
    let positions = (usize::from(first.unsigned_abs())..=last).step_by(step.unsigned_abs().into());
    let request = call.request;
    let mut reply = call.reply();
    reply.array_len(positions.clone().count());
    for position in positions {
        reply.bulk(&request[INNER + position]);
    }
    Ok(())
}
