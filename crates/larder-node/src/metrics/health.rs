//! Whether the server behind the node is used or left alone.

use larder_core::breaker::BreakerState;
use larder_core::store::HealthReport;

use super::export::CACHE;
use super::text::{Text, Type};

/// What there is only with a server.
pub(super) fn export(report: &HealthReport, tier: &'static str, text: &mut Text) {
    let tier = ("tier", tier);
    let help = "1 for the state of the breaker before the server.";
    let mut family = text.family("cache_breaker_state", Type::Gauge, help);
    for state in [
        BreakerState::Closed,
        BreakerState::Open,
        BreakerState::HalfOpen,
    ] {
        let is_this = u64::from(state == report.breaker);
        family.sample(&[CACHE, tier, ("state", state.as_str())], is_this);
    }
    let help = "How often the breaker has opened.";
    text.family("cache_breaker_opened_total", Type::Counter, help)
        .sample(&[CACHE, tier], report.opened);
    let help = "Commands that the breaker has refused.";
    text.family("cache_breaker_refused_total", Type::Counter, help)
        .sample(&[CACHE, tier], report.refused);
    let help = "Reads that were repeated after their connection broke.";
    text.family("cache_retries_total", Type::Counter, help)
        .sample(&[CACHE, tier], report.repeated);
}
