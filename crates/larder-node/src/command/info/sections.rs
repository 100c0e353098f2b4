//! The sections of `INFO` that are facts and counts of this process.

use std::fmt::Write;

use larder::Stats;
use larder::embedded::{MemoryLimit, WhenFull};

use super::super::Call;
use crate::settings::StoreSettings;

/// Appends one section.
pub(super) fn write(call: &Call<'_>, section: &str, out: &mut String) {
    let (title, fields) = match section {
        "server" => ("Server", server(call)),
        "clients" => ("Clients", clients(call)),
        "memory" => ("Memory", memory(call)),
        "persistence" => ("Persistence", persistence()),
        "stats" => ("Stats", stats(call)),
        "replication" => ("Replication", replication(call)),
        "cpu" => ("CPU", Vec::new()),
        "cluster" => ("Cluster", vec![("cluster_enabled", "0".to_owned())]),
        _ => ("Cache", cache(call)),
    };
    // Writing to a string cannot fail.
    let _ = write!(out, "# {title}\r\n");
    for (name, value) in fields {
        let _ = write!(out, "{name}:{value}\r\n");
    }
}

type Fields = Vec<(&'static str, String)>;

fn server(call: &Call<'_>) -> Fields {
    let shared = &call.session.shared;
    let uptime = shared.node.metrics.uptime().as_secs();
    let wall = shared.node.cache.runtime().wall().0;
    vec![
        (
            "redis_version",
            shared.node.settings.resp.identity.version.clone(),
        ),
        ("larder_version", env!("CARGO_PKG_VERSION").to_owned()),
        ("redis_mode", "standalone".to_owned()),
        ("os", std::env::consts::OS.to_owned()),
        ("arch_bits", usize::BITS.to_string()),
        ("process_id", std::process::id().to_string()),
        ("run_id", shared.node.run_id.clone()),
        ("tcp_port", shared.local.port().to_string()),
        ("server_time_usec", (wall * 1_000).to_string()),
        ("uptime_in_seconds", uptime.to_string()),
        ("uptime_in_days", (uptime / 86_400).to_string()),
    ]
}

fn clients(call: &Call<'_>) -> Fields {
    let shared = &call.session.shared;
    vec![
        (
            "connected_clients",
            shared.node.metrics.connections().to_string(),
        ),
        (
            "maxclients",
            shared.node.settings.resp.max_clients.to_string(),
        ),
        ("blocked_clients", "0".to_owned()),
        ("tracking_clients", "0".to_owned()),
    ]
}

fn memory(call: &Call<'_>) -> Fields {
    let store = call.session.shared.node.metrics.store_stats();
    let used = store.bytes;
    vec![
        ("used_memory", used.to_string()),
        ("used_memory_human", human(used)),
        ("used_memory_dataset", used.to_string()),
        ("maxmemory", store.limit.to_string()),
        ("maxmemory_human", human(store.limit)),
        ("maxmemory_policy", memory_policy(call).to_owned()),
    ]
}

/// The nearest of Redis's names.
pub(in crate::command) fn memory_policy(call: &Call<'_>) -> &'static str {
    match call.session.shared.node.settings.store {
        StoreSettings::Memory(Some(MemoryLimit {
            when_full: WhenFull::Evict,
            ..
        })) => "allkeys-lfu",
        _ => "noeviction",
    }
}

fn persistence() -> Fields {
    vec![
        ("loading", "0".to_owned()),
        ("rdb_changes_since_last_save", "0".to_owned()),
        ("rdb_bgsave_in_progress", "0".to_owned()),
        ("aof_enabled", "0".to_owned()),
    ]
}

fn stats(call: &Call<'_>) -> Fields {
    let metrics = &call.session.shared.node.metrics;
    let store = metrics.store_stats();
    let count = |name, value: u64| (name, value.to_string());
    vec![
        count("total_connections_received", metrics.total_connections()),
        count("total_commands_processed", metrics.total_commands()),
        count(
            "instantaneous_ops_per_sec",
            metrics.instantaneous_ops_per_sec(),
        ),
        count("total_net_input_bytes", metrics.bytes_in_total()),
        count("total_net_output_bytes", metrics.bytes_out_total()),
        count("rejected_connections", metrics.rejected_connections()),
        count("expired_keys", store.expired),
        count("evicted_keys", store.evicted),
        count("keyspace_hits", metrics.hits()),
        count("keyspace_misses", metrics.misses()),
        count("pubsub_channels", 0),
        count("pubsub_patterns", 0),
    ]
}

fn replication(call: &Call<'_>) -> Fields {
    vec![
        ("role", "master".to_owned()),
        ("connected_slaves", "0".to_owned()),
        ("master_replid", call.session.shared.node.run_id.clone()),
        ("master_repl_offset", "0".to_owned()),
    ]
}

/// What Redis has no word for.
fn cache(call: &Call<'_>) -> Fields {
    let shared = &call.session.shared;
    let stats = shared.node.metrics.store_stats();
    let enabled = u8::from(shared.node.settings.enabled);
    let mut fields = vec![
        ("cache_enabled", enabled.to_string()),
        ("cache_store", shared.node.cache.describe().to_owned()),
        ("cache_entries", stats.records.to_string()),
        (
            "cache_entries_without_ttl",
            stats.records.saturating_sub(stats.expiring).to_string(),
        ),
        ("cache_size_bytes", stats.bytes.to_string()),
    ];
    if let Some(stats) = shared.node.metrics.near_stats() {
        fields.extend(near(&stats));
    }
    fields
}

/// Near copies, and the log that they follow.
fn near(stats: &Stats) -> Fields {
    let (near, bus) = (&stats.near, &stats.bus);
    let count = |name, value: u64| (name, value.to_string());
    vec![
        count("l1_hits", near.hits),
        count("l1_misses", near.misses),
        count("l1_entries", near.entries),
        count("l1_size_bytes", near.bytes),
        count("l1_limit_bytes", near.capacity),
        count("bus_records_received", bus.received),
        count("bus_gaps", bus.gaps),
        count("bus_flushes", bus.flushes),
        ("bus_fenced_ms", bus.fenced.as_millis().to_string()),
        (
            "bus_delay_mean_ms",
            bus.delay.mean().as_millis().to_string(),
        ),
    ]
}

fn human(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "K", "M"] {
        if size < 1_024.0 {
            let places = if unit == "B" { 0 } else { 2 };
            return format!("{size:.places$}{unit}");
        }
        size /= 1_024.0;
    }
    format!("{size:.2}G")
}
