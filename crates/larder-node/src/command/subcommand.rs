//! Commands that are containers: the second argument says what to do.

use super::failure::{unknown_subcommand, wrong_arity};
use super::{Call, Outcome};

/// Name, arity as in the table of commands, and what to run.
pub(super) type Subcommand = (&'static str, i8, fn(&mut Call<'_>) -> Outcome);

/// Finds and runs the subcommand; `parent` is the command in upper case.
pub(super) fn run(call: &mut Call<'_>, parent: &str, subcommands: &[Subcommand]) -> Outcome {
    let found = subcommands.iter().find(|(name, ..)| call.is(1, name));
    let Some((name, arity, run)) = found else {
        return Err(unknown_subcommand(parent, call.argument(1)));
    };
    let wanted = usize::from(arity.unsigned_abs());
    let fits = if *arity < 0 {
        call.argc() >= wanted
    } else {
        call.argc() == wanted
    };
    if !fits {
        return Err(wrong_arity(&format!("{}|{name}", call.spec.name)));
    }
    run(call)
}

/// Help is an array of statuses.
pub(super) fn write_help(call: &mut Call<'_>, lines: &[&str]) {
    let mut reply = call.reply();
    reply.array_len(lines.len());
    for line in lines {
        reply.simple(line);
    }
}
