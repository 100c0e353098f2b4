//! Which metrics there are: names, labels and meanings.
//!
//! Every series exists from the start, at zero: a rate over a series that appears with its first
//! event misses that event. The six names of the requirement come first.

use std::sync::atomic::Ordering;

use larder::{Cause, Stats};
use larder_core::Timestamp;

use super::histogram::{BOUNDS, Reading};
use super::op::Op;
use super::text::{Family, Labels, Text, Type};
use super::{ERROR_KINDS, Metrics, health, locks, near, outbox, process};

/// The value of the label `cache`: the node's keyspace as a whole.
pub(super) const CACHE: (&str, &str) = ("cache", "default");

/// The tier of what this process holds itself.
const EMBEDDED: (&str, &str) = ("tier", "embedded");

/// The tier of near copies of what a server holds.
const L1: (&str, &str) = ("tier", "l1");

pub(super) fn export(metrics: &Metrics, now: Timestamp) -> String {
    let mut text = Text::default();
    let near = metrics.near_stats();
    keyspace(metrics, near.as_ref(), &mut text);
    if let Some(stats) = &near {
        near::export(stats, &mut text);
    }
    if let Some(report) = metrics.health() {
        health::export(&report, metrics.tier, &mut text);
    }
    if let Some(stats) = metrics.tail_stats() {
        outbox::export(&stats, &mut text);
    }
    if let Some(stats) = metrics.lock_stats() {
        locks::export(&stats, &mut text);
    }
    latency(metrics, &mut text);
    clients(metrics, &mut text);
    commands(metrics, &mut text);
    node(metrics, now, &mut text);
    text.finish()
}

fn keyspace(metrics: &Metrics, near: Option<&Stats>, text: &mut Text) {
    let tier = ("tier", metrics.tier);
    let own = metrics.is_embedded().then(|| metrics.store_stats());
    // With near copies, commands hit what either tier has; each tier knows its own part.
    let (hits, misses) = near.map_or_else(
        || (metrics.hits(), metrics.misses()),
        |stats| (stats.remote.hits, stats.remote.misses),
    );
    let near = near.map(|stats| &stats.near);
    let mut family = text.family("cache_hits_total", Type::Counter, "Keys read and found.");
    family.sample(&[CACHE, tier], hits);
    near.map(|near| family.sample(&[CACHE, L1], near.hits));
    let mut family = text.family("cache_misses_total", Type::Counter, "Keys read and absent.");
    family.sample(&[CACHE, tier], misses);
    near.map(|near| family.sample(&[CACHE, L1], near.misses));
    let help = "Entries removed to make room; expired ones are counted apart.";
    let mut family = text.family("cache_evictions_total", Type::Counter, help);
    family.sample(
        &[CACHE, tier, ("cause", "size")],
        own.map_or(0, |own| own.evicted),
    );
    near.map(|near| {
        family.sample(
            &[CACHE, L1, ("cause", "size")],
            near::left(near, Cause::Size),
        )
    });
    let help = "Bytes of entries that this node holds itself, with what each costs beside them.";
    let mut family = text.family("cache_size_bytes", Type::Gauge, help);
    own.map(|own| family.sample(&[CACHE, EMBEDDED], own.bytes));
    near.map(|near| family.sample(&[CACHE, L1], near.bytes));
    let help = "The most bytes of entries that this node may hold; 0 without a limit.";
    let mut family = text.family("cache_size_limit_bytes", Type::Gauge, help);
    own.map(|own| family.sample(&[CACHE, EMBEDDED], own.limit));
    near.map(|near| family.sample(&[CACHE, L1], near.capacity));
    let help = "Operations that failed in the store, by kind of error.";
    let mut errors = text.family("cache_errors_total", Type::Counter, help);
    for (kind, count) in ERROR_KINDS.iter().zip(&metrics.errors) {
        let count = count.load(Ordering::Relaxed);
        errors.sample(&[CACHE, tier, ("kind", kind)], count);
    }
    let help = "Entries that this node holds itself.";
    let mut family = text.family("cache_entries", Type::Gauge, help);
    own.map(|own| family.sample(&[CACHE, EMBEDDED], own.records));
    near.map(|near| family.sample(&[CACHE, L1], near.entries));
    let help = "Entries that this node holds itself and that have an end of life.";
    let mut family = text.family("cache_entries_with_ttl", Type::Gauge, help);
    own.map(|own| family.sample(&[CACHE, EMBEDDED], own.expiring));
    let help = "Entries that this node removed because their life had ended.";
    let mut family = text.family("cache_expirations_total", Type::Counter, help);
    own.map(|own| family.sample(&[CACHE, EMBEDDED], own.expired));
    near.map(|near| family.sample(&[CACHE, L1], near::left(near, Cause::Expired)));
}

