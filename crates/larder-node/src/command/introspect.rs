//! `COMMAND [subcommand …]`: tells clients which commands there are and where their keys stand.
//!
//! ```text
//! *2 $7 COMMAND $5 COUNT  →  :60
//! ```
//!
//! O(N) with the number of commands; no round trip.

mod describe;
mod docs;
mod key_positions;
mod list;

use super::subcommand::{self, Subcommand};
use super::table::SPECS;
use super::{Call, Outcome};

const SUBCOMMANDS: &[Subcommand] = &[
    ("count", 2, count),
    ("list", -2, list::list),
    ("info", -2, describe::info),
    ("docs", -2, docs::docs),
    ("getkeys", -3, key_positions::get_keys),
    ("help", 2, help),
];

const HELP: &[&str] = &[
    "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "(no subcommand)",
    "    Describes all commands.",
    "COUNT",
    "    Returns the number of commands.",
    "LIST [FILTERBY (ACLCAT <category>|PATTERN <pattern>|MODULE <name>)]",
    "    Returns the names of commands.",
    "INFO [<command-name> ...]",
    "    Describes commands by arity, flags and key positions.",
    "DOCS [<command-name> ...]",
    "    Describes commands for people.",
    "GETKEYS <full-command>",
    "    Returns the keys of a command.",
    "HELP",
    "    Prints this help.",
];

pub(super) async fn command(call: &mut Call<'_>) -> Outcome {
    if call.argc() == 1 {
        return describe::all(call);
    }
    subcommand::run(call, "COMMAND", SUBCOMMANDS)
}

fn count(call: &mut Call<'_>) -> Outcome {
    call.reply().integer(SPECS.len() as i64);
    Ok(())
}

fn help(call: &mut Call<'_>) -> Outcome {
    subcommand::write_help(call, HELP);
    Ok(())
}
