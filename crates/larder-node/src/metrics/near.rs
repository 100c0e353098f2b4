//! The counts of near copies and of the log that they follow: what shows the protocol at work.

use larder::core::admit::Refusal;
use larder::{Cause, Delay, EventCause, NearStats, Stats};

use super::export::CACHE;
use super::text::{Text, Type};

/// Why a value that was read is not kept near. The other reasons are those of loads, which a node
/// has none of.
const REFUSALS: [Refusal; 3] = [Refusal::Raced, Refusal::Superseded, Refusal::TooLarge];

/// How many copies have left for this cause.
pub(super) fn left(near: &NearStats, cause: Cause) -> u64 {
    let found = near.left.iter().find(|(other, _)| *other == cause);
    found.map_or(0, |(_, count)| *count)
}

/// What there is only with near copies.
pub(super) fn export(stats: &Stats, text: &mut Text) {
    let help = "Values that were read and not kept near, because that could not be proven right.";
    let mut family = text.family("cache_fill_refused_total", Type::Counter, help);
    for (refusal, count) in &stats.refused {
        if REFUSALS.contains(refusal) || *count > 0 {
            family.sample(&[CACHE, ("reason", refusal.as_str())], *count);
        }
    }
    let help = "Near copies that were served while nobody vouched for them.";
    text.family("cache_stale_served_total", Type::Counter, help)
        .sample(&[CACHE, ("reason", "fenced")], stats.loads.stale_served);
    invalidations(stats, text);
    bus(stats, text);
}

fn invalidations(stats: &Stats, text: &mut Text) {
    let help = "Changes that ended near copies: sent by this node, and received by way of the log, \
                own ones included.";
    let mut family = text.family("cache_invalidations_total", Type::Counter, help);
    for (direction, counts) in [("sent", &stats.bus.sent), ("received", &stats.bus.heard)] {
        let count = |cause: &(EventCause, u64)| (cause.0.as_str(), cause.1);
        for (kind, count) in counts.iter().map(count) {
            family.sample(&[CACHE, ("direction", direction), ("kind", kind)], count);
        }
    }
}

fn bus(stats: &Stats, text: &mut Text) {
    let bus = &stats.bus;
    let help = "Records of the log that came with others missing before them.";
    text.family("cache_bus_gap_total", Type::Counter, help)
        .sample(&[CACHE], bus.gaps);
    let help = "How often missing records were read again from the log.";
    text.family("cache_bus_replays_total", Type::Counter, help)
        .sample(&[CACHE], bus.replays);
    let help = "How often all near copies were dropped because something may have been missed.";
    text.family("cache_bus_flushes_total", Type::Counter, help)
        .sample(&[CACHE], bus.flushes);
    let help = "For how long near copies could not be used, because nobody vouched for them.";
    text.family("cache_lane_fenced_seconds_total", Type::Counter, help)
        .sample(&[CACHE], bus.fenced.as_secs_f64());
    let help = "From the moment that the server wrote a record to its arrival; pushed ones.";
    let mut family = text.family("cache_bus_latency_seconds", Type::Histogram, help);
    let bounds = Delay::BOUNDS
        .iter()
        .map(|bound| bound.as_secs_f64().to_string());
    let mut below = 0;
    for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(bus.delay.counts) {
        below += count;
        family.suffixed("_bucket", &[CACHE, ("le", &bound)], below);
    }
    family.suffixed("_sum", &[CACHE], bus.delay.total.as_secs_f64());
    family.suffixed("_count", &[CACHE], below);
}
