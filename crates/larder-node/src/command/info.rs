//! `INFO [section…]`: counts and facts, in the lines that clients and tools read.
//!
//! ```text
//! *1 $4 INFO  →  =1234 txt:# Server …
//! ```
//!
//! O(1), and O(N) over all keys when several databases are in use; no round trip unless the
//! keyspace of a remote store is asked for by name.

mod keyspace;
mod sections;
pub(super) use sections::memory_policy;

use super::{Call, Outcome};

/// What a plain `INFO` returns, in order.
const DEFAULT: &[&str] = &[
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cpu",
    "cluster",
    "keyspace",
    "cache",
];

pub(super) async fn info(call: &mut Call<'_>) -> Outcome {
    let wanted = wanted(call);
    let by_name = call.argc() > 1;
    let mut text = String::with_capacity(2_048);
    for section in DEFAULT.iter().filter(|section| wanted.contains(section)) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        if *section == "keyspace" {
            keyspace::write(call, &mut text, by_name).await?;
        } else {
            sections::write(call, section, &mut text);
        }
    }
    call.reply().verbatim(*b"txt", text);
    Ok(())
}

fn wanted(call: &Call<'_>) -> Vec<&'static str> {
    let mut wanted = Vec::new();
    for argument in call.request.iter().skip(1) {
        match argument.to_ascii_lowercase().as_slice() {
            b"default" | b"all" | b"everything" => return DEFAULT.to_vec(),
            name => wanted.extend(DEFAULT.iter().filter(|known| known.as_bytes() == name)),
        }
    }
    if call.argc() == 1 {
        DEFAULT.to_vec()
    } else {
        wanted
    }
}
