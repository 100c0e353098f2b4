//! `CLIENT subcommand …`: connections, their names and their end.
//!
//! ```text
//! *2 $6 CLIENT $2 ID  →  :7
//! ```
//!
//! O(1), and O(N) over the connections for `LIST` and `KILL`; no round trip.

mod help;
mod kill;
mod label;
mod list;
mod reply;
mod tracking;

use super::subcommand::{self, Subcommand};
use super::{Call, Failure, Outcome};

pub(super) use label::check_name;

const SUBCOMMANDS: &[Subcommand] = &[
    ("id", 2, id),
    ("getname", 2, label::get_name),
    ("setname", 3, label::set_name),
    ("setinfo", 4, label::set_info),
    ("info", 2, list::info),
    ("list", -2, list::list),
    ("kill", -3, kill::kill),
    ("reply", 3, reply::reply),
    ("no-evict", 3, switch),
    ("no-touch", 3, switch),
    ("tracking", -3, tracking::tracking),
    ("trackinginfo", 2, tracking::info),
    ("caching", 3, tracking::caching),
    ("getredir", 2, tracking::redirection),
    ("unblock", -3, unblock),
    ("help", 2, help::help),
];

pub(super) async fn client(call: &mut Call<'_>) -> Outcome {
    subcommand::run(call, "CLIENT", SUBCOMMANDS)
}

fn id(call: &mut Call<'_>) -> Outcome {
    let id = call.session.client.id;
    call.reply().integer(id.cast_signed());
    Ok(())
}

/// Nothing is ever evicted for the sake of a connection, and no read counts as a touch.
fn switch(call: &mut Call<'_>) -> Outcome {
    if !call.is(2, "ON") && !call.is(2, "OFF") {
        return Err(Failure::SYNTAX);
    }
    call.reply().ok();
    Ok(())
}

/// No command blocks, so there is nobody to wake.
fn unblock(call: &mut Call<'_>) -> Outcome {
    call.integer(2)?;
    let known = match call.argc() {
        3 => true,
        4 => call.is(3, "TIMEOUT") || call.is(3, "ERROR"),
        _ => false,
    };
    if !known {
        return Err(Failure::fixed(
            "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR",
        ));
    }
    call.reply().integer(0);
    Ok(())
}
