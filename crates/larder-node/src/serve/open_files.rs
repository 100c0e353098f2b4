//! Room for as many connections as the settings allow: each is an open file of this process.

use rustix::process::{Resource, getrlimit, setrlimit};

/// What the node needs beside clients: ports, logs, the server behind it, HTTP.
const OTHERS: u64 = 256;

/// Raises the soft limit of open files to what `clients` need, as far as the hard limit allows.
pub(super) fn raise(clients: usize) {
    let needed = clients as u64 + OTHERS;
    let mut limit = getrlimit(Resource::Nofile);
    // No limit is written as none.
    if limit.current.is_none_or(|current| current >= needed) {
        return;
    }
    let allowed = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    limit.current = Some(allowed);
    if setrlimit(Resource::Nofile, limit).is_err() || allowed < needed {
        tracing::warn!(
            clients,
            open_files = allowed,
            "the system allows fewer open files than resp.max_clients needs; raise `ulimit -n`"
        );
    }
}
