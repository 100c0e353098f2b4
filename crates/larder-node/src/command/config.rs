//! `CONFIG GET pattern…`: shows settings under the names that tools ask for.
//!
//! ```text
//! *3 $6 CONFIG $3 GET $9 databases  →  %1 databases 16
//! ```
//!
//! Settings come from the node's configuration and cannot be set here. O(N); no round trip.

use larder_core::glob;
use larder_core::limits::DATABASES;

use super::failure::printable;
use super::info::memory_policy;
use super::subcommand::{self, Subcommand};
use super::{Call, Failure, Outcome};

const SUBCOMMANDS: &[Subcommand] = &[
    ("get", -3, get),
    ("set", -4, set),
    ("resetstat", 2, reset_statistics),
    ("rewrite", 2, rewrite),
    ("help", 2, help),
];

const HELP: &[&str] = &[
    "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GET <pattern> [...]",
    "    Returns the settings whose names match.",
    "RESETSTAT",
    "    Accepted; counts are never reset, so that monitoring can rely on them.",
    "HELP",
    "    Prints this help.",
];

pub(super) async fn config(call: &mut Call<'_>) -> Outcome {
    subcommand::run(call, "CONFIG", SUBCOMMANDS)
}

fn get(call: &mut Call<'_>) -> Outcome {
    let settings = settings(call);
    let patterns = || call.request.iter().skip(2).map(<[u8]>::to_ascii_lowercase);
    let is_wanted = |name: &str| patterns().any(|p| glob::matches(&p, name.as_bytes()));
    let wanted: Vec<_> = settings
        .iter()
        .filter(|(name, _)| is_wanted(name))
        .collect();
    let mut reply = call.reply();
    reply.map_len(wanted.len());
    for (name, value) in wanted {
        reply.bulk(name);
        reply.bulk(value);
    }
    Ok(())
}

fn settings(call: &Call<'_>) -> Vec<(&'static str, String)> {
    let shared = &call.session.shared;
    let resp = &shared.node.settings.resp;
    let memory = shared.node.metrics.memory_limit();
    let seconds = resp.idle_timeout.map_or(0, |timeout| timeout.as_secs());
    vec![
        ("appendonly", "no".to_owned()),
        ("bind", shared.local.ip().to_string()),
        ("cluster-enabled", "no".to_owned()),
        ("databases", DATABASES.to_string()),
        ("io-threads", "1".to_owned()),
        ("maxclients", resp.max_clients.to_string()),
        ("maxmemory", memory.to_string()),
        ("maxmemory-policy", memory_policy(call).to_owned()),
        ("notify-keyspace-events", String::new()),
        ("port", shared.local.port().to_string()),
        ("proto-max-bulk-len", resp.max_value.to_string()),
        ("replica-read-only", "yes".to_owned()),
        ("save", String::new()),
        ("slave-read-only", "yes".to_owned()),
        ("tcp-keepalive", "0".to_owned()),
        ("timeout", seconds.to_string()),
    ]
}

fn set(call: &mut Call<'_>) -> Outcome {
    let name = call.argument(2);
    let is_known = settings(call).iter().any(|(known, _)| call.is(2, known));
    let (before, after) = if is_known {
        (
            "ERR CONFIG SET failed (possibly related to argument '",
            "') - this node takes its settings from its configuration file",
        )
    } else {
        (
            "ERR Unknown option or number of arguments for CONFIG SET - '",
            "'",
        )
    };
    let mut text = before.as_bytes().to_vec();
    text.extend_from_slice(printable(name, 128));
    text.extend_from_slice(after.as_bytes());
    Err(Failure::new(text))
}

/// Succeeds, because tools call it before they measure, and read differences anyway.
fn reset_statistics(call: &mut Call<'_>) -> Outcome {
    call.reply().ok();
    Ok(())
}

fn rewrite(_: &mut Call<'_>) -> Outcome {
    Err(Failure::fixed(
        "ERR The server is running without a config file",
    ))
}

fn help(call: &mut Call<'_>) -> Outcome {
    subcommand::write_help(call, HELP);
    Ok(())
}