fn latency(metrics: &Metrics, text: &mut Text) {
    let help = "Time of an operation inside the node, its store included; a sample of all.";
    let mut family = text.family("cache_latency_seconds", Type::Histogram, help);
    for op in Op::ALL {
        let labels = [CACHE, ("tier", metrics.tier), ("op", op.as_str())];
        histogram(&mut family, &labels, &metrics.shards.latency(op));
    }
}

fn histogram(family: &mut Family<'_>, labels: Labels<'_>, reading: &Reading) {
    let mut labelled = labels.to_vec();
    labelled.push(("le", ""));
    let last = labelled.len() - 1;
    let bounds = BOUNDS.iter().map(|(_, text)| *text).chain(["+Inf"]);
    let mut below = 0;
    for (bound, count) in bounds.zip(reading.counts) {
        below += count;
        labelled[last].1 = bound;
        family.suffixed("_bucket", &labelled, below);
    }
    family.suffixed("_sum", labels, reading.nanos as f64 / 1e9);
    family.suffixed("_count", labels, below);
}

fn clients(metrics: &Metrics, text: &mut Text) {
    let help = "Connections of clients that are open on the RESP port.";
    text.family("cache_client_connections", Type::Gauge, help)
        .sample(&[], metrics.connections());
    let help = "Connections of clients that the RESP port has accepted.";
    text.family("cache_client_connections_total", Type::Counter, help)
        .sample(&[], metrics.total_connections());
    let help = "Connections of clients that were turned away at the limit.";
    text.family("cache_rejected_connections_total", Type::Counter, help)
        .sample(&[], metrics.rejected_connections());
    let help = "Bytes that clients sent to the RESP port.";
    text.family("cache_network_receive_bytes_total", Type::Counter, help)
        .sample(&[], metrics.bytes_in_total());
    let help = "Bytes that the RESP port sent to clients.";
    text.family("cache_network_transmit_bytes_total", Type::Counter, help)
        .sample(&[], metrics.bytes_out_total());
}

fn commands(metrics: &Metrics, text: &mut Text) {
    let help = "Commands of clients, by name and by whether the reply was an error.";
    let mut family = text.family("cache_commands_total", Type::Counter, help);
    for (index, name) in metrics.commands.iter().chain(&["other"]).enumerate() {
        let name = name.to_ascii_lowercase();
        let [done, failed] = metrics.shards.command(index);
        family
            .sample(&[("cmd", &name), ("result", "ok")], done)
            .sample(&[("cmd", &name), ("result", "error")], failed);
    }
}

fn node(metrics: &Metrics, now: Timestamp, text: &mut Text) {
    let started = metrics.started_at(now).since(Timestamp::default());
    let help = "Always 1; the version is in the label.";
    text.family("cache_build_info", Type::Gauge, help)
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    let help = "When the node started, in seconds since the Unix epoch.";
    text.family("cache_start_time_seconds", Type::Gauge, help)
        .sample(&[], started.as_secs_f64());
    let help = "Memory that the process holds (resident set).";
    text.family("process_resident_memory_bytes", Type::Gauge, help)
        .sample(&[], process::resident_bytes());
}
