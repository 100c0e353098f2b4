//! The section `Keyspace`: how many keys each database holds.

use std::fmt::Write;

use super::super::{Call, Failure};

/// Appends one line for each database that is not empty. Where counting would mean a walk over
/// a remote store it is only done if somebody asked for it by name.
pub(super) async fn write(call: &Call<'_>, out: &mut String, by_name: bool) -> Result<(), Failure> {
    out.push_str("# Keyspace\r\n");
    let shared = &call.session.shared;
    let stats = shared.node.metrics.store_stats();
    let databases: Vec<u8> = shared.databases().collect();
    if let [only] = databases[..]
        && stats.records > 0
    {
        line(out, only, stats.records, stats.expiring);
        return Ok(());
    }
    if stats.records == 0 && !by_name {
        return Ok(());
    }
    for number in databases {
        let keys = shared.node.cache.database(number).count().await?;
        if keys > 0 {
            // Which of them have an end is only known for all databases together.
            line(out, number, keys, 0);
        }
    }
    Ok(())
}

fn line(out: &mut String, number: u8, keys: u64, expires: u64) {
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "db{number}:keys={keys},expires={expires},avg_ttl=0\r\n"
    );
}
