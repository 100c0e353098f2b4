//! `CLIENT HELP`.

use super::super::subcommand;
use super::{Call, Outcome};

const LINES: &[&str] = &[
    "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GETNAME",
    "    Returns the name of this connection.",
    "ID",
    "    Returns the number of this connection.",
    "INFO",
    "    Describes this connection.",
    "KILL <ip:port>",
    "KILL ID|ADDR|LADDR|TYPE|USER|SKIPME <value> [...]",
    "    Ends connections.",
    "LIST [TYPE <type>|ID <id> [...]]",
    "    Describes connections, one in a line.",
    "NO-EVICT (ON|OFF)",
    "NO-TOUCH (ON|OFF)",
    "    Accepted; neither changes anything here.",
    "REPLY (ON|OFF|SKIP)",
    "    Says whether replies are sent.",
    "SETNAME <name>",
    "    Names this connection.",
    "SETINFO (LIB-NAME|LIB-VER) <value>",
    "    Says which client library this is.",
    "TRACKINGINFO",
    "    Says that tracking is off; this node does not support it.",
    "HELP",
    "    Prints this help.",
];

pub(super) fn help(call: &mut Call<'_>) -> Outcome {
    subcommand::write_help(call, LINES);
    Ok(())
}
