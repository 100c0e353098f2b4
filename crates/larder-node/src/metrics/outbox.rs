//! The counts of the outbox that is followed.

use larder::outbox::TailStats;

use super::text::{Text, Type};

/// What there is only with an outbox.
pub(super) fn export(stats: &TailStats, text: &mut Text) {
    let help = "Notices of the outbox, by what became of them here; a failed one is tried again.";
    let mut family = text.family("cache_outbox_notices_total", Type::Counter, help);
    for (outcome, count) in [
        ("carried_out", stats.carried_out),
        ("failed", stats.failed),
        ("unreadable", stats.unreadable),
    ] {
        family.sample(&[("outcome", outcome)], count);
    }
    let help = "Questions to the outbox that failed.";
    text.family("cache_outbox_errors_total", Type::Counter, help)
        .sample(&[], stats.outbox_errors);
    let help = "Notices that wait: for this node, or for somebody who understands them.";
    text.family("cache_outbox_waiting", Type::Gauge, help)
        .sample(&[("for", "node")], stats.waiting)
        .sample(&[("for", "others")], stats.not_understood);
    let help = "For how long the oldest notice has waited that this node can carry out.";
    text.family("cache_outbox_oldest_seconds", Type::Gauge, help)
        .sample(&[], stats.oldest.as_secs_f64());
}
