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
    if spec.has("movablekeys") && spec.accepts(argc) {
        return write(call, INNER + 3, numbered(call)?, 1);
    }
    if first == 0 {
        return Err(NO_KEYS);
    }
    if !spec.accepts(argc) {
        return Err(ARITY);
    }
    let distance = usize::from(last.unsigned_abs());
    let last = if last < 0 { argc - distance } else { distance };
    let (first, step) = (
        usize::from(first.unsigned_abs()),
        step.unsigned_abs().into(),
    );
    let count = (first..=last).step_by(step).count();
    write(call, INNER + first, count, step)
}

/// How many keys a script is called with.
fn numbered(call: &Call<'_>) -> Result<usize, Failure> {
    let left = call.argc() - INNER - 3;
    let count = usize::try_from(call.integer(INNER + 2)?).ok();
    count.filter(|count| *count <= left).ok_or(ARITY)
}

fn write(call: &mut Call<'_>, first: usize, count: usize, step: usize) -> Outcome {
    let request = call.request;
    let mut reply = call.reply();
    reply.array_len(count);
    for position in (first..).step_by(step).take(count) {
        reply.bulk(&request[position]);
    }
    Ok(())
}
