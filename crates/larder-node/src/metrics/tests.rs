//! The counts as a scraper and `INFO` see them.

use std::time::Duration;

use larder_core::{ErrorKind, Timestamp};

use super::{ERROR_KINDS, Metrics, Op};

fn metrics() -> Metrics {
    Metrics::new(&["GET", "SET"], "embedded")
}

#[test]
fn counts_of_many_threads_add_up() {
    let metrics = metrics();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                metrics.reads(2, 1);
                metrics.command(0, false);
                metrics.command(9_999, true);
                metrics.bytes_in(10);
            });
        }
    });
    assert_eq!((metrics.hits(), metrics.misses()), (80, 40));
    assert_eq!(metrics.total_commands(), 80);
    assert_eq!(metrics.bytes_in_total(), 400);
    let text = metrics.export(Timestamp(1_000_000));
    assert!(text.contains("cache_commands_total{cmd=\"get\",result=\"ok\"} 40\n"));
    assert!(text.contains("cache_commands_total{cmd=\"other\",result=\"error\"} 40\n"));
}

#[test]
fn a_dropped_guard_closes_its_connection() {
    let metrics = metrics();
    let guards = [metrics.connection(), metrics.connection()];
    assert_eq!(metrics.connections(), 2);
    drop(guards);
    assert_eq!((metrics.connections(), metrics.total_connections()), (0, 2));
}

#[test]
fn the_six_required_names_exist_before_anything_happens() {
    let text = metrics().export(Timestamp(0));
    for line in [
        "cache_hits_total{cache=\"default\",tier=\"embedded\"} 0",
        "cache_misses_total{cache=\"default\",tier=\"embedded\"} 0",
        "cache_evictions_total{cache=\"default\",tier=\"embedded\",cause=\"size\"} 0",
        "cache_size_bytes{cache=\"default\",tier=\"embedded\"} 0",
        "cache_latency_seconds_count{cache=\"default\",tier=\"embedded\",op=\"get\"} 0",
        "cache_errors_total{cache=\"default\",tier=\"embedded\",kind=\"timeout\"} 0",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} in\n{text}");
    }
}

#[test]
fn a_histogram_is_cumulative_and_ends_with_its_count() {
    let metrics = metrics();
    for micros in [1, 3, 2_000_000] {
        metrics.observe(Op::Get, Duration::from_micros(micros));
    }
    let text = metrics.export(Timestamp(0));
    let labels = "cache=\"default\",tier=\"embedded\",op=\"get\"";
    for (bound, count) in [("0.000001", 1), ("0.000005", 2), ("1", 2), ("+Inf", 3)] {
        let line = format!("cache_latency_seconds_bucket{{{labels},le=\"{bound}\"}} {count}\n");
        assert!(text.contains(&line), "{line} in\n{text}");
    }
    assert!(text.contains(&format!("cache_latency_seconds_sum{{{labels}}} 2.000004\n")));
    assert!(text.contains(&format!("cache_latency_seconds_count{{{labels}}} 3\n")));
}

#[test]
fn every_kind_of_error_has_a_label_of_its_own() {
    for kind in [
        ErrorKind::Invalid,
        ErrorKind::Config,
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
        ErrorKind::Overloaded,
        ErrorKind::TooLarge,
        ErrorKind::Codec,
        ErrorKind::Conflict,
        ErrorKind::Refused,
        ErrorKind::Load,
        ErrorKind::Closed,
    ] {
        assert!(ERROR_KINDS.contains(&kind.as_str()), "{kind:?}");
    }
}
